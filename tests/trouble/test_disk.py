"""A disk that is full or read-only: exit 8, a clear sentence, and nothing changed; a view that cannot be written waits.

Real small disks where they may be mounted (root), and refusals put into the system calls everywhere.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from trouble import Ended, assert_whole, environment, leftovers, mounted, run, tree
from world import LEAD, World

from manual_registry.adapters import copying, files
from manual_registry.adapters.workbook import disk
from manual_registry.core.errors import DiskFull, RegistryError, StorageFailed, StorageReadOnly
from manual_registry.registry import Registry


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "world")
    made.register("0")
    return made


@pytest.fixture
def small(tmp_path: Path) -> Iterator[World]:
    """A world on a disk of 6 MB of its own."""
    with mounted(tmp_path / "disk", "6m"):
        made = World(tmp_path / "disk" / "world", risk="minimal", leads=())
        made.register("0")
        yield made


def fill(place: Path, leave: int = 0) -> Path:
    """Fill the disk at ``place`` up, ``leave`` bytes excepted."""
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file:
        free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
        file.write(b"\0" * max(0, free - leave))
        while not leave:
            try:
                file.write(b"\0" * 4096)
            except OSError as full:
                assert full.errno == errno.ENOSPC
                break
    return ballast


def refused(ended: Ended, code: str) -> dict[str, Any]:
    assert ended.status == 8, (ended.status, ended.out, ended.err)
    assert ended.out == ""
    error = json.loads(ended.err)["error"]
    assert error["code"] == code, error
    assert isinstance(error, dict)
    return error


# -- real disks -------------------------------------------------------------------------------------------


def test_a_copy_that_does_not_fit(small: World, tmp_path: Path) -> None:
    """Told before a byte is copied."""
    source = tmp_path / "big.bin"
    source.write_bytes(os.urandom(8 << 20))
    before, head = tree(small.root), small.as_().head
    error = refused(run(small.root, "--json", "register", "churn", "1", str(source)), "MR-X001")
    assert "make room" in error["message"]
    assert tree(small.root) == before
    assert small.as_().head == head
    assert_whole(small.root)


def test_a_disk_that_fills_up_in_the_middle_of_a_copy(small: World, tmp_path: Path) -> None:
    """Two commands see room enough, and there is none for both."""
    source = tmp_path / "big.bin"
    source.write_bytes(os.urandom(2 << 20))
    fill(tmp_path / "disk", leave=1 << 20)
    before, head = tree(small.root), small.as_().head
    env = {"PYTHONPATH": str(_without_check_of_room(tmp_path))}
    error = refused(run(small.root, "--json", "register", "churn", "1", str(source), env=env), "MR-X001")
    assert "No space left" in error["message"]
    assert tree(small.root) == before
    assert leftovers(small.root) == []
    (tmp_path / "disk" / "ballast").unlink()
    assert run(small.root, "register", "churn", "1", str(source)).status == 0
    assert small.as_().head[0] == head[0] + 1
    assert_whole(small.root)


def _without_check_of_room(tmp_path: Path) -> Path:
    """Make a directory whose sitecustomize.py lets every process think that there is room."""
    place = tmp_path / "site"
    place.mkdir()
    text = """
import os
real = os.statvfs
def statvfs(path):
    found = list(real(path))
    found[3] = found[4] = 1 << 40
    return os.statvfs_result(found)
