"""Commands of the facade: approvals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.registry.commands.base import Commands, Document, Documents, path_or_none

if TYPE_CHECKING:
    from manual_registry.core.results import Result


class ApproveCommands(Commands):
    """Approvals."""

    def approval_request(self, ref: str, *, to: str) -> Result:
        """Ask for the approval of a step to ``staging``, ``production`` or ``archived``; its id is the result's ``id``.

        An open request is returned as it is. Raises :class:`NotFound`, :class:`TransitionForbidden`,
        :class:`UsageError` for no stage.
        """
        from manual_registry.registry import approving

        return approving.request(self._work, ref, to)

    def approval_list(self, *, pending: bool = False, at_once: bool = False) -> Documents:
        """Return the approvals: id, kind, model, version, to, status, approver, problems.

        ``pending``: those that wait for a person; ``at_once``: also the changes that a lead signed without being asked
        (ids C7, as the copies in approvals/.control/). An item is one of ``manual-registry/approvals/1``. Raises
        :class:`IntegrityError`.
        """
        from manual_registry.registry import reviewing

        return reviewing.listing(self._work, pending=pending, at_once=at_once)

    def approval_show(self, id: str) -> Document:
        """Return an approval, what a lead reads before signing (``review``), and the auditor's command.

        ``review`` has from, to, replaces, metrics beside production's, gates, card, environment, what is missing, who
        registered it, and whether the content is unchanged (hashed now). Raises :class:`ApprovalUnknown`.
        """
        from manual_registry.registry import reviewing

        return reviewing.show(self._work, id)

    def approval_statement(
        self, id: str, *, as_: str, reject: bool = False, comment: str | None = None
    ) -> tuple[bytes, Result]:
        """Issue the statement that ``as_`` will sign elsewhere; returns its bytes (kept by an event) and the result.

        A statement is one line of UTF-8 and LF. Raises :class:`ApprovalUnknown`, :class:`ApprovalClosed`,
        :class:`ApproverUnknown`, :class:`ApproverUnfit`, :class:`SelfApproval`, :class:`ReasonMissing` (a rejection
        without a comment), :class:`BadName` for a comment with control characters.
        """
        from manual_registry.registry import approving, asking

        if asking.asked_named(self._work.load().state, id):
            return asking.statement(self._work, id, as_=as_, reject=reject, comment=comment)
        return approving.statement(self._work, id, as_=as_, reject=reject, comment=comment)

    def approval_sign(
        self, id: str, *, as_: str, key: str | Path | None = None, reject: bool = False, comment: str | None = None
    ) -> Result:
        """Sign an approval, a request or a baseline as ``as_``; ``reject`` needs a comment.

        ``key`` is a private key file; without it ssh-agent or ~/.ssh holds the key.

        Raises as :meth:`approval_statement`, and :class:`BadKey` for another key, :class:`SigningFailed`,
        :class:`ArtefactChanged`, :class:`EventIllegal` where the ledger holds what was not allowed.
        """
        from manual_registry.registry import approving, asking

        if asking.asked_named(self._work.load().state, id):
            return asking.sign(self._work, id, as_=as_, key=path_or_none(key), reject=reject, comment=comment)
        return approving.sign(self._work, id, as_=as_, key=path_or_none(key), reject=reject, comment=comment)

    def approval_import(self, id: str, *, signature: str | Path, statement: str | Path | None = None) -> Result:
        """Take a signature made elsewhere over a statement that this registry issued.

        Raises :class:`ApprovalUnknown`, :class:`ApprovalClosed`, :class:`StatementUnknown`, :class:`BadSignatureFile`,
        :class:`FileUnknown`, and every reason against the statement as it is now.
        """
        from manual_registry.registry import approving, asking

        if asking.asked_named(self._work.load().state, id):
            return asking.import_signature(self._work, id, signature=Path(signature), statement=path_or_none(statement))
        return approving.import_signature(self._work, id, signature=Path(signature), statement=path_or_none(statement))

    def approval_withdraw(self, id: str) -> Result:
        """Take a request back.

        Raises :class:`ApprovalUnknown`, :class:`ApprovalClosed`.
        """
        from manual_registry.registry import approving, asking

        if asking.asked_named(self._work.load().state, id):
            return asking.withdraw(self._work, id)
        return approving.withdraw(self._work, id)
