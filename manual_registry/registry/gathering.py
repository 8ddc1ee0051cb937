"""What `register` and `attach` are told, gathered from options, the metadata file, git, DVC and CI.

Rules held here: options win over the file; paths in the file are relative to it; everything that is wrong is told at
once; each file is read once, and the bytes that were understood are the bytes that are kept as evidence.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from manual_registry.core.canonical import encode
from manual_registry.core.errors import BadValue, FieldFilled, Json, RegistryError, raise_for
from manual_registry.core.gates import GateReport, report_document
from manual_registry.core.metadata import CARD_FIELDS, Metadata
from manual_registry.core.references import without_credentials
from manual_registry.core.times import normal_stamp
from manual_registry.core.values import free_text, label, line_text

if TYPE_CHECKING:
    from manual_registry.adapters.evidence import Evidence
    from manual_registry.adapters.git import GitRepository

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """The options of `register` and `attach`, as given; None or empty: not given.

    ``metrics_text`` is what a person typed into a cell; it counts where no file brings metrics. ``within``: the files
    that the metadata file names must lie below one of these directories (somebody else than the caller wrote it).
    """

    metadata: Path | None = None
    commit: str | None = None
    repo: Path | None = None
    data: Sequence[str] = ()
    pipeline_run: str | None = None
    trained: str | None = None
    owner: str | None = None
    metrics: Path | None = None
    params: Path | None = None
    gates: Sequence[Path] = ()
    config: Path | None = None
    prompt: Path | None = None
    environment: Path | None = None
    card: Path | None = None
    evidence: Sequence[Path] = ()
    metrics_text: str | None = None
    within: Sequence[Path] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """A file to keep: its evidence kind, where it came from, its bytes."""

    kind: str
    path: Path
    data: bytes


@dataclass(slots=True)
class Gathered:
    """Everything that was told, validated on its own; ``fields`` are ready for the event.

    ``named`` are the fields that were given, well or badly: those are not called missing as well.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    files: list[File] = field(default_factory=list)
    gates: list[tuple[GateReport, File]] = field(default_factory=list)
    card: tuple[Mapping[str, str], File] | None = None
    tags: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    problems: list[RegistryError] = field(default_factory=list)
    named: set[str] = field(default_factory=set)

    def attempt(self, work: Callable[[], _T]) -> _T | None:
        """Run ``work``; keep its refusal beside the others instead of stopping at the first."""
        try:
            return work()
        except RegistryError as problem:
            self.problems.extend(problem.reasons)
            return None


class Keeper(Protocol):
    """Where evidence goes: a staged version or one in place."""

    def add(self, kind: str, source: Path, *, data: bytes | None = None) -> Evidence:
        """Keep one file."""


def gather(given: Given, *, repository_at: Path | None, environ: Mapping[str, str], code: bool = True) -> Gathered:
    """Gather and validate everything but the artefact; problems are collected in the result.

    ``repository_at`` is where a repository is looked for when none was named; ``code`` False (attach): code and data
    are not asked for.
    """
    found = Gathered()
    told = _metadata(found, given)
    base = given.metadata.parent if given.metadata else Path()
    _tables(found, given, told)
    _files(found, given, told, base)
    if code:
        _code_and_data(found, given, told, repository_at, environ)
    elif given.metadata is not None:
        found.fields |= {
            name: True for name, value in (("training_data", told.training_data), ("code", told.code_commit)) if value
        }
        fixed = [name for name in ("config", "prompt") if getattr(told, name)]
        found.problems += [
            FieldFilled(f"{name} is fixed at registration", location=name, clause="RP-1") for name in fixed
        ]
        if told.tags:
            found.problems.append(FieldFilled("attach sets no tags", location="tags", hint="mreg tag REF KEY=VALUE"))
    return found


def _metadata(found: Gathered, given: Given) -> Metadata:
    from manual_registry.adapters.metadata import parse_metadata

    if given.metadata is None:
        return Metadata()
    path = given.metadata
    data = found.attempt(lambda: _read(path))
    if data is None:
        return Metadata()
    file = File(kind="metadata", path=path, data=data)
    found.files.append(file)
    told = found.attempt(lambda: parse_metadata(data, name=path.name))
    if told is None:
        return Metadata()
    found.gates += [(report, file) for report in told.gates]
    if told.card:
        found.card = ({name: told.card[name] for name in CARD_FIELDS if name in told.card}, file)
    return told


def _read(path: Path) -> bytes:
    from manual_registry.adapters.documents import read_bytes

    return read_bytes(path)