os.statvfs = statvfs
"""
    (place / "sitecustomize.py").write_text(text)
    return Path(f"{place}{os.pathsep}{os.environ.get('PYTHONPATH', '')}{os.pathsep}{Path(copying.__file__).parents[2]}")


@pytest.mark.slow
def test_a_full_disk_under_every_command(small: World, tmp_path: Path) -> None:
    """Not a byte is free: whatever cannot be done says so, and what stood stands."""
    small.register("1")
    source = tmp_path / "x.bin"
    source.write_bytes(b"x" * 8192)
    fill(tmp_path / "disk")
    before = tree(small.root)
    commands = [
        ["register", "churn", "2", str(source)],
        ["attach", "churn@1", "--evidence", str(source)],
        ["note", "churn@1", "a word"],
        ["tag", "churn@1", "a=b"],
        ["archive", "churn@1", "--reason", "old"],
        ["deploy", "churn@1", "--environment", "test"],
    ]
    for words in commands:
        refused(run(small.root, "--json", *words), "MR-X001")
        assert tree(small.root) == before, words
        assert leftovers(small.root) == [], words
    assert run(small.root, "trace", "churn@1").status == 0
    assert run(small.root, "verify").status == 0
    (tmp_path / "disk" / "ballast").unlink()
    for words in commands:
        done = run(small.root, *words)
        assert done.status == 0, done.err
    assert_whole(small.root)


@pytest.mark.slow
def test_almost_full(small: World, tmp_path: Path) -> None:
    """Room for the version, not for the event; for the event, not for the workbook: done or not done, never half."""
    source = tmp_path / "x.bin"
    source.write_bytes(b"x" * 4096)
    outcomes: list[str] = []
    for turn, pages in enumerate(range(2, 20, 3)):
        fill(tmp_path / "disk", leave=pages * 4096)
        before, head = tree(small.root), small.as_().head
        ended = run(small.root, "--json", "register", "churn", f"1.{turn}", str(source))
        if ended.status == 8:
            outcomes.append("refused")
            assert tree(small.root) == before
            assert small.as_().head == head
        else:
            assert ended.status == 0, ended.err
            answer = json.loads(ended.out)
            assert answer["ledger"]["seq"] == head[0] + 1
            outcomes.append("behind" if any("behind" in one for one in answer["warnings"]) else "done")
        assert leftovers(small.root) == []
        (tmp_path / "disk" / "ballast").unlink()
        done = run(small.root, "register", "churn", f"1.{turn}", str(source))
        assert done.status == 0, done.err
        assert_whole(small.root)
        if outcomes[-1] == "done":
            break
    assert outcomes == sorted(outcomes, key=["refused", "behind", "done"].index)
    assert set(outcomes) == {"refused", "behind", "done"}, outcomes


def test_a_workbook_on_a_full_disk(tmp_path: Path) -> None:
    """It lies elsewhere (in a synced folder): the command is done, one warning; the next one catches up."""
    with mounted(tmp_path / "synced", "1m"):
        world = World(tmp_path / "world", risk="minimal", leads=())
        path = world.root / "registry.toml"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace('path = "registry.xlsx"', 'path = "../../synced/registry.xlsx"'), encoding="utf-8")
        assert "synced" in path.read_text(encoding="utf-8")
        world.register("0")
        workbook = tmp_path / "synced" / "registry.xlsx"
        before = workbook.read_bytes()
        ballast = fill(tmp_path / "synced")
        ended = run(world.root, "--json", "note", "churn@0", "one")
        assert ended.status == 0, ended.err
        warnings = json.loads(ended.out)["warnings"]
        assert len([one for one in warnings if "behind" in one]) == 1, warnings
        assert workbook.read_bytes() == before
        ballast.unlink()
        assert run(world.root, "note", "churn@0", "two").status == 0
        assert workbook.read_bytes() != before
        assert sorted(path.name for path in workbook.parent.iterdir()) == ["registry.xlsx"]
        assert [one for one in world.as_().verify().findings if one.severity.value != "info"] == []


def test_a_read_only_registry(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "6m"):
        world = World(tmp_path / "disk" / "world", risk="minimal", leads=())
        world.register("0")
        source = tmp_path / "x.bin"
        source.write_bytes(b"x")
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path / "disk")], check=True)
        before = tree(world.root)
        for words in (
            ["register", "churn", "1", str(source)],
            ["attach", "churn@0", "--evidence", str(source)],
            ["note", "churn@0", "a word"],
            ["archive", "churn@0", "--reason", "old"],
            ["promote", "churn@0", "--to", "staging"],
            ["reset-view"],
        ):
            error = refused(run(world.root, "--json", *words), "MR-X002")
            assert "written" in error["message"], error
        for words in (["trace", "churn@0"], ["verify"], ["list"], ["fetch", "churn@0", str(tmp_path / "out")]):
            done = run(world.root, *words)
            assert done.status == 0, (words, done.err)
        assert tree(world.root) == before


@pytest.mark.skipif(
    shutil.which("setpriv") is None or os.geteuid() != 0, reason="needs root and setpriv to become nobody"
)
def test_a_registry_of_somebody_else() -> None:
    """No permission to write (EACCES): the same answer as from a read-only disk."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        world = World(Path(place) / "world", risk="minimal", leads=())
        world.register("0")
        before = tree(world.root)
        if "No module named" in _as_nobody(world, "status").err:
            pytest.skip("another user cannot read this checkout")
        for words in (["note", "churn@0", "a word"], ["register", "churn", "1", str(world.artefact("0"))]):
            refused(_as_nobody(world, *words), "MR-X002")
            assert tree(world.root) == before
        assert _as_nobody(world, "trace", "churn@0").status == 0
        assert_whole(world.root)


