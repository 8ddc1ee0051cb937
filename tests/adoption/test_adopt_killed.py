"""`adopt` and `take-in` killed with SIGKILL at the places that matter: the same command goes on, nothing stays half-made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from adopt_team import adopted, errors, usual
from world import SME, World

DRIVER = """
import os, signal, sys
from pathlib import Path
from manual_registry.adapters.incoming import Job
from manual_registry.adapters.ledger_files import LedgerFiles
from manual_registry.registry import Registry

root, what, where, number = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
owner, name = (Job, "place") if where.startswith("place") else (LedgerFiles, "append")
usual, calls = getattr(owner, name), []

def killing(self, *arguments):
    calls.append(None)
    if len(calls) == number and where.endswith("before"):
        os.kill(os.getpid(), signal.SIGKILL)
    done = usual(self, *arguments)
    if len(calls) == number:
        os.kill(os.getpid(), signal.SIGKILL)
    return done

setattr(owner, name, killing)
registry = Registry.open(root, actor=sys.argv[5])
registry.adopt(what, in_place=len(sys.argv) > 6) if what.endswith(".xlsx") else registry.take_in(what)
raise SystemExit("it was not killed")
"""


def killed(world: World, *words: str) -> None:
    """Run ``words`` until the kill."""
    ran = subprocess.run(
        [sys.executable, "-c", DRIVER, str(world.root), *words], capture_output=True, text=True, check=False
    )
    assert ran.returncode == -9, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("where", "number", "in_place"),
    [
        pytest.param("append-before", 1, False, marks=pytest.mark.slow),
        ("append-after", 1, False),
        pytest.param("place-before", 2, False, marks=pytest.mark.slow),
        ("place-after", 2, True),
        ("append-after", 4, False),
        pytest.param("append-after", 5, True, marks=pytest.mark.slow),
    ],
)
def test_killed_and_run_again(tmp_path: Path, where: str, number: int, in_place: bool) -> None:
    world, team = World(tmp_path), usual(tmp_path / "team")
    killed(world, str(team.sheet), where, str(number), SME, *(["in-place"] if in_place else []))
    done = world.as_().adopt(team.sheet, in_place=in_place)
    assert not done.open
    versions = {(one["model"], one["version"]) for one in world.as_().list()}
    assert versions == {("churn", "1.0.0"), ("churn", "1.1.0"), ("fraud-eu", "2024-Q1"), ("price", "v7")}
    assert [one["kind"] for one in world.as_().approval_list()] == ["baseline"]
    named = world.as_().approval_show(world.as_().approval_list()[0]["id"])["review"]["versions"]
    assert {(one["model"], one["version"]) for one in named} == versions
    assert len(list((world.root / "adopted").iterdir())) == 1
    assert sorted(path.name for path in (world.root / "models/.incoming").iterdir()) == [".lock"]
    assert errors(world) == []
    assert world.as_().adopt(team.sheet, in_place=in_place).document()["changed"] is False


def test_what_a_stopped_adoption_left_to_do_is_told(tmp_path: Path) -> None:
    world, team = World(tmp_path), usual(tmp_path / "team")
    killed(world, str(team.sheet), "append-after", "4", SME)
    again = f"mreg adopt {team.sheet.name}"
    found = [one for one in world.as_().verify().findings if "no baseline names it" in one.message]
    assert found
    assert {one.advice for one in found} == {again}
    status = world.as_().status()
    assert status["next"][0] == again
    assert any(team.sheet.name in one and again in one for one in status["overdue"])
    world.as_().adopt(team.sheet)
    status = world.as_().status()
    assert (again in status["next"], status["overdue"]) == (False, [])
    assert world.as_().approval_list()[0]["what"] == f"baseline of {team.sheet.name}: 4 versions"


@pytest.mark.parametrize(
    "where",
    [
        pytest.param("place-before", marks=pytest.mark.slow),
        "place-after",
        pytest.param("append-before", marks=pytest.mark.slow),
        "append-after",
    ],
)
def test_take_in_killed_and_run_again(tmp_path: Path, where: str) -> None:
    world, _, _ = adopted(tmp_path, in_place=True)
    killed(world, "churn@1.1.0", where, "1", SME)
    assert world.as_().take_in("churn@1.1.0").changed is (where != "append-after")
    assert (world.root / "models/churn/1.1.0/artefact/churn-2.pkl").read_bytes() == b"m/churn-2.pkl"
    assert sorted(path.name for path in (world.root / "models/.incoming").iterdir()) == [".lock"]
    assert errors(world) == []
