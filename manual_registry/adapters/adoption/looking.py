"""Compares what a spreadsheet says of its files with the files: there, equal, different, missing, named twice.

Rules held here: every row has one finding; each file is hashed once; a stated hash decides between several
candidates when exactly one of them has it; a directory that several rows name is asked, unless a hash tells which
file each of them means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from manual_registry.adapters.adoption.files import Finder, Hit, artefact_within
from manual_registry.adapters.adoption.hashes import Hashes, Verdict
from manual_registry.adapters.confined import private_key_in
from manual_registry.core.adoption.locations import names_version, parse_location, several
from manual_registry.core.adoption.proposal import AdoptedRow, FileFinding, Proposal, Question, TableUse
from manual_registry.core.errors import RegistryError
from manual_registry.core.manifest import printable
from manual_registry.ports import Progress

#: So many characters of a hash decide which of several files is meant.
_DECISIVE: Final = 12


@dataclass(kw_only=True, slots=True)
class _Found:
    row: AdoptedRow
    stated: str
    status: str
    message: str = ""
    path: Path | None = None
    how: str = ""
    candidates: tuple[Path, ...] = ()
    answered: bool = False
    #: Where the sheet's own words lead, whatever a person answered.
    claimed: Path | None = None


def look_up(
    proposal: Proposal,
    *,
    sheet_folder: Path,
    storage: Path | None = None,
    hash_files: bool = True,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Proposal:
    """Return ``proposal`` with a finding about the file of every row, and with what must be asked about them.

    Files are looked for below ``storage`` (first) and ``sheet_folder``. ``hash_files`` False only looks whether they
    are there. ``progress`` gets bytes of each file.
    """
    places = ([(storage, "the storage directory")] if storage else []) + [(sheet_folder, "the spreadsheet's folder")]
    finder = Finder(places)
    hashes = Hashes(enabled=hash_files, jobs=jobs, progress=progress)
    found = [_find(row, proposal.plan.tables, finder, hashes) for row in proposal.rows]
    _part_claims(found)
    questions = _share(found, hashes, finder)
    named: dict[Path, list[_Found]] = {}
    for one in found:
        if one.path is not None and one.status == "found":
            named.setdefault(one.path, []).append(one)
    findings = tuple(_finding(one, hashes, named) for one in found)
    return replace(proposal, files=findings, questions=(*proposal.questions, *questions))


def _find(row: AdoptedRow, tables: Sequence[TableUse], finder: Finder, hashes: Hashes) -> _Found:
    answer = _answer(row, tables)
    stated = answer or row.parsed("storage_location") or row.raw("storage_location") or ""
    if not stated:
        return _Found(row=row, stated="", status="not_stated", message="names no file")
    location = parse_location(stated)
    if location.unreachable:
        return _Found(
            row=row,
            stated=stated,
            status="unreachable",
            message=f"{stated}: {location.unreachable}; not reachable from here",
        )
    hit = finder.find(location)
    if hit.path is None and hit.candidates:
        hit = _decided(row, hit, hashes)
    if hit.path is not None:
        return _Found(
            row=row,
            stated=stated,
            status="found",
            path=artefact_within(hit.path),
            how=hit.how,
            answered=answer is not None,
            claimed=finder.find(parse_location(row.raw("storage_location") or "")).path if answer else hit.path,
        )
    if len(several(stated)) > 1:
        text = f"{printable(stated)}: names several files; write the directory that holds them under [table.locations]"
        return _Found(row=row, stated=stated, status="missing", message=text)
    text = f"{printable(stated)}: {hit.message}"
    if hit.candidates:
        text += f"; a file of this name is {_listed(hit.candidates)} (if it is that, write it under [table.locations])"
    return _Found(row=row, stated=stated, status=hit.problem or "missing", message=text, candidates=hit.candidates)


def _answer(row: AdoptedRow, tables: Sequence[TableUse]) -> str | None:
    for table in tables:
        if table.sheet == row.sheet and (table.header_row or 0) < row.row <= table.last_row:
            return table.locations.get(row.row)
    return None


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join(printable(str(path)) for path in paths)


def _decided(row: AdoptedRow, hit: Hit, hashes: Hashes) -> Hit:
    """Let a stated hash say which of several files of that name is meant."""
    if not any(len(stated.parsed.value) >= _DECISIVE for stated in row.hashes):
        return hit
    equal = [path for path in hit.candidates if _equal(path, row, hashes)]
    if len(equal) != 1:
        return hit
    return Hit(path=equal[0], how=f"moved to {printable(str(equal[0]))}; its hash is the stated one")


def _equal(path: Path, row: AdoptedRow, hashes: Hashes) -> bool:
    try:
        return hashes.verdict(path, row.hashes).state == "equal"
    except RegistryError:
        return False  # it cannot be taken, so it is not what is meant


def _part_claims(found: Sequence[_Found]) -> None:
    """Give up what was found elsewhere for several rows that state different paths: at most one can be right."""
    claims: dict[Path, list[_Found]] = {}
    for one in found:
        if one.path is not None and one.how != "as stated" and not one.answered:
            claims.setdefault(one.path, []).append(one)
    for path, rows in claims.items():
        if len({parse_location(one.stated).parts for one in rows}) > 1:
            for one in rows:
                one.path, one.status, one.candidates = None, "missing", (path,)
                one.message = f"{printable(one.stated)}: not there; {path} has its name, and that of other rows' files"


# -- directories that several rows name -------------------------------------------------------------------


def _share(found: Sequence[_Found], hashes: Hashes, finder: Finder) -> list[Question]:
    shared: dict[Path, list[_Found]] = {}
    for one in found:
        if one.claimed is not None and one.claimed.is_dir():
            shared.setdefault(one.claimed, []).append(one)
    questions: list[Question] = []
    for directory, rows in shared.items():
        versions = {(one.row.model, one.row.version) for one in rows}
        if len(versions) > 1:
            questions += [
                question
                for one in rows
                if not one.answered and (question := _single_out(one, directory, len(rows), hashes, finder))
            ]
    return questions


def _single_out(one: _Found, directory: Path, rows: int, hashes: Hashes, finder: Finder) -> Question | None:
    inner = _entries(directory)
    by_hash = _by_hash(directory, one.row, hashes)
    if len(by_hash) == 1:
        one.path, one.how = directory / by_hash[0], f"the file in {printable(one.stated)} that has the stated hash"
        return None
    likely = [name for name in inner if names_version(name, one.row.version or one.row.stated_version)]
    one.status, one.message = "open", f"{printable(one.stated)}: a directory that {rows} rows name"
    one.candidates = tuple(directory / name for name in likely)
    choices = tuple(_relative(directory / name, finder) for name in likely[:4])
    return Question(
        kind="location",
        message=f"{one.row.place}: {printable(one.stated)} is a directory that {rows} rows name; which file or"
        f" directory in it is {one.row.model}@{one.row.version or one.row.stated_version}?",
        answer=f"[[table]] {one.row.sheet}, [table.locations]: {one.row.row} = PATH"
        " (the directory again, if it is all of it)",
        key=str(one.row.row),
        sheet=one.row.sheet,
        row=one.row.row,
        column=one.row.values["storage_location"].column if "storage_location" in one.row.values else None,
        choices=(*choices, "..."),
    )


def _by_hash(directory: Path, row: AdoptedRow, hashes: Hashes) -> list[str]:
    try:
        return hashes.inside(directory, row.hashes, least=_DECISIVE)
    except RegistryError:
        return []  # the directory as a whole cannot be taken; which file of it is meant is asked


def _entries(directory: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in directory.iterdir() if not entry.is_symlink())
    except OSError:
        return []


def _relative(path: Path, finder: Finder) -> str:
    for place in finder.places:
        if path.is_relative_to(place.path):
            return path.relative_to(place.path).as_posix()
    return path.as_posix()


# -- findings ---------------------------------------------------------------------------------------------


def _finding(one: _Found, hashes: Hashes, named: Mapping[Path, list[_Found]]) -> FileFinding:
    finding = FileFinding(
        sheet=one.row.sheet,
        row=one.row.row,
        stated=one.stated,
        status=one.status,
        message=one.message,
        path=str(one.path) if one.path else None,
        how=one.how,
        candidates=tuple(str(path) for path in one.candidates),
    )
    if one.path is None or one.status != "found":
        return finding
    if (key := private_key_in(one.path)) is not None:
        inside = "" if key == one.path else f" ({printable(str(key.relative_to(one.path)))})"
        text = f"{printable(one.stated)}{inside}: holds a private key; it must not get into a registry"
        return replace(finding, status="unusable", message=text)
    try:
        content = hashes.content(one.path)
        verdict = hashes.verdict(one.path, one.row.hashes)
    except RegistryError as error:
        text = f"{printable(one.stated)}: cannot be taken: " + "; ".join(reason.message for reason in error.reasons[:3])
        return replace(finding, status="unusable", message=text)
    others = tuple((other.row.sheet, other.row.row) for other in named[one.path] if other is not one)
    return replace(
        finding,
        content=content,
        hash=verdict.state,
        hash_detail=verdict.detail,
        also_named_by=others,
        message=_said(one, verdict, others),
    )


def _said(one: _Found, verdict: Verdict, others: Sequence[tuple[str, int]]) -> str:
    said = [f"{printable(one.stated)}: found" + ("" if one.how == "as stated" else f" {one.how}")]
    if verdict.detail:
        said.append(verdict.detail)
    if others:
        said.append("named by " + ", ".join(f"{sheet}!{row}" for sheet, row in others[:6]) + " as well")
    return "; ".join(said)
