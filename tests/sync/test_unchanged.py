"""Nothing changed: the quick answer is given only when it is the right one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sheets import counts, edit, type_row
from world import World

from manual_registry.adapters import memory
from manual_registry.core.errors import RegistryError
from manual_registry.registry import Registry, unchanged


def book(world: World) -> Path:
    """Return the workbook."""
    return world.root / "registry.xlsx"


def quick(world: World) -> bool:
    """Tell whether the next sync would take the quick way."""
    return unchanged.head_if_settled(world.root) is not None


@pytest.fixture
def settled(small: World) -> World:
    """A registry whose last sync left nothing open."""
    small.as_().sync()
    assert quick(small)
    return small


def rewritten(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change a file where it stands."""
    path.chmod(0o644)
    path.write_bytes(change(path.read_bytes()))


def test_it_answers_as_the_long_way_does(settled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    short = settled.as_().sync().document()
    shown = json.loads(settled.cli("sync", "--json").stdout)
    monkeypatch.setattr(unchanged, "head_if_settled", lambda *_: None)
    assert settled.as_().sync().document() == short == shown


def test_it_loads_neither_the_workbook_nor_the_ledger(settled: World) -> None:
    program = (
        "import sys; from manual_registry.cli import main\n"
        "sys.argv = ['mreg', '--registry', sys.argv[1], 'sync']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = ('openpyxl', 'pandas', 'pydantic', 'cryptography', 'rfc8785', 'zipfile', 'yaml', 'rich', 'jinja2',"
        " 'pygit2', 'manual_registry.adapters.workbook', 'manual_registry.core.decide', 'manual_registry.core.state')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    command = [sys.executable, "-c", program, str(settled.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=settled.place)
    assert done.stdout.splitlines()[0] == "nothing to do: the workbook holds no edits"
    assert done.stdout.splitlines()[-1] == "[]"


def test_any_edit_takes_the_long_way(settled: World) -> None:
    edit(book(settled), {("Models", "churn@1", "Owner"): "x"})
    assert not quick(settled)
    assert counts(settled.as_().sync()) == {"accepted": 1}
    assert quick(settled)


def test_one_flipped_byte_under_the_old_time_stamp(settled: World) -> None:
    facts = book(settled).stat()
    rewritten(book(settled), lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(book(settled), ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert not quick(settled)


@pytest.mark.parametrize("command", ["note", "register", "archive"])
def test_any_event_takes_the_long_way(settled: World, command: str) -> None:
    registry = settled.as_()
    if command == "note":
        registry.note("churn@1", "a note")
    elif command == "archive":
        registry.archive("churn@1", reason="old")
    else:
        registry.register("churn", "4", settled.artefact("4"))
    assert not quick(settled)
    assert counts(settled.as_().sync()) == {}
    assert quick(settled)


def test_another_machines_event_takes_the_long_way(settled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("MANUAL_REGISTRY_STATE", str(settled.place / "other-state"))
        assert not quick(settled), "another machine knows nothing of this one's syncs"
        settled.as_().note("churn@1", "from there")
    assert not quick(settled)


def gone(path: Path) -> None:
    """Remove a file."""
    path.unlink()


def replaced(path: Path) -> None:
    """Put another file in a file's place."""
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data.replace(b"churn", b"forged"))


def head(world: World) -> int:
    """Return the number of the last event."""
    return world.as_().head[0]


def forked(world: World) -> None:
    """Let a synced folder make a copy of an event."""
    shutil.copy(world.ledger(3), world.root / "ledger" / "000000000003 (copy).json")


def one_more(world: World) -> None:
    """Write something behind the last event."""
    world.ledger(head(world) + 1).write_bytes(b"{}")


HARM: dict[str, Callable[[World], None]] = {
    "the last event changed": lambda world: rewritten(world.ledger(head(world)), lambda data: data + b" "),
    "the last event gone": lambda world: gone(world.ledger(head(world))),
    "an early event gone": lambda world: gone(world.ledger(2)),
    "an early event replaced": lambda world: replaced(world.ledger(2)),
    "a fork": forked,
    "an event more": one_more,
}


@pytest.mark.parametrize("harm", HARM)
def test_a_ledger_that_was_touched_is_never_called_settled(settled: World, harm: str) -> None:
    HARM[harm](settled)
    assert not quick(settled)
    with pytest.raises(RegistryError) as refused:
        settled.as_().sync()
    assert refused.value.exit_status == 4


def test_the_whole_ledger_put_back_from_a_backup_takes_the_long_way(settled: World) -> None:
    shutil.copytree(settled.root / "ledger", settled.place / "backup")
    settled.as_().note("churn@1", "lost later")
    settled.as_().sync()
    shutil.rmtree(settled.root / "ledger")
    shutil.copytree(settled.place / "backup", settled.root / "ledger")
    assert not quick(settled)
    with pytest.raises(RegistryError):
        settled.as_().sync()


def test_what_is_open_is_never_settled(small: World) -> None:
    type_row(book(small), {"Model": "churn"})
    assert counts(small.as_().sync()) == {"pending": 1}
    assert not quick(small)
    assert counts(small.as_().sync()) == {"pending": 1}


def test_a_half_made_thing_of_a_killed_command_takes_the_long_way(settled: World) -> None:
    (settled.root / "models" / ".incoming" / "0123456789abcdef").mkdir()
    assert not quick(settled)
    settled.as_().sync()
    assert quick(settled)


def test_a_copy_beside_it_takes_the_long_way(settled: World) -> None:
    shutil.copy(book(settled), settled.root / "registry-LAPTOP.xlsx")
    assert not quick(settled)


def test_another_place_for_the_workbook_takes_the_long_way(settled: World) -> None:
    file = settled.root / "registry.toml"
    file.write_text(file.read_text(encoding="utf-8").replace('"registry.xlsx"', '"other.xlsx"'), encoding="utf-8")
    assert not quick(settled)
    registry = settled.as_()
    assert counts(registry.sync()) == {}
    assert (settled.root / "other.xlsx").is_file()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"seq": 3}', b'{"seq": "3", "sha256": 1}', b"\xff\xfe"])
def test_a_damaged_memory_is_no_memory(settled: World, content: bytes) -> None:
    (file,) = (memory.state_dir() / "settled").iterdir()
    file.write_bytes(content)
    assert not quick(settled)
    assert counts(settled.as_().sync()) == {}
    assert quick(settled)


@pytest.mark.parametrize(
    ("member", "value"),
    [("hash", "sha256:" + "0" * 64), ("seq", 1), ("sha256", "0" * 64), ("mark", "x"), ("config", "y")],
)
def test_a_memory_that_is_wrong_is_found_out(settled: World, member: str, value: str | int) -> None:
    (file,) = (memory.state_dir() / "settled").iterdir()
    document = json.loads(file.read_bytes())
    document[member] = value
    file.write_text(json.dumps(document), encoding="utf-8")
    assert not quick(settled)


def test_a_registry_copied_to_another_place_begins_anew(settled: World) -> None:
    target = Path(shutil.copytree(settled.root, settled.place / "copied", symlinks=True))
    assert unchanged.head_if_settled(target) is None
    assert counts(Registry.open(target, actor="a@example.org").sync()) == {}


def test_what_the_long_way_refuses_is_refused(settled: World) -> None:
    assert settled.cli("sync", actor="nobody").returncode == 7
    assert settled.cli("sync", "--from", "nowhere").returncode == 5
    assert settled.cli("sync", "--workbook", "nowhere.xlsx").returncode == 5
    done = settled.cli("sync", cwd=settled.place)
    assert (done.returncode, "mreg init" in done.stderr) == (2, True)
    (settled.root / "registry.toml").write_text("format = ", encoding="utf-8")
    assert settled.cli("sync").returncode == 7
