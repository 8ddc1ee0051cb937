"""The workbook is open elsewhere, lies elsewhere, or in a synced folder that is not yet quiet."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from sheets import cell, columns, counts, edit, nothing, row_of, type_row
from world import LEAD, World

from manual_registry.adapters import memory, renderings, synced_folder
from manual_registry.adapters.workbook import OpenpyxlWorkbook, disk
from manual_registry.core.errors import BadConfig, RegistryError
from manual_registry.core.view import View
from manual_registry.ports import Instructions, Refreshed
from manual_registry.registry import Registry

EXCEL = b"\x08Ada Byte" + b" " * 46 + (8).to_bytes(2, "little") + "Ada Byte".encode("utf-16-le") + b" \0" * 46
OFFICE = b",ada,laptop,24.11.2026 08:00,file:///home/ada/.config/libreoffice/4;"


def book(world: World) -> Path:
    """Return the workbook as registry.toml names it."""
    text = (world.root / "registry.toml").read_text(encoding="utf-8")
    path = next(line.split('"')[1] for line in text.splitlines() if line.startswith("path = "))
    return Path(os.path.normpath(world.root / path))


def configure(world: World, path: str = "registry.xlsx", quiet: float | None = None) -> None:
    """Set ``[workbook]``."""
    file = world.root / "registry.toml"
    text = file.read_text(encoding="utf-8")
    text = text[: text.index("[workbook]")] + f'[workbook]\npath = "{path}"\n'
    file.write_text(text + (f"quiet_seconds = {quiet}\n" if quiet is not None else ""), encoding="utf-8")


def link_of(path: Path, row_id: str) -> Path:
    """Return where the link of a row's Storage location leads."""
    sheet: Any = openpyxl.load_workbook(path)["Models"]
    link = sheet.cell(row_of(sheet, row_id), columns(sheet)["Storage location"]).hyperlink
    assert link is not None
    return path.parent / str(link.target)


# -- open elsewhere -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mark", "content", "who"),
    [
        ("~$registry.xlsx", EXCEL, r"open in Excel since \d{4}-.* by Ada Byte"),
        (".~lock.registry.xlsx#", OFFICE, r"open in LibreOffice since \d{4}-.* by ada on laptop"),
    ],
)
def test_while_it_is_open_the_record_goes_ahead_and_the_view_waits(
    small: World, mark: str, content: bytes, who: str
) -> None:
    edit(book(small), {("Models", "churn@1", "Owner"): "mine", ("Models", "churn@2", "Version"): "77"})
    before = book(small).read_bytes()
    lock = small.root / mark
    lock.write_bytes(content)
    registry = small.as_()
    assert counts(registry.sync()) == {"accepted": 1, "restored": 1}
    assert [one for one in registry.warnings if re.search(who, one)]
    assert small.as_().show("churn@1")["owner"] == "mine"
    assert book(small).read_bytes() == before
    head = small.as_().head
    assert counts(small.as_().sync()) == {"restored": 1}
    assert small.as_().head == head, "the hashes of what is put back are written once only"
    status = small.as_().status()
    assert (status["view_behind"], "mreg sync" in status["next"]) == (True, True)
    lock.unlink()
    small.as_().note("churn@3", "the next writing command catches up")
    assert cell(book(small), "Models", "churn@1", "Owner") == "mine"
    assert cell(book(small), "Models", "churn@2", "Version") == "77", "and still overwrites nothing"
    assert not small.as_().status()["view_behind"]
    assert counts(small.as_().sync()) == {"restored": 1}
    assert nothing(small.as_())


