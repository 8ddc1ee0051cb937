"""Rows that people type into Models: registered when they are complete, told in Check when not."""

from __future__ import annotations

import json
import shutil
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from sheets import cell_at, counts, edit, messages, nothing, opened, table, type_row
from world import LEAD, SME, World, gate

REFERENCE = "sha256:" + "ab" * 32
COMMIT = "c" * 40


def book(world: World) -> Path:
    """Return the workbook."""
    return world.root / "registry.xlsx"


def put(world: World, name: str = "m.bin", *, metadata: dict[str, Any] | None = None) -> str:
    """Put a model file below the root, with its metadata file beside it; returns what a person types."""
    folder = world.root / "incoming"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(f"content of {name}".encode())
    if metadata is not None:
        (folder / f"{name}.metadata.yaml").write_text(json.dumps(metadata), encoding="utf-8")
    return f"incoming/{name}"


def row(version: str, path: str, **more: Any) -> dict[str, Any]:
    """Return a row with the least that it needs; ``more`` by heading (with _ for a space)."""
    return {
        "Model": "churn",
        "Version": version,
        "Storage location": path,
        **{name.replace("_", " "): value for name, value in more.items()},
    }


COMPLETE = {
    "Training_data_version": REFERENCE,
    "Code_commit": COMMIT,
    "Training_date": "2026-01-02",
    "Evaluation_metrics": "AUC 0.91; f1: 88%",
    "Pipeline_run": "run-9",
    "Owner": "the team",
}


def test_a_complete_row_is_registered_as_experimental_by_whoever_runs_sync(world: World) -> None:
    at = type_row(book(world), row("3", put(world, metadata={"hyperparameters": {"depth": 3}}), **COMPLETE))
    registry = world.as_("runner@example.org")
    done = registry.sync()
    assert counts(done) == {"registered": 1}
    found = world.as_().show("churn@3")
    assert (found["stage"], found["registered_by"]) == ("experimental", "runner@example.org")
    assert found["training_data"] == [REFERENCE]
    assert found["metrics"] == {"auc": 0.91, "f1": 0.88}
    assert (found["code_commit"], found["pipeline_run"], found["owner"]) == (COMMIT, "run-9", "the team")
    assert cell_at(book(world), at, "Row id") == "churn@3"
    assert cell_at(book(world), at, "Stage") == "experimental"
    assert cell_at(book(world), at, "Storage location") == "models/churn/3"
    assert cell_at(book(world), at, "Content hash") == found["blake3"][:12]
    assert len(table(book(world))) == 3, "no second row was made"
    assert nothing(world.as_())
    assert world.as_().verify().ok


def test_the_metadata_file_beside_the_model_brings_what_has_no_column(world: World) -> None:
    document = json.loads(world.metadata().read_text(encoding="utf-8"))
    document["environment"] = "env.txt"
    path = put(world, metadata=document)
    (world.root / "incoming" / "env.txt").write_text("numpy==2", encoding="utf-8")
    type_row(book(world), row("3", path))
    assert counts(world.as_().sync()) == {"registered": 1}
    found = world.as_().show("churn@3")
    assert found["metrics"] == {"auc": 0.91}
    assert [one["gate"] for one in found["gates"]] == ["performance", "fairness", "security"]
    assert found["card"]
    assert found["environment"]["path"] == "evidence/environment/env.txt"
    assert nothing(world.as_())


@pytest.mark.parametrize(
    "named",
    [
        "../ledger/000000000001.json",
        "../registry.toml",
        "../models/churn/1/record.json",
        "../LEDGER/../ledger/000000000001.json",
    ],
)
def test_a_metadata_file_names_nothing_of_the_registrys_own_as_evidence(small: World, named: str) -> None:
    path = put(small, metadata={"config": named})
    type_row(book(small), row("4", path))
    done = small.as_().sync()
    assert counts(done) == {"problems": 1}
    told = messages(done, "problems")
    assert "belongs to the registry itself" in told or "nothing of that name" in told
    assert "churn@4" not in {f"{one['model']}@{one['version']}" for one in small.as_().list()}


