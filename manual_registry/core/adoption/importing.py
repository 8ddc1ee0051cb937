"""From a row of a team's sheet, and the file that was found for it, to a baseline entry (design 3.4).

Rules held here: a row is imported when its file is there and does not contradict a stated hash; everything that it
states is kept as stated; a field of ours is filled only with what is wholly understood, and never with a date that has
not come yet. Writing the event, and copying the file, are the facade's.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from manual_registry.core.adoption.checks import ask_production
from manual_registry.core.adoption.proposal import AdoptedRow, FileFinding, LeftOut, Proposal
from manual_registry.core.canonical import encode
from manual_registry.core.decide.registration import identifier, taken
from manual_registry.core.errors import Json, RegistryError
from manual_registry.core.manifest import Content, printable
from manual_registry.core.references import own_hash, parse_reference, without_credentials
from manual_registry.core.state import State
from manual_registry.core.times import is_date, parse_time, stamp
from manual_registry.core.values import Stage

#: A bare date may be tomorrow's already somewhere on earth.
_ZONES: Final = timedelta(hours=14)
_FULL_COMMIT: Final = (40, 64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Importable:
    """A row that can be imported: ``finding.content`` is there."""

    row: AdoptedRow
    finding: FileFinding
    content: Content

    @property
    def stage(self) -> str:
        """The stage that the row states; a row that states none is experimental."""
        return (self.row.parsed("stage") or Stage.EXPERIMENTAL).value

    @property
    def ref(self) -> str:
        """``model@version``."""
        return f"{self.row.model}@{self.row.version}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sorting:
    """What is to be imported, and every row that is not, with its reason; ``standing`` are there already."""

    importable: tuple[Importable, ...]
    left_out: tuple[LeftOut, ...]
    standing: tuple[AdoptedRow, ...] = ()


def settled(proposal: Proposal, state: State | None) -> Proposal:
    """Return ``proposal`` without the questions about production that only rows raise which ``state`` has already."""
    if state is None or all(one.kind != "two_in_production" for one in proposal.questions):
        return proposal
    waiting = [row for row, finding in proposal.pairs if not _stands(state, row, finding)]
    others = tuple(one for one in proposal.questions if one.kind != "two_in_production")
    return replace(proposal, questions=(*others, *ask_production(waiting)))


def _stands(state: State, row: AdoptedRow, finding: FileFinding) -> bool:
    record = state.version(row.model, row.version) if row.model and row.version else None
    return record is not None and finding.content is not None and record.blake3 == finding.content.blake3


def sort_out(proposal: Proposal, state: State | None) -> Sorting:
    """Say of every row about which no question is open whether it can be imported into ``state`` (None: none)."""
    importable: list[Importable] = []
    left_out: list[LeftOut] = []
    standing: list[AdoptedRow] = []
    production: dict[str, str] = {}
    asked_where = {one.sheet for one in proposal.questions if "storage_location" in one.choices}
    for row, finding in proposal.pairs:
        asked = finding.status == "not_stated" and row.sheet in asked_where
        if row.model is None or row.version is None or finding.status == "open" or asked:
            continue  # a question is open
        why = _file_reason(finding)
        if why is None and finding.content is not None:
            one = Importable(row=row, finding=finding, content=finding.content)
            why = _state_reason(state, one) or _production_reason(state, one, production)
            if why is None:
                importable.append(one)
                continue
            if state is not None and _stands(state, row, finding):
                standing.append(row)
        left_out.append(LeftOut(sheet=row.sheet, row=row.row, reason=why or "its file was not looked at"))
    return Sorting(importable=tuple(importable), left_out=tuple(left_out), standing=tuple(standing))


def _file_reason(finding: FileFinding) -> str | None:
    if finding.status == "not_stated":
        return "names no file; without one nothing can be verified"
    if finding.status != "found":
        return printable(finding.message)
    if finding.hash == "differs":
        return printable(finding.message)
    return None


def _state_reason(state: State | None, one: Importable) -> str | None:
    if state is None or one.row.model is None or one.row.version is None:
        return None
    record = state.version(one.row.model, one.row.version)
    if record is not None:
        if record.blake3 == one.content.blake3:
            outside = f"; its files stay at {record.location} (mreg take-in {record.ref})" if record.location else ""
            return f"{record.ref} is in the registry already, with the same content (event {record.seq}){outside}"
        return (
            f"{record.ref} is in the registry already, with other content: blake3 {record.blake3[:12]} there,"
            f" {one.content.blake3[:12]} here; give the row another version under [table.versions]"
        )
    other = taken(state, one.row.model, one.row.version)
    return f"{other.message} (another version: [table.versions])" if other else None


def _production_reason(state: State | None, one: Importable, seen: dict[str, str]) -> str | None:
    """One version of a model is in production; which of two that state it was is a person's to say."""
    if one.stage != Stage.PRODUCTION.value:
        return None
    model = str(one.row.model)
    found = state.production(model) if state else None
    standing = found.version if found else seen.get(model)
    if standing is not None:
        return (
            f"states that {one.ref} is in production, and {model}@{standing} is; one at a time can be: write the stage"
            " that it has under [table.stages]"
        )
    seen[model] = str(one.row.version)
    return None


# -- the event --------------------------------------------------------------------------------------------


