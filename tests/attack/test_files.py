"""Stored files, copies and views that somebody changed: each is found with its own code and place, and no more."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from attacker import CI, LEAD, MALLORY, Scene, notices, snapshot, told

from manual_registry.core.errors import ApprovalWanted, HeadUnknown, PolicyDiffers, RegistryError
from manual_registry.core.results import Severity

MODEL = "models/churn/2/artefact/model-2.bin"
BAG = "archive/churn/6"


def test_a_copy_of_a_registry_works_elsewhere_without_findings(scene: Scene) -> None:
    outcome = scene.verify(both=True)
    assert outcome.ok
    assert {one.severity for one in outcome.findings} <= {Severity.INFO}
    scene.as_().note("churn@2", "written in the copy")
    assert scene.verify().ok
    assert not notices(scene.verify())


def test_a_copy_of_the_copy_too(scene: Scene, tmp_path: Path) -> None:
    scene.as_().note("churn@2", "written in the copy")
    twin = tmp_path / "a place with blanks, ümlauts" / "registry"
    shutil.copytree(scene.root, twin)
    assert told(Scene(world=scene.world, root=twin, now=scene.now).verify()) == []


def flip(path: Path) -> Callable[[Scene], None]:
    def change(scene: Scene) -> None:
        data = bytearray((scene.root / path).read_bytes())
        data[len(data) // 2] ^= 1
        scene.put(scene.root / path, bytes(data))

    return change


def add(path: Path) -> Callable[[Scene], None]:
    def change(scene: Scene) -> None:
        (scene.root / path).parent.chmod(0o755)
        (scene.root / path).write_bytes(b"more")

    return change


def remove(path: Path) -> Callable[[Scene], None]:
    def change(scene: Scene) -> None:
        (scene.root / path).unlink()

    return change


def link(path: Path) -> Callable[[Scene], None]:
    def change(scene: Scene) -> None:
        content = (scene.root / path).read_bytes()
        elsewhere = scene.root.parent / "elsewhere"
        elsewhere.write_bytes(content)
        (scene.root / path).unlink()
        (scene.root / path).symlink_to(elsewhere)

    return change


VERSION = Path("models/churn/2")
EVIDENCE = VERSION / "evidence/metadata/metadata.yaml"


@pytest.mark.parametrize(
    ("attack", "found"),
    [
        (flip(Path(MODEL)), [("MR-A001", MODEL)]),
        (add(VERSION / "artefact/extra.bin"), [("MR-A002", "models/churn/2/artefact/extra.bin")]),
        (add(VERSION / "stray"), [("MR-A002", "models/churn/2/stray")]),
        (add(VERSION / "evidence/metadata/more.yaml"), [("MR-A002", "models/churn/2/evidence/metadata/more.yaml")]),
        (remove(Path(MODEL)), [("MR-A003", MODEL)]),
        (flip(EVIDENCE), [("MR-A001", EVIDENCE.as_posix())]),
        (remove(EVIDENCE), [("MR-A003", EVIDENCE.as_posix())]),
        (flip(VERSION / "record.json"), [("MR-A001", "models/churn/2/record.json")]),
        (remove(VERSION / "record.json"), [("MR-A003", "models/churn/2/record.json")]),
        (remove(VERSION / "B3SUMS"), [("MR-A003", "models/churn/2/B3SUMS")]),
    ],
)
def test_a_changed_file_is_found_at_its_place(
    scene: Scene, attack: Callable[[Scene], None], found: list[tuple[str, str]]
) -> None:
    attack(scene)
    assert scene.errors() == found
    assert told(scene.verify(refs=["churn@2"])) == found
    assert told(scene.verify(refs=["churn@3"])) == []


def test_a_link_in_place_of_a_file_is_found_though_its_content_is_right(scene: Scene) -> None:
    link(Path(MODEL))(scene)
    found = scene.errors()
    assert found
    assert {place for _, place in found} == {MODEL}


def test_a_link_in_place_of_the_whole_version_is_found(scene: Scene) -> None:
    (scene.root / VERSION).rename(scene.root.parent / "elsewhere")
    (scene.root / VERSION).symlink_to(scene.root.parent / "elsewhere")
    assert ("MR-A003", "models/churn/2") in scene.errors()


def test_a_manifest_that_was_rewritten_with_the_artefact_hides_nothing(scene: Scene) -> None:
    import hashlib

    from blake3 import blake3

    data = b"another model"
    scene.put(scene.root / MODEL, data)
    scene.put(scene.root / VERSION / "B3SUMS", f"{blake3(data).hexdigest()}  model-2.bin\n".encode())
    scene.put(scene.root / VERSION / "SHA256SUMS", f"{hashlib.sha256(data).hexdigest()}  model-2.bin\n".encode())
    found = scene.errors()
    assert found == [("MR-A001", "models/churn/2/B3SUMS"), ("MR-A001", "models/churn/2/artefact")]


def test_two_versions_that_changed_places_are_found(scene: Scene) -> None:
    for name in ("artefact", "B3SUMS", "SHA256SUMS", "record.json"):
        one, two, aside = (scene.root / f"models/churn/{number}/{name}" for number in ("2", "3", "aside"))
        aside.parent.mkdir(exist_ok=True)
        for folder in (one.parent, two.parent):
            folder.chmod(0o755)
        one.rename(aside)
        two.rename(one)
        aside.rename(two)
    (scene.root / "models/churn/aside").rmdir()
    found = scene.errors()
    assert {place.split("/")[2] for _, place in found} == {"2", "3"}
    assert len(found) <= 6


def test_a_version_without_an_event_and_a_bag_without_one(scene: Scene) -> None:
    shutil.copytree(scene.root / VERSION, scene.root / "models/churn/9")
    shutil.copytree(scene.root / BAG, scene.root / "archive/churn/9")
    assert scene.errors() == [("MR-A005", "models/churn/9"), ("MR-A005", "archive/churn/9")]


def test_a_bag_that_was_changed_and_made_valid_again(scene: Scene) -> None:
    import bagit

    payload = scene.root / BAG / "data/artefact/model-6.bin"
    for path in (scene.root / BAG).rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    payload.write_bytes(b"another model")
    bag = bagit.Bag(str(scene.root / BAG))
    bag.save(manifests=True)
    found = scene.errors()
    assert ("MR-A001", f"{BAG}/data/artefact/model-6.bin") in found
    assert ("MR-A004", f"{BAG}/tagmanifest-sha256.txt") in found
    assert all(place.startswith(BAG) for _, place in found)


# -- approvals/, allowed_signers --------------------------------------------------------------------------


def test_an_approval_copy_that_was_changed(scene: Scene) -> None:
    seq = scene.seq("approval.signed", model="churn", version="2")
    name = f"approvals/churn/2/{scene.document(seq)['data']['id']}.json"
    text = (scene.root / name).read_text(encoding="utf-8")
    scene.put(scene.root / name, text.replace('"comment":null', '"comment":"really"').encode())
    assert scene.errors() == [("MR-S003", name)]


def test_a_signature_copy_that_was_changed_and_one_too_many(scene: Scene) -> None:
    seq = scene.seq("approval.signed", model="churn", version="2")
    name = f"approvals/churn/2/{scene.document(seq)['data']['id']}.json"
    scene.put(scene.root / f"{name}.sig", (scene.root / f"{name}.sig").read_bytes().replace(b"U1NI", b"U1NJ", 1))
    (scene.root / "approvals/churn/2/A999.json").write_bytes((scene.root / name).read_bytes())
    assert scene.errors() == [("MR-S003", f"{name}.sig"), ("MR-S003", "approvals/churn/2/A999.json")]


def test_an_approval_copy_hidden_in_a_folder_that_only_looks_like_the_inbox(scene: Scene) -> None:
    hidden = scene.root / "approvals/churn/2/.inbox/A999.json"
    hidden.parent.mkdir()
    hidden.write_text("{}\n", encoding="utf-8")
    assert scene.errors() == [("MR-S003", "approvals/churn/2/.inbox/A999.json")]


def test_a_removed_approval_copy_is_told_and_comes_back(scene: Scene) -> None:
    path = next((scene.root / "approvals/churn/2").glob("A*.json"))
    data = path.read_bytes()
    path.unlink()
    assert scene.errors() == []
    assert notices(scene.verify()) == [("MR-S003", path.relative_to(scene.root).as_posix())]
    scene.as_().note("churn@2", "the next writing command")
    assert path.read_bytes() == data


def test_a_removed_folder_of_copies_is_told_once(scene: Scene) -> None:
    shutil.rmtree(scene.root / "approvals")
    outcome = scene.verify()
    assert outcome.ok
    assert notices(outcome) == [("MR-S003", "approvals")]
    scene.as_().note("churn@2", "the next writing command")
    assert notices(scene.verify()) == []


@pytest.mark.parametrize("path", ["models/churn", "archive/churn"])
def test_a_link_in_place_of_a_whole_folder_is_told(scene: Scene, path: str) -> None:
    """What lies elsewhere may change at any time; as long as it is equal, that it lies there is a warning."""
    (scene.root / path).rename(scene.root.parent / "elsewhere")
    (scene.root / path).symlink_to(scene.root.parent / "elsewhere")
    outcome = scene.verify()
    assert outcome.ok
    assert notices(outcome) == [("MR-A005", path)]


def test_pipes_do_not_hold_up_verify(scene: Scene) -> None:
    import os

    for name in ("approvals/churn/2/A9.json", "allowed_signers", "registry.xlsx"):
        (scene.root / name).unlink(missing_ok=True)
        os.mkfifo(scene.root / name)
    found = scene.errors()
    assert [where for _, where in found] == ["registry.xlsx"]


def signers(scene: Scene) -> list[str]:
    return (scene.root / "allowed_signers").read_text(encoding="utf-8").splitlines()


def test_a_key_added_to_allowed_signers(scene: Scene) -> None:
    lines = signers(scene)
    stranger = f'{LEAD} namespaces="stage-approval@manual-registry" {scene.key_line(MALLORY)}'
    scene.put(scene.root / "allowed_signers", "\n".join([*lines, stranger, ""]).encode())
    assert scene.errors() == [("MR-S004", f"allowed_signers:{len(lines) + 1}")]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("valid-before=", "valid-after="),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text + text.splitlines()[-1] + "\n",
        lambda text: "".join(sorted(text.splitlines(keepends=True))),
        lambda text: text.replace(f'{LEAD} namespaces="', f'{LEAD} cert-authority,namespaces="'),
        lambda text: text + "# \u2028" + "* ssh-ed25519 AAAA\n",
        lambda text: text.replace("ci2 ", "ci3 "),
        lambda text: text[: text.rindex("ci2 ")],
    ],
)
def test_every_other_change_of_allowed_signers_is_found(scene: Scene, change: Callable[[str], str]) -> None:
    path = scene.root / "allowed_signers"
    text = path.read_text(encoding="utf-8")
    scene.put(path, change(text).encode())
    found = scene.errors()
    assert found
    assert {(code, place.split(":")[0]) for code, place in found} == {("MR-S004", "allowed_signers")}


def test_a_changed_allowed_signers_is_kept_when_it_is_rendered_anew(scene: Scene) -> None:
    path = scene.root / "allowed_signers"
    forged = path.read_bytes() + b"* ssh-ed25519 AAAA\n"
    scene.put(path, forged)
    scene.as_().note("churn@2", "the next writing command")
    assert scene.errors() == []
    assert any(one.read_bytes() == forged for one in scene.root.glob("allowed_signers.*"))


# -- registry.toml ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "setting"),
    [
        ('risk = "high"', 'risk = "minimal"', "risk"),
        ("retention_years = 10", "retention_years = 1", "policy.retention_years"),
        ("approval_hours = 48", "approval_hours = 1", "policy.approval_hours"),
        ('placed_on_market = "2026-01-01"', 'placed_on_market = "2016-01-01"', "placed_on_market"),
        ('system = "a system"', 'system = "another"', "system"),
    ],
)
def test_a_setting_in_the_file_counts_for_nothing_until_a_lead_signs_it(
    scene: Scene, old: str, new: str, setting: str
) -> None:
    path = scene.root / "registry.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    scene.put(path, text.replace(old, new).encode())
    outcome = scene.verify()
    assert outcome.ok  # a lead may be about to sign it
    assert ("MR-P014", "registry.toml") in notices(outcome)
    assert any(setting in one.message for one in outcome.findings if one.code == "MR-P014")
    with pytest.raises(RegistryError) as refusal:
        scene.as_(CI).promote(
            "churn@3", to="production", reason="now", pipeline="ci", pipeline_key=scene.world.key("ci")
        )
    assert any(isinstance(one, PolicyDiffers) for one in refusal.value.reasons)
    assert scene.as_().policy_show()["in_force"]["risk"] == "high"


def test_gates_below_the_floor_of_the_risk_class_are_refused_outright(scene: Scene) -> None:
    path = scene.root / "registry.toml"
    text = path.read_text(encoding="utf-8")
    scene.put(path, text.replace('gates = ["performance", "fairness", "security"]', "gates = []").encode())
    with pytest.raises(RegistryError) as refusal:
        scene.as_(LEAD).policy_sign(as_=LEAD, key=scene.world.key(LEAD))
    assert refusal.value.exit_status == 7
    with pytest.raises(RegistryError) as refused:
        scene.as_(CI).promote("churn@3", to="production", pipeline="ci", pipeline_key=scene.world.key("ci"))
    assert any(isinstance(one, PolicyDiffers) for one in refused.value.reasons)
    assert ("MR-I025", "registry.toml") in notices(scene.verify())


# -- the workbook -----------------------------------------------------------------------------------------


def edit_cell(scene: Scene, sheet: str, header: str, row: int, value: object) -> str:
    """Edit one cell with openpyxl, as any script would; return its place."""
    path = scene.root / "registry.xlsx"
    book = openpyxl.load_workbook(path)
    page = book[sheet]
    columns = {cell.value: cell for line in page.iter_rows(max_row=10) for cell in line if isinstance(cell.value, str)}
    head = columns[header]
    cell = page.cell(row=head.row + row, column=head.column)
    cell.value = value  # type: ignore[assignment]
    book.save(path)
    book.close()
    return f"registry.xlsx:{sheet}!{cell.coordinate}"


@pytest.mark.parametrize(
    ("sheet", "header", "value"),
    [
        ("Models", "Content hash", "0123456789ab"),
        ("Models", "SHA-256", "0" * 64),
        ("Models", "Approver", "mallory@example.org"),
        ("Models", "Code commit", "d" * 12),
        ("Approvals", "Status", "used"),
        ("Approvers", "Key", "SHA256:another"),
        ("History", "What", "nothing happened"),
    ],
)
def test_an_edited_cell_of_the_tool_is_found(scene: Scene, sheet: str, header: str, value: str) -> None:
    place = edit_cell(scene, sheet, header, 1, value)
    assert scene.errors() == [("MR-V001", place)]


def test_an_edited_hash_is_found_also_in_a_workbook_that_names_no_head_any_more(scene: Scene) -> None:
    place = edit_cell(scene, "Models", "Content hash", 2, "0123456789ab")
    path = scene.root / "registry.xlsx"
    book = openpyxl.load_workbook(path)
    kept: Any = book
    for name in list(kept.custom_doc_props.names):
        del kept.custom_doc_props[name]
    book.save(path)
    book.close()
    outcome = scene.verify()
    assert told(outcome) == [("MR-V001", place)]
    assert ("MR-V004", "registry.xlsx") in notices(outcome)


def properties(scene: Scene, **changes: str) -> None:
    path = scene.root / "registry.xlsx"
    book: Any = openpyxl.load_workbook(path)
    known = {prop.name: prop for prop in book.custom_doc_props.props}
    for name, prop in known.items():
        for part, value in changes.items():
            if part in name.lower():
                prop.value = value
    book.save(path)
    book.close()


def test_a_workbook_with_an_unknown_head_stops_every_writer(scene: Scene) -> None:
    properties(scene, hash="sha256:" + "ab" * 32)
    found = scene.errors()
    assert found == [("MR-L007", f"ledger/{scene.head:012d}.json")]
    before = snapshot(scene.root)
    with pytest.raises(HeadUnknown):
        scene.as_().note("churn@2", "a note")
    assert snapshot(scene.root) == before
    scene.as_().reset_view()
    assert scene.errors() == []
    scene.as_().note("churn@2", "a note")


def test_a_workbook_of_another_registry_is_found_and_stops_writers(scene: Scene) -> None:
    properties(scene, **{".id": "f" * 32})
    assert scene.errors() == [("MR-L007", "registry.xlsx")]
    before = snapshot(scene.root)
    with pytest.raises(HeadUnknown, match="another registry"):
        scene.as_().note("churn@2", "a note")
    assert snapshot(scene.root) == before


def test_a_deleted_workbook_is_told_and_rebuilt(scene: Scene) -> None:
    (scene.root / "registry.xlsx").unlink()
    outcome = scene.verify()
    assert outcome.ok
    assert notices(outcome) == [("MR-V003", "registry.xlsx")]
    registry = scene.as_()
    registry.note("churn@2", "a note")
    assert any("rendered anew" in one for one in registry.warnings)
    assert scene.errors() == []


def test_a_workbook_that_is_no_workbook(scene: Scene) -> None:
    scene.put(scene.root / "registry.xlsx", b"PK\x03\x04 this is none")
    [(code, place)] = scene.errors()
    assert (code[:4], place) == ("MR-V", "registry.xlsx")
    scene.as_().note("churn@2", "a note")
    assert scene.errors() == []


def test_a_stage_typed_into_the_workbook_is_a_wish_and_nothing_more(scene: Scene) -> None:
    edit_cell(scene, "Models", "Stage", 5, "production")
    outcome = scene.verify()
    assert outcome.ok
    assert [one.code for one in outcome.findings if one.location.startswith("registry.xlsx")] == ["MR-V006"]
    assert [row["stage"] for row in scene.as_().list()].count("production") == 1


# -- through the command line -----------------------------------------------------------------------------


def run(scene: Scene, *words: str) -> tuple[int, dict[str, object] | None, str]:
    scene.world.root, kept = scene.root, scene.world.root
    try:
        done = scene.world.cli(*words)
    finally:
        scene.world.root = kept
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def test_verify_prints_its_document_and_exits_4(scene: Scene) -> None:
    flip(Path(MODEL))(scene)
    status, document, _ = run(scene, "verify", "--json")
    assert status == 4
    assert document is not None
    assert document["ok"] is False
    found = [one for one in document["findings"] if one["severity"] == "error"]  # type: ignore[attr-defined]
    assert [(one["code"], one["location"]) for one in found] == [("MR-A001", MODEL)]


def test_promotion_of_a_changed_artefact_is_refused(scene: Scene) -> None:
    flip(Path("models/churn/3/artefact/model-3.bin"))(scene)
    with pytest.raises(RegistryError) as refusal:
        scene.as_(CI).promote(
            "churn@3", to="production", reason="now", pipeline="ci", pipeline_key=scene.world.key("ci")
        )
    assert [one.code for one in refusal.value.reasons] == ["MR-A001"]
    assert refusal.value.exit_status == 4
    assert not isinstance(refusal.value, ApprovalWanted)
