"""The end of a register: what may still be written afterwards, what lapses with it, how it is told (clause RP-22).

Rules held here: a closed register takes no new version and no new step towards use; what only looks after what it holds
(checks, retrieval drills, anchors, notes, archiving, files taken in that lay elsewhere, the end of a deployment, the
revocation of a key) goes on for as long as it is kept.
"""

from __future__ import annotations

import shlex
from typing import Any, Final

from manual_registry.core import events as kinds
from manual_registry.core.handover.addresses import lies_in
from manual_registry.core.ledger import Event
from manual_registry.core.records import Closed, ControlRequest, Request
from manual_registry.core.state import State
from manual_registry.core.values import Stage

#: What a lead signs.
ACTION: Final = "registry.close"
#: What comes next, once a register is closed: a head that cannot be rewritten unseen.
NEXT: Final = "mreg anchor"
#: Changes that a lead may still sign: they take something away.
_REVOCATIONS: Final = frozenset({"approver.revoke", "pipeline.revoke"})
#: So many names are told in one sentence.
_NAMED: Final = 5
#: Events that stay possible, whatever they say.
_ALWAYS: Final = frozenset(
    {
        kinds.VERIFIED,
        kinds.DRILLED,
        kinds.ANCHORED,
        kinds.RESTORED,
        kinds.ARCHIVED,
        kinds.MOVED,
        kinds.TAKEN_IN,
        kinds.NOTED,
        kinds.DEPLOYMENT_ENDED,
        kinds.APPROVER_REVOKED,
        kinds.PIPELINE_REVOKED,
    }
)
_ABOUT_APPROVALS: Final = frozenset({kinds.FILLED, kinds.ISSUED, kinds.SIGNED, kinds.WITHDRAWN})
_ABOUT_REQUESTS: Final = frozenset({kinds.CONTROL_ISSUED, kinds.CONTROL_REJECTED, kinds.CONTROL_WITHDRAWN})


def still_allowed(state: State, event: Event) -> bool:
    """Tell whether ``event``, whose shape was checked, is of those that a closed register still takes."""
    kind, data = event.type, event.data
    if kind in _ALWAYS:
        return True
    if kind in _ABOUT_APPROVALS:
        request = state.requests.get(data["id"])
        return request is not None and outlasts(request)
    if kind in _ABOUT_REQUESTS:
        asked = state.controls.get(data["id"])
        return asked is not None and outlasts(asked)
    match kind:
        case kinds.REQUESTED:
            return bool(data["to"] == Stage.ARCHIVED.value)
        case kinds.CONTROL_REQUESTED:
            return data["action"] in _REVOCATIONS
        case kinds.EXPORTED:
            return bool(data["action"] == "check")
        case kinds.EDITED:
            return data["field"] == "notes" and adds_to(data["was"], data["value"])
    return False


def adds_to(was: str | None, value: str | None) -> bool:
    """Tell whether an edit of Notes only adds to what stood there, as `note` does: nothing is taken out of sight."""
    return bool(value) and str(value).startswith(was or "")


def outlasts(asked: Request | ControlRequest) -> bool:
    """Tell whether a request goes on being of use: to archive a version, or to revoke somebody."""
    return asked.action in _REVOCATIONS if isinstance(asked, ControlRequest) else asked.to == Stage.ARCHIVED.value


def lapses(asked: Request | ControlRequest) -> bool:
    """Tell whether an open request ends when the register does.

    What was to ratify a rollback does not: that nobody did so stays an error until the version is out of production.
    """
    if isinstance(asked, ControlRequest):
        return asked.status == "requested" and not outlasts(asked)
    return asked.status in ("requested", "signed") and asked.ratifies is None and not outlasts(asked)


def closed_text(closed: Closed) -> str:
    """Say in one phrase that the register is closed, since when, where it goes on, and whether that is in doubt."""
    doubt = f", IN DOUBT (its key was compromised since {closed.doubted_since[:10]})" if closed.doubted_since else ""
    return f"CLOSED on {closed.at[:10]}{doubt}; successor: {closed.successor}"


