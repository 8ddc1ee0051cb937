"""The rows of design section 6 that exist by now: what is timed for each, beside what, and what it must reach."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import shutil
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from peers import HERE, QUIET, Peers, dvc_repository, gto_repository, mlflow_server, mlflow_store
from timing import Command, Timing, call, in_turn, median, run_once

ROOT = HERE.parent
PROGRAM = (sys.executable, "-m", "manual_registry", "--actor", "mira@example.org")
_PIECE = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the table. ``value`` must be at most (``least``: at least) ``target``; None: told, not judged.

    ``ours`` and ``theirs`` are what was timed; ``by`` says what was compared: wall, cpu, memory.
    """

    name: str
    what: str
    by: str
    value: float | None = None
    target: float | None = None
    least: bool = False
    ours: Timing | None = None
    theirs: Timing | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """Return pass, FAIL, or - for what is not judged."""
        if self.value is None or self.target is None:
            return "-"
        return "pass" if (self.value >= self.target if self.least else self.value <= self.target) else "FAIL"


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What the rows share: a directory, the peers, how much and how often."""

    place: Path
    peers: Peers
    runs: int
    versions: int
    size: int

    def ours(self, name: str, *words: str, root: Path, **more: object) -> Command:
        """Return one of our commands on the registry ``root``, as this interpreter runs it."""
        line = [*PROGRAM, "--registry", str(root), *words]
        return Command(name=name, words=line, cwd=self.place, env=self.env, **more)  # type: ignore[arg-type]

    @property
    def env(self) -> dict[str, str]:
        """Our environment: this checkout, and a cache and memory of its own where a user's would lie."""
        return {
            "PYTHONPATH": str(ROOT),
            "XDG_CACHE_HOME": str(self.place / "cache"),
            "XDG_STATE_HOME": str(self.place / "state"),
            "MANUAL_REGISTRY_CACHE": "",
            "MANUAL_REGISTRY_STATE": "",
            "MANUAL_REGISTRY": "",
        }

    def ledger(self, versions: int) -> Path:
        """Return the root of a synthetic registry with ``versions`` versions."""
        directory = self.place / f"ledger-{versions}"
        if not directory.exists():
            words = [sys.executable, str(HERE / "make_ledger.py"), str(directory), "--versions", str(versions)]
            call(words, cwd=self.place, env=self.env)
        return directory / "registry"

    @cached_property
    def files(self) -> tuple[Path, Path]:
        """Two files of random bytes, ``size`` each."""
        found = (self.place / "first.bin", self.place / "second.bin")
        for path in found:
            with path.open("wb") as file:
                for _ in range(self.size // _PIECE):
                    file.write(os.urandom(_PIECE))
        return found

    def small_registry(self, root: Path) -> None:
        """Make an empty registry, of the class that asks nothing."""
        call([*PROGRAM, "init", str(root), "--risk", "minimal"], cwd=self.place, env=self.env)


def trace(bench: Bench) -> list[Row]:
    """Time `trace --no-hash` in a new process, the index present."""
    ref = "credit-scorecard@1.0.0"
    many, ten = bench.ledger(bench.versions), bench.ledger(10)
    uri = mlflow_store(bench.peers, bench.place / "mlflow")
    lookup = [bench.peers.program("python"), str(HERE / "mlflow_lookup.py"), "look", uri]
    repository = gto_repository(bench.peers, bench.place / "gto")
    found = in_turn(
        [
            bench.ours("many", "trace", ref, "--no-hash", root=many),
            Command(name="gto", words=[bench.peers.program("gto"), "show"], cwd=repository, env=QUIET),
            bench.ours("ten", "trace", ref, "--no-hash", root=ten),
            Command(name="mlflow", words=lookup, cwd=bench.place, env=QUIET),
        ],
        bench.runs,
    )
    ours = found["many"]

    def against(name: str, what: str, target: float) -> Row:
        theirs = found[name]
        return Row(
            name=f"trace/{name}",
            what=what,
            by="cpu",
            value=ours.cpu / theirs.cpu,
            target=target,
            ours=ours,
            theirs=theirs,
        )

    title = f"trace --no-hash, {bench.versions:,} versions"
    return [
        against("gto", f"{title} / gto show, ten versions", 0.25),
        against("mlflow", f"{title} / cold MLflow lineage look-up", 0.05),
        against("ten", f"{title} / itself, ten versions", 1.5),
        Row(name="trace/memory", what=f"{title}, MB", by="memory", value=ours.memory, target=60, ours=ours),
    ]


def register(bench: Bench) -> list[Row]:
    """Time `register` of one file beside cp + sync + openssl, and beside `dvc add`."""
    found = in_turn(_registering(bench, bench.files[0]), bench.runs, warm=False)
    ours, title = found["register"], f"register {bench.size / 1e9:.2g} GB"

    def against(name: str, what: str, target: float) -> Row:
        value, told = ours.wall / found[name].wall, f"{title} / {what}"
        return Row(
            name=f"register/{name}", what=told, by="wall", value=value, target=target, ours=ours, theirs=found[name]
        )

    return [
        against("copy", "(cp + sync FILE + openssl dgst -sha256)", 1.2),
        against("dvc", "dvc add", 1.0),
        Row(name="register/memory", what=f"{title}, MB", by="memory", value=ours.memory, target=100, ours=ours),
    ]


def _registering(bench: Bench, source: Path) -> list[Command]:
    """Return the three that take ``source`` in, each from nothing in every turn."""
    root, copy, repository = bench.place / "registering", bench.place / "copy.bin", bench.place / "dvc"
    line = 'cp "$1" "$2" && sync "$2" && openssl dgst -sha256 "$2"'

    def settled(make: Callable[[], None]) -> Callable[[], None]:
        def before() -> None:
            make()
            _read(source)  # in cache for everybody
            os.sync()  # nobody pays for what somebody else left to be written

        return before

    return [
        bench.ours(
            "register",
            *("register", "churn", "1", str(source)),
            root=root,
            before=settled(lambda: bench.small_registry(root)),
            after=lambda: _remove(root),
        ),
        Command(
            name="copy",
            words=["sh", "-c", line, "sh", str(source), str(copy)],
            cwd=bench.place,
            before=settled(lambda: None),
            after=copy.unlink,
        ),
        Command(
            name="dvc",
            words=[bench.peers.program("dvc"), "add", "-q", "big.bin"],
            cwd=repository,
            env={**QUIET, "DVC_SITE_CACHE_DIR": str(bench.place / "dvc-site")},
            before=settled(lambda: dvc_repository(bench.peers, repository, source)),
            after=lambda: _remove(repository),
        ),
    ]


def verify(bench: Bench) -> list[Row]:
    """Time `verify` of artefacts beside b3sum on the same files, in cache; the run without them is taken off."""
    root = bench.place / "verifying"
    bench.small_registry(root)
    for number, path in enumerate(bench.files, 1):
        words = bench.ours("register", "register", "churn", str(number), str(path), root=root).words
        call(words, cwd=bench.place, env=bench.env)
    stored = [str(path) for path in sorted(root.glob("models/churn/*/artefact/*"))]
    os.sync()
    found = in_turn(
        [
            bench.ours("verify", "verify", "--quiet", root=root),
            Command(name="b3sum", words=["b3sum", *stored], cwd=bench.place),
            bench.ours("without", "verify", "--quick", "--quiet", root=root),
        ],
        bench.runs,
    )
    _remove(root)
    theirs, whole, without = found["b3sum"], found["verify"], found["without"]
    ours = Timing(wall=whole.wall - without.wall, cpu=whole.cpu - without.cpu, memory=whole.memory)
    what = f"b3sum / verify, {2 * bench.size / 1e9:.2g} GB in cache, the run without them taken off"
    return [
        Row(
            name="verify/b3sum",
            what=what,
            by="wall",
            value=theirs.wall / ours.wall,
            target=0.9,
            least=True,
            ours=ours,
            theirs=theirs,
        )
    ]


def ledger(bench: Bench) -> list[Row]:
    """Take the CPU seconds of the ledger check, in a process of its own."""
    root = bench.ledger(bench.versions)
    checks = [
        json.loads(call([sys.executable, str(HERE / "ledger_check.py"), str(root)], cwd=bench.place, env=bench.env))
        for _ in range(bench.runs)
    ]
    check, read = (statistics.median(one[name] for one in checks) for name in ("check", "read"))
    events = checks[0]["events"]
    note = f"reading the files takes {read:.2f} s more"
    what = f"ledger check (parse, chain, fold), {events:,} events, CPU s"
    return [Row(name="ledger/check", what=what, by="cpu", value=check, target=0.6 * events / 20_000, note=note)]


def approvals(bench: Bench) -> list[Row]:
    """Take the CPU seconds of judging signed approvals again, in a process of its own."""
    count = max(bench.versions // 10, 10)
    words = [
        sys.executable,
        str(HERE / "approvals_check.py"),
        str(bench.place / "approvals"),
        "--approvals",
        str(count),
    ]
    cpu = float(json.loads(call(words, cwd=bench.place, env=bench.env))["cpu"])
    what = f"verifying {count:,} signed approvals, CPU s"
    return [Row(name="approvals/verify", what=what, by="cpu", value=cpu, target=2.0 * count / 1000)]


def workbook(bench: Bench) -> list[Row]:
    """Take the CPU seconds of one changed row in a workbook, beside openpyxl's load and save of the same file."""
    root, file, fresh = bench.ledger(bench.versions), bench.place / "fresh.xlsx", bench.place / "registry.xlsx"

    def seconds(what: str, path: Path) -> float:
        words = [sys.executable, str(HERE / "workbook_row.py"), what, str(root), str(path)]
        return float(json.loads(call(words, cwd=bench.place, env=bench.env))["cpu"])

    seconds("render", fresh)
    ours, theirs = [], []
    for _ in range(bench.runs):
        shutil.copyfile(fresh, file)
        ours.append(seconds("refresh", file))
        theirs.append(seconds("openpyxl", fresh))
    mine, other = (Timing(wall=0, cpu=statistics.median(one), memory=0) for one in (ours, theirs))
    what = f"one row changed in {bench.versions:,} / openpyxl load + save, within the process"
    row = Row(name="workbook/row", what=what, by="cpu", value=mine.cpu / other.cpu, target=0.1, ours=mine, theirs=other)
    return [row, _unchanged(bench, root)]


def _unchanged(bench: Bench, root: Path) -> Row:
    """Time `sync` with nothing changed beside the start of the program."""
    commands = [bench.ours("sync", "sync", root=root), bench.ours("start", "--version", root=root)]
    found = in_turn(commands, max(bench.runs, 9))
    ours, start = found["sync"], found["start"]
    what = f"sync with nothing changed in {bench.versions:,}, beyond start-up, ms"
    value = (ours.wall - start.wall) * 1000
    return Row(name="workbook/sync", what=what, by="wall", value=value, target=20, ours=ours, theirs=start)


def export(bench: Bench) -> list[Row]:
    """Time `export mlflow` of one small version beside the same by hand with MLflow's client, both proven."""
    title = "export mlflow, one small version / the same by hand, read back and hashed"
    if importlib.util.find_spec("mlflow") is None:
        return [Row(name="export/hand", what=title, by="-", note="MLflow's client is not installed here")]
    numbers = itertools.count(1)
    root = bench.place / "exporting"
    names: list[str] = []

    def fresh() -> None:
        _remove(root) if root.exists() else None
        names.append(f"model-{next(numbers)}")
        bench.small_registry(root)
        model, metadata = bench.place / "small.bin", bench.place / "small.yaml"
        model.write_bytes(os.urandom(100_000))
        metadata.write_text(_SMALL, encoding="utf-8")
        words = ("register", names[-1], "1", str(model), "--metadata", str(metadata))
        call(bench.ours("register", *words, root=root).words, cwd=bench.place, env=bench.env)

    with mlflow_server(bench.peers, bench.place / "mlflow-server") as uri:

        def by_hand() -> Command:
            line = [sys.executable, str(HERE / "mlflow_export.py"), uri]
            line += [str(root / "models" / names[-1] / "1"), f"by-hand-{names[-1]}"]
            return Command(name="hand", words=line, cwd=bench.place, env={**QUIET, "PYTHONPATH": ""})

        ours = bench.ours("export", "export", "mlflow", "--tracking-uri", uri, root=root)
        turns: dict[str, list[Timing]] = {"export": [], "hand": []}
        for _ in range(bench.runs + 1):  # the first one is not counted
            fresh()
            turns["export"].append(run_once(ours))
            turns["hand"].append(run_once(by_hand()))
    mine, theirs = (median(turns[name][1:]) for name in ("export", "hand"))
    value = mine.wall / theirs.wall
    return [Row(name="export/hand", what=title, by="wall", value=value, target=1.5, ours=mine, theirs=theirs)]


#: The metadata of the version that is exported.
_SMALL = """
training_data: sha256:abababababababababababababababababababababababababababababababab
training_date: 2026-01-01
hyperparameters: {trees: 400, depth: 4, learning_rate: 0.05, seed: 7}
metrics: {auc_roc: 0.78, brier: 0.141, ks: 0.42}
"""

#: Rows that need the peers from PyPI.
PEERED = frozenset({"trace", "register", "export"})
ROWS: dict[str, tuple[Callable[[Bench], list[Row]], tuple[str, ...]]] = {
    "trace": (trace, ("git",)),
    "register": (register, ("openssl",)),
    "verify": (verify, ("b3sum",)),
    "export": (export, ()),
    "ledger": (ledger, ()),
    "approvals": (approvals, ()),
    "workbook": (workbook, ()),
}


def _read(path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        while file.read(_PIECE):
            pass


def _remove(directory: Path) -> None:
    """Remove a registry or repository of ours; what is stored in it is read-only."""
    for folder, _, _ in os.walk(directory):
        Path(folder).chmod(0o755)
    shutil.rmtree(directory)
