"""Rows of the Approvals sheet for what else a lead signs: changes of roster, pipelines, policy, exceptions, baselines.

They are told there; they are not filled in there: Decision and Approver are the tool's, and an edit is put back.
"""

from __future__ import annotations

from manual_registry.core import controls
from manual_registry.core.controls import Asked
from manual_registry.core.state import Baseline, State
from manual_registry.core.view import Cell, Row

_DECISIONS = {"used": "approved", "rejected": "rejected"}


def request_row(state: State, asked: Asked) -> Row:
    """Return the row of a request or baseline; its kind stands under To, what it changes in Check."""
    status = controls.status(asked)
    subject = {} if isinstance(asked, Baseline) else asked.subject
    signed_at = state.times.get(asked.signed_seq or 0)
    cells: dict[str, Cell] = {
        "Approval": asked.id,
        "Model": subject.get("model"),
        "Version": subject.get("version"),
        "From": None,
        "To": controls.KINDS.get(controls.action_of(asked)),
        "Replaces": None,
        "Validation gates": None,
        "Evaluation metrics": None,
        "Requested by": asked.actor,
        "Requested at": asked.at[:10],
        "Status": status,
        "Decision": _DECISIONS.get(status),
        "Approver": asked.signer,
        "Approval date": signed_at[:10] if signed_at else None,
        "Comment": None if isinstance(asked, Baseline) else asked.comment,
        "Check": _check(asked, status),
        "Row id": asked.id,
    }
    return Row(row_id=asked.id, cells=cells, look=status)


def sign_hint(asked: Asked) -> str:
    """Return the command by which a lead signs it."""
    return f"mreg approval sign {asked.id} --as EMAIL"


def _check(asked: Asked, status: str) -> str:
    if isinstance(asked, Baseline):
        what = f"confirm {len(asked.versions)} adopted versions of {asked.source}"
    else:
        what = controls.told(asked.action, asked.subject, asked.data)
    return f"{what}: {sign_hint(asked)}" if status == "requested" else what