def continuing(place: str) -> str:
    """Return the command by which leads go on from a register at ``place`` that somebody else closed with a stolen key."""
    return f'mreg init NEW --risk CLASS --lead "Name <email>" --lead-key KEY.pub --continues {shlex.quote(place)}'


def document(closed: Closed | None) -> dict[str, Any] | None:
    """Return the member ``closed`` of ``manual-registry/status/1``; null: the register is open."""
    if closed is None:
        return None
    return {
        "at": closed.at,
        "successor": closed.successor,
        "reason": closed.reason,
        "by": closed.by,
        "event": closed.seq,
        "doubted_since": closed.doubted_since,
    }


def consequences(state: State, successor: str | None = None) -> list[str]:
    """Say what the end of the register means for what is under way: told before a lead signs it, and afterwards.

    ``successor`` is where it is to go on; it is compared with where exports went.
    """
    return [*_requests(state), *_moves(state), *_exported(state, successor), *_leads(state)]


def _requests(state: State) -> list[str]:
    asked: list[Request | ControlRequest] = [*state.requests.values(), *state.controls.values()]
    ending = [one.id for one in asked if lapses(one) and getattr(one, "action", None) != ACTION]
    if not ending:
        return []
    what = "request lapses" if len(ending) == 1 else "requests lapse"
    return [f"{len(ending)} open {what} with it: {_some(ending)}"]


def _moves(state: State) -> list[str]:
    moves = [one.ref for one in state.versions.values() if one.move_pending and one.location is None]
    outside = [one.ref for one in state.versions.values() if one.location is not None]
    told = (
        [f"to be moved to the archive: {_some(moves)} (mreg archive --pending works afterwards, too)"] if moves else []
    )
    if outside:
        why = "protected by nothing (mreg take-in REF; afterwards, too, and mreg archive REF takes them along)"
        told.append(f"the files of {_some(outside)} lie outside of the registry, {why}")
    return told


def _exported(state: State, successor: str | None) -> list[str]:
    """Tell what no export has brought over, and where the last one found something else: afterwards none is possible."""
    if state.closed is not None or not state.versions:
        return []
    if not state.exports:
        return ["no export is recorded (mreg export mlflow comes before the closing, where it goes on in MLflow)"]
    there = {name for one in state.exports.values() for name in one.versions}
    missing = [record.ref for name, record in state.versions.items() if name not in there]
    through = max(one.seq for one in state.exports.values())
    since = [
        record.ref for name, record in state.versions.items() if name in there and max(record.event_seqs) > through
    ]
    told = [f"in no recorded export: {_some(missing)} (mreg export mlflow comes before the closing)"] if missing else []
    if since:
        told.append(f"changed since the last recorded export: {_some(since)} (mreg export mlflow once more)")
    for one in state.exports.values():
        count = sum(len(found) for found in one.mismatches.values())
        if count:
            words = "1 mismatch is" if count == 1 else f"{count} mismatches are"
            told.append(f"{words} recorded of {one.uri} (mreg export mlflow --tracking-uri {one.uri} --verify-only)")
    addresses = [one.uri for one in state.exports.values()]
    if successor is not None and not any(lies_in(successor, address) for address in addresses):
        told.append(f"recorded exports went to {_some(addresses)}, none to {successor}")
    return told


def _leads(state: State) -> list[str]:
    leads = state.active_leads()
    if len(leads) != 1:
        return []
    return [f"{leads[0].email} is the only lead: nobody can be enrolled afterwards, when that key is lost or revoked"]


def without_leads(state: State, address: str) -> str | None:
    """Say what nobody can sign any more once ``address`` is revoked in a closed register; None: another lead is left."""
    leads = [one.email for one in state.active_leads()]
    if state.closed is None or leads != [address]:
        return None
    held = [one.ref for one in state.versions.values() if one.stage == Stage.PRODUCTION.value]
    owed = held and state.policy.needs_approval(Stage.ARCHIVED, has_lead=False)
    left = f"{_some(held)} {'stays' if len(held) == 1 else 'stay'} in production for ever"
    stays = f", and {left}: archiving asks a lead's signature" if owed else ""
    return f"{address} is the last lead of a closed register: no revocation can be signed here any more{stays}"


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
