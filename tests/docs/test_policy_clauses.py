"""archive_policy.md and the code cite each other: every clause is enforced, every citation exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
POLICY = (ROOT / "archive_policy.md").read_text(encoding="utf-8")
CLAUSES = re.findall(r"(?m)^## (RP-\d+) \S", POLICY)
_CITATION = re.compile(r"\bRP-\d+\b")


def _citations() -> dict[str, set[str]]:
    """Return clause -> files of the package that cite it."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "manual_registry").rglob("*.py")):
        for clause in _CITATION.findall(path.read_text(encoding="utf-8")):
            found.setdefault(clause, set()).add(str(path.relative_to(ROOT)))
    return found


def test_clauses_are_numbered_without_gap() -> None:
    assert [f"RP-{number}" for number in range(1, len(CLAUSES) + 1)] == CLAUSES
    assert len(CLAUSES) >= 19  # code and records cite them: a clause may be added, none taken away


def test_every_citation_in_the_code_is_a_clause() -> None:
    unknown = {clause: files for clause, files in _citations().items() if clause not in CLAUSES}
    assert not unknown


@pytest.mark.parametrize("clause", CLAUSES)
def test_every_clause_is_cited_by_code(clause: str) -> None:
    assert _citations().get(clause), f"{clause}: no module says that it enforces it"


@pytest.mark.parametrize(
    "text", ["archive_policy.md", "README.md", "templates/README.txt.j2", "templates/FORMAT.md.j2"]
)
def test_every_citation_in_the_texts_is_a_clause(text: str) -> None:
    assert set(_CITATION.findall((ROOT / text).read_text(encoding="utf-8"))) <= set(CLAUSES)


@pytest.mark.parametrize("clause", CLAUSES)
def test_every_clause_says_how_it_is_enforced_and_names_the_law(clause: str) -> None:
    section = re.split(r"(?m)^## ", POLICY.split(f"## {clause} ", 1)[1])[0]
    assert "**Enforced.**" in section
    assert "**The law.**" in section
    assert re.search(r"Prevented|Detected", section)
