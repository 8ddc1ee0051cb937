"""`import mlflow`: registered versions of an MLflow server become baseline entries, control starting today (RP-16).

1. Everything is read; what becomes of each version is said by :mod:`manual_registry.core.handover.arranging`, and a
   version that a decision would refuse is left out before a byte of it comes.
2. Version by version, the files come into models/.incoming/ and are hashed there; what differs from what was said of it
   is left out and told (exit 4). No lock is held meanwhile, others can write.
3. Under the lock, several at a time: a snapshot of what was read is kept under ``adopted/``, files go into place, one
   event each.
4. What no entry can say (aliases, fields that were filled in late) follows, and one request for a lead to sign.

Killed anywhere, the same command goes on: entries that stand are there already, half downloads are cleared away by the
next writing command, and what was left to say of versions that no request names yet is said then.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from manual_registry.core import events as kinds
from manual_registry.core.canonical import dump, sha256_hex
from manual_registry.core.decide.closing import refusal, refuse_closed
from manual_registry.core.decide.registration import identifier
from manual_registry.core.errors import (
    ArtefactChanged,
    BadValue,
    EventUnreadable,
    RegistryError,
    ServerDown,
    Unavailable,
)
from manual_registry.core.handover.arranging import LeftOut, arrange, differing, lacking
from manual_registry.core.handover.arrival import Arrival, Lost
from manual_registry.core.handover.since import changed, kept_files
from manual_registry.core.ledger import LARGEST, Draft
from manual_registry.registry import again, downloading
from manual_registry.registry.access import read, writing
from manual_registry.registry.baselining import always, draft_of, enter, open_baselines
from manual_registry.registry.brought import Brought, Imported, told
from manual_registry.registry.synced import raise_unless_about

if TYPE_CHECKING:
    from manual_registry.adapters.mlflow.offering import Found
    from manual_registry.adapters.mlflow.server import Server
    from manual_registry.adapters.staging import Staged
    from manual_registry.core.state import State, VersionState
    from manual_registry.ports import Progress
    from manual_registry.registry.workspace import Loaded, Workspace

#: So many versions, or seconds of downloading, are entered together: the lock and the workbook cost once for them.
TOGETHER: Final = 50
SECONDS: Final = 20.0
#: Stands for an artefact that is not known yet, where a decision is foreseen.
_UNKNOWN: Final = {"kind": "directory", "name": None, "files": 1, "size": 0, "blake3": "0" * 64, "sha256": "0" * 64}


def import_mlflow(
    work: Workspace,
    *,
    tracking_uri: str,
    models: Sequence[str] = (),
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Brought:
    """Import from the MLflow server at ``tracking_uri``; see :meth:`manual_registry.Registry.import_mlflow`."""
    from manual_registry.adapters.mlflow import offering
    from manual_registry.adapters.mlflow import server as servers

    address, has_user = servers.plain_address(tracking_uri)
    if has_user:
        work.warn("user and password in --tracking-uri are not used; set MLFLOW_TRACKING_USERNAME and _PASSWORD")
    loaded = read(work) if dry_run else work.load()
    closed = loaded.state.closed
    if not dry_run:
        refuse_closed(loaded.state)  # before the server is asked anything
    elif closed is not None:
        work.warn(refusal(closed).message)
    words = [*("mreg", "import", "mlflow", "--tracking-uri", address), *(w for one in models for w in ("--model", one))]
    with again.hinted([*words, *(["--dry-run"] if dry_run else [])]):
        server = servers.connect(address)
        found = offering.offered(server, models)
        done = Brought(uri=address, server=server.version, dry_run=dry_run)
        bringing = _Bringing(work=work, server=server, found=found, done=done, progress=progress)
        arrivals = bringing.foresee(loaded)
        if dry_run:
            done.imported = [Imported(arrival=one) for one in arrivals]
            done.next = again.spelled(words) if arrivals and closed is None else None
        else:
            bringing.bring(arrivals)
    order = {(one.name, one.number): place for place, one in enumerate(found.offer.versions)}
    done.left_out.sort(key=lambda one: order[one.name, one.number])
    done.warnings += [one for one in work.warnings if one not in done.warnings]
    return done


@dataclass(slots=True)
class _Prepared:
    """A version whose files have come; ``data`` are the members of its event without the baseline."""

    arrival: Arrival
    data: dict[str, Any]
    staged: Staged


@dataclass(slots=True)
class _Bringing:
    """One import under way."""

    work: Workspace
    server: Server
    found: Found
    done: Brought
    progress: Progress | None
    standing: list[Arrival] = field(default_factory=list)
    snapshot: bytes = b""
    sha256: str = ""
    ready: list[_Prepared] = field(default_factory=list)
    _bytes: int = 0

    # -- foreseeing ---------------------------------------------------------------------------------------

    def foresee(self, loaded: Loaded) -> list[Arrival]:
        """Return the versions that can come; the others are told."""
        self.snapshot = self.found.offer.snapshot()
        self.sha256 = sha256_hex(self.snapshot)
        self.done.kept = next((path for path, sha256 in loaded.state.adopted.items() if sha256 == self.sha256), None)
        arranged = arrange(self.found.offer, loaded.state, self.work.clock())
        self.done.left_out += arranged.left_out
        self.done.names = arranged.names
        self.done.warnings += arranged.warnings
        self.standing = arranged.standing
        self.done.warnings += self._changed_since(loaded.state)
        fit = [one for one in arranged.arrivals if self._would_stand(loaded, one)]
        for one in fit:
            self._lose(one, *one.lost)
        return fit

    def _changed_since(self, state: State) -> Iterator[str]:
        """Yield what became of the files of versions that came before and of which nobody knows a hash."""
        from manual_registry.adapters import adopted_sheets

        listings: dict[str, dict[tuple[str, int], dict[str, int]]] = {}
        for one in self.standing:
            record = state.version(one.model, one.version)
            if one.artefact is not None or record is None or record.adopted is None:
                continue
            kept, key = str(record.adopted["kept"]), (one.offered.name, one.offered.number)
            if kept not in listings:
                listings[kept] = kept_files(adopted_sheets.kept(self.work.root, kept, state.adopted.get(kept)))
            before = listings[kept].get(key)
            said = changed(before, one.offered.files) if before is not None else None
            if said is not None:
                yield f"{one.offered.ref}: its files there are not what they were when it came as {one.ref}: {said}"

    def _would_stand(self, loaded: Loaded, one: Arrival) -> bool:
        """Tell whether the entry would be decided, as far as that can be known before its files came."""
        known = one.artefact
        artefact = dict(_UNKNOWN)
        if known is not None:
            artefact |= {"kind": known.kind, "name": known.name, "blake3": known.blake3, "sha256": known.sha256}
        try:
            draft = self._draft(one, {**one.data, "artefact": artefact}, kept=f"adopted/{self.sha256}")
            if len(dump(dict(draft.data))) > LARGEST // 2:
                raise BadValue("more is said of it than an event can hold")
            if loaded.state.closed is None:  # else all of it is refused, or asked about only
                self.work.decided(loaded, draft)
        except RegistryError as refusal:  # whatever it is, it is about this entry: nothing was read or written for it
            deep = isinstance(refusal, EventUnreadable) and refusal.message.endswith("is not an event")
            self._leave(one, "what is said of it is nested deeper than an event can hold" if deep else refusal)
            return False
        except (RecursionError, KeyError, TypeError, AttributeError, ValueError) as problem:  # a record made by hand
            self._leave(one, f"what is said of it does not hold together: {problem}")
            return False
        return True

    def _draft(self, one: Arrival, data: dict[str, Any], *, kept: str) -> Draft:
        baseline = one.baseline(uri=self.done.uri, sha256=self.sha256, kept=kept)
        whole = {**data, "composite_id": identifier(one.model, one.version, data), "baseline": baseline}
        return draft_of(one.model, one.version, whole)

    def _leave(self, one: Arrival, why: RegistryError | str, *, stands: bool = False) -> None:
        text = why if isinstance(why, str) else told([reason.message for reason in why.reasons])
        made = LeftOut(
            name=one.offered.name,
            number=one.offered.number,
            reason=text,
            stands=stands,
            code=why.code if isinstance(why, Unavailable) else None,
        )
        self.done.left_out.append(differing(one.offered, text) if isinstance(why, ArtefactChanged) else made)
        self.done.lost.pop((one.offered.name, one.offered.number), None)

    def _lose(self, one: Arrival, *lost: Lost) -> None:
        kept = self.done.lost.setdefault((one.offered.name, one.offered.number), [])
        kept += [each for each in lost if each not in kept]

    # -- bringing -----------------------------------------------------------------------------------------

    def bring(self, arrivals: Sequence[Arrival]) -> None:
        """Download, enter, and ask for the confirmation of all of it."""
        total, since = sum(sum(one.offered.files.values()) for one in arrivals), time.monotonic()
        try:
            for one in arrivals:
                self._prepare(one, total)
                if len(self.ready) >= TOGETHER or time.monotonic() - since > SECONDS:
                    self._enter_all()
                    since = time.monotonic()
            self._end(arrivals)
        except ServerDown:
            if self.ready:  # what has come whole need not come again
                self._enter_all()
            raise
        finally:
            self._discard()

    def _prepare(self, one: Arrival, total: int) -> None:
        key = (one.offered.name, one.offered.number)
        source = downloading.Source(
            server=self.server, model=self.found.models[key], papers=self.found.papers.get(key), arrival=one
        )
        before = self._bytes

        def advance(count: int, _all: int) -> None:
            self._bytes = before + count
            if self.progress is not None:
                self.progress(self._bytes, max(total, self._bytes))

        try:
            staged = downloading.stage(self.work.storage, source, advance)
        except ArtefactChanged as problem:
            self._leave(one, problem)
            return
        except ServerDown:
            raise
        except RegistryError as problem:
            if not downloading.about_one(problem):
                raise
            self._leave(one, problem)
            return
        if staged.left_out:
            self.done.warnings.append(f"{one.offered.ref}: left out: {told(staged.left_out[:5])}")
        data = {**one.data, "artefact": staged.staged.content.document()}
        self.ready.append(_Prepared(arrival=one, data=data, staged=staged.staged))

    def _discard(self) -> None:
        for one in self.ready:
            one.staged.discard()
        self.ready = []

    # -- entering -----------------------------------------------------------------------------------------

    def _enter_all(self) -> None:
        with writing(self.work) as loaded:
            self._enter(loaded)
            self.done.events += [event.seq for event in loaded.written]

    def _enter(self, loaded: Loaded) -> None:
        """Enter what is ready; what others did meanwhile may leave one out."""
        if not self.ready:
            return
        refuse_closed(loaded.state)
        kept = self._keep(loaded.state)
        while self.ready:
            one = self.ready.pop(0)
            with one.staged as staged:
                before = loaded.state.version(one.arrival.model, one.arrival.version)
                if before is not None and before.blake3 == staged.content.blake3:
                    self._leave(one.arrival, f"{before.ref} came in meanwhile (event {before.seq})", stands=True)
                    staged.discard()
                    continue
                try:
                    draft = self._draft(one.arrival, one.data, kept=kept)
                    self.work.decided(loaded, draft)
                    record = enter(self.work, loaded, draft, staged)
                except RegistryError as refusal:
                    raise_unless_about(refusal)
                    self._leave(one.arrival, refusal)
                    staged.discard()
                    continue
            self.done.imported.append(Imported(arrival=one.arrival, record=record))

    def _keep(self, state: State) -> str:
        """Keep the snapshot whole, before the first event names it."""
        from urllib.parse import urlsplit

        from manual_registry.adapters import adopted_sheets

        before = next((path for path, sha256 in state.adopted.items() if sha256 == self.sha256), None)
        parts = urlsplit(self.done.uri)
        name = f"mlflow-{parts.hostname}{f'-{parts.port}' if parts.port else ''}.json"
        day = self.work.now()[:10]
        self.done.kept = before or adopted_sheets.keep(self.work.root, name, self.snapshot, day=day)
        return self.done.kept

    def _end(self, arrivals: Sequence[Arrival]) -> None:
        """Enter the rest, say what no entry can, and ask a lead to confirm."""
        with writing(self.work) as loaded:
            self._enter(loaded)
            self._say_more(loaded, [*arrivals, *self.standing])
            ids = open_baselines(self.work, loaded)
            self.done.events += [event.seq for event in loaded.written]
        from manual_registry.registry.people_columns import join

        join(self.work)
        leads = loaded.state.active_leads()
        unsigned = ids or [one.id for one in loaded.state.baselines.values() if one.signed_seq is None]
        self.done.next = (
            f"mreg approval sign {unsigned[-1]} --as {leads[0].email}" if unsigned and leads else "mreg status"
        )
        self.done.result = self.work.result("import-mlflow", loaded, id=ids[-1] if ids else None, next=self.done.next)

    def _say_more(self, loaded: Loaded, arrivals: Iterable[Arrival]) -> None:
        for record, one in lacking(arrivals, self.done.uri, loaded.state):
            subject = {"model": record.model, "version": record.version}
            fields = {name: value for name, value in one.later.items() if not record.value(name)}
            if fields:
                data: dict[str, Any] = {
                    "evidence": [],
                    "gates": [],
                    "card": None,
                    "environment": None,
                    "fields": fields,
                }
                self._add(loaded, one, Draft(type=kinds.ATTACHED, subject=subject, data=data), *fields)
            for alias in one.aliases:
                self._alias(loaded, record, one, alias)

    def _alias(self, loaded: Loaded, record: VersionState, one: Arrival, alias: str) -> None:
        standing = loaded.state.models[record.model].aliases.get(alias)
        if standing == record.version:
            return
        if standing is not None:
            self._lose(one, Lost(field="aliases", reason=f"{alias} stays with {record.model}@{standing}"))
            return
        subject = {"model": record.model, "version": record.version}
        self._add(loaded, one, Draft(type=kinds.ALIAS_SET, subject=subject, data={"alias": alias}), "aliases")

    def _add(self, loaded: Loaded, one: Arrival, draft: Draft, *fields: str) -> None:
        """Write one more event of a version; what is refused is lost, and told for each of ``fields``."""
        try:
            self.work.decided(loaded, draft)
        except RegistryError as refusal:  # whatever it is, it is about this event: nothing was read or written for it
            reason = told([each.message for each in refusal.reasons])
            self._lose(one, *(Lost(field=name, reason=reason) for name in fields))
            return
        self.work.append(loaded, always(draft))
