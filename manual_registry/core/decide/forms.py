"""Does what a registration or an attachment brings hold together (clauses RP-1, RP-16)?

Rules held here: the commit is a full id; a reference has its one spelling and the hash that follows from it; every file
that gates, card, configuration, prompt and environment name is an evidence file which an event hashed, and lies below
``evidence/``, whatever the event says. The kinds of values are :mod:`manual_registry.core.shapes`' business.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from manual_registry.core.errors import EventUnreadable, RegistryError
from manual_registry.core.references import own_hash, parse_reference
from manual_registry.core.values import check_artefact_path

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def _unless(good: bool, problem: str, where: str) -> list[RegistryError]:
    return [] if good else [EventUnreadable(problem, location=where)]


def artefact_reasons(artefact: Mapping[str, Any]) -> list[RegistryError]:
    """Return a refusal unless it can be: a file has a name and is one file, nothing has less than no bytes."""
    single = artefact["kind"] == "file"
    counted = artefact["files"] == 1 if single else artefact["files"] > 0
    good = counted and artefact["size"] >= 0 and (artefact["name"] is not None) == single
    return _unless(good, "artefact: a name or a number of files or bytes that cannot be", "artefact")


def code_reasons(code: Mapping[str, Any] | None) -> list[RegistryError]:
    """Return a refusal unless the commit is a full id."""
    whole = code is None or _COMMIT.fullmatch(code["commit"]) is not None
    return _unless(whole, "code.commit is no full commit id", "code.commit")


def data_reasons(references: Iterable[Mapping[str, Any]]) -> list[RegistryError]:
    """Return a refusal for each reference in another spelling, or with another hash than its own."""
    reasons: list[RegistryError] = []
    for item in references:
        reference = parse_reference(item["reference"])
        fits = reference.text == item["reference"] and own_hash(reference) in (None, item["hash"])
        problem = f"training_data: {item['reference']} is not spelt so, or has another hash"
        reasons += _unless(fits and bool(item["hash"]), problem, "training_data")
    return reasons


def evidence_reasons(data: Mapping[str, Any], standing: Iterable[Mapping[str, Any]] = ()) -> list[RegistryError]:
    """Return a refusal for a misplaced evidence file, and for a file that is named but not among the evidence.

    ``standing`` is the evidence that the version has already.
    """
    reasons: list[RegistryError] = []
    for item in data["evidence"]:
        check_artefact_path(item["path"])
        placed = item["path"].startswith(f"evidence/{item['kind']}/") and item["size"] >= 0
        reasons += _unless(placed, f"evidence: {item['path']} has a place or size that cannot be", item["path"])
    known = {(item["path"], item["sha256"]) for item in (*data["evidence"], *standing)}
    named = [(name, data[name]) for name in ("config", "prompt", "environment", "card") if data.get(name)]
    named += [("gates", gate) for gate in data["gates"]]
    for name, file in named:
        there = (file["path"], file["sha256"]) in known
        reasons += _unless(there, f"{name}: {file['path']} is no evidence file of this version", name)
    return reasons
