"""A lead whose key lives in a FIDO token, made in software: an approval from statement to promotion."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from world import LEAD, World

from manual_registry.core.errors import RegistryError
from manual_registry.core.sshkeys import SK_ED25519, PublicKey
from manual_registry.core.sshsig import STAGE_APPROVAL, armour, fido_blob, signed_blob
from manual_registry.core.sshwire import pack

FIDO = "token@example.org"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = PublicKey(type=SK_ED25519, blob=pack(SK_ED25519.encode(), PRIVATE.public_key().public_bytes_raw(), b"ssh:"))


def touched(message: bytes, *, flags: int) -> str:
    """Sign as the token does, with a touch (flags 1) or without."""
    blob = fido_blob(KEY, signed_blob(message, namespace=STAGE_APPROVAL), flags=flags, counter=3)
    signature = PRIVATE.sign(blob)
    return armour(KEY, namespace=STAGE_APPROVAL, algorithm=SK_ED25519, signature=signature, touch=(flags, 3))


def test_a_touch_is_needed_from_statement_to_promotion(tmp_path: Path) -> None:
    world = World(tmp_path)
    (tmp_path / "token.pub").write_text(f"{KEY.line()} token\n", encoding="utf-8")
    world.as_(LEAD).approver_add(
        f"Tok <{FIDO}>", role="ai-governance-lead", public_key=tmp_path / "token.pub", as_=LEAD, key=world.key(LEAD)
    )
    world.register()
    identifier = world.as_().approval_request("churn@1", to="staging").id or ""
    statement, _ = world.as_(FIDO).approval_statement(identifier, as_=FIDO)
    signature = tmp_path / "s.sig"
    signature.write_text(touched(statement, flags=0), encoding="utf-8")
    with pytest.raises(RegistryError, match="nobody touched"):
        world.as_().approval_import(identifier, signature=signature)
    signature.write_text(touched(statement, flags=1), encoding="utf-8")
    world.as_().approval_import(identifier, signature=signature)
    world.promote("churn@1", "staging")
    assert world.as_().verify().ok
    command = world.as_().approval_show(identifier)["auditor_command"]
    checked = subprocess.run(["sh", "-c", command], cwd=world.root, capture_output=True, check=False)
    assert b"Good" in checked.stdout, checked.stderr
