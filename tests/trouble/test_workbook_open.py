"""The workbook is open in Excel or LibreOffice while commands run, here and in a second terminal."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from trouble import assert_whole, end, run, start, together
from world import SME, World

from manual_registry.adapters.workbook import OpenpyxlWorkbook

MARKS = {
    "Excel": (
        "~$registry.xlsx",
        b"\x08Ada Byte" + b" " * 46 + (8).to_bytes(2, "little") + "Ada Byte".encode("utf-16-le") + b" \0" * 46,
    ),
    "LibreOffice": (".~lock.registry.xlsx#", b",ada,laptop,24.11.2026 08:00,file:///home/ada/.config/libreoffice/4;"),
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "world", risk="minimal", leads=())
    made.register("0")
    return made


def mark(world: World, program: str) -> Path:
    name, data = MARKS[program]
    path = world.root / name
    path.write_bytes(data)
    return path


def told(words: str) -> list[str]:
    return [one for one in json.loads(words)["warnings"] if "open in" in one]


@pytest.mark.parametrize("program", MARKS)
def test_a_command_is_done_and_the_workbook_waits(world: World, program: str) -> None:
    lock = mark(world, program)
    before = (world.root / "registry.xlsx").read_bytes()
    ended = run(world.root, "--json", "note", "churn@0", "one")
    assert ended.status == 0, ended.err
    (warning,) = json.loads(ended.out)["warnings"]
    assert program in warning
    assert "since" in warning
    assert "Ada Byte" in warning or "ada" in warning
    assert (world.root / "registry.xlsx").read_bytes() == before
    codes = {one.code for one in world.as_().verify().findings if one.severity.value != "info"}
    assert codes == {"MR-V005"}, "verify says that the view is behind, no more"
    assert lock.exists(), "a mark of somebody else's is never removed"
    lock.unlink()
    again = run(world.root, "--json", "note", "churn@0", "two")
    assert again.status == 0
    assert told(again.out) == []
    assert_whole(world.root)


@pytest.mark.parametrize("program", MARKS)
def test_a_repetition_catches_up_once_it_is_closed(world: World, program: str) -> None:
    lock = mark(world, program)
    assert run(world.root, "tag", "churn@0", "a=b").status == 0
    lock.unlink()
    repeated = run(world.root, "--json", "tag", "churn@0", "a=b")
    assert json.loads(repeated.out)["changed"] is False
    assert_whole(world.root)


@pytest.mark.parametrize("program", MARKS)
def test_every_writing_command_goes_through(world: World, program: str) -> None:
    lock = mark(world, program)
    commands = [
        ["register", "churn", "1", str(world.artefact("1"))],
        ["attach", "churn@1", "--evidence", str(world.artefact("e"))],
        ["tag", "churn@1", "a=b"],
        ["alias", "set", "churn", "best", "1"],
        ["promote", "churn@1", "--to", "staging"],
        ["deploy", "churn@1", "--environment", "test"],
        ["archive", "churn@0", "--reason", "old"],
    ]
    before = (world.root / "registry.xlsx").read_bytes()
    for words in commands:
        ended = run(world.root, "--json", *words)
        assert ended.status == 0, (words, ended.err)
        assert len(told(ended.out)) == 1, (words, ended.out)
    assert (world.root / "registry.xlsx").read_bytes() == before
    refused = run(world.root, "--json", "reset-view")
    assert refused.status == 8, refused.err
    lock.unlink()
    assert run(world.root, "note", "churn@1", "closed").status == 0
    assert_whole(world.root)


def test_two_terminals(world: World) -> None:
    """Both write while a person has it open; afterwards one command brings all of it in."""
    lock = mark(world, "Excel")
    first = start(world.root, "--json", "note", "churn@0", "from the first")
    second = start(world.root, "--json", "tag", "churn@0", "from=second")
    for ended in (end(first), end(second)):
        assert ended.status == 0, ended.err
        assert len(told(ended.out)) == 1
    lock.unlink()
    assert run(world.root, "note", "churn@0", "closed").status == 0
    assert_whole(world.root)


def test_two_terminals_reset_and_write(world: World, tmp_path: Path) -> None:
    """One renders the workbook anew while others write."""
    act = ["--actor", SME, "--json"]
    commands = [
        [*act, "reset-view"],
        [*act, "note", "churn@0", "one"],
        [*act, "reset-view"],
        [*act, "tag", "churn@0", "a=b"],
    ]
    ended = together(world.root, commands, at=tmp_path / "gate")
    assert [one.status for one in ended] == [0] * 4, [one.err for one in ended]
    assert_whole(world.root)


def test_saved_by_a_person_at_the_last_moment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is another one when it is to be replaced: it stays, and the next command goes on from it."""
    from openpyxl import load_workbook

    from manual_registry.adapters.workbook import disk

    path = world.root / "registry.xlsx"
    swap = disk.swap

    def late(target: Path, data: bytes, *, expected: bytes | None) -> bool:
        book = load_workbook(path)
        book.create_sheet("Mine")["A1"] = "typed just now"
        book.save(path)
        return swap(target, data, expected=expected)

    with monkeypatch.context() as patch:
        patch.setattr(disk, "swap", late)
        result = world.as_().note("churn@0", "one")
    assert any("changed by someone else" in one for one in result.warnings), result.warnings
    assert load_workbook(path)["Mine"]["A1"].value == "typed just now"
    world.as_().note("churn@0", "two")
    assert load_workbook(path)["Mine"]["A1"].value == "typed just now"
    assert_whole(world.root)


def test_readers_while_writers_write(world: World) -> None:
    """Whoever reads sees a whole registry at any moment."""
    stop = threading.Event()
    wrong: list[str] = []

    def look() -> None:
        while not stop.is_set():
            registry = world.as_("reader@example.org")
            found = registry.trace("churn@0", hash=False)
            if not found.document():
                wrong.append("no trace")
            state = OpenpyxlWorkbook().inspect(world.root / "registry.xlsx")
            if not state.present or state.head_seq is None:
                wrong.append("no whole workbook")

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for number in range(6):
            world.as_().note("churn@0", f"note {number}")
    finally:
        stop.set()
        reader.join()
    assert wrong == []
    assert_whole(world.root)
