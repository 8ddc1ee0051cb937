"""`attach`, and the documents of list, show, search, compare, history, status, deploy, alias, tag, note."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from life_line import HEAD_LINE, Copied, Runner, events_in, here, result_of, tree
from world import CARD, LEAD, LEAD2, SME, World, gate

REF = "churn@1"
#: The members of a list entry that the contract names.
LISTED = (
    "model",
    "version",
    "stage",
    "blake3",
    "sha256",
    "composite_id",
    "storage_location",
    "training_data",
    "code_commit",
    "training_date",
    "metrics",
    "approver",
    "approval_date",
    "deployment_date",
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A high-risk registry."""
    return World(tmp_path)


@pytest.fixture
def run(world: World) -> Runner:
    """The command line in this process."""
    return here(world)


def file(world: World, name: str, content: str | dict[str, Any]) -> Path:
    """Write a file beside the registry."""
    path = world.place / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


# -- attach -----------------------------------------------------------------------------------------------


def test_attach_fills_what_is_empty_and_keeps_the_bytes(world: World, run: Runner) -> None:
    world.register(card=None, environment=None, owner=None, gates=None)
    words = (
        "--gates",
        file(world, "fairness.json", gate("fairness")),
        "--card",
        file(world, "card.json", CARD),
        "--environment",
        file(world, "lock.txt", "numpy==2\n"),
        "--evidence",
        file(world, "minutes.txt", "agreed\n"),
        "--metadata",
        file(world, "more.yaml", {"owner": "team", "description": "later"}),
    )
    before = run("show", REF, "--json").document
    done = result_of(run("attach", REF, *words, "--json"), world.root, "attach", stage="experimental")
    assert len(done["events"]) == 1
    after = run("show", REF, "--json").document
    assert (after["owner"], after["metadata"]["description"], after["card"]) == ("team", "later", CARD)
    assert [one["gate"] for one in after["gates"]] == ["fairness"]
    for name in ("composite_id", "blake3", "sha256", "training_data", "code_commit", "config", "metrics"):
        assert after[name] == before[name]
    stored = {Path(one["path"]).name: world.root / "models/churn/1" / one["path"] for one in after["evidence"]}
    for name in ("fairness.json", "card.json", "lock.txt", "minutes.txt", "more.yaml"):
        assert stored[name].read_bytes() == (world.place / name).read_bytes()
        assert stored[name].stat().st_mode & 0o222 == 0
    assert run("verify", "--json").document["ok"] is True


def test_a_later_report_stands_beside_the_earlier_one_and_counts(world: World, run: Runner) -> None:
    world.register(gates=[gate("performance"), gate("fairness"), gate("security", lower=0.7, passed=False)])
    assert run("promote", REF, "--to", "staging", "--json").codes == ["MR-P004", "MR-W001"]
    assert run("attach", REF, "--gates", file(world, "security.json", gate("security"))).status == 0
    reports = [(one["gate"], one["passed"]) for one in run("show", REF, "--json").document["gates"]]
    assert reports == [("performance", True), ("fairness", True), ("security", False), ("security", True)]
    assert run("promote", REF, "--to", "staging", "--json").status == 9


@pytest.mark.parametrize(
    ("option", "content", "status", "codes"),
    [
        ("--metadata", {"owner": "somebody else"}, 6, ["MR-C005"]),
        ("--metadata", {"metrics": {"auc": 0.5}}, 6, ["MR-C005"]),
        ("--metadata", {"code": {"commit": "d" * 40}}, 6, ["MR-C005"]),
        ("--metadata", {"training_data": "sha256:" + "ef" * 32}, 6, ["MR-C005"]),
        ("--metadata", {"config": "environment.txt"}, 6, ["MR-C005"]),
        ("--metadata", {"prompt": "environment.txt"}, 6, ["MR-C005"]),
        ("--metadata", {"tags": {"team": "risk"}}, 6, ["MR-C005"]),
        ("--metadata", {"colour": "red"}, 7, ["MR-I015"]),
        ("--environment", "scipy\n", 6, ["MR-C005"]),
        ("--gates", gate("fairness", lower=0.1), 7, ["MR-I018"]),
        ("--gates", {**gate("fairness"), "evaluated_at": "2999-01-01"}, 7, ["MR-I020"]),
        ("--gates", {**gate("fairness"), "model": "sha256:" + "0" * 64}, 7, ["MR-I019"]),
        ("--evidence", None, 5, ["MR-N009"]),
    ],
)
def test_attach_never_changes_what_stands(
    world: World, run: Runner, option: str, content: str | dict[str, Any] | None, status: int, codes: list[str]
) -> None:
    world.register()
    path = world.place / "nothing" if content is None else file(world, "given.yaml", content)
    before = tree(world.root)
    done = run("attach", REF, option, path, "--json")
    assert (done.status, done.codes) == (status, codes)
    assert tree(world.root) == before