def test_a_directory_brings_its_own_metadata_file(small: World) -> None:
    folder = small.root / "incoming" / "tree"
    folder.mkdir(parents=True)
    (folder / "weights.bin").write_bytes(b"w")
    (folder / "metadata.yaml").write_text("owner: in the file\nmetrics: {auc: 0.5}\n", encoding="utf-8")
    type_row(book(small), row("4", "incoming/tree"))
    assert counts(small.as_().sync()) == {"registered": 1}
    assert small.as_().show("churn@4")["owner"] == "in the file"
    assert small.as_().show("churn@4")["metrics"] == {"auc": 0.5}


def test_next_counts_up(small: World) -> None:
    at = type_row(book(small), row("next", put(small)))
    assert counts(small.as_().sync()) == {"registered": 1}
    assert cell_at(book(small), at, "Version") == "4"
    assert nothing(small.as_())


@pytest.mark.parametrize("lack", ["Model", "Version", "Storage location"])
def test_a_row_that_is_not_complete_stays_and_says_what_is_missing(small: World, lack: str) -> None:
    typed = {**row("4", put(small)), lack: None, "Owner": "me"}
    at = type_row(book(small), typed)
    head = small.as_().head
    told = next(one.message for one in small.as_().verify().findings if one.code == "MR-V006")
    assert told == f"a typed row waits for sync, which will leave it as it is: {lack} missing"
    done = small.as_().sync()
    assert counts(done) == {"pending": 1}
    assert cell_at(book(small), at, "Check") == f"{lack} missing"
    assert cell_at(book(small), at, "Owner") == "me"
    assert small.as_().head == head
    with opened(book(small)) as found:
        sheet = found["Models"]
        from sheets import columns

        sheet.cell(at, columns(sheet)[lack]).value = row("4", "incoming/m.bin")[lack]
    assert counts(small.as_().sync()) == {"registered": 1}
    assert cell_at(book(small), at, "Check") is None
    assert nothing(small.as_())


def test_what_the_risk_class_asks_is_named_by_its_column(world: World) -> None:
    at = type_row(book(world), row("3", put(world), Owner="me"))
    done = world.as_().sync()
    assert counts(done) == {"pending": 1}
    check = cell_at(book(world), at, "Check")
    assert not check.startswith("!")
    for name in (
        "Training data version",
        "Code commit",
        "Training date",
        "Evaluation metrics",
        "Pipeline run",
        "hyperparameters",
    ):
        assert name in check
    assert list((world.root / "models").glob("churn/3")) == []


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"Version": 1.1}, "Version is a number: format the cell as text"),
        ({"Code_commit": 12e10}, "Code commit is a number"),
        ({"Pipeline_run": 7}, "Pipeline run is a number"),
        ({"Training_date": 46350}, "Training date is a number"),
        ({"Owner": '=CONCAT("a","b")'}, "Owner is a formula: type its value"),
        ({"Model": "=A5"}, "Model is a formula"),
        ({"Owner": True}, "Owner is a number"),
    ],
)
def test_what_a_spreadsheet_made_of_a_text_is_not_taken(small: World, typed: dict[str, Any], says: str) -> None:
    at = type_row(book(small), row("4", put(small), **typed) | {k.replace("_", " "): v for k, v in typed.items()})
    done = small.as_().sync()
    assert counts(done) == {"pending": 1}
    assert says in cell_at(book(small), at, "Check")
    assert len(small.as_().list()) == 3


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"Model": "Churn!"}, "Churn!"),
        ({"Version": "latest"}, "latest"),
        ({"Training_date": "24.12.2026"}, "24.12.2026"),
        ({"Training_date": "2999-01-01"}, "2999-01-01"),
        ({"Evaluation_metrics": "looks good to me"}, "not understood as a whole"),
        ({"Evaluation_metrics": "auc 1,234"}, "not understood as a whole"),
        ({"Training_data_version": "s3://bucket/data"}, "s3://bucket/data"),
        ({"Code_commit": "abc1234"}, "abc1234"),
        ({"Storage_location": "incoming/nothing.bin"}, "incoming/nothing.bin"),
    ],
)
def test_what_is_wrong_is_read_in_the_row(small: World, typed: dict[str, Any], says: str) -> None:
    at = type_row(book(small), row("4", put(small)) | {k.replace("_", " "): v for k, v in typed.items()})
    done = small.as_().sync()
    assert counts(done) == {"problems": 1}
    check = cell_at(book(small), at, "Check")
    assert check.startswith("! ")
    assert says in check
    assert len(small.as_().list()) == 3
    assert [
        path.name for path in (small.root / "models" / ".incoming").iterdir() if not path.name.startswith(".")
    ] == []


