"""Commands of the facade: who may do what: approvers, pipelines, policy, anchor."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.registry.commands.base import Commands, Document, Documents, path_or_none

if TYPE_CHECKING:
    from manual_registry.core.results import Result


class RosterCommands(Commands):
    """Who may do what: approvers, pipelines, policy, anchor."""

    def approver_add(
        self, person: str, *, role: str, public_key: str | Path, as_: str | None = None, key: str | Path | None = None
    ) -> Result:
        """Enrol ``Name <email>`` as ``ai-governance-lead``, ``technical-sme`` or ``delegate``.

        Signed by the lead ``as_``; None (here and below): a request is opened, which a lead signs later.

        Raises :class:`BadEmail`, :class:`BadKey`, :class:`UsageError` for no role, :class:`IdentityTaken`,
        :class:`KeyTaken`, :class:`ControlRefused` (no lead signs), :class:`SigningFailed`.
        """
        from manual_registry.registry import controlling

        return controlling.approver_add(
            self._work, person, role=role, public_key=Path(public_key), as_=as_, key=path_or_none(key)
        )

    def approver_revoke(
        self,
        email: str,
        *,
        reason: str,
        compromised_since: str | None = None,
        former_key: str | None = None,
        as_: str | None = None,
        key: str | Path | None = None,
    ) -> Result:
        """Revoke an approver from here on; the last active lead stays, unless the register is closed.

        ``compromised_since``: since when somebody else may have had the key; `verify` then finds the later signatures
        that no anchor covers. ``former_key``, a fingerprint (``SHA256:…``): say it of that key, which signs no more, and
        revoke nobody.

        Raises :class:`ApproverUnknown`, :class:`IdentityTaken` (revoked or told already), :class:`LastLead`,
        :class:`ReasonMissing`, :class:`ControlRefused`.
        """
        from manual_registry.registry import controlling

        return controlling.approver_revoke(
            self._work,
            email,
            reason=reason,
            compromised_since=compromised_since,
            former_key=former_key,
            as_=as_,
            key=path_or_none(key),
        )

    def approver_delegate(
        self,
        email: str,
        *,
        models: str,
        from_: str,
        until: str,
        reason: str,
        as_: str | None = None,
        key: str | Path | None = None,
    ) -> Result:
        """Let the delegate ``email`` approve as a lead would: ``models`` (a pattern), between two dates (UTC, both in).

        Raises :class:`ApproverUnknown`, :class:`BadTime`, :class:`DateOrder`, :class:`ReasonMissing`,
        :class:`ControlRefused`.
        """
        from manual_registry.registry import delegating

        return delegating.delegate(
            self._work, email, models=models, from_=from_, until=until, reason=reason, as_=as_, key=path_or_none(key)
        )

    def approver_recover(self, person: str, *, public_key: str | Path, recovery_key: str | Path) -> Result:
        """Enrol ``Name <email>`` as a lead, signed with the recovery key that `init` pinned.

        Raises :class:`BadEmail`, :class:`BadKey`, :class:`KeyTaken`, :class:`IdentityTaken`, :class:`ControlRefused`.
        """
        from manual_registry.registry import delegating

        return delegating.recover(self._work, person, public_key=Path(public_key), recovery_key=Path(recovery_key))

    def exception_grant(
        self,
        ref: str,
        *,
        gate: str,
        severity: str,
        justification: str,
        controls: str,
        expires: str,
        remediation: str,
        remediation_date: str,
        root_cause: str | None = None,
        as_: str | None = None,
        key: str | Path | None = None,
    ) -> Result:
        """Let one failed gate of a version through until the day ``expires``; a fairness gate asks for a root cause.

        Dates are days, UTC, that day included. Raises :class:`NotFound`, :class:`BadTime`, :class:`DateOrder`,
        :class:`ReasonMissing`, :class:`ControlRefused`.
        """
        from manual_registry.registry import delegating

        return delegating.exception_grant(
            self._work,
            ref,
            gate=gate,
            severity=severity,
            justification=justification,
            controls=controls,
            expires=expires,
            remediation=remediation,
            remediation_date=remediation_date,
            root_cause=root_cause,
            as_=as_,
            key=path_or_none(key),
        )

    def exception_facts(self, ref: str, *, gate: str) -> dict[str, str]:
        """Return what a lead reads before signing :meth:`exception_grant`: for which numbers the gate does not pass.

        Raises :class:`NotFound`.
        """
        from manual_registry.registry import delegating

        return delegating.exception_facts(self._work, ref, gate=gate)

    def exception_list(self) -> Document:
        """Return every exception, and how many there are of each gate and model.

        Raises :class:`IntegrityError`.
        """
        from manual_registry.registry import delegating

        return delegating.exception_list(self._work)

    def approver_list(self) -> Documents:
        """Return the roster: name, email, role, key, fingerprint, since, revoked_at, reason, added_by, delegations.

        Times are UTC stamps. Raises :class:`IntegrityError`.
        """
        from manual_registry.registry import controlling

        return controlling.approver_list(self._work)

    def pipeline_add(
        self,
        name: str,
        *,
        public_key: str | Path | None = None,
        oidc: str | Path | None = None,
        jwks: str | Path | None = None,
        as_: str | None = None,
        key: str | Path | None = None,
    ) -> Result:
        """Enrol a pipeline, signed by the lead ``as_``: with a key of its own, or by its CI jobs' identity tokens.

        ``oidc`` is a TOML file with ``issuer``, ``audience``, ``algorithms``, ``claims``; ``jwks`` the provider's key
        set. Raises :class:`BadEnrolment` for what cannot be pinned.

        Also :class:`BadName`, :class:`BadKey`, :class:`KeyTaken`, :class:`IdentityTaken`, :class:`ControlRefused`.
        """
        from manual_registry.registry import controlling

        return controlling.pipeline_add(
            self._work,
            name,
            public_key=path_or_none(public_key),
            oidc=path_or_none(oidc),
            jwks=path_or_none(jwks),
            as_=as_,
            key=path_or_none(key),
        )

    def pipeline_template(self, which: str) -> str:
        """Return a workflow (``github``, ``gitlab``) or a start of an enrolment (``github-oidc``, ``gitlab-oidc``).

        Raises :class:`UsageError` for another word.
        """
        from manual_registry.registry import controlling

        return controlling.pipeline_template(self._work, which)

    def pipeline_facts(
        self, *, public_key: Path | None = None, oidc: Path | None = None, jwks: Path | None = None
    ) -> dict[str, str]:
        """Return what a lead reads before signing :meth:`pipeline_add` with these files.

        Raises :class:`BadKey`, :class:`FileUnknown`, and as :meth:`pipeline_add` for what cannot be pinned.
        """
        from manual_registry.registry import controlling

        return controlling.pipeline_facts(public_key, oidc, jwks)

    def pipeline_revoke(
        self, name: str, *, reason: str, as_: str | None = None, key: str | Path | None = None
    ) -> Result:
        """Revoke a pipeline from here on.

        Raises :class:`PipelineUnknown`, :class:`IdentityTaken` (revoked already), :class:`ReasonMissing`,
        :class:`ControlRefused`.
        """
        from manual_registry.registry import controlling

        return controlling.pipeline_revoke(self._work, name, reason=reason, as_=as_, key=path_or_none(key))

    def pipeline_list(self) -> Documents:
        """Return the pipelines: name, key, fingerprint (or oidc), since, revoked_at, reason, added_by.

        Times are UTC stamps. Raises :class:`IntegrityError`.
        """
        from manual_registry.registry import controlling

        return controlling.pipeline_list(self._work)

    def policy_show(self) -> Document:
        """Return the policy in force, since when, and how registry.toml differs.

        Returns ``in_force``, ``since`` (seq, UTC stamp), ``signed_by``, ``sha256``, ``differs``, ``differences``; hours
        and years are whole numbers. Raises :class:`IntegrityError`.
        """
        from manual_registry.registry import controlling

        return controlling.policy_show(self._work)

    @staticmethod
    def policy_restore(path: str | Path | None = None) -> tuple[Path, str]:
        """Write the registry.toml that a registry has lost anew, as the ledger has put it in force.

        ``path``: the root, else ``$MANUAL_REGISTRY``, else the nearest parent with a ledger. Returns the file, and a
        sentence about what no event says. Raises :class:`NameTaken` (it is there), :class:`NoRegistry`,
        :class:`IntegrityError`.
        """
        from manual_registry.adapters.config import FILE
        from manual_registry.registry import restoring
        from manual_registry.registry.roots import find_ledger

        root = find_ledger(path_or_none(path), os.environ)
        return root / FILE, restoring.restore(root)

    def policy_sign(self, *, as_: str | None = None, key: str | Path | None = None) -> Result:
        """Put registry.toml's system, risk, placed-on-market date and ``[policy]`` in force.

        Raises :class:`BadConfig` for a file that cannot be taken, :class:`ControlRefused`; nothing to sign is
        ``changed`` False.
        """
        from manual_registry.registry import controlling

        return controlling.policy_sign(self._work, as_=as_, key=path_or_none(key))

    def anchor(self) -> str:
        """Return one line that names the ledger's head, to be kept elsewhere.

        The line: registry id, number and hash of the head, UTC time, leads' fingerprints. Raises
        :class:`IntegrityError`.
        """
        from manual_registry.registry import controlling

        return controlling.anchor(self._work)

    def anchor_with(self, tsa: str, *, tsa_roots: str | Path | None = None) -> tuple[Result, str, bytes]:
        """Have the time-stamping authority at ``tsa`` (RFC 3161) sign the head, and keep its token in the ledger.

        Returns the result, the line of the stamped head, and the token (the whole answer). ``tsa_roots``: certificates in
        PEM that the answer must lead to. Raises :class:`TimestampUnavailable`, :class:`TimestampFinding`.
        """
        from manual_registry.registry import anchoring

        return anchoring.anchor_with(self._work, tsa, roots=path_or_none(tsa_roots))