def _tables(found: Gathered, given: Given, told: Metadata) -> None:
    from manual_registry.adapters.metadata import parse_metrics, parse_parameters

    metrics: Mapping[str, Json] | None = dict(told.metrics) if told.metrics else None
    params: Mapping[str, Json] | None = dict(told.hyperparameters) if told.hyperparameters is not None else None
    if given.metrics is not None:
        read = _keep(found, "other", given.metrics)
        metrics = (
            found.attempt(lambda: dict(parse_metrics(read, name=_name(given.metrics)))) if read is not None else None
        )
    if given.params is not None:
        kept = _keep(found, "other", given.params)
        params = found.attempt(lambda: parse_parameters(kept, name=_name(given.params))) if kept is not None else None
    if given.metrics_text:
        metrics = _with_typed(found, given.metrics_text, metrics)
    trained = given.trained or told.training_date
    options = {
        "metrics": given.metrics or given.metrics_text,
        "hyperparameters": given.params,
        "training_date": trained,
    }
    found.named |= {name for name, value in options.items() if value}
    found.fields |= {
        "metrics": _encoded(found, metrics, "metrics"),
        "hyperparameters": _encoded(found, params, "hyperparameters"),
        "subgroup_metrics": _encoded(found, told.subgroup_metrics or None, "subgroup_metrics"),
        "training_date": found.attempt(lambda: normal_stamp(trained, where="training_date")) if trained else None,
        "pipeline_run": _line(found, given.pipeline_run or told.pipeline_run, "pipeline_run"),
        "owner": _line(found, given.owner or told.owner, "owner"),
        "origin": _line(found, told.origin, "origin"),
        "description": found.attempt(lambda: free_text(told.description or "", where="description")) or None,
    }
    for key, value in told.tags.items():
        found.attempt(lambda key=key: label(key, where="tag"))  # type: ignore[misc]
        found.attempt(lambda key=key, value=value: line_text(value, where=f"tag {key}"))  # type: ignore[misc]
    found.tags = dict(told.tags)


def _with_typed(found: Gathered, text: str, metrics: Mapping[str, Json] | None) -> Mapping[str, Json] | None:
    """Take metrics that were typed into a cell where no file has any; where both differ the file counts, and it is told."""
    from manual_registry.core.adoption.metrics import parse_metrics

    typed = parse_metrics(text)
    if metrics is None and typed is None:
        told = f"Evaluation metrics {text!r}: not understood as a whole; write for example: auc 0.91; f1 0.88"
        found.problems.append(BadValue(told, location="metrics"))
        return None
    if metrics is None or typed is None:
        return metrics if typed is None else dict(typed.values)
    differing = [name for name, value in typed.values.items() if not _near(value, metrics.get(name))]
    if differing:
        found.warnings.append(f"typed metrics ({', '.join(differing)}) differ from the metadata file; the file counts")
    return metrics


def _near(typed: float, standing: Json) -> bool:
    """Tell whether a typed number is a file's, rounded by whoever typed it."""
    return isinstance(standing, int | float) and abs(typed - standing) <= 0.005 * max(1.0, abs(standing))


def _name(path: Path | None) -> str:
    return path.name if path else ""


def _line(found: Gathered, text: str | None, where: str) -> str | None:
    return found.attempt(lambda: line_text(text, where=where)) if text else None


def _encoded(found: Gathered, value: Any, where: str) -> Json:
    return found.attempt(lambda: encode(_plain(value), where=where)) if value is not None else None


def _plain(value: Any) -> Any:
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def _keep(found: Gathered, kind: str, path: Path) -> bytes | None:
    data = found.attempt(lambda: _read(path))
    if data is not None:
        found.files.append(File(kind=kind, path=path, data=data))
    return data


def _files(found: Gathered, given: Given, told: Metadata, base: Path) -> None:
    from manual_registry.adapters.metadata import parse_card, parse_gates

    for kind in ("config", "prompt", "environment"):
        named = getattr(given, kind) or _beside(found, given, base, getattr(told, kind))
        if named is not None:
            _keep(found, kind, named)
    card = given.card or _beside(found, given, base, told.card_file)
    if card is not None and _keep(found, "card", card) is not None:
        file = found.files[-1]
        fields = found.attempt(lambda: parse_card(file.data, name=file.path.name))
        found.card = (fields, file) if fields is not None else None
    beside = () if given.gates else [_beside(found, given, base, name) for name in told.gate_files]
    gates = [*given.gates, *(path for path in beside if path is not None)]
    if given.gates:
        found.gates = []
    for path in gates:
        if _keep(found, "gates", path) is None:
            continue
        kept = found.files[-1]
        reports = found.attempt(lambda kept=kept: parse_gates(kept.data, name=kept.path.name))  # type: ignore[misc]
        found.gates += [(report, kept) for report in reports or ()]
    for path in given.evidence:
        _keep(found, "other", path)


def _beside(found: Gathered, given: Given, base: Path, name: str | None) -> Path | None:
    """Return the path of a file that the metadata file names; None: it names none, or one that is not to be read."""
    if not name:
        return None
    if not given.within:
        return base / name
    from manual_registry.adapters.confined import allowed_path

    return found.attempt(lambda: allowed_path(given.within, name, base=base, where="metadata file"))


