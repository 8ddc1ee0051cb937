"""One version on its way from MLflow into a registry: what its baseline entry will say, and what cannot come along.

Here stands the version that this tool exported: its record.json brings everything that is known of it. What another
registry did (approvals, promotions, deployments) is not done here by that: it is kept as stated, and its papers with the
snapshot. :mod:`foreign` reads a version that never was one of ours, :mod:`arranging` says which of them can come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from manual_registry.core.adoption.importing import keepable
from manual_registry.core.adoption.words import StatedHash
from manual_registry.core.canonical import encode
from manual_registry.core.decide.registration import FILLABLE_LATER, identifier
from manual_registry.core.errors import BadValue, EventUnreadable, RegistryError
from manual_registry.core.gates import report_from, weaker_thresholds
from manual_registry.core.handover import back
from manual_registry.core.handover.offered import Offered
from manual_registry.core.policy import Policy
from manual_registry.core.values import Stage, check_artefact_path

#: Members of a registration that come back as they were; the artefact is hashed anew, the identifier computed anew.
MEMBERS: Final = (
    "training_data",
    "code",
    "training_date",
    "pipeline_run",
    "hyperparameters",
    "metrics",
    "subgroup_metrics",
    "config",
    "prompt",
    "origin",
    "description",
    "ci",
)
_EMPTY: Final[tuple[Any, ...]] = (None, [], {}, "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Lost:
    """One thing that has no place here: ``field`` as `show` calls it, or as MLflow does, and what became of it."""

    field: str
    reason: str

    def document(self) -> dict[str, str]:
        """Return it as it stands in the import's document."""
        return {"field": self.field, "reason": self.reason}


@dataclass(frozen=True, kw_only=True, slots=True)
class Artefact:
    """The artefact as a record names it: ``blake3`` and ``sha256`` of the whole."""

    kind: str
    name: str | None
    blake3: str
    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """A version as it will be entered.

    ``data`` are the members of its event without artefact, identifier and baseline. ``later`` are fields that were
    filled in after its registration and are part of no identifier: an event of their own brings them. ``artefact`` is
    what its files must come to (None: MLflow knows no hash), ``hashes`` what its tags say of them. ``own``: this tool
    exported it, so that its files lie below ``artefact/`` under spelled names. ``twin``: a mark of its content; two with
    the same name and twin are one version, exported twice.
    """

    offered: Offered
    model: str
    version: str
    stage: str
    data: Mapping[str, Any]
    stated: Mapping[str, str]
    aliases: tuple[str, ...] = ()
    later: Mapping[str, Any] = field(default_factory=dict)
    artefact: Artefact | None = None
    composite_id: str | None = None
    hashes: tuple[StatedHash, ...] = ()
    own: bool = False
    twin: object = None
    foreign: tuple[Mapping[str, str], ...] = ()
    comments: tuple[Mapping[str, str], ...] = ()
    lost: tuple[Lost, ...] = ()

    @property
    def ref(self) -> str:
        """``model@version``."""
        return f"{self.model}@{self.version}"

    def baseline(self, *, uri: str, sha256: str, kept: str) -> dict[str, Any]:
        """Return the ``baseline`` of its event; ``kept`` is where the snapshot lies, ``sha256`` its hash."""
        return {
            "source": keepable(uri),
            "sha256": sha256,
            "sheet": keepable(self.offered.name),
            "row": self.offered.number,
            "stage": self.stage,
            "stated": dict(self.stated),
            "kept": kept,
            **({"foreign": [dict(one) for one in self.foreign]} if self.foreign else {}),
            **({"comments": [dict(one) for one in self.comments]} if self.comments else {}),
        }


def whole(offered: Offered, found: back.Returned, policy: Policy) -> Arrival:
    """Return the arrival of a version whose record.json is there; ``policy`` is that of the registry it comes to.

    Raises :class:`EventUnreadable` or :class:`BadValue` for a record that does not hold together.
    """
    try:
        return _whole(offered, found, policy)
    except RegistryError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as problem:
        raise EventUnreadable(f"record.json does not hold together: {problem}", location="record.json") from None


def _whole(offered: Offered, found: back.Returned, policy: Policy) -> Arrival:
    document: Mapping[str, Any] = found.document or {}
    registration, fields, row = document["registration"], document["fields"], document["row"]
    artefact = Artefact(**{name: registration["artefact"][name] for name in Artefact.__slots__})
    gates, dropped = _gates([encode(gate) for gate in document["gates"]], policy)
    data: dict[str, Any] = {name: _member(name, registration, fields) for name in MEMBERS}
    data |= {
        "evidence": [encode(item) for item in document["evidence"]],
        "gates": gates,
        "card": encode(document["card"]),
        "environment": encode(document["environment"]),
        "owner": document["owner"],
        "tags": dict(document["tags"]),
    }
    for item in data["evidence"]:
        check_artefact_path(item["path"])
        if not item["path"].startswith("evidence/"):
            raise BadValue(f"record.json: {item['path']!r} is no evidence file", location="record.json")
    composite = str(registration["composite_id"])
    data, later = _fitting(found, {**data, "artefact": registration["artefact"]}, registration, composite)
    before = registration.get("baseline") or {}
    return Arrival(
        offered=offered,
        model=found.model,
        version=found.version,
        stage=str(found.stage),
        data={name: value for name, value in data.items() if name != "artefact"},
        stated={**before.get("stated", {}), **dict(_stated(document, later, found.stage))},
        aliases=tuple(str(name) for name in row["aliases"]),
        later=later if found.stage != Stage.ARCHIVED.value else {},
        artefact=artefact,
        composite_id=composite,
        own=True,
        twin=(artefact.blake3, composite),
        foreign=tuple(before.get("foreign", ())),
        comments=tuple(before.get("comments", ())),
        lost=(*_lost(document, bool(before)), *dropped, *_too_late(later, found.stage)),
    )


