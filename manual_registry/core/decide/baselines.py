"""What a version that was adopted may not do before it is complete, confirmed, and in the registry (design 3.4).

Rules held here: control starts at adoption. A stage that a sheet stated is kept, and nothing rests on it until a lead has
confirmed the baseline; every later step asks all that the risk class asks of a registration; files that were left where
they lay carry no production in a high-risk registry.
"""

from __future__ import annotations

from manual_registry.core.decide.common import find
from manual_registry.core.decide.registration import HOW, missing_fields
from manual_registry.core.errors import (
    ArtefactChanged,
    BaselineIncomplete,
    BaselineUnconfirmed,
    EventUnreadable,
    FilesInPlace,
    RegistryError,
)
from manual_registry.core.ledger import Event
from manual_registry.core.state import State, VersionState
from manual_registry.core.values import Risk, Stage


def taken_in(state: State, event: Event) -> list[RegistryError]:
    """Decide that files were copied in: of a version that was adopted in place, and equal to what they were then."""
    record = find(state, event)
    if isinstance(record, RegistryError):
        return [record]
    if record.location is None or record.location != event.data["location"]:
        return [EventUnreadable(f"{record.ref}: its files do not lie at {event.data['location']!r}")]
    if event.data["observed"] != record.blake3:
        return [
            ArtefactChanged(
                f"{record.ref}: {record.location} does not have the hash that it was adopted with",
                location=record.location,
                clause="RP-1",
            )
        ]
    return []


def step_reasons(state: State, record: VersionState, to: Stage) -> list[RegistryError]:
    """Return the reasons against a step to ``to`` that only a version which was adopted can have."""
    if record.adopted is None or to not in (Stage.STAGING, Stage.PRODUCTION):
        return []
    there = {name: record.value(name) for name in state.policy.required}
    lacks: list[RegistryError] = [
        BaselineIncomplete(
            f"{record.ref}: {name} is missing, which a registration needs ({HOW.get(name, 'a metadata file')})",
            location=name,
            clause="RP-16",
            hint=f"mreg attach {record.ref} --metadata FILE",
        )
        for name in missing_fields(state, there)
    ]
    return [*in_place_reasons(state, record, to), *lacks]


def in_place_reasons(state: State, record: VersionState, to: Stage) -> list[RegistryError]:
    """Refuse production in a high-risk registry while the files lie where nothing protects them."""
    if record.location is None or to is not Stage.PRODUCTION or state.risk is not Risk.HIGH:
        return []
    return [in_place(record, "production in a high-risk registry needs them in the registry")]


def in_place(record: VersionState, why: str) -> FilesInPlace:
    """The refusal for files that lie outside, with the command that brings them in."""
    return FilesInPlace(
        f"{record.ref}: its files lie at {record.location}; {why}",
        location=record.location,
        clause="RP-16",
        hint=f"mreg take-in {record.ref}",
    )


def unconfirmed(state: State, record: VersionState) -> list[RegistryError]:
    """Refuse to rest on a production stage that a sheet stated and no lead has confirmed."""
    if not record.stated_only or not state.policy.needs_approval(Stage(record.stage), has_lead=state.has_lead):
        return []
    name = (record.version, record.model)
    id_ = next(
        (
            one.id
            for one in state.baselines.values()
            if any((each["version"], each["model"]) == name for each in one.versions)
        ),
        None,
    )
    leads = state.active_leads()
    return [
        BaselineUnconfirmed(
            f"{record.ref}: its stage is what {(record.adopted or {}).get('source')} stated; a lead must confirm that"
            f" first{f' ({id_})' if id_ else ''}",
            location=id_ or record.ref,
            clause="RP-10",
            hint=f"mreg approval sign {id_} --as {leads[0].email if leads else 'EMAIL'}" if id_ else "mreg verify",
        )
    ]
