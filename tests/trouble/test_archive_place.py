"""What stands where a bag is to go, or lies in a version unnamed, never gets into the record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from trouble import assert_whole, findings, leftovers
from world import World

from manual_registry.core.errors import ArtefactAdded, ArtefactChanged, ArtefactGone, RegistryError, StorageUnexpected


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "world", risk="minimal", leads=())
    made.register("1", config=None)
    return made


@pytest.mark.parametrize(
    ("name", "kind"), [("1", "directory"), ("1~2", "directory"), ("1~7", "directory"), ("1", "file"), ("1", "link")]
)
def test_the_place_of_the_bag_is_taken(world: World, tmp_path: Path, name: str, kind: str) -> None:
    place = world.root / "archive" / "churn" / name
    place.parent.mkdir(parents=True)
    if kind == "directory":
        place.mkdir()
        (place / "junk").write_text("somebody's")
    elif kind == "file":
        place.write_text("somebody's")
    else:
        place.symlink_to(tmp_path)
    with pytest.raises(StorageUnexpected) as refused:
        world.as_().archive("churn@1", reason="old")
    assert refused.value.exit_status == 4
    assert f"archive/churn/{name}" in refused.value.message
    assert place.exists(), "what is there is somebody's"
    assert leftovers(world.root) == []
    assert (world.root / "models/churn/1/artefact").is_dir()
    assert world.as_().history()[-1]["type"] == "version.registered", "a refusal changes nothing, the stage neither"
    place.rename(tmp_path / "moved away")
    world.as_().archive("churn@1", reason="old")
    assert (world.root / "archive/churn/1/data/artefact").is_dir()
    assert_whole(world.root)


def stray_evidence(version: Path) -> None:
    (version / "evidence" / "stray.txt").write_text("from nowhere")


def stray_beside(version: Path) -> None:
    (version / "NOTES.txt").write_text("from nowhere")


def changed_evidence(version: Path) -> None:
    (path,) = (version / "evidence" / "metadata").iterdir()
    path.chmod(0o644)
    path.write_text("something else")


def missing_evidence(version: Path) -> None:
    (version / "evidence" / "environment" / "environment.txt").unlink()


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (stray_evidence, ArtefactAdded),
        (stray_beside, ArtefactAdded),
        (changed_evidence, ArtefactChanged),
        (missing_evidence, ArtefactGone),
    ],
)
def test_a_damaged_version_is_not_put_into_a_bag(
    world: World, damage: Callable[[Path], None], kind: type[RegistryError]
) -> None:
    """In a bag it could never be put right again."""
    version = world.root / "models" / "churn" / "1"
    for folder in (version, *(path for path in version.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
    damage(version)
    before = findings(world.as_())
    with pytest.raises(kind):
        world.as_().archive("churn@1", reason="old")
    assert version.is_dir()
    assert list((world.root / "archive").glob("*/*")) == []
    assert leftovers(world.root) == []
    assert findings(world.as_()) == before