def test_a_file_that_is_saved_while_sync_decides_is_not_overwritten(
    small: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decisions are about the bytes that were read; on others they are not carried out."""
    edit(book(small), {("Models", "churn@1", "Owner"): "first"})
    real = OpenpyxlWorkbook.refresh

    def slow(
        self: OpenpyxlWorkbook, path: Path, base: View | None, new: View, *, sync: Instructions | None = None
    ) -> Refreshed:
        monkeypatch.setattr(OpenpyxlWorkbook, "refresh", real)
        edit(path, {("Models", "churn@2", "Owner"): "second, saved in between"})
        return real(self, path, base, new, sync=sync)

    monkeypatch.setattr(OpenpyxlWorkbook, "refresh", slow)
    registry = small.as_()
    assert counts(registry.sync()) == {"accepted": 1}
    assert any("saved again while it was read" in one for one in registry.warnings)
    assert cell(book(small), "Models", "churn@2", "Owner") == "second, saved in between"
    assert counts(small.as_().sync()) == {"accepted": 1}
    assert small.as_().show("churn@2")["owner"] == "second, saved in between"
    assert nothing(small.as_())


def test_a_file_that_is_saved_at_the_last_moment_is_not_overwritten(
    small: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(book(small), {("Models", "churn@1", "Owner"): "first"})
    real = disk.swap

    def late(path: Path, data: bytes, *, expected: bytes | None) -> bool:
        monkeypatch.setattr(disk, "swap", real)
        edit(path, {("Models", "churn@2", "Owner"): "second"})
        return real(path, data, expected=expected)

    monkeypatch.setattr(disk, "swap", late)
    small.as_().sync()
    assert cell(book(small), "Models", "churn@2", "Owner") == "second"
    assert counts(small.as_().sync()) == {"accepted": 1}
    assert {one["owner"] for one in small.as_().list()} == {"first", "second", "team"}


def test_a_damaged_workbook_is_refused_by_sync(small: World) -> None:
    book(small).write_bytes(b"PK" + b"\0" * 100)
    with pytest.raises(RegistryError) as refused:
        small.as_().sync()
    assert refused.value.exit_status == 4
    assert book(small).read_bytes() == b"PK" + b"\0" * 100


# -- elsewhere ----------------------------------------------------------------------------------------------


@pytest.fixture
def moved(small: World) -> World:
    """The workbook lies in a shared folder beside the registry."""
    (small.place / "shared").mkdir()
    shutil.move(small.root / "registry.xlsx", small.place / "shared" / "our models.xlsx")
    configure(small, "../shared/our models.xlsx")
    return small


def settled(world: World) -> bool:
    """Tell whether a sync has nothing to do."""
    before, head = book(world).read_bytes(), world.as_().head
    return counts(world.as_().sync()) == {} and (book(world).read_bytes(), world.as_().head) == (before, head)


def test_a_workbook_outside_the_root_works_throughout(moved: World) -> None:
    path = book(moved)
    moved.as_().register("churn", "4", moved.artefact("4"))
    assert not (moved.root / "registry.xlsx").exists()
    edit(path, {("Models", "churn@1", "Owner"): "mine", ("Models", "churn@2", "Stage"): "staging"})
    (moved.root / "m.bin").write_bytes(b"typed")
    type_row(path, {"Model": "churn", "Version": "5", "Storage location": "m.bin"})
    assert counts(moved.as_().sync()) == {"accepted": 1, "requested": 1, "registered": 1}
    assert cell(path, "Models", "churn@5", "Row id") == "churn@5"
    assert settled(moved)
    moved.as_().archive("churn@1", reason="old")
    assert cell(path, "Models", "churn@1", "Storage location") == "archive/churn/1"
    for row in ("churn@4", "churn@1", "churn@5"):
        assert link_of(path, row).resolve() == (moved.root / cell(path, "Models", row, "Storage location")).resolve()
    assert moved.as_().verify().ok
    edit(path, {("Models", "churn@4", "Version"): "44"})
    moved.as_().sync()
    assert len(list(path.parent.glob("our models.*.set-aside.xlsx"))) == 1
    moved.as_().reset_view()
    assert link_of(path, "churn@4").is_dir()
    assert moved.as_().verify().ok


def test_the_place_may_change_between_two_commands(small: World) -> None:
    edit(book(small), {("Models", "churn@1", "Owner"): "mine"})
    (small.place / "shared").mkdir()
    shutil.move(small.root / "registry.xlsx", small.place / "shared" / "r.xlsx")
    configure(small, "../shared/r.xlsx")
    assert counts(small.as_().sync()) == {"accepted": 1}
    assert small.as_().verify().ok
    for version in "123":
        assert link_of(book(small), f"churn@{version}").is_dir(), "links lead from the new place"
    assert settled(small)
    shutil.move(small.place / "shared" / "r.xlsx", small.root / "back.xlsx")
    configure(small, "back.xlsx")
    small.as_().note("churn@1", "any command brings it up to date")
    assert {str(link_of(book(small), f"churn@{version}").relative_to(small.root)) for version in "123"} == {
        f"models/churn/{version}" for version in "123"
    }


def test_the_folder_is_gone(moved: World) -> None:
    shutil.rmtree(moved.place / "shared")
    registry = moved.as_()
    registry.note("churn@1", "a note")
    assert any("behind" in one for one in registry.warnings)
    registry = moved.as_()
    assert counts(registry.sync()) == {}
    assert any("behind" in one for one in registry.warnings)


# -- in a synced folder -------------------------------------------------------------------------------------


def test_in_a_synced_folder_the_view_waits_until_the_file_is_quiet(
    moved: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(moved, "../shared/our models.xlsx", quiet=60)
    edit(book(moved), {("Models", "churn@1", "Owner"): "mine", ("Models", "churn@2", "Version"): "9"})
    before = book(moved).read_bytes()
    registry = moved.as_()
    assert counts(registry.sync()) == {"accepted": 1, "restored": 1}, "edits are read at once"
    assert [one for one in registry.warnings if "quiet for 60 s" in one]
    assert book(moved).read_bytes() == before
    moved.as_().note("churn@3", "queued as well")
    assert book(moved).read_bytes() == before
    facts = book(moved).stat()
    moment = max(facts.st_mtime, facts.st_ctime) + 61
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: moment)
        assert counts(moved.as_().sync()) == {"restored": 1}
    assert cell(book(moved), "Models", "churn@2", "Version") == "2"
    assert "queued as well" in cell(book(moved), "Models", "churn@3", "Notes")


def test_what_this_machine_wrote_itself_is_quiet(moved: World) -> None:
    moved.as_().note("churn@1", "x")
    configure(moved, "../shared/our models.xlsx", quiet=60)
    for text in ("one", "two"):
        registry = moved.as_()
        registry.note("churn@1", text)
        assert registry.warnings == ()
        assert text in cell(book(moved), "Models", "churn@1", "Notes")


def test_a_file_from_the_future_does_not_wait_for_ever(moved: World) -> None:
    configure(moved, "../shared/our models.xlsx", quiet=60)
    edit(book(moved), {("Models", "churn@1", "Owner"): "mine"})
    os.utime(book(moved), (time.time() + 9999,) * 2)
    assert counts(moved.as_().sync()) == {"accepted": 1}
    assert settled(moved)


@pytest.mark.parametrize(
    ("folder", "synced"),
    [
        ("OneDrive - Contoso", True), ("OneDrive", True), ("Dropbox (Team)", True), ("Nextcloud", True), ("ownCloud", True),
        ("Google Drive", True), ("Seafile", True), ("Models", False), ("dropboxes", False), ("boxes", False),
    ],
)  # fmt: skip
def test_synced_folders_are_known_by_their_names(tmp_path: Path, folder: str, synced: bool) -> None:
    place = tmp_path / folder / "deep"
    place.mkdir(parents=True)
    assert synced_folder.in_synced_folder(place) is synced
    (tmp_path / ".stfolder").mkdir()
    assert synced_folder.in_synced_folder(place), "Syncthing marks its folders"


def test_only_a_workbook_outside_the_root_has_to_be_quiet_by_itself(tmp_path: Path) -> None:
    """A whole registry in a synced folder is one writer's: nobody else writes its workbook behind the tool's back."""
    world = World(tmp_path / "OneDrive" / "w", risk="minimal", leads=(), pipelines=())
    assert world.as_()._work.quiet_seconds == 0
    configure(world, "../shared/r.xlsx")
    assert world.as_()._work.quiet_seconds == synced_folder.QUIET_SECONDS
    configure(world, "../shared/r.xlsx", quiet=7)
    assert world.as_()._work.quiet_seconds == 7
    configure(world, "registry.xlsx", quiet=7)
    assert world.as_()._work.quiet_seconds == 7


@pytest.mark.parametrize(
    "line",
    ["quiet_seconds = -1", "quiet_seconds = '9'", "quiet_seconds = true", "quiet_seconds = inf", "quite_seconds = 3"],
)
def test_a_wrong_setting_is_told(small: World, line: str) -> None:
    file = small.root / "registry.toml"
    file.write_text(file.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(BadConfig, match="qui"):
        small.as_().sync()
    assert small.as_().list()  # what is read does not rest on it


# -- renderings ---------------------------------------------------------------------------------------------


def test_the_last_five_renderings_are_kept_outside_and_set_aside_copies_for_ever(small: World) -> None:
    kept = renderings.kept(small.root, book(small))
    assert kept[-1].read_bytes() == book(small).read_bytes()
    for number in range(1, 8):
        edit(book(small), {("Models", "churn@1", "Version"): f"9{number}"})
        small.as_().sync()
        assert len(list(small.root.glob("*.set-aside.xlsx"))) == number
    kept = renderings.kept(small.root, book(small))
    assert len(kept) == 5
    assert kept[-1].read_bytes() == book(small).read_bytes()
    assert len({path.read_bytes() for path in kept}) == 5
    assert all(not path.is_relative_to(small.root) for path in kept)
    assert small.as_().verify().ok
    small.as_().reset_view()
    assert renderings.kept(small.root, book(small))[-1].read_bytes() == book(small).read_bytes()


def test_a_state_directory_that_cannot_be_written_stops_nothing(small: World, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = small.place / "blocked"
    blocked.write_text("a file where a directory should be", encoding="utf-8")
    monkeypatch.setenv("MANUAL_REGISTRY_STATE", str(blocked))
    edit(book(small), {("Models", "churn@1", "Owner"): "mine"})
    registry = Registry.open(small.root, actor=LEAD)
    assert counts(registry.sync()) == {"accepted": 1}
    assert memory.recall_view(small.root, book(small)) == memory.Seen()
    assert counts(Registry.open(small.root, actor=LEAD).sync()) == {}


def test_a_kept_rendering_is_copied_back(small: World) -> None:
    """Undo: somebody spoiled the file for good; an older rendering in its place is brought up to date."""
    small.as_().note("churn@1", "before")
    older = renderings.kept(small.root, book(small))[-2].read_bytes()
    small.as_().note("churn@2", "after")
    book(small).write_bytes(older)
    assert counts(small.as_().sync()) == {}
    assert "before" in cell(book(small), "Models", "churn@1", "Notes")
    assert "after" in cell(book(small), "Models", "churn@2", "Notes")
    assert nothing(small.as_())
    assert small.as_().verify().ok


# -- what may stand in [workbook] path ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("models/churn/1/artefact/model-1.bin", "does not end in .xlsx"),
        ("ledger/000000000002.json", "does not end in .xlsx"),
        ("registry.toml", "does not end in .xlsx"),
        ("allowed_signers", "does not end in .xlsx"),
        ("ledger/book.xlsx", "belongs to the registry's own files"),
        ("./Models/../MODELS/book.xlsx", "belongs to the registry's own files"),
        ("adopted/book.xlsx", "belongs to the registry's own files"),
        (".git/book.xlsx", "hidden directory"),
        ("../outside/notes.txt", "does not end in .xlsx"),
        ("../outside/.xlsx", "does not end in .xlsx"),
        ("../outside/folder.xlsx", "is a directory"),
        ("../outside/into.xlsx", "belongs to the registry's own files"),
    ],
)
def test_the_workbook_replaces_nothing_else(small: World, path: str, why: str) -> None:
    outside = small.place / "outside"
    (outside / "folder.xlsx").mkdir(parents=True)
    (outside / "notes.txt").write_text("mine")
    (outside / "into.xlsx").symlink_to(small.root / "ledger" / "000000000002.json")
    before = {one: one.read_bytes() for one in small.place.rglob("*") if one.is_file() and one.name != "registry.toml"}
    configure(small, path)
    for attempt in (lambda one: one.note("churn@1", "x"), lambda one: one.sync(), lambda one: one.reset_view()):
        with pytest.raises(BadConfig, match=re.escape(why)):
            attempt(small.as_())
    assert small.as_().show("churn@1")["version"] == "1", "it stops no reader"
    assert {one: one.read_bytes() for one in before} == before


def test_a_foreign_workbook_at_a_place_outside_is_not_written_over(small: World) -> None:
    theirs = small.place / "team" / "budget.xlsx"
    theirs.parent.mkdir()
    openpyxl.Workbook().save(theirs)
    broken = theirs.with_name("broken.xlsx")
    broken.write_bytes(b"no workbook at all")
    for path in (theirs, broken):
        before = path.read_bytes()
        configure(small, f"../team/{path.name}")
        registry = small.as_()
        registry.note("churn@1", f"beside {path.name}")
        assert any("is not written over" in one for one in registry.warnings)
        assert path.read_bytes() == before
        assert not [one for one in path.parent.iterdir() if "set-aside" in one.name]
    configure(small, "../team/budget.xlsx")
    before = theirs.read_bytes()
    small.as_().reset_view()
    (aside,) = [one for one in theirs.parent.iterdir() if "set-aside" in one.name]
    assert aside.read_bytes() == before
    small.as_().note("churn@2", "from now on it is ours")
    assert OpenpyxlWorkbook().inspect(theirs).head_seq == small.as_().head[0]


def test_after_a_move_the_old_workbook_is_not_forgotten(small: World) -> None:
    old = small.root / "registry.xlsx"
    configure(small, "../team/models.xlsx")
    (small.place / "team").mkdir()
    small.as_().sync()
    assert small.as_().status()
    registry = small.as_()
    registry.sync()
    assert not registry.warnings, "nobody has written there"
    edit(old, {("Models", "churn@1", "Owner"): "typed in the old one"})
    registry = small.as_()
    registry.sync()
    assert any("not the workbook any more" in one for one in registry.warnings)
    done = small.as_().sync(workbook=old)
    assert counts(done) == {"accepted": 1}
    registry = small.as_()
    registry.sync()
    assert not registry.warnings


def test_no_xlsm_is_rendered(small: World) -> None:
    configure(small, "../team.xlsm")
    registry = small.as_()
    registry.note("churn@1", "x")
    assert any("no .xlsm is written" in one for one in registry.warnings)
    with pytest.raises(BadConfig, match=r"name an \.xlsx"):
        small.as_().reset_view()
    assert not (small.place / "team.xlsm").exists()
    configure(small, "../team.xlsx")
    said = small.cli("reset-view")
    assert "wrote ../team.xlsx anew" in said.stdout


def test_a_full_disk_leaves_no_empty_copy_and_claims_nothing(small: World, monkeypatch: pytest.MonkeyPatch) -> None:
    path = book(small)
    edit(path, {("Models", "churn@2", "Version"): "77"})
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk.os, "fsync", full)
    monkeypatch.setattr(disk, "_sync_directory", lambda _: None)
    try:
        done = small.as_().sync()
    except RegistryError as refused:
        assert refused.status == 8
    else:
        assert "not put back yet" in done.outcome.restored[0].message
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert not [one.name for one in path.parent.iterdir() if "set-aside" in one.name or one.name.endswith(".tmp")]
