"""`adopt`: rows become baseline entries, each file copied, the original kept, everything else told; twice is once."""

from __future__ import annotations

import json
import stat
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from adopt_team import Team, adopted, confirm, errors, sha256, usual
from world import LEAD, SME, World

from manual_registry.adapters.workbook.people import headings_of
from manual_registry.core.errors import (
    ApprovalBad,
    BaselineUnconfirmed,
    EventIllegal,
    MappingOpen,
    RegistryError,
    SignatureFinding,
)
from manual_registry.registry import Registry


@pytest.fixture(autouse=True)
def outside_any_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commits are looked up in the repository of the working directory, when it has one."""
    monkeypatch.chdir(tmp_path)


def reasons(done: Any) -> dict[tuple[str, int | None], str]:
    return {(one.sheet, one.row): one.reason for one in done.proposal.not_imported}


def cells(path: Path) -> dict[str, dict[str, Any]]:
    """Row id -> heading -> value of the sheet Models."""
    sheet = openpyxl.load_workbook(path)["Models"]
    rows: list[Any] = list(sheet.iter_rows(min_row=4, values_only=True))
    return {row[rows[0].index("Row id")]: dict(zip(rows[0], row, strict=True)) for row in rows[1:]}


def test_the_whole_way(tmp_path: Path) -> None:
    world, team, done = adopted(tmp_path)
    before = team.sheet.read_bytes()
    assert [(one["model"], one["version"], one["stage"]) for one in done.imported] == [
        ("churn", "1.0.0", "archived"),
        ("churn", "1.1.0", "production"),
        ("fraud-eu", "2024-Q1", "staging"),
        ("price", "v7", "experimental"),
    ]
    told = reasons(done)
    assert told["Inventory", 6].startswith("m/churn-3.pkl: found; DIFFERS from the stated hash")
    assert told["Inventory", 8] == "m/lost.bin: there is no such file"
    assert "outside" in told["Inventory", 9]
    assert "outside" in told["Inventory", 10]
    assert told["Inventory", 13] == "a total or summary"
    assert "kept in the original" in told["Costs", None]
    # The original, whole.
    kept = world.root / done.kept
    assert kept.read_bytes() == before
    assert stat.S_IMODE(kept.stat().st_mode) == 0o444
    # The record: control starts now, what was stated is stated, no event is dated back.
    shown = world.as_().show("churn@production")
    assert shown["metrics"] == {"auc": 0.91, "f1": 0.88}
    assert shown["training_date"] == "2023-09-30"
    assert shown["baseline"]["stated"] | {"sha256": "", "metrics": ""} == {
        "model": "Churn", "storage_location": r"C:\ml\m\churn-2.pkl", "sha256": "", "training_date": "2023-09-30",
        "metrics": "", "stage": "LIVE", "approver": "Alice",
    }  # fmt: skip
    assert shown["approver"] is None
    assert shown["registered_at"][:4] >= "2026"
    assert world.as_().show("price@v7")["training_date"] is None  # it has not come yet
    # Files as registered; and nothing outside was ever copied.
    assert (world.root / "models/churn/1.1.0/artefact/churn-2.pkl").read_bytes() == b"m/churn-2.pkl"
    assert sorted(path.name for path in (world.root / "models").iterdir()) == [
        ".incoming",
        "churn",
        "fraud-eu",
        "price",
    ]
    assert errors(world) == []


def test_one_request_over_all_of_it(tmp_path: Path) -> None:
    world, _, done = adopted(tmp_path)
    id_ = done.result.id
    notices = {(one.code, one.location) for one in world.as_().verify().findings}
    assert ("MR-W001", f"approvals/{id_}") in notices
    assert [one["id"] for one in world.as_().approval_list(pending=True)] == [id_]
    with pytest.raises(BaselineUnconfirmed) as waits:
        world.as_().deploy("churn@production", environment="production")
    assert waits.value.exit_status == 9
    assert waits.value.hint == f"mreg approval sign {id_} --as {LEAD}"
    approval = next(link for link in world.as_().trace("churn").links if link.kind == "approval")
    assert (approval.status.value, "approved by Alice" in approval.summary) == ("missing", True)
    confirm(world, id_)
    assert errors(world) == []
    assert world.as_().approval_list(pending=True) == []
    approval = next(link for link in world.as_().trace("churn", hash=False).links if link.kind == "approval")
    assert (approval.status.value, LEAD in approval.summary) == ("recorded", True)
    world.as_().deploy("churn@production", environment="production")
    assert not [one for one in world.as_().verify().findings if one.location == f"approvals/{id_}"]


def test_what_a_lead_reads_before_signing(tmp_path: Path) -> None:
    world, _, done = adopted(tmp_path)
    shown = world.cli("approval", "show", done.result.id).stdout
    assert "baseline of 4 adopted versions" in shown
    assert "1 production, 1 staging, 1 experimental, 1 archived" in shown
    assert f"{done.kept} (unchanged)" in shown
    assert "4 unchanged" in shown
    assert "churn@1.1.0" in shown
    assert "None" not in shown
    kept = world.root / done.kept
    kept.chmod(0o644)
    kept.write_bytes(b"another")
    (world.root / "models/price/v7/artefact").chmod(0o755)
    (world.root / "models/price/v7/artefact/price.bin").chmod(0o644)
    (world.root / "models/price/v7/artefact/price.bin").write_bytes(b"another")
    shown = world.cli("approval", "show", done.result.id).stdout
    assert f"{done.kept} (CHANGED OR GONE)" in shown
    assert "CHANGED OR GONE: price@v7" in shown
    assert ("MR-A001", done.kept) in errors(world)
    kept.unlink()
    assert ("MR-A003", done.kept) in errors(world)


def test_twice_is_once(tmp_path: Path) -> None:
    world, team, first = adopted(tmp_path)
    head, book = world.as_().head, (world.root / "registry.xlsx").read_bytes()
    again = world.as_().adopt(team.sheet)
    assert (again.document()["changed"], again.imported, world.as_().head) == (False, (), head)
    assert again.kept == first.kept
    assert reasons(again)["Inventory", 4].startswith("churn@1.0.0 is in the registry already, with the same content")
    assert (world.root / "registry.xlsx").read_bytes() == book
    # A sheet that went on: only what is new comes in, under a request of its own.
    team.row("Churn", "1.3.0", "m/churn-4.pkl", team.file("m/churn-4.pkl"), None, None, "dev")
    team.file("m/churn-1.pkl", b"changed since")
    team.rows[0][4] = sha256(b"changed since")
    team.save()
    more = world.as_().adopt(team.sheet)
    assert [one["version"] for one in more.imported] == ["1.3.0"]
    assert "with other content" in reasons(more)["Inventory", 4]
    assert more.document()["id"] != first.document()["id"]
    assert more.kept != first.kept
    assert errors(world) == []


def test_names_that_meet_those_of_the_registry(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.to_production("1")
    world.as_().alias_set("churn", "champion", "1")
    team = Team(tmp_path / "team")
    for version in ("1", "Champion", "V2", "3.0.1"):
        team.row(
            "churn",
            version,
            f"{version}.bin",
            team.file(f"{version}.bin"),
            None,
            None,
            "prod" if version == "3.0.1" else None,
        )
    world.as_().register("churn", "v2", world.artefact("v2"), metadata=world.metadata())
    done = world.as_().adopt(team.save())
    told = reasons(done)
    assert done.imported == ()
    assert "other content" in told["Inventory", 4]
    assert "is an alias" in told["Inventory", 5]
    assert "letter case only" in told["Inventory", 6]
    assert "one at a time can be" in told["Inventory", 7]
    assert not (world.root / "adopted").exists()


def test_own_columns_and_comments_are_carried_along_and_survive(tmp_path: Path) -> None:
    world, _, done = adopted(tmp_path)
    path = world.root / "registry.xlsx"
    found = cells(path)
    assert found["churn@1.1.0"]["Jira"] == "ML-140"
    assert found["churn@1.1.0"]["#"] == "2"
    assert "Alice" in found["churn@1.1.0"]["Check"]
    sheet = openpyxl.load_workbook(path)["Models"]
    said = {cell.coordinate: cell.comment.text for row in sheet.iter_rows() for cell in row if cell.comment}
    assert sorted(said.values()) == ["Jira: reopened twice", "Metrics: measured in June"]
    assert sheet.tables["Models"].ref.endswith(f"{4 + len(found)}")
    notes = [
        row for row in openpyxl.load_workbook(path)["Read me"].iter_rows(values_only=True) if row[0] == "An older sheet"
    ]
    assert len(notes) == 1
    assert f"is kept whole as {done.kept}. Its other sheets (Costs) are in there, and copied here." in str(notes[0][1])
    confirm(world, done.result.id)
    world.as_().note("churn@1.1.0", "seen")
    world.register("9")
    book = openpyxl.load_workbook(path)
    book["Models"].cell(6, 23, "changed by a person")
    book.save(path)
    synced = world.as_().sync()
    assert (synced.outcome.restored, synced.outcome.problems) == ([], [])
    after = cells(path)
    assert {ref: row["Jira"] for ref, row in found.items() if row["Jira"] != "ML-140"}.items() <= {
        ref: row["Jira"] for ref, row in after.items()
    }.items()
    sheet = openpyxl.load_workbook(path)["Models"]
    assert sorted(cell.comment.text for row in sheet.iter_rows() for cell in row if cell.comment) == sorted(
        said.values()
    )
    assert errors(world) == []


def test_where_the_workbook_cannot_take_them_that_is_told(tmp_path: Path) -> None:
    world, team = World(tmp_path), usual(tmp_path / "team")
    (world.root / ".~lock.registry.xlsx#").write_text(",lea,host,24.11.2026 09:00,file:///home/lea;", encoding="utf-8")
    done = world.as_().adopt(team.sheet)
    assert len(done.imported) == 4
    assert any("own columns of the sheet (#, Jira) were not added" in one for one in done.warnings)
    (world.root / ".~lock.registry.xlsx#").unlink()
    again = world.as_().adopt(team.sheet)  # the same command brings them in
    assert (again.document()["changed"], cells(world.root / "registry.xlsx")["churn@1.1.0"]["Jira"]) == (
        False,
        "ML-140",
    )


def test_attach_fills_what_the_sheet_did_not_say(tmp_path: Path) -> None:
    world, _, _ = adopted(tmp_path)
    world.as_().attach("price@v7", metadata=world.metadata())
    shown = world.as_().show("price@v7")
    assert shown["training_data"] == ["sha256:" + "ab" * 32]
    assert shown["code_commit"] == "c" * 40
    assert (shown["training_date"], shown["pipeline_run"], shown["metrics"]) == ("2026-01-01", "run-1", {"auc": 0.91})
    assert "code.none.data.none" in shown["composite_id"]  # it identifies what was adopted
    assert world.as_().attach("price@v7", metadata=world.metadata()).changed is False
    with pytest.raises(RegistryError, match="code is filled already"):
        world.as_().attach("price@v7", metadata=world.metadata("other.yaml", code={"commit": "d" * 40}))
    with pytest.raises(RegistryError, match="training_date is filled already"):
        world.as_().attach("fraud-eu@2024-Q1", metadata=world.metadata())
    world.register("7")
    with pytest.raises(RegistryError, match="code is fixed at registration"):
        world.as_().attach("churn@7", metadata=world.metadata("third.yaml", code={"commit": "e" * 40}))
    assert errors(world) == []


def test_a_later_step_asks_all_that_the_class_demands(tmp_path: Path) -> None:
    world, _, done = adopted(tmp_path)
    confirm(world, done.result.id)
    ref = "price@v7"
    world.approve(ref, "staging")
    with pytest.raises(RegistryError) as refused:
        world.promote(ref, "staging")
    lacking = {one.location for one in refused.value.reasons if one.code == "MR-P071"}
    assert lacking == {"training_data", "code", "training_date", "pipeline_run", "hyperparameters", "metrics"}
    world.as_().attach(ref, metadata=world.metadata())
    world.approve(ref, "staging")
    world.promote(ref, "staging")
    world.approve(ref, "production")
    world.promote(ref, "production")
    # What was adopted in staging has been approved for nothing here.
    with pytest.raises(RegistryError) as refused:
        world.promote("fraud-eu@2024-Q1", "production")
    assert any("was adopted in staging" in one.message for one in refused.value.reasons)
    assert errors(world) == []


def test_a_rollback_to_what_was_stated_is_refused_with_a_way(tmp_path: Path) -> None:
    world, _, done = adopted(tmp_path)
    for version in ("9", "10"):
        world.to_production(version)
    with pytest.raises(RegistryError, match=r"was never in production"):
        world.as_("ci@example.org").rollback(
            "churn", to="1.1.0", reason="worse", pipeline="ci", pipeline_key=world.key("ci")
        )
    confirm(world, done.result.id)
    with pytest.raises(RegistryError) as refused:
        world.as_("ci@example.org").rollback(
            "churn", to="1.1.0", reason="worse", pipeline="ci", pipeline_key=world.key("ci")
        )
    bad = next(one for one in refused.value.reasons if isinstance(one, ApprovalBad))
    assert bad.hint == 'mreg unarchive churn@1.1.0 --reason "back to production"'
    world.as_().unarchive("churn@1.1.0", reason="back to production")


def test_without_a_lead_nothing_waits_for_one(tmp_path: Path) -> None:
    world = World(tmp_path, risk="minimal", leads=())
    done = world.as_().adopt(usual(tmp_path / "team").sheet)
    assert world.as_().verify().ok
    world.as_().deploy("churn@production", environment="production")
    world.register("9")
    for stage in ("staging", "production"):
        world.promote("churn@9", stage)
    world.as_().rollback("churn", to="1.1.0", reason="worse")  # nobody need sign here, so it was in production
    assert world.as_().verify().ok
    assert done.document()["id"]


def test_a_forged_confirmation_stops_before_anything_rests_on_it(tmp_path: Path) -> None:
    world, _, done = adopted(tmp_path)
    confirm(world, done.result.id)
    seq = world.as_().head[0]
    path = world.ledger(seq)
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["type"] == "baseline.signed"
    document["data"]["control"]["signer"] = SME
    path.chmod(0o644)
    from manual_registry.core.canonical import dump

    path.write_bytes(dump(document))
    with pytest.raises((EventIllegal, SignatureFinding)):
        world.as_().deploy("churn@production", environment="production")
    traced = world.as_().trace("churn", hash=False)
    assert traced.broken
    assert "no lead has confirmed it" in next(link.summary for link in traced.links if link.kind == "approval")


def test_the_heirs_checks_hold_without_this_tool(tmp_path: Path) -> None:
    world, _, done = adopted(tmp_path)
    confirm(world, done.result.id)
    text = (world.root / "README.txt").read_text(encoding="utf-8")
    part = text[text.index("\n2. The files") : text.index("\n3. The archive")]
    script = "\n".join(line[4:] for line in part.split("\n") if line.startswith("    "))
    ran = subprocess.run(["sh", "-c", script], cwd=world.root, capture_output=True, text=True, check=False)
    assert ran.stdout == "files checked\n", ran.stdout + ran.stderr


# -- the command line -------------------------------------------------------------------------------------


def ambiguous(place: Path) -> Team:
    """Return a team whose sheet cannot be read without a person."""
    team = Team(place, headings=("Model", "Version", "Where is it?", "When", "Trained on", "Status"))
    for number, (date, status) in enumerate((("03/04/2023", "prod"), ("05/06/2023", "parked")), 1):
        name = f"files/m{number}.bin"
        team.file(name)
        team.rows.append(["Churn", f"{number}.0.1", name, None, date, status])
    team.save()
    return team


def test_a_dry_run_needs_no_registry_and_asks(tmp_path: Path) -> None:
    world = World(tmp_path / "w")
    team = ambiguous(tmp_path / "team")
    ran = world.cli("adopt", "tracking.xlsx", "--dry-run", "--json", cwd=team.place)
    assert ran.returncode == 7
    document = json.loads(ran.stdout)
    assert (document["schema"], document["imported"]) == ("manual-registry/adopt/1", [])
    assert sorted(one["kind"] for one in document["questions"]) == ["column", "date_order", "stage"]
    assert json.loads(ran.stderr)["error"]["code"] == MappingOpen.code
    mapping = team.place / "tracking.xlsx.mapping.toml"
    text = mapping.read_text(encoding="utf-8")
    assert document["mapping_file"] == mapping.name
    # A person corrects it; the next run takes it, and never writes over it.
    said = text.replace('"Where is it?" = "?"', '"Where is it?" = "storage_location"')
    said = said.replace('"Trained on" = "?"', '"Trained on" = "day-first"')
    said = said.replace('# "parked" =', '"parked" =').replace('"parked" = "production"', '"parked" = "experimental"')
    mapping.write_text(said, encoding="utf-8")
    assert world.cli("adopt", "tracking.xlsx", "--dry-run", cwd=team.place).returncode == 7
    assert mapping.read_text(encoding="utf-8") == said
    assert (team.place / "tracking.xlsx.mapping-2.toml").read_text(encoding="utf-8") == text
    answered = world.cli("adopt", "tracking.xlsx", "--mapping", mapping.name, "--dry-run", "--json", cwd=team.place)
    assert (answered.returncode, answered.stderr) == (0, "")
    told = json.loads(answered.stdout)
    assert told["summary"]["to_import"] == 2
    assert [one["sha256"] for one in told["files"]] == [sha256(b"files/m1.bin"), sha256(b"files/m2.bin")]
    done = world.cli("adopt", str(team.sheet), "--mapping", str(mapping))
    assert done.returncode == 0, done.stderr
    assert "imported 2 versions" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("ledger ")
    assert world.as_().show("churn@1.0.1")["training_date"] == "2023-04-03"


def test_open_questions_import_nothing(tmp_path: Path) -> None:
    world, team = World(tmp_path / "w"), ambiguous(tmp_path / "team")
    head = world.as_().head
    dry = Path(str(Registry.adopt_dry_run(team.sheet, registry=world.root).mapping_file)).read_bytes()
    ran = world.cli("adopt", str(team.sheet))
    assert [path.read_bytes() for path in team.place.glob("*.mapping*.toml")] == [dry]  # the same, so written once
    assert (ran.returncode, world.as_().head) == (7, head)
    assert "error MR-I060: tracking.xlsx: " in ran.stderr
    assert "Questions: " in ran.stdout
    assert not (world.root / "adopted").exists()


def test_two_in_production_are_asked(tmp_path: Path) -> None:
    world, team = World(tmp_path / "w"), Team(tmp_path / "team")
    for version in ("1.0.1", "1.0.2"):
        team.row("Churn", version, f"{version}.bin", team.file(f"{version}.bin"), None, None, "prod")
    done = world.as_().adopt(team.save())
    assert [one.kind for one in done.proposal.questions] == ["two_in_production"]
    assert done.open


def test_a_dry_run_writes_nothing_but_the_mapping(tmp_path: Path) -> None:
    world, team = World(tmp_path / "w"), usual(tmp_path / "team")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    done = Registry.adopt_dry_run(team.sheet, registry=world.root)
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert {path.name for path in after.keys() - before.keys()} == {"tracking.xlsx.mapping.toml"}
    assert before.items() <= after.items()
    assert (done.to_import, done.dry_run, done.result) == (4, True, None)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("adopt", "gone.xlsx"), 5),
        (("adopt", "notes.xlsx"), 7),
        (("adopt", "tracking.xlsx", "--mapping", "gone.toml"), 5),
        (("adopt", "tracking.xlsx", "--storage", "gone"), 5),
        (("take-in", "churn@1"), 5),
    ],
)
def test_bad_input_changes_nothing(tmp_path: Path, words: tuple[str, ...], status: int) -> None:
    world, team = World(tmp_path / "w", risk="minimal", leads=()), usual(tmp_path / "team")
    (team.place / "notes.xlsx").write_bytes(b"no workbook")
    ran = world.cli("--registry", str(world.root), *words, cwd=team.place)
    assert (ran.returncode, world.as_().head[0]) == (status, 1)
    assert "Traceback" not in ran.stderr
    assert ran.stderr.startswith("error MR-")


def test_a_registry_in_the_teams_own_folder(tmp_path: Path) -> None:
    team = usual(tmp_path / "registry")
    for row in team.rows:
        row[3] = f"D:\\share\\{Path(str(row[3])).name}"  # nothing but the names fits
    team.save()
    world = World(tmp_path)
    first = world.as_().adopt(team.sheet)
    assert {one["version"] for one in first.imported} >= {"1.0.0", "v7"}
    again = world.as_().adopt(team.sheet)
    rows = [int(str(one["row"])) for one in first.imported]
    assert all("with the same content" in reasons(again)["Inventory", row] for row in rows)
    assert errors(world) == []


def test_two_sheets_of_one_name_are_two(tmp_path: Path) -> None:
    world, team, first = adopted(tmp_path)
    other = Team(tmp_path / "other")
    other.row("Other", "1.0.0", "o.bin", other.file("o.bin"), None, None, "dev", None, "ML-1")
    second = world.as_().adopt(other.save())
    assert first.kept != second.kept
    assert len(list((world.root / "adopted").iterdir())) == 2
    assert cells(world.root / "registry.xlsx")["other@1.0.0"]["Jira"] == "ML-1"
    assert cells(world.root / "registry.xlsx")["churn@1.1.0"]["Jira"] == "ML-140"
    assert errors(world) == []
    assert team.sheet.is_file()


def test_a_sheet_of_comma_separated_values(tmp_path: Path) -> None:
    world, team = World(tmp_path / "w"), Team(tmp_path / "team")
    team.file("a.bin")
    sheet = team.place / "models;\u202eold.csv"
    sheet.write_text("model;version;path;stage;ticket\nchurn;1.0.0;a.bin;dev;\x1b[31m=cmd|x\n", encoding="utf-8")
    done = world.as_().adopt(sheet)
    assert [one["version"] for one in done.imported] == ["1.0.0"]
    assert str(done.kept).endswith("-models;_old.csv")
    assert errors(world) == []
    ran = world.cli("adopt", str(sheet))
    assert "\x1b" not in ran.stdout


def test_the_workbook_of_a_registry(tmp_path: Path) -> None:
    world, _, _ = adopted(tmp_path / "old", risk="minimal")
    world.as_().archive_pending()
    own = world.as_().adopt(world.root / "registry.xlsx")
    assert (own.imported, own.open) == ((), False)
    assert sum("with the same content" in reason for reason in reasons(own).values()) == 4
    other = World(tmp_path / "new", risk="minimal")
    done = other.as_().adopt(world.root / "registry.xlsx")
    assert {(one["model"], one["version"], one["blake3"]) for one in done.imported} == {
        (one["model"], one["version"], one["blake3"]) for one in world.as_().list()
    }
    assert errors(other) == []


def test_nothing_of_a_persons_workbook_is_lost_for_own_columns(tmp_path: Path) -> None:
    world, team = World(tmp_path), usual(tmp_path / "team")
    path = world.root / "registry.xlsx"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("customXml/item1.xml", "<a/>")  # a save with openpyxl would drop it
    done = world.as_().adopt(team.sheet)
    assert len(done.imported) == 4
    assert any("were not added to the workbook" in one and "custom XML" in one for one in done.warnings)
    assert "customXml/item1.xml" in zipfile.ZipFile(path).namelist()
    assert errors(world) == []


def test_headings_stand_once_and_are_never_ours() -> None:
    taken = frozenset({"Stage", "Check"})
    assert headings_of(["Jira", "jira", "Check", "check", "", "Jira"], taken) == [
        "Jira", "jira 2", "Check (as adopted)", "check 2", "column", "Jira 3",
    ]  # fmt: skip
