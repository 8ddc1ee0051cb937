"""`archive`, `unarchive`, `fetch` and the moves between models/ and archive/ (clauses RP-5 to RP-8)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manual_registry.core import events as kinds
from manual_registry.core.approvals import wanted_anew
from manual_registry.core.decide.baselines import in_place
from manual_registry.core.decide.places import next_bag, open_deployment
from manual_registry.core.errors import DeletionRefused, RegistryError, StorageUnexpected, raise_for
from manual_registry.core.ledger import Draft, Event
from manual_registry.core.policy import retention_until
from manual_registry.core.state import State, VersionState
from manual_registry.core.values import Stage
from manual_registry.registry.access import read, writing
from manual_registry.registry.approving import approval_to_use
from manual_registry.registry.looking import artefact_path, recorded_content, require_as_named, require_unchanged
from manual_registry.registry.references import find

if TYPE_CHECKING:
    from manual_registry.core.results import Result
    from manual_registry.ports import Progress
    from manual_registry.registry.workspace import Build, Loaded, Review, Workspace


def archive(work: Workspace, ref: str, *, reason: str, progress: Progress | None) -> Result:
    """Archive a version and move its files into a bag; a move that is pending is made."""
    with writing(work) as loaded:
        record = find(work, loaded.state, ref)
        if record.stage == Stage.ARCHIVED.value and not record.move_pending:
            return work.result(
                "archive",
                loaded,
                record,
                next=f"mreg fetch {record.ref} DEST",
                notes=(f"{record.ref} is archived already",),
            )
        if record.stage != Stage.ARCHIVED.value:

            def review(_state: State, found: list[RegistryError]) -> list[RegistryError]:
                return wanted_anew(found, record.ref, Stage.ARCHIVED)

            draft = _archived(work, loaded.state, record, reason)
            work.decided(loaded, draft, review=review)  # before a gigabyte is copied
            record, notes = _in_the_registry(work, loaded, record, progress=progress)

            def archived() -> None:
                work.append(loaded, lambda state, _at: _archived(work, state, record, reason), review=review)

            # The bag first: what is damaged or has no room is refused with its stage as it was.
            move(work, loaded, record, first=archived, progress=progress)
        else:
            raise_for(open_deployment(record))
            record, notes = _in_the_registry(work, loaded, record, progress=progress)
            move(work, loaded, record, progress=progress)
        after = loaded.state.versions[record.model, record.version]
    return work.result("archive", loaded, after, next=f"mreg fetch {after.ref} DEST", notes=notes)


def _in_the_registry(
    work: Workspace, loaded: Loaded, record: VersionState, *, progress: Progress | None
) -> tuple[VersionState, tuple[str, ...]]:
    """Take in first what was adopted in place, since a bag holds the files themselves; return the version, and what is told."""
    from manual_registry.registry.adopting import copy_in

    if record.location is None:
        return record, ()
    told = copy_in(work, loaded, record, progress=progress)
    return loaded.state.versions[record.model, record.version], (told,)


def _archived(work: Workspace, state: State, record: VersionState, reason: str) -> Draft:
    one = state.versions[record.model, record.version]
    used = approval_to_use(work, state, one, Stage.ARCHIVED) if one.stage == Stage.PRODUCTION.value else None
    subject = {"model": record.model, "version": record.version}
    data = {"from": one.stage, "reason": reason, "approval": used, "observed": None}
    return Draft(type=kinds.ARCHIVED, subject=subject, data=data)


def archive_pending(work: Workspace, *, progress: Progress | None) -> Result:
    """Move every archived version that still lies in models/; those that are deployed are told and left."""
    with writing(work) as loaded:
        pending = [one for one in loaded.state.versions.values() if one.move_pending]
        left = []
        for record in pending:
            if record.location is not None:
                again = f"mreg archive {record.ref} --reason TEXT takes them in"
                work.warn(f"{record.ref} stays: its files lie at {record.location} ({again})")
                continue
            if record.open_deployments():
                left.append(record)
                work.warn(f"{record.ref} stays: it is deployed in {record.open_deployments()[0].environment}")
                continue
            move(work, loaded, record, progress=progress)
    hint = (
        f"mreg deploy {left[0].ref} --environment {left[0].open_deployments()[0].environment} --end"
        if left
        else "mreg status"
    )
    return work.result(
        "archive", loaded, waiting_for=tuple(f"the end of the deployment of {one.ref}" for one in left), next=hint
    )


def move(
    work: Workspace,
    loaded: Loaded,
    record: VersionState,
    *,
    progress: Progress | None,
    first: Callable[[], None] | None = None,
) -> None:
    """Move a version's files into a bag: copied, validated, named by an event, and only then taken from models/.

    ``first`` is done once the bag is made, before it takes its place.
    """
    if record.location is not None:
        raise in_place(record, "a bag holds the files themselves")
    require_unchanged(work, record)
    require_as_named(work, record)
    _refuse_taken_place(work, record)
    expected = recorded_content(work, record)
    info = _bag_info(work, loaded.state, record)
    with work.storage.make_bag(record.model, record.version, info, expected=expected, progress=progress) as bag:
        if first is not None:
            first()
        place = bag.place()
        manifest, payload = (_sha256(place / name) for name in ("tagmanifest-sha256.txt", "manifest-sha256.txt"))
        draft = Draft(
            type=kinds.MOVED,
            subject={"model": record.model, "version": record.version},
            data={"bag": next_bag(record), "manifest": manifest, "payload": payload},
        )
        try:
            work.append(loaded, lambda _state, _at: draft)
        except RegistryError:
            bag.discard()
            raise
        bag.finish()
    work.storage.remove_working_copy(
        record.model, record.version, len(loaded.state.versions[record.model, record.version].bags)
    )


def _refuse_taken_place(work: Workspace, record: VersionState) -> None:
    """The event names the next bag by its number; what stands there, or behind it, is nothing that the ledger knows."""
    mine, number = (record.model, record.version), len(record.bags) + 1
    bags = work.storage.standing().bags
    taken = [work.storage.bag_dir(*mine, count) for *name, count in bags if (*name,) == mine and count >= number]
    place = work.storage.bag_dir(*mine, number)
    if place.is_symlink() or place.is_file():
        taken.append(place)
    raise_for(
        StorageUnexpected(
            f"{where}: something stands there that the ledger does not name; move it away and repeat the command",
            location=where,
            clause="RP-5",
            hint="mreg verify",
        )
        for where in (path.relative_to(work.root).as_posix() for path in taken)
    )


def _sha256(path: Path) -> str:
    from manual_registry.core.canonical import sha256_hex

    return sha256_hex(path.read_bytes())


def _bag_info(work: Workspace, state: State, record: VersionState) -> list[tuple[str, str]]:
    until = retention_until(state.placed_on_market, state.policy.retention_years)
    return [
        ("Bagging-Date", work.now()[:10]),
        ("External-Identifier", record.composite_id),
        ("External-Description", f"{record.ref} of {state.system}, registry {state.registry_id}"),
        ("Bag-Software-Agent", "manual-registry"),
        ("Retention-Until", until or "no end is known"),
    ]


def unarchive(work: Workspace, ref: str, *, reason: str, progress: Progress | None) -> Result:
    """Copy a version back from its bag, into staging; the bag stays."""
    with writing(work) as loaded:
        record = find(work, loaded.state, ref)
        if record.stage == Stage.STAGING.value and record.steps[-2].stage == Stage.ARCHIVED.value:
            return work.result("unarchive", loaded, record, notes=(f"{record.ref} is back in staging already",))

        def build(state: State, _at: str) -> Draft:
            one = state.versions[record.model, record.version]
            subject = {"model": record.model, "version": record.version}
            return Draft(
                type=kinds.UNARCHIVED, subject=subject, data={"reason": reason, "restored": one.bag is not None}
            )

        restored(work, loaded, record, build, review=None, progress=progress)
        after = loaded.state.versions[record.model, record.version]
    return work.result(
        "unarchive", loaded, after, next=f'mreg promote {after.ref} --to experimental --reason "decided again"'
    )


def restored(
    work: Workspace,
    loaded: Loaded,
    record: VersionState,
    build: Build,
    *,
    review: Review | None,
    progress: Progress | None,
) -> Event:
    """Append an event that brings a version back; its files are copied from the bag first when they lie there."""
    from manual_registry.core.decide import decide
    from manual_registry.core.ledger import seal

    state, at = loaded.state, work.now()
    draft = build(state, at)
    reasons = decide(state, seal(draft, seq=state.head_seq + 1, prev=state.head_hash, at=at, actor=work.actor))
    raise_for(review(state, reasons) if review else reasons)  # before a gigabyte is copied
    if record.bag is None:
        if draft.type == kinds.ROLLED_BACK:
            require_unchanged(work, record)
        return work.append(loaded, build, review=review)
    expected = recorded_content(work, record)
    with work.storage.unbag(
        record.model, record.version, len(record.bags), expected=expected, progress=progress
    ) as staged:
        staged.place(record.model, record.version)
        try:
            event = work.append(loaded, build, review=review)
        except RegistryError:
            staged.discard()
            raise
        staged.finish()
        return event


def fetch(work: Workspace, ref: str, destination: Path, *, progress: Progress | None) -> dict[str, Any]:
    """Copy a version's artefact out, verified (clause RP-8); refuses when its hash is not as registered."""
    state = read(work).state
    record = find(work, state, ref)
    expected = recorded_content(work, record)
    source = artefact_path(work, record)
    landed = work.storage.fetch(source, destination, expected=expected, progress=progress)
    return {
        "schema": "manual-registry/fetch/1",
        "model": record.model,
        "version": record.version,
        "path": str(landed),
        "blake3": record.blake3,
        "sha256": record.sha256,
        "files": len(expected.files),
        "size": expected.size,
    }


def delete(ref: str) -> DeletionRefused:
    """The answer to every deletion (clause RP-2)."""
    return DeletionRefused(
        f"{ref}: nothing is ever deleted from this registry; a version that is not needed any more is archived",
        location=ref,
        clause="RP-2",
        hint=f"mreg archive {ref} --reason TEXT",
    )
