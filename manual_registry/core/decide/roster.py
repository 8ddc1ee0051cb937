"""Who may be enrolled: a person with a name and an address, a key in its one spelling that is nobody else's (RP-14)."""

from __future__ import annotations

from manual_registry.core.errors import (
    ApproverUnknown,
    BadKey,
    BadTime,
    ControlRefused,
    IdentityTaken,
    KeyTaken,
    RegistryError,
)
from manual_registry.core.sshkeys import parse_public_key
from manual_registry.core.state import State
from manual_registry.core.times import parse_time
from manual_registry.core.values import email, line_text


def a_person(address: str, name: str) -> list[RegistryError]:
    """Refuse an address that is not in its one spelling, or an empty name."""
    line_text(name, where="name")
    if email(address) != address or not name.strip():
        return [ControlRefused(f"{address!r}: an approver has a name and an address in lower case", clause="RP-14")]
    return []


def key_form(line: str) -> list[RegistryError]:
    """Refuse a key that is not spelled as the ledger keeps it."""
    if parse_public_key(line).line() != line:
        return [BadKey("a key is kept as 'type base64', in its one spelling", location="key")]
    return []


def key_free(state: State, line: str, *, hint: str | None = "ssh-keygen -t ed25519 -f NEW-KEY") -> list[RegistryError]:
    """Refuse a key that belongs, or once belonged, to anybody; ``hint``: how another one is had."""
    holder = state.keys.get(line)
    if holder is None:
        return []
    return [
        KeyTaken(
            f"this key belongs to the {holder[0]} {holder[1]}; one key is for one identity, ever",
            location="key",
            clause="RP-14",
            hint=hint,
        )
    ]


def former_key(state: State, address: str, line: str, since: str | None) -> list[RegistryError]:
    """Refuse to say that a key was compromised, unless it is one of ``address`` that signs no more, and ``since`` is told.

    Said again, it may only be since an earlier time: what is in doubt stays so.
    """
    found = next((one for one in state.all_approvers() if (one.email, one.key) == (address, line)), None)
    if found is None:
        told = f"{address} never had that key"
        return [ApproverUnknown(told, location=address, clause="RP-14", hint="mreg approver list")]
    if found.revoked_seq is None:
        told = f"{address} signs with that key now: revoke it, then nothing is signed with it any more"
        hint = f'mreg approver revoke {address} --reason "…" --compromised-since TIME --as EMAIL'
        return [IdentityTaken(told, location=address, clause="RP-14", hint=hint)]
    if since is None:
        return [BadTime("of a former key it is said since when somebody else had it", location="compromised_since")]
    earlier = found.compromised_since
    if earlier is None or parse_time(since) < parse_time(earlier):
        return []
    told = f"that key of {address} is told as compromised since {earlier} already; only an earlier time says more"
    return [IdentityTaken(told, location=address, clause="RP-14", hint="mreg approver list")]


def enrolment(state: State, address: str, name: str, key: str, *, replaces: bool = False) -> list[RegistryError]:
    """Return what is wrong with enrolling ``address`` with ``key``, whoever signs it.

    A person whose key was revoked may be given a new one; with ``replaces`` (the recovery key) it need not be revoked.
    """
    reasons = [*a_person(address, name), *key_form(key)]
    standing = state.approvers.get(address)
    if standing is not None and standing.revoked_seq is None and not replaces:
        reasons.append(
            IdentityTaken(
                f"{address} stands in the roster since {standing.added_at} ({standing.role});"
                " a new key is enrolled once the old one is revoked",
                location=address,
                clause="RP-14",
                hint=f'mreg approver revoke {address} --reason "…" --as EMAIL',
            )
        )
    return [*reasons, *key_free(state, key)]