def test_a_complete_card_counts_whenever_it_comes(world: World, run: Runner) -> None:
    world.register(card={"architecture": "a tree"}, environment=None)
    world.approve(REF, "staging")
    world.promote(REF, "staging")
    done = run("promote", REF, "--to", "production", "--json")
    lacking = next(reason for reason in done.error["details"]["reasons"] if reason["code"] == "MR-P005")
    assert "intended_use" in lacking["message"]
    assert "architecture" not in lacking["message"]
    assert (
        run(
            "attach", REF, "--card", file(world, "card.json", CARD), "--environment", file(world, "lock.txt", "numpy\n")
        ).status
        == 0
    )
    assert run("promote", REF, "--to", "production", "--json").codes == ["MR-P007", "MR-W001"]


def test_an_open_approval_lapses(world: World, run: Runner) -> None:
    world.register()
    requested = world.as_().approval_request(REF, to="staging").id or ""
    done = run("attach", REF, "--evidence", file(world, "a.txt", "a"), "--json")
    assert any(requested in warning and "lapsed" in warning for warning in done.document["warnings"])
    signed = world.approve(REF, "staging")
    text = run("attach", REF, "--evidence", file(world, "b.txt", "b"))
    assert f"warning: approval {signed} lapsed" in text.err
    status = {one["id"]: one["status"] for one in run("approval", "list", "--json").document["approvals"]}
    assert status == {requested: "lapsed", signed: "lapsed"}
    late = run("approval", "sign", requested, "--as", LEAD, "--key", world.key(LEAD), "--json")
    assert (late.status, late.codes, late.hint) == (6, ["MR-C008"], f"mreg approval request {REF} --to staging")


def test_an_archived_version_takes_nothing_more(world: World, run: Runner) -> None:
    world.register()
    world.as_().archive(REF, reason="old")
    before = tree(world.root)
    done = run("attach", REF, "--evidence", file(world, "a.txt", "a"), "--json")
    assert (done.status, done.codes, done.hint) == (3, ["MR-P017"], f"mreg unarchive {REF} --reason TEXT")
    assert tree(world.root) == before


# -- documents --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 in production and deployed, 2 in staging, each with remarks; to be copied."""
    place = tmp_path_factory.mktemp("lived")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MANUAL_REGISTRY_STATE", str(place / "state"))
        patch.setenv("MANUAL_REGISTRY_CACHE", str(place / "cache"))
        patch.chdir(place)
        made = World(place / "world")
        made.to_production("1")
        made.to_staging("2")
        work = made.as_()
        work.deploy(REF, environment="production", at="2026-03-01T10:00:00Z", path="/srv/churn")
        work.alias_set("churn", "champion", "1")
        work.tag(REF, {"team": "risk"})
        work.note(REF, "Checked by hand.\nTwice.")
    return made.place


@pytest.fixture
def lived(once: Path, tmp_path: Path) -> World:
    """A copy of :func:`once`."""
    shutil.copytree(once, tmp_path / "lived")
    return Copied(tmp_path / "lived")


@pytest.fixture
def see(lived: World) -> Runner:
    """The command line in the lived registry."""
    return here(lived)


def test_list(lived: World, see: Runner) -> None:
    document = see("list", "--json").document
    assert document["schema"] == "manual-registry/list/1"
    first, second = document["versions"]
    assert tuple(first)[: len(LISTED)] == LISTED
    assert (first["version"], first["stage"], second["version"], second["stage"]) == ("1", "production", "2", "staging")
    assert first["storage_location"] == "models/churn/1"
    assert re.fullmatch("[0-9a-f]{64}", first["blake3"])
    assert re.fullmatch("[0-9a-f]{64}", first["sha256"])
    assert first["approver"] == LEAD
    assert first["approval_date"].endswith("Z")
    assert (first["deployment_date"], second["deployment_date"]) == ("2026-03-01T10:00:00.000Z", None)
    assert first["metrics"] == {"auc": 0.91}
    text = see("list").out
    assert "production" in text
    assert "staging" in text


def test_show_has_everything(lived: World, see: Runner) -> None:
    document = see("show", REF, "--json").document
    assert document["schema"] == "manual-registry/show/1"
    row = see("list", "--json").document["versions"][0]
    assert {name: document[name] for name in row} == row
    assert (document["aliases"], document["tags"]) == (["champion"], {"team": "risk"})
    assert [(note["actor"], note["text"]) for note in document["notes"]] == [(SME, "Checked by hand.\nTwice.")]
    assert [(one["to"], one["status"], one["approver"]) for one in document["approvals"]] == [
        ("staging", "used", LEAD),
        ("production", "used", LEAD),
    ]
    assert document["deployments"] == [
        {"environment": "production", "at": "2026-03-01T10:00:00.000Z", "path": "/srv/churn", "ended_at": None}
    ]
    assert [one["stage"] for one in document["stages"]] == ["experimental", "staging", "production"]
    assert document["stages"][-1]["pipeline"] == "ci"
    assert [one["gate"] for one in document["gates"]] == ["performance", "fairness", "security"]
    assert document["metadata"]["hyperparameters"] == {"depth": 3}
    text = see("show", REF).out
    for told in ("champion", "Checked by hand.", "production", "/srv/churn", "team"):
        assert told in text


