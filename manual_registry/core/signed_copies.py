"""The signed statements about one version as files: whose key each must have been signed with (clauses RP-10, RP-11).

Serves what checks copies by themselves, as an auditor does with ssh-keygen; whether a signature counted where it stands in
the ledger is decided by :mod:`manual_registry.core.decide`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from manual_registry.core.errors import ApprovalCopyDiffers, RegistryError, SignatureFinding, SignatureStranger
from manual_registry.core.ledger import Event
from manual_registry.core.sshsig import verify
from manual_registry.core.state import State, VersionState
from manual_registry.core.statements import APPROVAL_NAMESPACE, PROMOTION_NAMESPACE, read_statement


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedCopy:
    """One statement and its signature, as the ledger has them; ``path`` is where the statement's copy lies.

    The signature's copy lies beside it, as ``path`` and ``.sig``. ``key`` is ``type base64``; None: nobody's is known.
    """

    path: str
    statement: bytes
    signature: bytes
    namespace: str
    key: str | None

    def files(self) -> dict[str, bytes]:
        """Return both files, by their path below the root."""
        return {self.path: self.statement, f"{self.path}.sig": self.signature}

    def problem(self, statement: bytes, signature: bytes) -> RegistryError | None:
        """Judge a copy: it must be byte for byte as the ledger has it, and signed with that key; None: it is."""
        for path, found, wanted in (
            (self.path, statement, self.statement),
            (f"{self.path}.sig", signature, self.signature),
        ):
            if found != wanted:
                return ApprovalCopyDiffers(f"{path} differs from the ledger", location=path, clause="RP-10")
        try:
            made_with = verify(statement, signature.decode("utf-8", "replace"), namespace=self.namespace)
        except RegistryError as bad:
            told = f"{self.path}: the signature does not hold: {bad.message}"
            return SignatureFinding(told, location=self.path, clause="RP-10")
        if made_with.line() != self.key:
            told = f"{self.path}: signed with {made_with.fingerprint}, which is not the key that the roster had for it"
            return SignatureStranger(told, location=self.path, clause="RP-10")
        return None


def of_version(state: State, record: VersionState, events: Sequence[Event]) -> Iterator[SignedCopy]:
    """Yield the approvals of a version, then the promotions that a pipeline signed; ``events`` is the whole chain."""
    folder = f"approvals/{record.model}/{record.version}"
    for id in record.requests:
        request = state.requests[id]
        if request.statement is None or request.signature is None:
            continue
        said = read_statement(request.statement)
        address = str(said["predicate"].get("approver")) if said else ""
        approver = state.approver_at(address, request.signed_seq or 0)
        yield SignedCopy(
            path=f"{folder}/{id}.json",
            statement=request.statement.encode(),
            signature=request.signature.encode(),
            namespace=APPROVAL_NAMESPACE,
            key=approver.key if approver else None,
        )
    for seq in dict.fromkeys(record.event_seqs):
        event = events[seq - 1]
        promotion = event.data.get("promotion")
        if not promotion or "signature" not in promotion or event.subject.get("version") != record.version:
            continue  # a token stands in the ledger alone; a promotion that replaced this version is the other one's
        name = promotion["pipeline"]
        keys = [one.key for one in state.all_pipelines() if one.name == name and one.added_seq < seq]
        yield SignedCopy(
            path=f"{folder}/P{seq}.json",
            statement=promotion["statement"].encode(),
            signature=promotion["signature"].encode(),
            namespace=PROMOTION_NAMESPACE,
            key=keys[-1] if keys else None,
        )
