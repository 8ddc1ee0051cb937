"""The whole record of a version as two files: ``record.json``, what is known, and ``events.jsonl``, how it came to be.

Rules held here: both depend on the ledger alone, never on the clock; a line of events.jsonl is an event file byte for
byte, so its SHA-256 is the hash by which the chain names it. Nothing that MLflow has no place for is lost: it is here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from manual_registry.core.canonical import decode, dump, encode, parse
from manual_registry.core.documents import version_row
from manual_registry.core.errors import EventUnreadable, FormatTooNew, Json
from manual_registry.core.ledger import Event
from manual_registry.core.records import Request, VersionState
from manual_registry.core.state import State

SCHEMA: Final = "manual-registry/handover/1"
RECORD: Final = "manual_registry/record.json"
EVENTS: Final = "manual_registry/events.jsonl"


def record_bytes(state: State, record: VersionState) -> bytes:
    """Return record.json: canonical JSON and a line feed."""
    return dump(
        {
            "schema": SCHEMA,
            "registry": {
                "id": state.registry_id,
                "system": state.system,
                "risk": state.risk.value,
                "placed_on_market": state.placed_on_market,
            },
            "model": record.model,
            "version": record.version,
            "row": encode(version_row(state, record)),
            "registration": dict(record.data),
            "fields": dict(record.fields),
            "evidence": [dict(item) for item in record.evidence],
            "gates": [dict(gate) for gate in record.gates],
            "card": _plain(record.card),
            "environment": _plain(record.environment),
            "tags": dict(record.tags),
            "owner": record.owner,
            "notes": [dict(note) for note in record.notes],
            "notes_text": record.notes_text,
            "stages": [asdict(step) for step in record.steps],
            "deployments": [asdict(one) for one in record.deployments],
            "approvals": [_approval(state.requests[name]) for name in record.requests],
            "exceptions": [_plain(asdict(one)) for one in record.exceptions],
            "bags": [dict(bag) for bag in record.bags],
            "events": [{"seq": seq, "hash": state.hashes[seq]} for seq in record.event_seqs],
        }
    )


def _plain(value: Mapping[str, Any] | None) -> Json:
    return dict(value) if value is not None else None


def _approval(request: Request) -> dict[str, Any]:
    """Return an approval as the ledger alone tells it; what is expired depends on the clock and is left out."""
    return {
        "id": request.id,
        "kind": request.kind,
        "from": request.from_stage,
        "to": request.to,
        "replaces": request.replaces,
        "at": request.at,
        "actor": request.actor,
        "status": request.status,
        "seq": request.seq,
        "signed_seq": request.signed_seq,
        "used_seq": request.used_seq,
        "ratifies": request.ratifies,
    }


def events_bytes(record: VersionState, events: Sequence[Event]) -> bytes:
    """Return events.jsonl: the event files of the version, one after the other (``events`` is the chain from 1 on)."""
    return b"".join(events[seq - 1].raw for seq in record.event_seqs)


def read_record(data: bytes) -> dict[str, Any]:
    """Read record.json; large integers and infinities are numbers again, save in ``registration`` and ``fields``.

    Those two stay as an event holds them, so that they can be registered as they were. Raises :class:`EventUnreadable`
    for what is no such file, :class:`FormatTooNew` for one of a newer tool.
    """
    try:
        document = parse(data)
    except (ValueError, RecursionError):
        raise EventUnreadable(f"{RECORD} is not JSON", location=RECORD) from None
    if not isinstance(document, dict) or not str(document.get("schema", "")).startswith("manual-registry/handover/"):
        raise EventUnreadable(f"{RECORD} is not the record of a version", location=RECORD)
    if document["schema"] != SCHEMA:
        raise FormatTooNew(
            f"{RECORD} is {document['schema']}; this tool reads {SCHEMA}",
            location=RECORD,
            hint="pip install -U manual-registry",
        )
    kept = ("registration", "fields")
    return {name: value if name in kept else decode(value) for name, value in document.items()}


def lines(data: bytes) -> Iterable[bytes]:
    """Return the event files out of events.jsonl."""
    return data.splitlines(keepends=True)