@pytest.mark.parametrize(
    ("words", "versions"),
    [
        (("churn",), ["1", "2"]),
        (("CHURN",), ["1", "2"]),
        (("stage=production",), ["1"]),
        (("stage!=production",), ["2"]),
        (("metrics.auc>=0.91",), ["1", "2"]),
        (("metrics.auc>0.91",), []),
        (("metrics.auc<1", "stage=staging"), ["2"]),
        (("params.depth=3", "version=1"), ["1"]),
        (("params.depth=4",), []),
        (("tag.team=risk",), ["1"]),
        (("tag.team!=risk",), ["2"]),
        (("metrics.f1>0",), []),
        (("training_date>=2026-01-01", "training_date<2026-01-02"), ["1", "2"]),
        (("deployment_date<2026-06-01",), ["1"]),
        (("aliases=champion",), ["1"]),
        (("nothing-like-it",), []),
    ],
)
def test_search(lived: World, see: Runner, words: tuple[str, ...], versions: list[str]) -> None:
    document = see("search", *words, "--json").document
    assert document["schema"] == "manual-registry/search/1"
    assert [one["version"] for one in document["versions"]] == versions


def test_compare(lived: World, see: Runner) -> None:
    document = see("compare", REF, "churn@2", "--json").document
    assert (document["schema"], document["a"], document["b"]) == ("manual-registry/compare/1", "churn@1", "churn@2")
    differences = {one["field"]: (one["a"], one["b"]) for one in document["differences"]}
    assert differences["stage"] == ("production", "staging")
    assert {"blake3", "sha256", "deployment_date"} <= set(differences)
    assert {"metrics.auc", "params.depth", "gates.fairness", "code_commit"} <= set(document["same"])
    same = see("compare", REF, "churn@champion", "--json").document
    assert same["differences"] == []
    text = see("compare", REF, "churn@2").out
    assert "production" in text
    assert "staging" in text


def test_history(lived: World, see: Runner) -> None:
    document = see("history", "--json").document
    assert document["schema"] == "manual-registry/history/1"
    rows = document["events"]
    assert [row["seq"] for row in rows] == list(range(1, events_in(lived.root) + 1))
    for row in rows:
        assert {"seq", "at", "actor", "type", "model", "version", "summary", "hash"} == set(row)
    assert rows[0]["type"] == "registry.created"
    assert any(row["summary"] == "churn@1: Checked by hand.\nTwice." for row in rows)
    only = see("history", "churn@2", "--json").document["events"]
    assert only
    assert all(row["version"] == "2" for row in only)


def test_status(lived: World, see: Runner) -> None:
    lived.as_().approval_request("churn@2", to="production")
    document = see("status", "--json").document
    assert document["schema"] == "manual-registry/status/1"
    assert (document["system"], document["risk"], document["models"]) == ("a system", "high", 1)
    assert document["counts"] == {"experimental": 0, "staging": 1, "production": 1, "archived": 0}
    assert [(one["version"], one["to"]) for one in document["pending"]] == [("2", "production")]
    assert document["view_behind"] is False
    assert document["ledger"]["seq"] == events_in(lived.root)
    bare = see()
    assert (bare.status, bare.out) == (0, see("status").out)
    assert f"mreg approval show {document['pending'][0]['id']}" in bare.out


