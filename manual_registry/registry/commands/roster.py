"""Commands of the facade: who may do what: approvers, pipelines, policy, anchor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.registry.commands.base import Commands, Document, Documents, path_or_none

if TYPE_CHECKING:
    from manual_registry.core.results import Result


class RosterCommands(Commands):
    """Who may do what: approvers, pipelines, policy, anchor."""

    def approver_add(
        self, person: str, *, role: str, public_key: str | Path, as_: str, key: str | Path | None = None
    ) -> Result:
        """Enrol ``Name <email>`` as ``ai-governance-lead`` or ``technical-sme``, signed by the lead ``as_``."""
        from manual_registry.registry import controlling

        return controlling.approver_add(
            self._work, person, role=role, public_key=Path(public_key), as_=as_, key=path_or_none(key)
        )

    def approver_revoke(self, email: str, *, reason: str, as_: str, key: str | Path | None = None) -> Result:
        """Revoke an approver from here on; the last active lead stays."""
        from manual_registry.registry import controlling

        return controlling.approver_revoke(self._work, email, reason=reason, as_=as_, key=path_or_none(key))

    def approver_list(self) -> Documents:
        """Return the roster: name, email, role, key, fingerprint, since, revoked_at, reason, added_by."""
        from manual_registry.registry import controlling

        return controlling.approver_list(self._work)

    def pipeline_add(self, name: str, *, public_key: str | Path, as_: str, key: str | Path | None = None) -> Result:
        """Enrol a pipeline with a key of its own, signed by the lead ``as_``."""
        from manual_registry.registry import controlling

        return controlling.pipeline_add(self._work, name, public_key=Path(public_key), as_=as_, key=path_or_none(key))

    def pipeline_revoke(self, name: str, *, reason: str, as_: str, key: str | Path | None = None) -> Result:
        """Revoke a pipeline from here on."""
        from manual_registry.registry import controlling

        return controlling.pipeline_revoke(self._work, name, reason=reason, as_=as_, key=path_or_none(key))

    def pipeline_list(self) -> Documents:
        """Return the pipelines: name, key, fingerprint, since, revoked_at, reason, added_by."""
        from manual_registry.registry import controlling

        return controlling.pipeline_list(self._work)

    def policy_show(self) -> Document:
        """Return the policy in force, since when, and how registry.toml differs."""
        from manual_registry.registry import controlling

        return controlling.policy_show(self._work)

    def policy_sign(self, *, as_: str, key: str | Path | None = None) -> Result:
        """Put registry.toml's system, risk, placed-on-market date and ``[policy]`` in force."""
        from manual_registry.registry import controlling

        return controlling.policy_sign(self._work, as_=as_, key=path_or_none(key))

    def anchor(self) -> str:
        """Return one line that names the ledger's head, to be kept elsewhere."""
        from manual_registry.registry import controlling

        return controlling.anchor(self._work)
