"""Much and many: a 3 GB file and 5,000 small ones, end to end, in under 100 MB of memory."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from trouble import assert_whole, environment
from world import SME, World

GIGABYTE = 1 << 30
LIMIT = 100 << 20
#: Runs the command line, then writes its own peak of memory in KiB to the file that argv names first; ru_maxrss would
#: be inherited from the test's own process.
_MEASURED = """
import re, sys
from pathlib import Path
from manual_registry.cli import main
status = main(sys.argv[2:])
Path(sys.argv[1]).write_text(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
sys.exit(status)
"""

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")


def peak(world: World, *words: str) -> int:
    """Run a command; return the bytes of memory that it took at most."""
    file = world.place / "peak"
    arguments = [sys.executable, "-c", _MEASURED, str(file), "--registry", str(world.root), "--actor", SME, *words]
    done = subprocess.run(arguments, env=environment(), cwd=world.place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(file.read_text()) * 1024


@pytest.mark.slow
def test_three_gigabytes_stay_below_100_megabytes(tmp_path: Path) -> None:
    if shutil.disk_usage(tmp_path).free < 8 * GIGABYTE:
        pytest.skip("less than 8 GB of disk are free")
    world = World(tmp_path / "world", risk="minimal", leads=())
    source = tmp_path / "big.bin"
    with source.open("wb") as file:
        file.truncate(3 * GIGABYTE)
    assert peak(world, "register", "churn", "1", str(source)) < LIMIT
    source.unlink()
    assert peak(world, "verify") < LIMIT
    assert peak(world, "verify", "--both") < LIMIT
    assert peak(world, "trace", "churn@1") < LIMIT
    stored = world.root / "models/churn/1/artefact/big.bin"
    assert stored.stat().st_size == 3 * GIGABYTE
    assert peak(world, "archive", "churn@1", "--reason", "old") < LIMIT
    assert not stored.exists()
    assert (world.root / "archive/churn/1/data/artefact/big.bin").stat().st_size == 3 * GIGABYTE


def forest(place: Path, count: int) -> Path:
    """Make a directory of ``count`` small files, 50 to a folder."""
    for number in range(count):
        folder = place / f"part-{number // 50:03d}"
        if number % 50 == 0:
            folder.mkdir(parents=True)
        (folder / f"{number}.bin").write_bytes(b"%d" % number)
    return place


@pytest.mark.slow
def test_five_thousand_small_files(tmp_path: Path) -> None:
    world = World(tmp_path / "world", risk="minimal", leads=())
    source = forest(tmp_path / "model", 5000)
    for words in (
        ["register", "churn", "1", str(source)],
        ["register", "churn", "1", str(source)],
        ["verify", "--both"],
        ["fetch", "churn@1", str(tmp_path / "out")],
        ["archive", "churn@1", "--reason", "old"],
        ["unarchive", "churn@1", "--reason", "needed"],
    ):
        assert peak(world, *words) < LIMIT, words
    assert len([path for path in (tmp_path / "out").rglob("*") if path.is_file()]) == 5000
    assert len(list((world.root / "ledger").iterdir())) == 5
    assert json.loads((world.root / "ledger" / "000000000002.json").read_bytes())["data"]["artefact"]["files"] == 5000
    checked = subprocess.run(
        ["sha256sum", "--quiet", "-c", "../SHA256SUMS"],
        cwd=world.root / "models/churn/1/artefact",
        capture_output=True,
        check=False,
    )
    assert checked.returncode == 0
    assert_whole(world.root)


def test_a_hundred_small_files(tmp_path: Path) -> None:
    """The fast one of its kind."""
    world = World(tmp_path / "world", risk="minimal", leads=())
    source = forest(tmp_path / "model", 100)
    assert peak(world, "register", "churn", "1", str(source)) < LIMIT
    assert peak(world, "verify") < LIMIT
    assert_whole(world.root)