def test_a_bare_command_outside_of_a_registry(run: Runner, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    done = run(cwd=outside)
    assert (done.status, done.codes) == (2, ["MR-U002"])
    assert done.hint.startswith("mreg init")
    for words in (("list",), ("verify",), ("register", "m", "1", "x")):
        assert run(*words, "--json", cwd=outside).codes == ["MR-U002"]


def test_where_the_registry_is_found(
    lived: World, see: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = lived.root / "models" / "churn"
    outside = tmp_path / "outside"
    outside.mkdir()
    wanted = see("list", "--json").document
    assert see("list", "--json", cwd=inside).document == wanted
    assert see("--registry", lived.root, "list", "--json", cwd=outside).document == wanted
    assert see("list", "--json", "--registry", lived.root, cwd=outside).document == wanted
    monkeypatch.setenv("MANUAL_REGISTRY", str(lived.root))
    assert see("list", "--json", cwd=outside).document == wanted
    assert see("list", "--registry", outside, "--json", cwd=outside).codes == ["MR-U002"]  # the option comes first


def test_deploying_ends_the_earlier_deployment_in_that_environment(lived: World, see: Runner) -> None:
    lived.approve("churn@2", "production")
    lived.promote("churn@2", "production")
    done = see("deploy", "churn@2", "--environment", "production", "--at", "2026-04-01", "--json")
    result_of(done, lived.root, "deploy", version="2", next="mreg archive --pending")
    assert see("deploy", "churn@2", "--environment", "edge", "--at", "2026-04-02").status == 0
    first = see("show", REF, "--json").document["deployments"]
    assert [(one["at"], one["ended_at"]) for one in first] == [("2026-03-01T10:00:00.000Z", "2026-04-01T00:00:00.000Z")]
    second = see("show", "churn@2", "--json").document["deployments"]
    assert [(one["environment"], one["ended_at"]) for one in second] == [("production", None), ("edge", None)]
    early = see("deploy", "churn@2", "--environment", "edge", "--end", "--at", "2026-04-01", "--json")
    assert (early.status, early.codes) == (7, ["MR-I021"])
    assert see("deploy", "churn@2", "--environment", "edge", "--end", "--at", "2026-04-03").status == 0


def test_an_alias_moves_and_goes(lived: World, see: Runner) -> None:
    result_of(
        see("alias", "set", "churn", "champion", "2", "--json"),
        lived.root,
        "alias-set",
        version="2",
        next="mreg show churn@champion",
    )
    assert see("show", "churn@champion", "--json").document["version"] == "2"
    result_of(
        see("alias", "remove", "churn", "champion", "--json"), lived.root, "alias-remove", model=None, version=None
    )
    assert see("show", "churn@champion", "--json").status == 5
    assert see("register", "churn", "champion", lived.artefact("c"), "--metadata", lived.metadata()).status == 0


def test_the_card_the_anchor_and_the_head(lived: World, see: Runner) -> None:
    card = see("card", REF)
    assert card.out.startswith("# ")
    assert all(text in card.out for text in CARD.values())
    assert see("card", REF, "--json").document["schema"] == "manual-registry/card/1"
    target = lived.place / "card.md"
    assert see("card", REF, "-o", target).status == 0
    assert target.read_text(encoding="utf-8").rstrip("\n") == card.out.rstrip("\n")
    taken = see("card", REF, "-o", lived.root / "registry.toml", "--json")
    assert (taken.status, taken.codes) == (6, ["MR-C009"])
    line = see("anchor").out.rstrip("\n")
    head = see("status", "--json").document["ledger"]
    assert f" {head['seq']}:{head['hash']} " in line
    assert all(lead in line for lead in (LEAD, LEAD2))
    kept = lived.place / "anchor.txt"
    kept.write_text(line + "\n")
    assert see("note", REF, "one more").status == 0
    for anchor in (kept, f"{head['seq']}:{head['hash']}"):
        assert see("verify", "--anchor", anchor, "--json").document["ok"] is True
    wrong = see("verify", "--anchor", f"{head['seq']}:sha256:{'0' * 64}", "--json")
    assert (wrong.status, wrong.document["ok"]) == (4, False)
    assert "MR-L007" in [one["code"] for one in wrong.document["findings"]]


def test_every_writing_command_ends_with_the_head_and_no_reading_one_writes(lived: World, see: Runner) -> None:
    writing: tuple[tuple[str, ...], ...] = (
        ("note", REF, "x"),
        ("tag", REF, "a=b"),
        ("alias", "set", "churn", "x", "1"),
        ("deploy", REF, "--environment", "lab"),
        ("approval", "request", "churn@2", "--to", "production"),
        ("verify", "--record"),
        ("reset-view",),
    )
    for words in writing:
        done = see(*words)
        assert done.status == 0, (words, done.err)
        last = done.out.splitlines()[-1]
        assert HEAD_LINE.fullmatch(last), words
        assert last.split()[1] == str(events_in(lived.root))
    before = tree(lived.root)
    reading: tuple[tuple[str | Path, ...], ...] = (
        ("status",),
        ("list",),
        ("show", REF),
        ("search", "x"),
        ("compare", REF, "churn@2"),
        ("history",),
        ("trace", "churn"),
        ("trace", "churn", "--no-hash"),
        ("approval", "list"),
        ("approver", "list"),
        ("pipeline", "list"),
        ("policy", "show"),
        ("anchor",),
        ("verify",),
        ("verify", "--quick"),
        ("card", REF),
        ("fetch", REF, lived.place / "out.bin"),
    )
    for given in reading:
        assert see(*given).status == 0, given
    assert tree(lived.root) == before
