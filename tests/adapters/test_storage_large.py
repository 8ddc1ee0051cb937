"""Memory stays under 100 MB whatever the size: a 3 GB sparse file is registered and hashed again."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")

SCRIPT = """
import json, re, sys
from pathlib import Path
from manual_registry.adapters import tree
from manual_registry.adapters.storage import LocalStorage
root, source = Path(sys.argv[1]), Path(sys.argv[2])
with LocalStorage(root).stage(source) as staged:
    path = staged.place("m", "1")
    staged.finish()
again = tree.survey(path / "artefact", sha256=True, jobs=2)
peak = int(re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text())[1])  # ru_maxrss is inherited
print(json.dumps({"size": staged.content.size, "equal": list(again.files) == list(staged.content.files), "kB": peak}))
"""


def register(tmp_path: Path, size: int) -> dict[str, int]:
    source = tmp_path / "sparse.bin"
    with source.open("wb") as stream:
        stream.truncate(size)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, tmp_path / "registry", source], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found


def test_memory_at_200_megabytes(tmp_path: Path) -> None:
    found = register(tmp_path, 200 << 20)
    assert found["equal"]
    assert found["kB"] < 100_000


@pytest.mark.slow
def test_memory_at_three_gigabytes(tmp_path: Path) -> None:
    if shutil.disk_usage(tmp_path).free < 5 << 30:
        pytest.skip("the disk has too little room")
    found = register(tmp_path, 3 << 30)
    assert found["equal"]
    assert found["size"] == 3 << 30
    assert found["kB"] < 100_000
    for folder in (tmp_path / "registry" / "models" / "m").rglob("*/"):
        folder.chmod(0o755)
    shutil.rmtree(tmp_path)