def test_metrics_of_the_file_count_and_a_typed_number_that_differs_is_told(small: World) -> None:
    path = put(small, metadata={"metrics": {"auc": 0.912, "f1": 0.5}})
    type_row(book(small), row("4", path, Evaluation_metrics="auc 0.91, f1 0.6"))
    registry = small.as_()
    registry.sync()
    assert small.as_().show("churn@4")["metrics"] == {"auc": 0.912, "f1": 0.5}
    assert [one for one in registry.warnings if "typed metrics" in one] == [
        "typed metrics (f1) differ from the metadata file; the file counts"
    ]


def test_another_stage_in_a_typed_row_becomes_a_request(small: World) -> None:
    at = type_row(book(small), row("4", put(small), Stage="Staging", Notes="from the lab\nsecond line"))
    done = small.as_().sync()
    assert counts(done) == {"registered": 1, "requested": 1}
    assert cell_at(book(small), at, "Stage") == "experimental"
    assert cell_at(book(small), at, "Notes") == "from the lab\nsecond line"
    (request,) = small.as_().approval_list()
    assert (request["version"], request["to"]) == ("4", "staging")
    assert nothing(small.as_())


@pytest.mark.parametrize("stage", ["none", "experimental", "Experimental"])
def test_experimental_is_no_request(small: World, stage: str) -> None:
    type_row(book(small), row("4", put(small), Stage=stage))
    assert counts(small.as_().sync()) == {"registered": 1}
    assert small.as_().approval_list() == []


@pytest.mark.parametrize("stage", ["production", "gone"])
def test_a_stage_that_a_new_version_cannot_ask_for_is_told_beside_the_registration(small: World, stage: str) -> None:
    at = type_row(book(small), row("4", put(small), Stage=stage))
    done = small.as_().sync()
    assert counts(done) == {"registered": 1, "problems": 1}
    assert "! " in cell_at(book(small), at, "Check")
    assert cell_at(book(small), at, "Stage") == "experimental"
    assert nothing(small.as_())


def test_approver_and_dates_in_a_typed_row_are_told_and_not_taken(small: World) -> None:
    typed = row(
        "4", put(small), Approver=LEAD, Approval_date="2026-11-24", Deployment_date="2026-11-25", Content_hash="abc"
    )
    at = type_row(book(small), typed)
    done = small.as_().sync()
    assert counts(done) == {"registered": 1}
    check = cell_at(book(small), at, "Check")
    assert "Approver, Approval date, Deployment date not taken" in check
    assert "Content hash not taken: computed" in check
    for name in ("Approver", "Approval date", "Deployment date"):
        assert cell_at(book(small), at, name) is None
    found = small.as_().show("churn@4")
    assert (found["approver"], found["deployments"]) == (None, [])
    assert nothing(small.as_())


@pytest.mark.parametrize("value", [date(2026, 1, 2), datetime(2026, 1, 2)])
def test_a_real_date_is_a_date(small: World, value: Any) -> None:
    type_row(book(small), row("4", put(small), Training_date=value))
    assert counts(small.as_().sync()) == {"registered": 1}
    assert small.as_().show("churn@4")["training_date"] == "2026-01-02"


