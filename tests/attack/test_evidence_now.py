"""Evidence that is not what was approved stops the signature, the promotion and the rollback (RP-1, RP-10)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attacker import Scene
from world import LEAD

from manual_registry.core.errors import RegistryError

CI: dict[str, Any] = {"pipeline": "ci"}


def change(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"0.9", b"0.1") + b" ")


def remove(path: Path) -> None:
    path.parent.chmod(0o755)
    path.unlink()


def empty(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"")


ATTACKS: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "report changed": (change, "evidence/metadata/metadata.yaml", "MR-A001"),
    "environment removed": (remove, "evidence/environment/environment.txt", "MR-A003"),
    "manifest changed": (change, "SHA256SUMS", "MR-A001"),
    "manifest emptied": (empty, "B3SUMS", "MR-A001"),
    "manifest removed": (remove, "SHA256SUMS", "MR-A003"),
}


def refused(act: Callable[[], object]) -> RegistryError:
    with pytest.raises(RegistryError) as caught:
        act()
    return caught.value


@pytest.mark.parametrize("name", ATTACKS)
def test_every_step_looks_at_the_evidence_again(scene: Scene, name: str) -> None:
    attack, place, code = ATTACKS[name]
    key: dict[str, Any] = {**CI, "pipeline_key": scene.world.key("ci")}
    waiting = scene.as_().approval_request("churn@5", to="staging").id or ""
    for version in ("1", "3", "5"):
        attack(scene.root / "models/churn" / version / place)
    head = scene.head
    for told in (
        refused(lambda: scene.as_().promote("churn@3", to="production", reason="decided", **key)),
        refused(lambda: scene.as_().rollback("churn", to="1", reason="worse", **key)),
        refused(lambda: scene.as_(LEAD).approval_sign(waiting, as_=LEAD, key=scene.world.key(LEAD))),
    ):
        assert (told.code, told.exit_status) == (code, 4)
        assert place.rsplit("/", 1)[-1] in told.message or "SUMS" in told.message
    assert scene.head == head
    assert "CHANGED OR GONE" in scene.as_().approval_show(waiting)["review"]["content"]


def test_a_rejection_needs_no_evidence(scene: Scene) -> None:
    waiting = scene.as_().approval_request("churn@5", to="staging").id or ""
    remove(scene.root / "models/churn/5/evidence/environment/environment.txt")
    scene.as_(LEAD).approval_sign(
        waiting, as_=LEAD, key=scene.world.key(LEAD), reject=True, comment="the evidence is gone"
    )
