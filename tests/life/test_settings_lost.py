"""A registry whose registry.toml is gone: said so, and written anew from the ledger, with nothing weakened by it."""

from __future__ import annotations

from pathlib import Path

import pytest
from world import LEAD, World

from manual_registry.core.errors import NameTaken, NoRegistry
from manual_registry.registry import Registry


@pytest.fixture
def bereft(tmp_path: Path) -> World:
    """A registry with a policy of its own, which lost its registry.toml."""
    world = World(tmp_path)
    config = world.root / "registry.toml"
    text = config.read_text(encoding="utf-8").replace("approval_hours = 48", "approval_hours = 24")
    thresholds = '[policy.thresholds]\nauc_roc = 0.8\n"odd name" = {threshold = 0.0000001, direction = "lower"}\n'
    config.write_text(text.replace("[policy.thresholds]\n", thresholds), encoding="utf-8")
    world.as_(LEAD).policy_sign(as_=LEAD, key=world.key(LEAD))
    config.unlink()
    return world


def test_it_is_told_and_had_back(bereft: World) -> None:
    root = bereft.root
    told = bereft.cli("status", cwd=root)
    assert told.returncode == 2, told.stderr
    assert f"{root} has a ledger, but its registry.toml is gone" in told.stderr
    assert told.stderr.splitlines()[-1] == "next: mreg policy restore"
    named = bereft.cli("status", "--registry", str(root), cwd=root.parent)
    assert named.stderr.splitlines()[-1] == f"next: mreg --registry {root} policy restore"
    anew = bereft.cli("init", str(root), "--risk", "high", "--json")
    assert anew.returncode == 6
    assert "policy restore" in anew.stderr
    done = bereft.cli("policy", "restore", cwd=root)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"wrote {root / 'registry.toml'}" in done.stdout and "[workbook] path" in done.stdout
    registry = bereft.as_()
    document = registry.policy_show()
    assert (document["differs"], document["in_force"]["policy"]["approval_hours"]) == (False, 24)
    assert set(document["in_force"]["policy"]["thresholds"]) == {"auc_roc", "odd name"}
    assert registry.verify().ok
    assert not [one for one in registry.warnings if "registry.toml" in one]


def test_what_stands_is_not_written_over_and_what_was_forged_not_believed(bereft: World) -> None:
    config = bereft.root / "registry.toml"
    config.write_text("# mine", encoding="utf-8")
    with pytest.raises(NameTaken):
        Registry.policy_restore(bereft.root)
    assert config.read_text(encoding="utf-8") == "# mine"
    config.unlink()
    event = bereft.ledger(3)
    event.chmod(0o644)
    event.write_bytes(event.read_bytes().replace(b'"approval_hours":24', b'"approval_hours":48'))
    assert bereft.cli("policy", "restore", "--registry", str(bereft.root)).returncode == 4
    assert not config.exists()


def test_from_a_folder_inside_and_nowhere_else(bereft: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    with pytest.raises(NoRegistry, match="it has no registry"):
        Registry.policy_restore(outside)
    monkeypatch.chdir(bereft.root / "models")
    with pytest.raises(NoRegistry, match="has a ledger, but"):
        Registry.open()
    path, _ = Registry.policy_restore()
    assert path == bereft.root / "registry.toml"
