"""Kills a process with SIGKILL before its n-th file operation, for every n, and recovers each time.

Run by test_storage_kill.py as ``python storage_kill_driver.py SCENARIO DIRECTORY STRIDE`` (STRIDE 3: before every
third operation only); prints before how many operations there was something to kill.
The ledger is played by one file per event, written the way the real one is.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from manual_registry.adapters import files, remover, tree
from manual_registry.adapters.storage import LocalStorage
from manual_registry.core.manifest import compare

WATCHED = ("open", "os.", "shutil.", "ctypes.dlsym")
INFO = (("Bagging-Date", "2026-11-24"),)


class Life:
    """One registry of one version ``m@1``."""

    def __init__(self, root: Path, source: Path) -> None:
        self.root, self.source = root, source
        self.taking_in = False
        self.storage = LocalStorage(root)
        self.content = tree.hash_tree(source, sha256=True)
        (root / "ledger").mkdir(parents=True)

    def event(self, name: str) -> None:
        assert files.put_if_absent(self.root / "ledger" / name, name.encode())

    def has(self, name: str) -> bool:
        return (self.root / "ledger" / name).exists()

    def register(self) -> None:
        with self.storage.stage(self.source) as staged:
            staged.add_evidence("card", Path("card.md"), data=b"card")
            staged.write("record.json", b"{}\n")
            staged.place("m", "1")
            self.event("register")
            staged.finish()

    def attach(self) -> None:
        attaching = self.storage.attach("m", "1")
        attaching.add("card", Path("card.md"), data=b"new card")
        attaching.add("gates", Path("fairness.json"), data=b"{}")
        self.event("attach")
        attaching.finish()

    def archive(self) -> None:
        with self.storage.make_bag("m", "1", INFO, expected=self.content) as bag:
            bag.place()
            self.event("archive")
            bag.finish()
        self.storage.remove_working_copy("m", "1", 1)

    def unarchive(self) -> None:
        with self.storage.unbag("m", "1", 1, expected=self.content) as staged:
            staged.place("m", "1")
            self.event("unarchive")
            staged.finish()

    def in_place(self) -> None:
        """The version directory of files that stay where they lie."""
        with self.storage.stage_in_place(self.content) as staged:
            staged.add_evidence("card", Path("card.md"), data=b"card")
            staged.write("record.json", b"{}\n")
            staged.place("m", "1")
            self.event("register")
            staged.finish()

    def take_in(self) -> None:
        with self.storage.take_in("m", "1", self.source, expected=self.content) as taken:
            taken.place()
            self.event("take-in")
            taken.finish()

    def recover(self) -> None:
        remover.discard_temporaries(self.root / "ledger")
        for job in self.storage.stale_jobs():
            if job.intent is not None and self.has(job.intent.kind):
                self.storage.finish(job)
            else:
                self.storage.discard(job)
        standing = self.storage.standing()
        if self.has("archive") and not self.has("unarchive") and standing.models and standing.bags:
            self.storage.remove_working_copy("m", "1", 1)

    def check_in_place(self) -> None:
        """Taken in as a whole, or not at all; closed in both cases."""
        left = [path.name for path in (self.root / "models").glob(".incoming/*") if path.name != ".lock"]
        assert not left, left
        version = self.storage.version_dir("m", "1")
        assert self.storage.protection(version) == "advisory"
        assert (version / "artefact").is_dir() == self.has("take-in")
        if self.has("take-in"):
            self.check_version(version)

    def check(self) -> None:
        if self.taking_in:
            self.check_in_place()
            return
        left = [path.name for path in (self.root / "models").glob(".incoming/*") if path.name != ".lock"]
        assert not left, left
        standing = self.storage.standing()
        assert not standing.foreign, standing.foreign
        working = self.has("register") and (not self.has("archive") or self.has("unarchive"))
        assert standing.models == ((("m", "1"),) if working else ()), standing
        assert standing.bags == ((("m", "1", 1),) if self.has("archive") else ()), standing
        if working:
            self.check_version(self.storage.version_dir("m", "1"))
        if self.has("archive"):
            assert not self.storage.verify_bag(self.storage.bag_dir("m", "1"))
            assert self.storage.protection(self.storage.bag_dir("m", "1")) == "advisory"

    def check_version(self, path: Path) -> None:
        assert self.storage.protection(path) == "advisory"
        assert not tree.survey(path).problems
        assert not compare(self.content.files, tree.survey(path / "artefact", sha256=True).files)
        found = {file.relative_to(path).as_posix() for file in (path / "evidence").rglob("*") if file.is_file()}
        grown = {"evidence/card/card~2.md", "evidence/gates/fairness.json"} if self.has("attach") else set()
        assert found == {"evidence/card/card.md"} | grown, found


def killed_before(number: int, act: Callable[[], None]) -> bool:
    """Run ``act`` in a child that is killed before its ``number``-th file operation; False: it ended before."""
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status) or status == 0, f"the child failed before operation {number}"
        return os.WIFSIGNALED(status)
    count = 0

    def hook(event: str, _arguments: tuple[object, ...]) -> None:
        nonlocal count
        if event.startswith(WATCHED):
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    try:
        act()
    except BaseException:  # noqa: BLE001 - a forked child must not run on
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)


def main(scenario: str, directory: Path, stride: int) -> None:
    source = directory / "source"
    (source / "sub").mkdir(parents=True)
    (source / "model.bin").write_bytes(b"m" * 100_000)
    (source / "sub" / "empty").touch()
    steps = ["in_place"] if scenario == "take_in" else ["register", "attach", "archive", "unarchive"]
    before = {"register": 0, "attach": 1, "archive": 1, "unarchive": 3, "take_in": 1}[scenario]
    number, alive = 1 - stride, False
    while not alive:
        number += stride
        life = Life(directory / f"root{number}", source)
        life.taking_in = scenario == "take_in"
        for step in steps[:before]:
            getattr(life, step)()
        alive = not killed_before(number, getattr(life, scenario))
        life.recover()
        life.check()
        if not life.has(scenario.replace("_", "-")):
            getattr(life, scenario)()  # the next try goes through
            life.check()
        for folder, _, _ in os.walk(life.root):
            Path(folder).chmod(0o755)
        shutil.rmtree(life.root)
    print(number - stride)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
