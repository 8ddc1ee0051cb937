"""Requests to leads stand on Approvals, told with the command that signs them; nothing is filled in there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sheets import edit, messages, nothing, table
from world import LEAD, World

from manual_registry.adapters.keys import generate_ed25519


def test_a_request_is_told_not_filled_in(tmp_path: Path) -> None:
    world = World(tmp_path / "asked")
    book = world.root / "registry.xlsx"
    generate_ed25519(world.key("ci2"), "ci2")
    name = world.as_().pipeline_add("ci2", public_key=world.public("ci2")).id or ""
    row = table(book, "Approvals")[name]
    assert (row["To"], row["Status"], row["Decision"]) == ("pipeline", "requested", None)
    assert row["Check"] == f"enrol pipeline ci2: mreg approval sign {name} --as EMAIL"
    entry: dict[tuple[str, str, str], Any] = {
        ("Approvals", name, "Decision"): "approved",
        ("Approvals", name, "Approver"): LEAD,
    }
    edit(book, entry)
    done = world.as_().sync()
    assert f"{name} is signed, not filled in" in messages(done, "problems")
    assert [one["name"] for one in world.as_().pipeline_list()] == ["ci"]
    row = table(book, "Approvals")[name]
    assert (row["Decision"], row["Approver"]) == (None, None)
    assert nothing(world.as_())
    world.as_(LEAD).approval_sign(name, as_=LEAD, key=world.key(LEAD))
    row = table(book, "Approvals")[name]
    assert (row["Status"], row["Decision"], row["Approver"], row["Check"]) == (
        "used",
        "approved",
        LEAD,
        "enrol pipeline ci2",
    )
    assert world.as_().verify().ok