def _member(name: str, registration: Mapping[str, Any], fields: Mapping[str, Any]) -> Any:
    """Return a member as it was registered, or as `attach` filled it in later."""
    value = registration[name]
    return fields[name] if value in _EMPTY and name in fields else value


def _fitting(
    found: back.Returned, data: dict[str, Any], registration: Mapping[str, Any], composite: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Take out what was filled in after the identifier was fixed; raises :class:`BadValue` where it never fits."""
    if identifier(found.model, found.version, data) == composite:
        return data, {}
    later = {name: data[name] for name in FILLABLE_LATER if data[name] != registration[name]}
    data |= {name: registration[name] for name in later}
    if identifier(found.model, found.version, data) != composite:
        raise BadValue("record.json: the composite identifier does not follow from its parts", location="record.json")
    return data, later


def _gates(gates: list[Any], policy: Policy) -> tuple[list[Any], list[Lost]]:
    """Leave out reports that ask less than this registry's policy does; their files come along all the same."""
    kept, lost = [], []
    for gate in gates:
        weaker = weaker_thresholds(report_from(gate), policy.thresholds)
        if weaker:
            lost.append(Lost(field="gates", reason=f"{gate['gate']}: {'; '.join(weaker)}; its file is kept"))
        else:
            kept.append(gate)
    return kept, lost


def _stated(document: Mapping[str, Any], later: Mapping[str, Any], stage: str | None) -> Iterator[tuple[str, str]]:
    """Yield what the old registry says and no field of a baseline entry takes up."""
    row, registry = document["row"], document["registry"]
    said = {
        "stage": stage,
        "registry": f"{registry['id']} ({registry['system']}, {registry['risk']} risk)",
        "registered_at": row["registered_at"],
        "registered_by": row["registered_by"],
        "approver": row["approver"],
        # As a sheet states them: the day. The hours stand in the papers, and of deployments below.
        "approval_date": str(row["approval_date"] or "")[:10],
        "deployment_date": str(row["deployment_date"] or "")[:10],
        "deployments": "; ".join(_deployment(one) for one in document["deployments"]),
        "retention_until": row["retention_until"],
        "notes": document["notes_text"],
        "stages": "; ".join(_step(one) for one in document["stages"]),
        "exceptions": "; ".join(
            f"{one['gate']} until {one['expires']}, by {one['by']}" for one in document["exceptions"]
        ),
    }
    if stage == Stage.ARCHIVED.value and later:
        code = later.get("code")
        said["code_commit"] = code["commit"] if code else None
        said["training_data"] = "; ".join(one["reference"] for one in later.get("training_data") or ())
    yield from ((name, keepable(str(value))) for name, value in said.items() if value not in _EMPTY)


def _deployment(one: Mapping[str, Any]) -> str:
    return f"{one['environment']} {one['at']} to {one['ended_at'] or 'now'}" + (
        f" ({one['path']})" if one["path"] else ""
    )


def _step(one: Mapping[str, Any]) -> str:
    rest = [f"approval {one['approval']}" if one["approval"] else "", one["reason"] or ""]
    return ", ".join([f"{one['stage']} {one['at']} by {one['actor']}", *(each for each in rest if each)])


#: What is always another here, and why.
_ALWAYS: Final = (
    Lost(field="registered_at", reason="it is registered here now; stated"),
    Lost(field="registered_by", reason="whoever imports it registers it here; stated"),
    Lost(field="stages", reason="the steps were taken there; stated, the papers are kept"),
    Lost(field="events", reason="the events stand in that ledger; their bytes are kept"),
)


def _lost(document: Mapping[str, Any], baseline: bool) -> Iterator[Lost]:
    """Yield the members of `show` that cannot come back as they were."""
    yield from _ALWAYS
    row = document["row"]
    if document["approvals"]:
        yield Lost(field="approvals", reason="those given there approve nothing here; the papers are kept")
    if row["approver"]:
        yield Lost(field="approver", reason="stated; nobody approved it here yet")
        yield Lost(field="approval_date", reason="stated")
    if document["deployments"]:
        yield Lost(field="deployments", reason="stated; record with mreg deploy what runs now")
        yield Lost(field="deployment_date", reason="stated")
    if document["exceptions"]:
        yield Lost(field="exceptions", reason="granted there, for that registry; stated")
    if document["notes"]:
        yield Lost(field="notes", reason=f"{len(document['notes'])} notes stand as one text (in Notes and as stated)")
    if row["storage_location"] != f"models/{document['model']}/{document['version']}":
        yield Lost(field="storage_location", reason="its files lie in models/ here")
    if row["stage"] == Stage.ARCHIVED.value and not row["move_pending"]:
        yield Lost(field="move_pending", reason="mreg archive --pending makes its bag here")
    if row["retention_until"]:
        yield Lost(field="retention_until", reason="follows from this registry's own dates; stated")
    first = "another one than of the first sheet; what that stated is taken over"
    yield Lost(field="baseline", reason=first if baseline else "an entry of another register is a baseline here")


def _too_late(later: Mapping[str, Any], stage: str | None) -> Iterator[Lost]:
    if stage == Stage.ARCHIVED.value:
        reason = "filled in after its identifier was fixed, and an archived version takes nothing more; stated"
        for name in later:
            yield Lost(field=name, reason=reason)