def test_the_same_version_in_two_rows(small: World) -> None:
    path = put(small)
    first = type_row(book(small), row("4", path))
    second = type_row(book(small), row("4", path))
    done = small.as_().sync()
    assert counts(done) == {"registered": 1, "problems": 1}
    assert cell_at(book(small), first, "Row id") == "churn@4"
    assert cell_at(book(small), second, "Row id") is None
    assert "remove this one" in cell_at(book(small), second, "Check")
    assert len(small.as_().list()) == 4


def test_a_version_that_stands_is_not_registered_again(small: World) -> None:
    same = type_row(book(small), row("3", put(small)))
    done = small.as_().sync()
    assert counts(done) == {"problems": 1}
    assert "never registered twice" in cell_at(book(small), same, "Check")


def test_a_typed_row_of_a_registered_version_with_the_same_content_is_told(small: World) -> None:
    (small.root / "incoming").mkdir()
    shutil.copy(small.artefact("3"), small.root / "incoming" / "model-3.bin")
    type_row(book(small), row("3", "incoming/model-3.bin", Owner="team"))
    done = small.as_().sync()
    assert counts(done) == {"problems": 1}
    assert "has a row already" in messages(done, "problems")


def test_several_rows_each_on_its_own(small: World) -> None:
    put(small)
    type_row(book(small), row("4", "incoming/m.bin"))
    type_row(book(small), row("5", "incoming/none.bin"))
    type_row(book(small), row("6", "incoming/m.bin", Stage="staging"))
    type_row(book(small), {"Model": "churn"})
    done = small.as_().sync()
    assert counts(done) == {"registered": 2, "requested": 1, "pending": 1, "problems": 1}
    assert [one["version"] for one in small.as_().list()] == ["1", "2", "3", "4", "6"]
    again = small.as_().sync()
    assert counts(again) == {"pending": 1, "problems": 1}, "what is open is told until it is done"
    assert again.head == done.head


def test_other_commands_register_nothing(small: World) -> None:
    at = type_row(book(small), row("4", put(small)))
    registry = small.as_()
    registry.note("churn@1", "a note")
    assert any("mreg sync" in one for one in registry.warnings)
    assert len(small.as_().list()) == 3
    assert cell_at(book(small), at, "Storage location") == "incoming/m.bin"


def test_a_registration_whose_row_was_never_written_is_taken_over(small: World) -> None:
    """The workbook was open elsewhere when sync ran: the version stands, its row waits."""
    lock = small.root / "~$registry.xlsx"
    at = type_row(book(small), row("4", put(small)))
    lock.write_bytes(b"\x03Ada")
    done = small.as_().sync()
    assert counts(done) == {"registered": 1}
    assert cell_at(book(small), at, "Row id") is None
    lock.unlink()
    done = small.as_().sync()
    assert "registered already" in messages(done, "registered")
    assert cell_at(book(small), at, "Row id") == "churn@4"
    assert len(table(book(small))) == 4
    assert nothing(small.as_())


def test_nobody_approves_what_they_synced(tmp_path: Path) -> None:
    world = World(tmp_path / "duty")
    metadata = json.loads(world.metadata().read_text(encoding="utf-8")) | {
        "environment": None,
        "gates": [gate("performance")],
    }
    path = put(world, metadata={key: value for key, value in metadata.items() if value is not None})
    type_row(book(world), row("1", path, Stage="staging"))
    world.as_(LEAD).sync()
    (request,) = world.as_().approval_list()
    edit(
        book(world),
        {
            ("Approvals", request["id"], "Decision"): "approved",
            ("Approvals", request["id"], "Approver"): LEAD,
            ("Approvals", request["id"], "Approval date"): date.today().isoformat(),
        },
    )
    done = world.as_(SME).sync()
    assert "cannot approve it" in messages(done, "problems")
