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
        """Ask for the approval of a step to ``staging``, ``production`` or ``archived``; its id is the result's ``id``."""
        from manual_registry.registry import approving

        return approving.request(self._work, ref, to)

    def approval_list(self, *, pending: bool = False) -> Documents:
        """Return the approvals: id, kind, model, version, to, status, approver, problems."""
        from manual_registry.registry import reviewing

        return reviewing.listing(self._work, pending=pending)

    def approval_show(self, id: str) -> Document:
        """Return an approval, what a lead reads before signing (``review``), and the auditor's command."""
        from manual_registry.registry import reviewing

        return reviewing.show(self._work, id)

    def approval_statement(
        self, id: str, *, as_: str, reject: bool = False, comment: str | None = None
    ) -> tuple[bytes, Result]:
        """Issue the statement that ``as_`` will sign elsewhere; returns its bytes (kept by an event) and the result."""
        from manual_registry.registry import approving

        return approving.statement(self._work, id, as_=as_, reject=reject, comment=comment)

    def approval_sign(
        self, id: str, *, as_: str, key: str | Path | None = None, reject: bool = False, comment: str | None = None
    ) -> Result:
        """Sign an approval or a baseline as ``as_`` with ``key`` (else the agent or ~/.ssh); ``reject`` needs a comment."""
        from manual_registry.registry import approving, controlling

        if not reject and id.upper() in self._work.load().state.baselines:
            return controlling.baseline_sign(self._work, id.upper(), as_=as_, key=path_or_none(key))
        return approving.sign(self._work, id, as_=as_, key=path_or_none(key), reject=reject, comment=comment)

    def approval_import(self, id: str, *, signature: str | Path, statement: str | Path | None = None) -> Result:
        """Take a signature made elsewhere over a statement that this registry issued."""
        from manual_registry.registry import approving

        return approving.import_signature(self._work, id, signature=Path(signature), statement=path_or_none(statement))

    def approval_withdraw(self, id: str) -> Result:
        """Take a request back."""
        from manual_registry.registry import approving

        return approving.withdraw(self._work, id)
