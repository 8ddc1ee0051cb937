"""docs/events.md and FORMAT.md list exactly the event types, and their members, that the code knows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from manual_registry.core.events import EVENT_TYPES, GOVERNED_TYPES, OPTIONAL, SHAPES

ROOT = Path(__file__).resolve().parents[2]
EVENTS = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
FORMAT = (ROOT / "templates" / "FORMAT.md.j2").read_text(encoding="utf-8")
SECTIONS = {part.split("\n", 1)[0]: part.split("\n", 1)[1] for part in re.split(r"(?m)^### ", EVENTS)[1:]}


def _first_cells(table: str) -> list[str]:
    """Return the code spans in the first cell of each row."""
    cells = [line.split("|")[1] for line in table.split("\n") if line.startswith("| `")]
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def test_every_type_has_a_section_and_every_section_a_type() -> None:
    assert sorted(SECTIONS) == sorted(EVENT_TYPES)


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_a_section_lists_the_members_of_its_type(kind: str) -> None:
    section = re.split(r"(?m)^## ", SECTIONS.get(kind, ""))[0]
    subject, data = SHAPES[kind]
    assert sorted(_first_cells(section)) == sorted({*data, *OPTIONAL.get(kind, {})})
    if list(subject) != ["model", "version"]:
        said = ", ".join(f"`{name}`" for name in subject) or "`{}`"
        assert f"Subject {said}" in section
    assert ("Governed." in section or kind == "registry.created") == (kind in GOVERNED_TYPES)


def test_the_format_page_lists_every_type_with_its_members() -> None:
    rows = {}
    for line in FORMAT.split("\n"):
        match = re.match(r"\| `([a-z-]+\.[a-z-]+)` \| .* \| (.*) \|$", line)
        if match:
            rows[match[1]] = re.findall(r"`([^`]+)`", re.sub(r"[\[{][^\]}]*[\]}]+|\([^)]*\)", "", match[2]))
    assert {kind: sorted(members) for kind, members in rows.items()} == {
        kind: sorted({*data, *OPTIONAL.get(kind, {})}) for kind, (_subject, data) in SHAPES.items()
    }