def entry(
    one: Importable,
    *,
    source: str,
    sha256: str,
    kept: str,
    location: str | None,
    headings: Mapping[str, str],
    now: datetime,
) -> dict[str, Any]:
    """Return the data of the ``version.adopted`` event.

    ``headings`` are those of the row's table, by column letter.
    ``kept`` is where the original lies below the root; ``location`` where the file lies, from the root, when it is
    left there (``--in-place``). ``now`` (aware): a date after it is kept as stated and fills no field.
    """
    row = one.row
    data: dict[str, Any] = {
        "artefact": one.content.document(),
        "training_data": _training_data(row),
        "code": _code(row),
        "training_date": _training_date(row, now),
        "pipeline_run": _line(row.raw("pipeline_run")),
        "hyperparameters": _numbers(row.parsed("hyperparameters"), "hyperparameters"),
        "metrics": _numbers(row.metrics, "metrics"),
        "subgroup_metrics": None,
        "evidence": [],
        "gates": [],
        "card": None,
        "config": None,
        "prompt": None,
        "environment": None,
        "owner": _line(row.raw("owner")),
        "origin": None,
        "description": _line(row.raw("description")),
        "tags": {},
        "ci": None,
        "baseline": {
            "source": keepable(source),
            "sha256": sha256,
            "sheet": keepable(row.sheet),
            "row": row.row,
            "stage": one.stage,
            "stated": stated(row),
            "kept": kept,
            **({"location": location} if location is not None else {}),
            **_carried(row, headings),
        },
    }
    return {**data, "composite_id": identifier(str(row.model), str(row.version), data)}


def _carried(row: AdoptedRow, headings: Mapping[str, str]) -> dict[str, Any]:
    """Return what the mapping does not use, to be carried along: cells of other columns, comments."""

    def heading(letter: str) -> str:
        return keepable(headings.get(letter) or f"column {letter}")

    foreign = [
        {"header": heading(cell.column), "column": cell.column, "value": keepable(cell.raw)}
        for cell in row.foreign
        if cell.raw
    ]
    comments = [{"header": heading(letter), "column": letter, "text": keepable(text)} for letter, text in row.comments]
    return {**({"foreign": foreign} if foreign else {}), **({"comments": comments} if comments else {})}


def stated(row: AdoptedRow) -> dict[str, str]:
    """Return everything that the row states, as stated, by field; notes of several columns as one text."""
    found = {
        name: keepable(one.raw) for name, one in row.values.items() if name != "notes" and not name.startswith("notes#")
    }
    for name, ours, theirs in (("model", row.model, row.stated_model), ("version", row.version, row.stated_version)):
        if theirs and theirs != ours:
            found[name] = keepable(theirs)
    if "repository" in found:
        found["repository"] = without_credentials(found["repository"])
    if row.notes:
        found["notes"] = keepable("\n".join(row.notes))
    return found


def keepable(text: str) -> str:
    """Return ``text`` as an event can hold it: half a surrogate pair, which only a broken file has, is marked."""
    return "".join("\ufffd" if unicodedata.category(char) == "Cs" else char for char in text)


def _line(text: str | None) -> str | None:
    """Return one line fit for a field of ours; control characters are blanks there (as stated, they are kept)."""
    plain = "".join(" " if unicodedata.category(char)[0] == "C" else char for char in text or "")
    return " ".join(plain.split()) or None


def _numbers(values: Mapping[str, float] | None, where: str) -> Json:
    return encode({keepable(name): value for name, value in values.items()}, where=where) if values else None


def _training_data(row: AdoptedRow) -> list[dict[str, Json]]:
    """Return the reference when its hash follows from itself; one into a repository is looked up by `attach`."""
    text = row.parsed("training_data")
    if not isinstance(text, str):
        return []
    try:
        reference = parse_reference(text)
    except RegistryError:
        return []
    digest = own_hash(reference)
    return [{"reference": reference.text, "hash": digest, "detail": {}}] if digest else []


def _code(row: AdoptedRow) -> dict[str, Json] | None:
    commit = row.parsed("code_commit")
    if not isinstance(commit, str) or len(commit) not in _FULL_COMMIT:
        return None
    repository = _line(row.raw("repository"))
    return {
        "commit": commit.lower(),
        "repository": without_credentials(repository) if repository else None,
        "path": None,
        "dirty": None,
        "author": None,
        "checked": False,
    }


def _training_date(row: AdoptedRow, now: datetime) -> str | None:
    """Return the stated date; of a time without zone the day alone, since which hour it was cannot be known."""
    text = row.parsed("training_date")
    if not isinstance(text, str):
        return None
    zoned = text.endswith("Z") or (len(text) > 16 and text[-6] in "+-")
    try:
        kept = stamp(parse_time(text)) if zoned else text[:10]
        return None if parse_time(kept) > now + (_ZONES if is_date(kept) else timedelta()) else kept
    except RegistryError:
        return None


def untold(rows: Iterable[Importable], now: datetime) -> list[tuple[AdoptedRow, str]]:
    """Return what a row states and no field takes up, with the reason; it stays as stated."""
    found = []
    for one in rows:
        date = one.row.parsed("training_date")
        if date and _training_date(one.row, now) is None:
            found.append((one.row, f"training date {date} has not come yet; kept as stated, fills no field"))
        commit = one.row.parsed("code_commit")
        if commit and len(commit) not in _FULL_COMMIT:
            found.append((one.row, "a short commit; kept as stated, attach fills in the full one"))
        reference = one.row.parsed("training_data")
        if reference and not _training_data(one.row):
            found.append((one.row, "training data in a repository; kept as stated, attach looks it up and fills it in"))
    return found
