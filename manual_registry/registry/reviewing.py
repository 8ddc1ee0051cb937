"""Approvals as they are read: the list, one whole, the screen before a signature, the auditor's command."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from manual_registry.core.canonical import decode
from manual_registry.core.documents import approval_row, baseline_row
from manual_registry.core.state import Baseline, Request, State, VersionState
from manual_registry.core.statements import APPROVAL_NAMESPACE, read_statement, replaces_now
from manual_registry.core.times import parse_time
from manual_registry.registry.access import read
from manual_registry.registry.approving import needs, request_named, sign_hint
from manual_registry.registry.views import approval_path

if TYPE_CHECKING:
    from manual_registry.registry.workspace import Workspace


def listing(work: Workspace, *, pending: bool) -> list[dict[str, Any]]:
    """Return the approvals, oldest first; ``pending``: those that wait for a person."""
    state = read(work).state
    rows = [approval_row(state, one, work.clock()) for one in state.requests.values()]
    rows += [baseline_row(one) for one in state.baselines.values()]
    return [row for row in rows if not pending or row["status"] in ("requested", "filled")]


def show(work: Workspace, name: str) -> dict[str, Any]:
    """Return everything that a lead reads before signing; see :meth:`manual_registry.Registry.approval_show`."""
    state = read(work).state
    if name.upper() in state.baselines:
        return _show_baseline(state.baselines[name.upper()])
    request = request_named(state, name)
    record = state.versions[request.model, request.version]
    return {
        "schema": "manual-registry/approval-show/1",
        **approval_row(state, request, work.clock()),
        "from": request.from_stage,
        "requested_at": request.at,
        "requested_by": request.actor,
        "statement": request.statement,
        "signature": request.signature,
        "issued": list(request.issued),
        "auditor_command": auditor_command(request),
        "review": review(work, state, request, record),
        "next": sign_hint(state, request) if request.status == "requested" else f"mreg show {record.ref}",
    }


def _show_baseline(found: Baseline) -> dict[str, Any]:
    return {
        "schema": "manual-registry/approval-show/1",
        **baseline_row(found),
        "from": None,
        "requested_at": found.at,
        "requested_by": found.actor,
        "statement": None,
        "signature": None,
        "issued": [],
        "auditor_command": None,
        "review": {
            "source": found.source,
            "sha256": found.sha256,
            "versions": [dict(one) for one in found.versions],
            "needs": "the signature of an ai-governance-lead over all of it",
        },
        "next": f"mreg approval sign {found.id} --as EMAIL",
    }


def auditor_command(request: Request) -> str | None:
    """Return one shell line that checks the signature without this tool, from the root (design 3.5)."""
    if request.statement is None:
        return None
    from manual_registry.core.allowed_signers import format_time

    found = read_statement(request.statement)
    said = found["predicate"] if found else {}
    path = approval_path(request)
    moment = format_time(parse_time(str(said.get("issued_at"))))
    words = ["ssh-keygen", "-Y", "verify", "-f", "allowed_signers", "-I", str(said.get("approver")), "-n", APPROVAL_NAMESPACE,
             f"-Overify-time={moment}", "-s", f"{path}.sig"]  # fmt: skip
    return f"{shlex.join(words)} < {shlex.quote(path)}"


def review(work: Workspace, state: State, request: Request, record: VersionState) -> dict[str, Any]:
    """Return the one screen before a signature: what changes, how good it is, who made it."""
    from manual_registry.registry.looking import observed_blake3

    done = read_statement(request.statement) if request.statement and request.status != "signed" else None
    said = done["predicate"] if done else {}
    production = state.production(record.model)
    beside = decode(production.value("metrics") or {}) if production and production is not record else {}
    metrics = decode(record.value("metrics") or {})
    found = observed_blake3(work, record)
    return {
        "from": request.from_stage,
        "to": request.to,
        "replaces": said.get("replaces") if done else replaces_now(state, request),
        "metrics": [
            {"name": name, "value": value, "production": beside.get(name),
             "difference": value - beside[name] if name in beside else None}
            for name, value in metrics.items()
        ],
        "gates": [decode(gate) for gate in record.gates],
        "registered_by": sorted(record.registrants),
        "registered_at": record.registered_at,
        "blake3": record.blake3,
        "content": "unchanged" if found == record.blake3 else "CHANGED OR GONE",
        "limitations": record.card["fields"].get("limitations") if record.card else None,
        "needs": needs(state, request),
    }  # fmt: skip
