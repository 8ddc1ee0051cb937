"""What stands in the root: links in the place of our directories, explanations, a workbook that is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from life_line import call, tree
from world import World

NAMES = ("ledger", "models", "archive", "approvals", "allowed_signers", "models/.incoming", "approvals/.inbox")


@pytest.fixture(name="small")
def _small(tmp_path: Path) -> World:
    world = World(tmp_path / "world", risk="minimal", leads=(), pipelines=())
    world.as_().register("churn", "1", world.artefact("1"))
    return world


@pytest.mark.parametrize("name", NAMES)
def test_a_link_in_the_place_of_ours_is_found_and_stops_writers(small: World, tmp_path: Path, name: str) -> None:
    away = tmp_path / "elsewhere"
    (small.root / name).rename(away)
    (small.root / name).symlink_to(away)
    before = tree(away) if away.is_dir() else {}
    done = call("note", "churn@1", "hm", "--json", cwd=small.root)
    assert (done.status, done.codes) == (4, ["MR-A005"])
    assert done.error["details"]["location"] == name
    found = call("verify", "--json", cwd=small.root).document["findings"]
    assert ("MR-A005", "error", name) in [(one["code"], one["severity"], one["location"]) for one in found]
    assert call("list", cwd=small.root).status == 0
    assert (tree(away) if away.is_dir() else {}) == before


def test_explanations_that_differ_are_told(small: World) -> None:
    path = small.root / "README.txt"
    path.chmod(0o644)
    path.write_text("All is well; nobody need check anything.", encoding="utf-8")
    (small.root / "FORMAT.md").unlink()
    outcome = small.as_().verify()
    told = {(one.code, one.severity.value, one.location) for one in outcome.findings}
    assert outcome.ok
    assert {("MR-F007", "info", "README.txt"), ("MR-F007", "warning", "FORMAT.md")} <= told


@pytest.mark.parametrize("content", [b"garbage", b"", b"PK\x03\x04broken"])
def test_a_workbook_that_is_none_is_told_once(small: World, content: bytes) -> None:
    (small.root / "registry.xlsx").write_bytes(content)
    done = call("note", "churn@1", "hm", cwd=small.root)
    warnings = [line for line in done.err.splitlines() if line.startswith("warning")]
    assert done.status == 0
    assert len(warnings) == 1
    assert "kept whole as" in warnings[0]
    assert "nothing was changed" not in warnings[0]
    (kept,) = small.root.glob("registry.*.set-aside.xlsx")
    assert kept.read_bytes() == content
    assert small.as_().verify().ok