def _as_nobody(world: World, *command: str) -> Ended:
    env = environment(
        {"MANUAL_REGISTRY_STATE": "/nonexistent", "MANUAL_REGISTRY_CACHE": "/nonexistent", "HOME": "/nonexistent"}
    )
    words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-m", "manual_registry"]
    words += ["--registry", str(world.root), "--actor", "other@example.org", "--json", *command]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False, cwd="/")
    return Ended(done.returncode, done.stdout, done.stderr)


# -- refusals put into the calls ---------------------------------------------------------------------------

Refuse = Callable[[str, int], None]


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Return a function: each write to a file whose path holds ``part`` fails with ``number``, after half of it."""
    opened: dict[int, str] = {}
    rules: dict[str, int] = {}
    open_, write, close = os.open, os.write, os.close

    def watched_open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        descriptor = open_(path, flags, mode, dir_fd=dir_fd)
        opened[descriptor] = str(path)
        return descriptor

    def watched_write(descriptor: int, data: Any) -> int:
        for part, number in rules.items():
            if part in opened.get(descriptor, ""):
                if len(data) > 1:
                    write(descriptor, data[: len(data) // 2])
                raise OSError(number, os.strerror(number))
        return write(descriptor, data)

    def watched_close(descriptor: int) -> None:
        opened.pop(descriptor, None)
        close(descriptor)

    monkeypatch.setattr(os, "open", watched_open)
    monkeypatch.setattr(os, "write", watched_write)
    monkeypatch.setattr(os, "close", watched_close)

    def rule(part: str, number: int) -> None:
        rules.clear()
        if part:
            rules[part] = number

    return rule


KINDS: dict[int, type[RegistryError]] = {
    errno.ENOSPC: DiskFull,
    errno.EDQUOT: DiskFull,
    errno.EROFS: StorageReadOnly,
    errno.EACCES: StorageReadOnly,
    errno.EIO: StorageFailed,
}
PARTS = ["artefact/", "SHA256SUMS", "record.json", "evidence/metadata/", ".json.new", "ledger/.mreg-tmp-"]


@pytest.mark.parametrize(
    ("part", "number"),
    sorted({(part, errno.ENOSPC) for part in PARTS} | {(part, number) for part in PARTS[::5] for number in KINDS}),
)
def test_registering(world: World, refuse: Refuse, part: str, number: int) -> None:
    before, head = tree(world.root), world.as_().head
    refuse(part, number)
    with pytest.raises(KINDS[number]) as problem:
        world.register("1")
    assert problem.value.exit_status == 8
    refuse("", 0)
    assert tree(world.root) == before
    assert leftovers(world.root) == []
    assert not (world.root / "models/churn/1").exists()
    assert world.as_().head == head
    world.register("1")
    assert_whole(world.root)


def command(world: World, name: str) -> Callable[[], Any]:
    """Prepare ``name`` and return it."""
    extra = world.place / "extra.txt"
    extra.write_text("evidence")
    if name == "attach":
        return lambda: world.as_().attach("churn@0", evidence=[extra, world.artefact("e")])
    if name == "archive":
        return lambda: world.as_().archive("churn@0", reason="old")
    if name == "unarchive":
        world.as_().archive("churn@0", reason="old")
        return lambda: world.as_().unarchive("churn@0", reason="needed")
    if name == "sign":
        asked = world.as_().approval_request("churn@0", to="staging").id or ""
        return lambda: world.as_(LEAD).approval_sign(asked, as_=LEAD, key=world.key(LEAD))
    world.approve("churn@0", "staging")
    return lambda: world.promote("churn@0", "staging")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("attach", "evidence"),
        ("attach", ".json.new"),
        ("attach", "ledger/.mreg-tmp-"),
        ("archive", "ledger/.mreg-tmp-"),
        ("unarchive", "artefact/"),
        ("unarchive", ".json.new"),
        ("unarchive", "ledger/.mreg-tmp-"),
        ("sign", "ledger/.mreg-tmp-"),
        ("promote", "ledger/.mreg-tmp-"),
    ],
)
def test_a_full_disk_in_the_middle(world: World, refuse: Refuse, name: str, part: str) -> None:
    act = command(world, name)
    before, head = tree(world.root), world.as_().head
    refuse(part, errno.ENOSPC)
    with pytest.raises(DiskFull):
        act()
    refuse("", 0)
    assert tree(world.root) == before
    assert leftovers(world.root) == []
    assert world.as_().head == head
    act()
    assert_whole(world.root)


@pytest.mark.parametrize("part", ["/data/", "bagit.txt", "manifest-sha256.txt", ".json.new"])
def test_a_full_disk_while_a_bag_is_made(world: World, refuse: Refuse, part: str) -> None:
    """The version is archived, its move is pending; nothing of the half bag stays, and the next try makes it whole."""
    act = command(world, "archive")
    head = world.as_().head
    refuse(part, errno.ENOSPC)
    with pytest.raises(DiskFull):
        act()
    refuse("", 0)
    assert leftovers(world.root) == []
    assert list((world.root / "archive").glob("*/*")) == []
    assert (world.root / "models/churn/0/artefact").is_dir()
    assert world.as_().head[0] in (head[0], head[0] + 1)
    assert_whole(world.root)
    act()
    assert (world.root / "archive/churn/0/data/artefact").is_dir()
    assert_whole(world.root)


@pytest.mark.parametrize("part", ["approvals/", "allowed_signers"])
def test_views_that_cannot_be_written_wait(world: World, refuse: Refuse, part: str) -> None:
    """approvals/ and allowed_signers: the command is done, one warning, and the next one catches up."""
    lead = world.as_(LEAD)
    refuse(".mreg-tmp-" if part == "allowed_signers" else part, errno.ENOSPC)
    if part == "allowed_signers":
        refuse("registry/.mreg-tmp-", errno.ENOSPC)
    result = lead.pipeline_revoke("ci", reason="old", as_=LEAD, key=world.key(LEAD))
    refuse("", 0)
    assert result.changed
    assert len([one for one in result.warnings if "behind" in one]) == 1, result.warnings
    later = world.as_().note("churn@0", "the next command")
    assert not later.warnings, later.warnings
    assert [path.name for path in world.root.iterdir() if "set-aside" in path.name] == []
    assert_whole(world.root)


def test_a_workbook_that_cannot_be_written_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = (world.root / "registry.xlsx").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "mkstemp", full)
        result = world.as_().note("churn@0", "one")
    assert [one for one in result.warnings if "behind" in one], result.warnings
    assert (world.root / "registry.xlsx").read_bytes() == before
    codes = {one.code for one in world.as_().verify().findings if one.severity.value != "info"}
    assert codes == {"MR-V005"}
    world.as_().note("churn@0", "two")
    assert_whole(world.root)


def test_no_room_for_the_renderer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """openpyxl writes into the system's temporary directory, which may be full or gone as well."""
    (world.root / "registry.xlsx").unlink()  # it has to be rendered from nothing
    monkeypatch.setattr(tempfile, "tempdir", str(world.place / "is-not-there"))
    result = world.as_().note("churn@0", "one")
    assert result.changed
    assert [one for one in result.warnings if "behind" in one], result.warnings
    monkeypatch.setattr(tempfile, "tempdir", None)
    world.as_().note("churn@0", "two")
    assert_whole(world.root)


