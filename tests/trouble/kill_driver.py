"""Kills a command with SIGKILL before each of its changes to the disk, and lets the next command clear up.

Run by test_kill.py as ``python kill_driver.py SCENARIO DIRECTORY all|few|twice [bare]``; prints how many kills were
survived, and how many changes to the disk the command makes. ``twice``: the command that clears up is killed as well;
``bare``: a file system with neither hard links nor renameat2. The command runs in a forked child whose audit hook
counts what it changes on disk (files opened for writing, names made, moved, removed, permissions, the second half of a
write); before the n-th change the child kills itself. Then:

1. `note` is written, or the command is repeated: it finishes or takes back what was half done.
2. `verify` finds nothing, models/.incoming/ is empty, nothing temporary lies about, the workbook shows the head.
3. The events are those of before plus none, or plus a beginning of the command's own.
4. What is a person's is as it was: sources, keys, and what they wrote into the workbook.
5. The command, given again, goes through.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from trouble import assert_whole
from world import LEAD, World

from manual_registry.adapters import files
from manual_registry.core.results import Result

_MUTATING = frozenset(
    {
        "os.rename",
        "os.link",
        "os.remove",
        "os.rmdir",
        "os.mkdir",
        "os.chmod",
        "os.truncate",
        "os.symlink",
        "ctypes.dlsym",
    }
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
MINE = "what I must not lose"


class Life:
    """A registry, brought to where the scenario begins, kept aside, and put back before every kill."""

    #: Events that the scenario's command writes, in order.
    expected: tuple[str, ...] = ()
    #: Findings of `verify` that belong to the scenario.
    but: tuple[str, ...] = ()

    def __init__(self, place: Path) -> None:
        os.environ["MANUAL_REGISTRY_STATE"] = str(place / "life" / "state")
        os.environ["MANUAL_REGISTRY_CACHE"] = str(place / "life" / "cache")
        os.chdir(place)
        self.place = place
        self.world = World(place / "life")
        self.source = self.world.place / "source"
        (self.source / "sub").mkdir(parents=True)
        (self.source / "model.bin").write_bytes(b"m" * 70_000)
        (self.source / "sub" / "empty").touch()
        (self.world.place / "extra.txt").write_text("more evidence")
        self.world.metadata()
        self.prepare()
        self.scribble()
        self.world.as_().note("churn@0", "the workbook takes the person's edits along")
        self.before = [event["type"] for event in self.world.as_().history()]
        self.own = self.persons()
        shutil.copytree(place / "life", place / "kept", copy_function=shutil.copy2)

    def prepare(self) -> None:
        self.world.register("0")

    def act(self) -> Result:
        raise NotImplementedError

    def scribble(self) -> None:
        """Write into the workbook what people write into workbooks: a column, a sheet, a comment."""
        from openpyxl import load_workbook
        from openpyxl.comments import Comment

        path = self.world.root / "registry.xlsx"
        book = load_workbook(path)
        sheet = book["Models"]
        sheet.cell(sheet.max_row - 1, sheet.max_column + 1, MINE).comment = Comment("mine too", "me")
        book.create_sheet("My own")["B7"] = MINE
        book.save(path)

    def persons(self) -> dict[str, object]:
        """Return what belongs to people."""
        from openpyxl import load_workbook

        found: dict[str, object] = {
            str(path.relative_to(self.world.place)): path.read_bytes()
            for path in self.world.place.rglob("*")
            if path.is_file()
            and self.world.root not in path.parents
            and path.parts[len(self.world.place.parts)] not in ("state", "cache")
        }
        book = load_workbook(self.world.root / "registry.xlsx")
        found["own sheet"] = book["My own"]["B7"].value
        cells = [cell for row in book["Models"] for cell in row if cell.value == MINE]
        found["own column"] = [(cell.column, cell.comment.text if cell.comment else None) for cell in cells]
        return found

    def put_back(self) -> None:
        for path in (self.place / "life").rglob("*"):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)
        shutil.rmtree(self.place / "life")
        shutil.copytree(self.place / "kept", self.place / "life", copy_function=shutil.copy2)

    def check(self, notes: int) -> tuple[str, ...]:
        """Check everything; return the events that the killed command wrote."""
        assert_whole(self.world.root, but=self.but)
        assert self.persons() == self.own, "something of a person's is lost"
        kinds = [event["type"] for event in self.world.as_().history()]
        assert kinds[: len(self.before)] == self.before
        since = kinds[len(self.before) :]
        assert since.count("version.noted") == notes
        done = tuple(kind for kind in since if kind != "version.noted")
        assert done == self.expected[: len(done)], f"{done} is no beginning of {self.expected}"
        return done

    def after(self, number: int) -> None:
        """Check what the kill before change ``number`` left: after a `note` if it is odd, else after a repetition."""
        notes = self.notes()
        if number % 2:
            notes += 1
            self.clear_up()
            if self.check(notes) == self.expected:
                return
        assert self.act().command
        assert self.check(notes) == self.expected

    def clear_up(self) -> None:
        self.world.as_().note("churn@0", f"life goes on after {self.notes()} notes")

    def notes(self) -> int:
        """Count the notes that a command which cleared up has written before it was killed."""
        return [event["type"] for event in self.world.as_().history()][len(self.before) :].count("version.noted")


class Register(Life):
    expected = ("version.registered",)

    def act(self) -> Result:
        return self.world.as_().register("churn", "1", self.source, metadata=self.world.place / "metadata.yaml")


class Attach(Life):
    expected = ("version.attached",)

    def prepare(self) -> None:
        super().prepare()
        self.world.register("1", environment=None)

    def act(self) -> Result:
        place = self.world.place
        return self.world.as_().attach(
            "churn@1", evidence=[place / "extra.txt", place / "model-0.bin"], environment=place / "environment.txt"
        )


class Promote(Life):
    """A second version replaces the first one in production."""

    expected = ("version.promoted",)

    def prepare(self) -> None:
        self.world.to_production("0")
        self.world.to_staging("1")
        self.world.approve("churn@1", "production")

    def act(self) -> Result:
        return self.world.promote("churn@1", "production")


class Archive(Life):
    expected: tuple[str, ...] = ("version.archived", "version.moved")

    def prepare(self) -> None:
        super().prepare()
        self.world.as_().register("churn", "1", self.source, metadata=self.world.place / "metadata.yaml")

    def act(self) -> Result:
        return self.world.as_().archive("churn@1", reason="old")


class Unarchive(Archive):
    expected = ("version.unarchived",)

    def prepare(self) -> None:
        super().prepare()
        self.world.as_().archive("churn@1", reason="old")

    def act(self) -> Result:
        return self.world.as_().unarchive("churn@1", reason="needed")


class Rollback(Life):
    """Back to a version that lies in its bag."""

    expected = ("version.rolled-back",)
    but = ("MR-W001",)  # no lead has ratified it yet

    def prepare(self) -> None:
        self.world.to_production("0")
        self.world.to_production("1")
        self.world.as_().archive("churn@0", reason="replaced")

    def act(self) -> Result:
        return self.world.as_("ci@example.org").rollback(
            "churn", to="0", reason="1 is bad", pipeline="ci", pipeline_key=self.world.key("ci")
        )


class Sign(Life):
    expected = ("approval.signed",)

    def prepare(self) -> None:
        super().prepare()
        self.id = self.world.as_().approval_request("churn@0", to="staging").id or ""

    def act(self) -> Result:
        registry = self.world.as_(LEAD)
        if registry.approval_show(self.id)["status"] == "signed":
            return registry.approval_request("churn@0", to="staging")
        return registry.approval_sign(self.id, as_=LEAD, key=self.world.key(LEAD))


class Roster(Life):
    """Changes allowed_signers and approvals/.control/ as well."""

    expected = ("pipeline.revoked",)

    def act(self) -> Result:
        registry = self.world.as_(LEAD)
        if registry.pipeline_list()[0]["revoked_at"]:
            return registry.tag("churn@0", {})
        return registry.pipeline_revoke("ci", reason="old", as_=LEAD, key=self.world.key(LEAD))

    def after(self, number: int) -> None:
        super().after(number * 2 + 1)  # always by a note


SCENARIOS: dict[str, type[Life]] = {
    kind.__name__.lower(): kind for kind in (Register, Attach, Promote, Archive, Unarchive, Rollback, Sign, Roster)
}


def in_child(act: Callable[[], object], place: Path, number: int) -> tuple[bool, list[str]]:
    """Run ``act`` in a child, killed before its change ``number`` (0: never); tell whether it was, and the changes."""
    log = place / "changes"
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status) or status == 0, f"the child failed before change {number}"
        return os.WIFSIGNALED(status), log.read_text().splitlines() if number == 0 else []
    changes: list[str] = []
    halved = [False]

    def step(what: str) -> None:
        changes.append(what)
        if len(changes) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: Sequence[Any]) -> None:
        if event in _MUTATING and "/openpyxl." not in str(arguments[0]):
            step(" ".join((event, *(str(one) for one in arguments[:2]))))
        elif (
            event == "open"
            and isinstance(arguments[2], int)
            and arguments[2] & _WRITING
            and str(place) in str(arguments[0])
        ):
            step(f"open {arguments[0]}")

    def half(descriptor: int, data: Any) -> int:
        halved[0] = not halved[0] and len(data) > 1
        if not halved[0]:
            return write(descriptor, data)
        done = write(descriptor, data[: len(data) // 2])
        step("half a write")
        return done

    write, os.write = os.write, half
    sys.addaudithook(hook)
    try:
        act()
    except BaseException:  # noqa: BLE001 - told, and the child must not go on as a second driver
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    if number == 0:
        os.write = write
        log.write_text("\n".join(changes))
    os._exit(0)


def chosen(changes: list[str]) -> list[int]:
    """Choose the few kills that stand for all: around events and the move into place, before each view appears."""

    def appears(*parts: str) -> list[int]:
        kinds = ("os.link", "os.rename")
        return [
            number
            for number, what in enumerate(changes, 1)
            if what.startswith(kinds) and any(part in what for part in parts)
        ]

    events = appears("/ledger/")
    moves = appears("/models/churn/", "/archive/churn/")
    moves += [number for number, what in enumerate(changes, 1) if "renameat2" in what]
    found = {number + by for number in (*events, *moves[-1:]) for by in (0, 1)}
    for view in ("/approvals/", "allowed_signers", "registry.xlsx"):
        found |= set(appears(view)[-1:])
    return sorted(number for number in found if number <= len(changes))


def main(scenario: str, place: Path, how: str) -> None:
    life = SCENARIOS[scenario](place)
    killed, changes = in_child(life.act, place, 0)
    assert not killed
    assert life.check(0) == life.expected
    numbers = range(1, len(changes) + 1) if how == "all" else chosen(changes)
    turns = [(number, again) for number in numbers for again in (range(1, 60, 6) if how == "twice" else (0,))]
    survived = 0
    for number, again in turns:
        life.put_back()
        try:
            killed, _ = in_child(life.act, place, number)
            assert killed, "the command ended before"
            if again and not in_child(life.clear_up, place, again)[0]:
                continue  # what clears up makes fewer changes than that
            survived += 1
            life.after(number)
        except BaseException:
            print(
                f"killed before change {number} of {len(changes)}: {changes[number - 1]} (then before {again})",
                file=sys.stderr,
            )
            raise
    print(survived, len(changes))


def no_links() -> None:
    """Take hard links and renaming without replacing away."""

    def refused(source: object, target: object, **_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), str(source), None, str(target))

    setattr(os, "link", refused)  # noqa: B010 - to the type checker it is another function
    setattr(files, "_rename_noreplace", lambda _source, _target: None)  # noqa: B010


if __name__ == "__main__":
    if "bare" in sys.argv:
        no_links()
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
