"""The screen that a lead reads before confirming a baseline: how many versions in which stages, and what each lacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from manual_registry.cli.output import clean
from manual_registry.cli.tables import cell_text, fields, heading, moment, plain_table

#: So many versions are listed; all of them stand in the document (--json) and in what is signed.
_SHOWN: Final = 25


def baseline_lines(document: Mapping[str, Any]) -> list[str]:
    """Return the lines for one baseline, from the document of `approval show`."""
    review = document["review"]
    versions: Sequence[Mapping[str, Any]] = review["versions"]
    kept = f"{review['kept']} ({review['original']})" if review.get("kept") else "not kept"
    facts = {
        "confirms": f"the stages that {review['source']} states: {_counts(review['stages'])}",
        "original": kept,
        "sha256": review["sha256"],
        "adopted by": f"{document['requested_by']} at {moment(document['requested_at'])}",
        "content now": review["content"],
        "not stated": _counts(review["missing"]) or "nothing that this risk class asks for",
        "in place": f"{review['in_place']} (mreg take-in)" if review["in_place"] else None,
        "needs": review["needs"],
    }
    lines = [heading(f"Approval {document['id']}: baseline of {len(versions)} adopted versions")]
    lines += fields({name: value for name, value in facts.items() if value}, indent=2)
    lines += [f"  {line}" for line in plain_table(_HEADINGS, list(_rows(versions[:_SHOWN])))]
    if len(versions) > _SHOWN:
        lines.append(f"  and {len(versions) - _SHOWN} more: mreg approval show {clean(document['id'])} --json")
    return [*lines, "  The signature confirms what was stated up to now; it approves no later step."]


_HEADINGS: Final = ("version", "stage", "approved, as stated", "blake3", "not stated")


def _rows(versions: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    for one in versions:
        approved = " ".join(str(one[name]) for name in ("approver", "approval_date") if one.get(name))
        missing = ", ".join(one["missing"])
        yield [
            clean(f"{one['model']}@{one['version']}"),
            cell_text(one["stage"]),
            cell_text(approved or None),
            str(one["blake3"])[:12],
            cell_text(missing or None),
        ]


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {clean(name)}" for name, count in counts.items() if count)
