"""What stands inside the members of an event: the inner shape of artefacts, evidence, gates, signatures and the like.

docs/events.md tells the same in words. A member of a wrong kind is :class:`EventUnreadable`; one that is not listed was
written by a newer tool (:class:`FormatTooNew`). So a hand-made event is refused at the border, and what reads the state
may rely on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from manual_registry.core.errors import EventUnreadable, FormatTooNew

Check = Callable[[Any, str], None]

_HEX64 = re.compile(r"[0-9a-f]{64}")
_HEX32 = re.compile(r"[0-9a-f]{32}")
_EVIDENCE = re.compile(r"evidence/[a-z]+/[^/\\]+")
_KEPT = re.compile(r"adopted/[^/\\]+")


def _bad(where: str) -> EventUnreadable:
    return EventUnreadable(f"{where} is missing or of the wrong kind", location=where)


def kind(*kinds: type) -> Check:
    """Accept values of exactly these types (so that ``true`` is no number)."""

    def check(value: Any, where: str) -> None:
        if type(value) not in kinds:
            raise _bad(where)

    return check


def digest(value: Any, where: str) -> None:
    """Accept a SHA-256 or BLAKE3 in lower-case hex."""
    if type(value) is not str or not _HEX64.fullmatch(value):
        raise _bad(where)


def nonce(value: Any, where: str) -> None:
    """Accept 128 random bits in lower-case hex."""
    if type(value) is not str or not _HEX32.fullmatch(value):
        raise _bad(where)


def evidence_path(value: Any, where: str) -> None:
    """Accept ``evidence/KIND/NAME`` and nothing that leads elsewhere."""
    if type(value) is not str or not _EVIDENCE.fullmatch(value) or value.endswith(("/.", "/..")):
        raise _bad(where)


def kept_path(value: Any, where: str) -> None:
    """Accept ``adopted/NAME`` and nothing that leads elsewhere."""
    if type(value) is not str or not _KEPT.fullmatch(value) or value.endswith(("/.", "/..")):
        raise _bad(where)


def one_of(*words: str) -> Check:
    """Accept one of ``words``."""

    def check(value: Any, where: str) -> None:
        if type(value) is not str or value not in words:
            raise _bad(where)

    return check


def or_none(inner: Check) -> Check:
    """Accept null, or what ``inner`` accepts."""

    def check(value: Any, where: str) -> None:
        if value is not None:
            inner(value, where)

    return check


def list_of(inner: Check) -> Check:
    """Accept a list whose items ``inner`` accepts."""

    def check(value: Any, where: str) -> None:
        if type(value) is not list:
            raise _bad(where)
        for item in value:
            inner(item, where)

    return check


def map_of(inner: Check) -> Check:
    """Accept a mapping whose values ``inner`` accepts."""

    def check(value: Any, where: str) -> None:
        if type(value) is not dict:
            raise _bad(where)
        for item in value.values():
            inner(item, where)

    return check


def true_or(inner: Check) -> Check:
    """Accept true, by which `attach` asks for what is refused with a reason, or what ``inner`` accepts."""

    def check(value: Any, where: str) -> None:
        if value is not True:
            inner(value, where)

    return check


def any_number(value: Any, where: str) -> None:
    """Accept a number, also one that ``canonical.encode`` keeps as ``{"$int": "…"}``."""
    if type(value) in (int, float):
        return
    if type(value) is not dict or len(value) != 1 or type(value.get("$int")) is not str:
        raise _bad(where)


def record(members: Mapping[str, Check | type], optional: Mapping[str, Check | type] | None = None) -> Check:
    """Accept a mapping with exactly these members (and perhaps the optional ones); a type stands for itself."""
    every = {**members, **(optional or {})}
    plain = {name: one for name, one in every.items() if isinstance(one, type)}
    checked = {name: one for name, one in every.items() if not isinstance(one, type)}
    needed, count = members.keys(), len(members)

    def check(value: Any, where: str) -> None:
        if type(value) is not dict or not needed <= value.keys():
            raise _bad(where)
        if len(value) != count and not value.keys() <= every.keys():
            raise _newer(where, value.keys() - every.keys())
        for name, wanted in plain.items():
            if name in value and type(value[name]) is not wanted:
                raise _bad(f"{where}.{name}")
        for name, inner in checked.items():
            if name in value:
                inner(value[name], where)

    return check


def either(plain: Check, member: str, other: Check) -> Check:
    """Accept what ``other`` accepts of a mapping that has ``member``, else what ``plain`` accepts."""

    def check(value: Any, where: str) -> None:
        (other if type(value) is dict and member in value else plain)(value, where)

    return check


def _newer(where: str, names: Iterable[str]) -> FormatTooNew:
    return FormatTooNew(
        f"{where} has {', '.join(sorted(names))}, which this tool does not know; a newer one wrote it",
        location=where,
        hint="pip install -U manual-registry",
    )


_text_or_none: Final = kind(str, type(None))
_number: Final = kind(int, float)
_bool_or_none: Final = kind(bool, type(None))
_map: Final = kind(dict)
_text: Final = kind(str)

_file: Final = or_none(record({"path": evidence_path, "sha256": digest}))
_metric: Final = record(
    {"name": str, "value": _number, "threshold": _number, "direction": one_of("higher", "lower")},
    {"lower": _number, "upper": _number},
)
_gate: Final = record(
    {
        "gate": str,
        "passed": bool,
        "evaluation_dataset": str,
        "evaluated_at": str,
        "metrics": list_of(_metric),
        "sha256": digest,
        "path": evidence_path,
    },
    {"model": _text_or_none},
)
_evidence: Final = record({"kind": str, "path": evidence_path, "sha256": digest, "blake3": digest, "size": int})
_card: Final = or_none(record({"fields": map_of(_text), "sha256": digest, "path": evidence_path}))
_numbers: Final = or_none(map_of(any_number))
_subgroups: Final = or_none(map_of(map_of(map_of(any_number))))
_artefact: Final = record(
    {
        "kind": one_of("file", "directory"),
        "name": _text_or_none,
        "files": int,
        "size": int,
        "blake3": digest,
        "sha256": digest,
    }
)
_code: Final = record(
    {
        "commit": str,
        "repository": _text_or_none,
        "path": _text_or_none,
        "dirty": _bool_or_none,
        "author": _text_or_none,
        "checked": bool,
    }
)
_references: Final = list_of(record({"reference": str, "hash": str, "detail": dict}))
_approval: Final = or_none(record({"id": str, "sha256": _text_or_none}))
_promotion: Final = or_none(
    either(
        record({"pipeline": str, "statement": str, "signature": str}), "token", record({"pipeline": str, "token": str})
    )
)
_oidc: Final = record(
    {
        "issuer": str,
        "audience": str,
        "algorithms": list_of(_text),
        "claims": map_of(_text),
        "keys": list_of(map_of(_text)),
    }
)
_control: Final = record({"signer": str, "statement": str, "signature": str}, {"request": str})
_words: Final = list_of(_text)

#: Members whose inside is the same wherever they stand.
_COMMON: Final[Mapping[str, Check]] = {
    "artefact": _artefact,
    "training_data": _references,
    "code": or_none(_code),
    "metrics": _numbers,
    "subgroup_metrics": _subgroups,
    "evidence": list_of(_evidence),
    "gates": list_of(_gate),
    "card": _card,
    "config": _file,
    "prompt": _file,
    "environment": _file,
    "tags": map_of(_text),
    "ci": or_none(map_of(_text)),
    "approval": _approval,
    "promotion": _promotion,
    "control": _control,
    "leads": list_of(record({"email": str, "name": str, "key": str})),
    "continues": or_none(record({"registry": str, "seq": int, "hash": str, "place": str})),
}
#: Members that mean something else in one type of event.
_OWN: Final[Mapping[str, Mapping[str, Check]]] = {
    "registry.created": {"nonce": nonce},
    "pipeline.added": {"oidc": or_none(_oidc)},
    "control.requested": {"subject": map_of(_text)},
    "exception.granted": {"report": digest},
    "version.attached": {
        "fields": record(
            {},
            {
                "pipeline_run": str,
                "hyperparameters": dict,
                "metrics": map_of(any_number),
                "subgroup_metrics": _subgroups,
                "training_date": str,
                "owner": str,
                "origin": str,
                "description": str,
                # Of a baseline entry; of another version asked for by `attach --metadata`, and refused by the decision.
                "training_data": true_or(_references),
                "code": true_or(_code),
            },
        ),
    },
    "version.adopted": {
        "baseline": record(
            {"source": str, "sha256": digest, "sheet": str, "row": int, "stage": str, "stated": map_of(_text)},
            {
                "kept": kept_path,
                "location": str,
                "foreign": list_of(record({"header": str, "column": str, "value": str})),
                "comments": list_of(record({"header": str, "column": str, "text": str})),
            },
        ),
    },
    "baseline.opened": {
        "sha256": digest,
        "versions": list_of(record({"model": str, "version": str, "blake3": digest, "stage": str})),
    },
    "version.taken-in": {"observed": digest},
    "deployment.started": {"environment": _text, "replaces": _words},
    "deployment.ended": {"environment": _text},
    "workbook.restored": {
        "workbook": digest,
        "cells": list_of(record({"sheet": str, "row": str, "column": str, "sha256": digest})),
    },
    "export.recorded": {
        "target": one_of("mlflow"),
        "action": one_of("export", "check"),
        "models": _words,
        "versions": list_of(record({"model": str, "version": str, "number": str, "digest": digest})),
        "marks": list_of(
            record(
                {
                    "model": str,
                    "version": _text_or_none,
                    "through": int,
                    "alias": or_none(one_of("production", "champion")),
                }
            )
        ),
        "mismatches": list_of(
            record(
                {
                    "model": str,
                    "version": _text_or_none,
                    "place": str,
                    "field": str,
                    "problem": one_of("missing", "changed", "added", "doubled", "foreign", "unfit"),
                    "expected": _text_or_none,
                    "found": _text_or_none,
                }
            )
        ),
    },
    "retrieval.drilled": {
        "versions": list_of(
            record(
                {
                    "model": str,
                    "version": str,
                    "place": str,
                    "outcome": one_of("retrieved", "failed"),
                    "blake3": or_none(digest),
                    "files": int,
                    "bytes": int,
                    "milliseconds": int,
                    "problems": list_of(record({"code": str, "location": str, "message": str})),
                    "count": int,
                }
            )
        ),
    },
    "verification.recorded": {"checked": map_of(kind(int)), "findings": list_of(_map), "scope": _words},
}


def check_inside(type_: str, data: Mapping[str, Any]) -> None:
    """Raise :class:`EventUnreadable` or :class:`FormatTooNew` where a member's inside is not as docs/events.md says."""
    own = _OWN.get(type_)
    for name, value in data.items():
        check = (own.get(name) if own else None) or _COMMON.get(name)
        if check is not None:
            check(value, name)
