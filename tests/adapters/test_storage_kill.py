"""kill -9 before every single file operation of register, attach, archive, unarchive, take-in; intents that lie."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from manual_registry.adapters import incoming
from manual_registry.adapters.incoming import Intent, read_intent
from manual_registry.adapters.storage import LocalStorage
from manual_registry.core import canonical

DRIVER = Path(__file__).with_name("storage_kill_driver.py")


SCENARIOS = ["register", "attach", "archive", "unarchive", "take_in"]


def kill_at_every(scenario: str, stride: int, directory: Path) -> None:
    done = subprocess.run(
        [sys.executable, DRIVER, scenario, directory, str(stride)],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 40


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory where there is one: hundreds of lives are written durably."""
    if not Path("/dev/shm").is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as made:
        yield Path(made)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_kill_at_every_few_steps(directory: Path, scenario: str) -> None:
    kill_at_every(scenario, 7, directory)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_kill_at_every_step(directory: Path, scenario: str) -> None:
    kill_at_every(scenario, 1, directory)


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


def stale(storage: LocalStorage, intent: bytes) -> incoming.Job:
    folder = incoming.incoming(storage.root)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ("0" * 16 + ".json")).write_bytes(intent)
    (job,) = storage.stale_jobs()
    return job


def lie(**changes: object) -> bytes:
    facts = {"kind": "register", "model": "m", "version": "1", "target": "models/m/1", "inode": 1, "evidence": {}}
    return canonical.dump(canonical.encode({**facts, "facts": {}, **changes}))


@pytest.mark.parametrize(
    "intent",
    [
        b"",
        b"not json",
        b"[1]",
        b'{"kind": "register"}\n',
        lie(target="../outside"),
        lie(target="models/../../outside"),
        lie(target="/etc/passwd"),
        lie(target="models/other/1"),
        lie(target="ledger/m/1"),
        lie(target=7),
        lie(target="models/m/1/artefact"),
        lie(kind="take-in", target="models/m/1/evidence"),
        lie(kind="take-in", target="archive/m/1/artefact"),
        lie(kind="take-in", target="models/m/1/artefact/.."),
        lie(evidence={"../../../x": "0"}),
        lie(evidence={"evidence/../../x": "0"}),
        lie(evidence=3),
        lie(version="(", target="models/m/("),
    ],
)
def test_an_intent_that_is_none_of_ours_is_not_followed(storage: LocalStorage, intent: bytes) -> None:
    for name in ("models/m/1", "outside", "ledger/m/1"):
        (storage.root / name).mkdir(parents=True)
    job = stale(storage, intent)
    storage.discard(job)
    for name in ("models/m/1", "outside", "ledger/m/1"):
        assert (storage.root / name).is_dir()
    assert not storage.stale_jobs()


def test_a_directory_that_the_job_did_not_make_stays(storage: LocalStorage) -> None:
    """Two processes wanted one place; the loser was killed before it could forget its intent."""
    (storage.root / "models" / "m" / "1").mkdir(parents=True)
    job = stale(storage, lie())
    assert job.intent is not None
    assert not job.placed()
    storage.discard(job)
    assert (storage.root / "models" / "m" / "1").is_dir()


def test_intent_round_trip(storage: LocalStorage) -> None:
    job = incoming.start(storage.root)
    intent = Intent(kind="archive", model="m", version="1", target="archive/m/1~2", inode=7, facts={"seq": 3})
    job.declare(intent)
    assert read_intent(incoming.incoming(storage.root) / f"{job.token}.json") == intent
    assert storage.stale_jobs() == []  # its process lives
    job.leave()
    (found,) = storage.stale_jobs()
    assert found.intent == intent
    storage.finish(found)
    assert list(incoming.incoming(storage.root).iterdir()) == []


def test_foreign_names_in_incoming_are_left_alone(storage: LocalStorage) -> None:
    folder = incoming.incoming(storage.root)
    folder.mkdir(parents=True)
    for name in ("mine", "0" * 15, ".lock", "G" * 16):
        (folder / name).touch()
    assert storage.stale_jobs() == []
    assert len(list(folder.iterdir())) == 4
