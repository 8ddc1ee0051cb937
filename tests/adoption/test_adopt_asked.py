"""Questions that lead on: an answer that is offered settles it, and nothing is asked that is plain."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from adopt_team import Team
from world import World


@pytest.fixture(autouse=True)
def outside_any_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commits are looked up in the repository of the working directory, when it has one."""
    monkeypatch.chdir(tmp_path)


def test_each_answer_about_three_rows_of_one_name_settles_it(tmp_path: Path) -> None:
    world, team = World(tmp_path), Team(tmp_path / "team")
    for number in range(3):
        team.row("Churn", "1.0.0", f"{number}.bin", team.file(f"{number}.bin"))
    team.save()
    asked = [one for one in world.as_().adopt(team.sheet).proposal.questions if one.kind == "double"]
    assert [one.choices for one in asked] == [
        (
            "Inventory: skip_rows = [5, 6]",
            "Inventory: skip_rows = [4, 6]",
            "Inventory: skip_rows = [4, 5]",
        )
    ]
    mapping = next(team.place.glob("*.mapping.toml"))
    text = mapping.read_text()
    assert tomllib.loads(text)["table"][0].get("skip_rows", []) == []
    assert "# skip_rows = [5, 6]  # rows" in text
    head = next(line for line in text.splitlines() if line.startswith("header_row"))
    mapping.write_text(
        "\n".join(line for line in text.splitlines() if not line.startswith("skip_rows")).replace(
            head, f"{head}\nskip_rows = [4, 6]", 1
        )
    )
    done = world.as_().adopt(team.sheet, mapping=mapping)
    assert [one["row"] for one in done.imported] == [5]


def test_a_whole_heading_is_surer_than_one_with_an_addition(tmp_path: Path) -> None:
    world = World(tmp_path)
    team = Team(tmp_path / "team", headings=("Model (old)", "Model", "Version", "Path"))
    team.file("1.bin")
    team.rows.append(["Chrn", "Churn", "1.0.0", "1.bin"])
    team.save()
    done = world.as_().adopt(team.sheet)
    assert [one["model"] for one in done.imported] == ["churn"]
    assert world.as_().show("churn@1.0.0")["model"] == "churn"


def test_what_is_in_the_registry_raises_no_question(tmp_path: Path) -> None:
    world, team = World(tmp_path), Team(tmp_path / "team")
    team.row("Churn", "1.0.0", "1.bin", team.file("1.bin"), None, None, "production")
    team.save()
    assert len(world.as_().adopt(team.sheet).imported) == 1
    team.row("Churn", "2.0.0", "2.bin", team.file("2.bin"), None, None, "production")
    team.save()
    done = world.as_().adopt(team.sheet)
    assert (done.proposal.questions, done.imported) == ((), ())
    assert any("one at a time can be" in one.reason for one in done.proposal.not_imported)
    assert world.as_().adopt_dry_run(team.sheet, registry=world.root).proposal.questions == ()
