"""May this approval be asked for, issued, signed, withdrawn (clause RP-10)?"""

from __future__ import annotations

from manual_registry.core import approvals as core
from manual_registry.core import ratifying, transitions
from manual_registry.core.decide.common import find, moment_of
from manual_registry.core.errors import (
    ApprovalClosed,
    ApprovalUnknown,
    BadValue,
    FormatTooNew,
    ReasonMissing,
    RegistryError,
    TransitionForbidden,
)
from manual_registry.core.ledger import Event
from manual_registry.core.state import Request, State
from manual_registry.core.statements import read_statement
from manual_registry.core.times import parse_time
from manual_registry.core.values import Stage


def _request(state: State, event: Event) -> Request | RegistryError:
    name = event.data["id"]
    found = state.requests.get(name)
    if found is None or (found.model, found.version) != (event.subject["model"], event.subject["version"]):
        return ApprovalUnknown(f"no approval {name!r}", location=name, hint="mreg approval list")
    if found.kind != "stage":
        return FormatTooNew(
            f"approval {name} is of kind {found.kind}, which this tool does not know yet", location=name
        )
    return found


def closed(request: Request) -> RegistryError:
    """The refusal for an approval that is used, lapsed, rejected or withdrawn."""
    return ApprovalClosed(
        f"approval {request.id} is {request.status}; ask for a new one",
        location=request.id,
        clause="RP-10",
        hint=f"mreg approval request {request.model}@{request.version} --to {request.to}",
    )


def requested(state: State, event: Event) -> list[RegistryError]:
    """Decide a request: the step must be one of the table, from where the version stands."""
    record = find(state, event)
    if isinstance(record, RegistryError):
        return [record]
    data = event.data
    if data["kind"] != "stage":
        return [FormatTooNew(f"a request of kind {data['kind']}, which this tool does not know yet")]
    before, to = Stage(data["from"]), Stage(data["to"])
    if before.value != record.stage:
        return [TransitionForbidden(f"{record.ref} is in {record.stage}, not in {before}", clause="RP-9")]
    production = state.production(record.model) if to is Stage.PRODUCTION else None
    if data["replaces"] != (production.version if production else None):
        return [TransitionForbidden(f"{record.ref}: the request names another version to replace", clause="RP-9")]
    if to is Stage.EXPERIMENTAL:
        return [
            TransitionForbidden(
                f"{record.ref}: going back to experimental needs no approval",
                clause="RP-9",
                hint=f"mreg promote {record.ref} --to experimental --reason TEXT",
            )
        ]
    return transitions.check("archive" if to is Stage.ARCHIVED else "promote", before, to, ref=record.ref)


def issued(state: State, event: Event) -> list[RegistryError]:
    """Decide the issuing of a statement: open, an approval's, by somebody of the roster, every field true."""
    request = _request(state, event)
    if isinstance(request, RegistryError):
        return [request]
    if not core.is_open(request):
        return [closed(request)]
    return list(core.judge(state, request, event.data["statement"], None, moment=moment_of(event)).reasons)


def signed(state: State, event: Event) -> list[RegistryError]:
    """Decide a signature: see :func:`manual_registry.core.approvals.judge`; a rejection needs a comment."""
    request = _request(state, event)
    if isinstance(request, RegistryError):
        return [request]
    if not core.is_open(request):
        return [closed(request)]
    data = event.data
    judgement = core.judge(state, request, data["statement"], data["signature"], moment=moment_of(event))
    return [*judgement.reasons, *_comment(data["statement"]), *_ratified_in_time(state, request, event)]


def _comment(statement: str) -> list[RegistryError]:
    found = read_statement(statement)
    said = found["predicate"] if found else {}
    if said.get("decision") == "rejected" and not str(said.get("comment") or "").strip():
        return [
            ReasonMissing("a rejection needs a comment", location="comment", clause="RP-10", hint='add --comment "…"')
        ]
    return []


def _ratified_in_time(state: State, request: Request, event: Event) -> list[RegistryError]:
    if request.ratifies is None:
        return []
    # What was written since the rollback counts too: a clock that was set back does not make the signature early.
    since = [state.times.get(seq, "") for seq in range(request.seq, state.head_seq + 1)]
    moment = max(moment_of(event), parse_time(max(since, default=event.at) or event.at))
    if (moment - parse_time(request.at)).total_seconds() <= ratifying.RATIFY_HOURS * 3600:
        return []
    return [
        ApprovalClosed(
            f"approval {request.id} had to ratify the rollback within {ratifying.RATIFY_HOURS} hours",
            clause="RP-10",
            location=request.id,
            hint=ratifying.way_back(state, request),
        )
    ]


def withdrawn(state: State, event: Event) -> list[RegistryError]:
    """Decide a withdrawal: of an open request only; the ratification of a rollback cannot be withdrawn."""
    request = _request(state, event)
    if isinstance(request, RegistryError):
        return [request]
    if not core.is_open(request):
        return [closed(request)]
    if request.ratifies is not None:
        return [
            ApprovalClosed(
                f"approval {request.id} ratifies a rollback and cannot be withdrawn",
                location=request.id,
                clause="RP-10",
            )
        ]
    return []


def filled(state: State, event: Event) -> list[RegistryError]:
    """Decide what a lead wrote into the Approvals sheet (design 3.3): it takes effect only when it is signed.

    The name stands in the roster, active and with a role that suffices; the person did not register the version; the
    date is real, not before the request by more than a day, and not in the future; a rejection has a comment. All of it
    empty takes back what was filled in.
    """
    request = _request(state, event)
    if isinstance(request, RegistryError):
        return [request]
    if not core.is_open(request) or request.status == "signed":
        return [closed(request)]
    if not any(event.data[name] for name in ("decision", "approver", "date", "comment")):
        nothing = BadValue(f"approval {request.id}: nothing is filled in that could be taken back", location=request.id)
        return [] if request.filled else [nothing]
    return [*core.entry_reasons(state, request, event.data, moment_of(event))]