def test_a_repetition_catches_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that has nothing to write brings a workbook that is behind up to date all the same."""
    with monkeypatch.context() as patch:
        patch.setattr(disk, "swap", lambda *_, **__: False)
        world.as_().tag("churn@0", {"a": "b"})
    assert not world.as_().tag("churn@0", {"a": "b"}).changed
    assert_whole(world.root)


def test_an_event_that_stands_is_never_taken_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The link was made, then the disk failed: the event is there, so the version has to be."""
    real = files.fsync_dir

    def failing(directory: Path) -> None:
        if directory.name == "ledger":
            raise OSError(errno.EIO, "Input/output error")
        real(directory)

    with monkeypatch.context() as patch:
        patch.setattr(files, "fsync_dir", failing)
        result = world.register("1")
    assert result.changed
    assert any("stands" in one for one in result.warnings), result.warnings
    assert (world.root / "models/churn/1/artefact").is_dir()
    assert_whole(world.root)


def test_a_move_that_was_made_and_not_confirmed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fails once the version has its place and no event yet: it is taken back."""
    real = files.fsync_dir
    failed: list[Path] = []

    def failing(directory: Path) -> None:
        if directory.name == "churn" and not failed:
            failed.append(directory)
            raise OSError(errno.ENOSPC, "No space left on device")
        real(directory)

    before = tree(world.root)
    with monkeypatch.context() as patch:
        patch.setattr(files, "fsync_dir", failing)
        with pytest.raises(DiskFull):
            world.register("1")
    assert failed
    assert tree(world.root) == before
    assert leftovers(world.root) == []
    assert_whole(world.root)


def test_a_link_that_was_made_and_denied(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network file system repeats a request whose answer was lost, and says "exists" of our own file."""
    real = os.link

    def twice(source: Any, target: Any, **more: Any) -> None:
        real(source, target, **more)
        raise FileExistsError(errno.EEXIST, "File exists")

    head = world.as_().head
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", twice)
        result = world.register("1")
    assert result.changed
    assert world.as_().head[0] == head[0] + 1
    assert_whole(world.root)


def test_no_job_can_begin_on_a_full_disk(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_self: Path, *_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = tree(world.root)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", full)
        with pytest.raises(DiskFull):
            world.register("1")
    assert tree(world.root) == before
    world.as_().note("churn@0", "clears up")
    assert_whole(world.root)


def test_nowhere_to_remember(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's memory cannot be written: told, and the command is done."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("MANUAL_REGISTRY_STATE", str(tmp_path / "file" / "state"))
    monkeypatch.setenv("MANUAL_REGISTRY_CACHE", str(tmp_path / "file" / "cache"))
    result = Registry.open(world.root, actor="sme@example.org").note("churn@0", "one")
    assert result.changed
    assert any("remember" in one for one in result.warnings), result.warnings
    assert Registry.open(world.root).trace("churn@0", hash=False).document()
    assert_whole(world.root)