def _code_and_data(
    found: Gathered, given: Given, told: Metadata, repository_at: Path | None, environ: Mapping[str, str]
) -> None:
    from manual_registry.adapters.ci import detect

    job = detect(environ)
    commit = given.commit or told.code_commit or (job.commit if job else None)
    references = list(given.data) or list(told.training_data)
    asked = (
        given.repo is not None
        or commit
        or any(text.strip().lower().startswith(("dvc:", "git:")) for text in references)
    )
    repository = _repository(found, given, repository_at) if asked else None
    if commit is None and repository is not None and given.repo is not None:
        commit = repository.head()
        found.warnings.append(f"no commit was named; {commit or 'none'} is checked out in {given.repo} and was taken")
    found.named |= {name for name, value in (("code", commit), ("training_data", references)) if value}
    found.fields["code"] = found.attempt(lambda: _code(found, commit, told, repository)) if commit else None
    found.fields["training_data"] = _data(found, references, repository)
    found.fields["ci"] = {name: value for name, value in asdict(job).items() if value} if job else None
    if job and not found.fields["pipeline_run"]:
        found.fields["pipeline_run"] = job.run_url or job.run


def _repository(found: Gathered, given: Given, repository_at: Path | None) -> GitRepository | None:
    from manual_registry.adapters.git import GitRepository

    if given.repo is not None:
        repo = given.repo
        return found.attempt(lambda: GitRepository.open(repo))
    for place in (repository_at, Path.cwd()):
        if place is None:
            continue
        here = place
        repository = found.attempt(lambda here=here: GitRepository.discover(here))  # type: ignore[misc]
        if repository is not None:
            return repository
    return None


def _code(found: Gathered, commit: str, told: Metadata, repository: GitRepository | None) -> dict[str, Json]:
    """Describe the commit; without a repository a full id is recorded unchecked, and that is told."""
    from manual_registry.core.errors import CommitUnknown

    if repository is None:
        if len(commit) != 40 or set(commit.lower()) - set("0123456789abcdef"):
            raise CommitUnknown(
                f"commit {commit!r}: no repository was found to look it up in",
                location="code.commit",
                hint="add --repo DIR",
            )
        found.warnings.append("the commit was not looked up: no repository was found (name it with --repo DIR)")
        return {"commit": commit.lower(), "repository": told.code_repository and without_credentials(told.code_repository),
                "path": None, "dirty": None, "author": None, "checked": False}  # fmt: skip
    full = repository.resolve(commit)
    changed = () if repository.is_bare else repository.changed_files()
    if changed:
        found.warnings.append(
            f"the work tree has uncommitted changes ({', '.join(changed[:3])}{', …' if len(changed) > 3 else ''}); recorded"
        )
    author = repository.author(full)[1].lower() or None
    return {
        "commit": full,
        "repository": without_credentials(told.code_repository) if told.code_repository else repository.remote_url(),
        "path": str(repository.directory.resolve()),
        "dirty": bool(changed),
        "author": author,
        "checked": True,
    }


def _data(found: Gathered, references: Iterable[str], repository: GitRepository | None) -> list[dict[str, Json]]:
    from manual_registry.adapters.data_references import resolve_reference

    resolved: list[dict[str, Json]] = []
    for text in dict.fromkeys(references):
        one = found.attempt(lambda text=text: resolve_reference(text, repository))  # type: ignore[misc]
        if one is not None and one.reference not in {item["reference"] for item in resolved}:
            detail = encode(dict(one.detail), where=f"training_data {text}")
            resolved.append({"reference": one.reference, "hash": one.hash, "detail": detail})
    return resolved


def relative_path(path: str | None, root: Path) -> str | None:
    """Return ``path`` relative to the registry root, so that both may move together."""
    return Path(os.path.relpath(path, root)).as_posix() if path else None


def keep_all(found: Gathered, add: Callable[[File], Evidence]) -> dict[str, Any]:
    """Keep every gathered file; return the members of the event that name them."""
    kept: dict[int, Evidence] = {id(file): add(file) for file in found.files}
    evidence: list[Json] = []
    for item in kept.values():
        document: dict[str, Json] = {
            "kind": item.kind,
            "path": item.path,
            "sha256": item.sha256,
            "blake3": item.blake3,
            "size": item.size,
        }
        if document not in evidence:
            evidence.append(document)
    members: dict[str, Any] = {"evidence": evidence, "config": None, "prompt": None, "environment": None, "card": None}
    for file in found.files:
        if file.kind in ("config", "prompt", "environment"):
            members[file.kind] = {"path": kept[id(file)].path, "sha256": kept[id(file)].sha256}
    members["gates"] = [
        {**_gate(report), "sha256": kept[id(file)].sha256, "path": kept[id(file)].path} for report, file in found.gates
    ]
    if found.card is not None:
        fields, file = found.card
        members["card"] = {"fields": dict(fields), "sha256": kept[id(file)].sha256, "path": kept[id(file)].path}
    return members


def _gate(report: GateReport) -> dict[str, Json]:
    encoded = encode(report_document(report), where=f"gates.{report.gate}")
    return encoded if isinstance(encoded, dict) else {}


def refuse(found: Gathered) -> None:
    """Raise every problem that was collected."""
    raise_for(found.problems)
