"""A version's whole life in each risk class: every step's exit status and document (design 3.2)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bagit
import pytest
from life_line import COMPOSITE, HEAD_LINE, Runner, apart, event, events_in, here, result_of, tree
from world import LEAD, LEAD2, SME, World

from manual_registry.adapters.keys import generate_ed25519

CI = "ci@example.org"


class Empty(World):
    """A world whose registry is still to be made, by the command line."""

    def __post_init__(self) -> None:
        """Make the keys alone."""
        self.root = self.place / "registry"
        self.keys = self.place / "keys"
        self.keys.mkdir(parents=True)
        for name in (*self.leads, SME, *self.pipelines):
            generate_ed25519(self.key(name), name)


def signing(world: World, who: str) -> tuple[str | Path, ...]:
    """The options that sign as ``who``."""
    return ("--as", who, "--key", world.key(who))


def as_pipeline(world: World, name: str) -> tuple[str | Path, ...]:
    """The options that act as the pipeline ``name``."""
    return ("--pipeline", name, "--pipeline-key", world.key(name))


def found(world: World, run: Runner) -> None:
    """init, the roster, two pipelines."""
    leads = [word for who in (LEAD, LEAD2) for word in ("--lead", f"A Lead <{who}>", "--lead-key", world.public(who))]
    done = run(
        "init",
        world.root,
        "--risk",
        "high",
        "--system",
        "Churn",
        "--placed-on-market",
        "2026-01-01",
        *leads,
        "--json",
        actor=LEAD,
        cwd=world.place,
    )
    made = result_of(done, world.root, "init", model=None, version=None, stage=None, composite_id=None, events=[1])
    assert made["id"] == made["ledger"]["hash"].removeprefix("sha256:")[:32]
    assert made["next"] == "mreg status"
    person = ("approver", "add", f"An Expert <{SME}>", "--role", "technical-sme", "--public-key", world.public(SME))
    result_of(run(*person, *signing(world, LEAD), "--json"), world.root, "approver-add", id=SME, events=[2])
    for name in world.pipelines:
        words = ("pipeline", "add", name, "--public-key", world.public(name), *signing(world, LEAD2), "--json")
        result_of(run(*words), world.root, "pipeline-add", id=name, model=None)


def approve(world: World, run: Runner, ref: str, to: str, lead: str) -> str:
    """Request and sign; returns the approval's id."""
    asked = result_of(run("approval", "request", ref, "--to", to, "--json"), world.root, "approval-request")
    seq = events_in(world.root)
    assert asked["id"] == f"A{seq}"
    assert len(asked["waiting_for"]) == 1
    assert asked["next"].startswith(f"mreg approval sign A{seq} --as ")
    signed = run("approval", "sign", asked["id"], *signing(world, lead), "--json", actor=lead)
    result_of(signed, world.root, "approval-sign", id=asked["id"], waiting_for=[])
    return str(asked["id"])


def to_staging(world: World, run: Runner, version: str) -> str:
    """Register, approve and promote to staging, seeing each refusal on the way."""
    ref = f"churn@{version}"
    words = ("register", "churn", version, world.artefact(version), "--metadata", world.metadata(), "--json")
    made = result_of(
        run(*words),
        world.root,
        "register",
        model="churn",
        version=version,
        stage="experimental",
        id=None,
        waiting_for=[],
    )
    assert COMPOSITE.fullmatch(made["composite_id"])
    assert made["composite_id"].startswith(f"{ref}+code.{'c' * 12}.data.{'ab' * 6}.model.")
    assert made["next"] == f"mreg approval request {ref} --to staging"

    waits = run("promote", ref, "--to", "staging", "--json", actor=CI)
    assert (waits.status, waits.codes, waits.hint) == (9, ["MR-W001"], f"mreg approval request {ref} --to staging")
    asked = result_of(run("approval", "request", ref, "--to", "staging", "--json"), world.root, "approval-request")
    waits = run("promote", ref, "--to", "staging", "--json", actor=CI)
    assert (waits.status, waits.codes, waits.hint) == (9, ["MR-W001"], f"mreg approval sign {asked['id']} --as {LEAD}")
    result_of(
        run("approval", "sign", asked["id"], *signing(world, LEAD), "--json"),
        world.root,
        "approval-sign",
        next=f"mreg promote {ref} --to staging",
    )
    done = run("promote", ref, "--to", "staging", "--json", actor=CI)
    result_of(
        done,
        world.root,
        "promote",
        version=version,
        stage="staging",
        next=f"mreg approval request {ref} --to production",
    )
    return ref


def to_production(world: World, run: Runner, ref: str, *, lead: str, pipeline: str) -> None:
    """Take a version from staging to production: the expert may not sign it, no person may promote it."""
    lacking = run("promote", ref, "--to", "production", "--json", actor=lead)
    assert (lacking.status, lacking.codes) == (3, ["MR-P007", "MR-W001"])
    identifier = approve(world, run, ref, "production", lead)
    lacking = run("promote", ref, "--to", "production", "--json", actor=lead)
    assert (lacking.status, lacking.codes) == (3, ["MR-P007"])
    done = run("promote", ref, "--to", "production", *as_pipeline(world, pipeline), "--json", actor=CI)
    result_of(
        done,
        world.root,
        "promote",
        stage="production",
        next=f"mreg deploy {ref} --environment production",
        waiting_for=[],
    )
    data = event(world.root, events_in(world.root))["data"]
    assert data["approval"]["id"] == identifier
    assert data["promotion"]["pipeline"] == pipeline


def live(world: World, run: Runner) -> None:
    """The life: two versions, two leads, two pipelines, a replacement, the archive and back, a rollback."""
    found(world, run)
    first = to_staging(world, run, "1.0.0")
    unfit = result_of(
        run("approval", "request", first, "--to", "production", "--json"), world.root, "approval-request"
    )["id"]
    refused = run("approval", "sign", unfit, *signing(world, SME), "--json")
    assert (refused.status, sorted(refused.codes)) == (3, ["MR-P009", "MR-P012"])
    result_of(run("approval", "withdraw", unfit, "--json"), world.root, "approval-withdraw", id=unfit)
    to_production(world, run, first, lead=LEAD, pipeline="ci")
    deploy = ("--environment", "production", "--json")
    result_of(run("deploy", first, *deploy), world.root, "deploy", stage="production", next=f"mreg trace {first}")

    second = to_staging(world, run, "1.1.0")
    to_production(world, run, second, lead=LEAD2, pipeline="cd")
    both = event(world.root, events_in(world.root))
    assert (both["type"], both["subject"]["version"], both["data"]["replaces"]) == (
        "version.promoted",
        "1.1.0",
        "1.0.0",
    )
    assert run("show", first, "--json").document["stage"] == "archived"
    assert (world.root / "models/churn/1.0.0/artefact").is_dir()  # a promotion moves no files

    kept = run("archive", first, "--reason", "replaced", "--json")
    assert (kept.status, kept.codes, kept.hint) == (
        3,
        ["MR-P016"],
        f"mreg deploy {first} --environment production --end",
    )
    pending = result_of(run("archive", "--pending", "--json"), world.root, "archive", changed=False, model=None)
    assert pending["waiting_for"]
    assert first in pending["warnings"][0]
    early = run("deploy", first, *deploy)
    assert early.status == 0  # it stands there already, whatever its stage is now
    result_of(run("deploy", second, *deploy), world.root, "deploy", version="1.1.0", next="mreg archive --pending")
    result_of(run("archive", "--pending", "--json"), world.root, "archive", waiting_for=[])
    bag = world.root / "archive/churn/1.0.0"
    assert bagit.Bag(str(bag)).validate()
    assert not (world.root / "models/churn/1.0.0").exists()

    again = run("unarchive", first, "--reason", "an audit", "--json")
    result_of(again, world.root, "unarchive", version="1.0.0", stage="staging")
    assert bag.is_dir()
    result_of(run("archive", first, "--reason", "audited", "--json"), world.root, "archive", stage="archived")
    assert bagit.Bag(f"{bag}~2").validate()
    roll_back(world, run, first, second)
    look_back(world, run, first)


def roll_back(world: World, run: Runner, first: str, second: str) -> None:
    """rollback asks the pipeline, opens an approval, and a lead ratifies it."""
    words = ("rollback", "churn", "--to", "1.0.0", "--reason", "incident 7", "--json")
    refused = run(*words, actor=CI)
    assert (refused.status, refused.codes) == (3, ["MR-P007"])
    back = result_of(
        run(*words, *as_pipeline(world, "cd"), actor=CI), world.root, "rollback", version="1.0.0", stage="production"
    )
    seq = events_in(world.root)
    assert back["id"] == f"A{seq}"
    assert back["waiting_for"]
    assert back["next"] == f"mreg approval sign A{seq} --as {LEAD}"
    assert event(world.root, seq)["data"]["replaces"] == "1.1.0"
    assert run("show", second, "--json").document["stage"] == "archived"
    row = next(
        one for one in run("approval", "list", "--pending", "--json").document["approvals"] if one["id"] == back["id"]
    )
    assert (row["version"], row["to"], row["status"]) == ("1.0.0", "production", "requested")
    assert run("status", "--json").document["pending_moves"] == [second]
    result_of(
        run("approval", "sign", back["id"], *signing(world, LEAD2), "--json"),
        world.root,
        "approval-sign",
        id=back["id"],
    )
    row = next(one for one in run("approval", "list", "--json").document["approvals"] if one["id"] == back["id"])
    assert row["status"] == "used"


def look_back(world: World, run: Runner, first: str) -> None:
    """fetch, trace, verify --record, and the deletion that never is."""
    fetched = run("fetch", first, world.place / "copy.bin", "--json")
    document = fetched.document
    assert document["schema"] == "manual-registry/fetch/1"
    assert (world.place / "copy.bin").read_bytes() == world.artefact("1.0.0").read_bytes()

    traced = run("trace", "churn", "--json")
    assert traced.status == 0
    document = traced.document
    assert tuple(document) == ("schema", "model", "version", "stage", "composite_id", "complete", "verified", "links")
    assert (document["schema"], document["version"], document["stage"]) == (
        "manual-registry/trace/1",
        "1.0.0",
        "production",
    )
    kinds = [
        "deployment",
        "artefact",
        "code",
        "data",
        "pipeline",
        "configuration",
        "prompt",
        "environment",
        "evaluation",
        "gates",
        "approval",
        "history",
    ]
    assert [link["kind"] for link in document["links"]] == kinds
    assert all(tuple(link) == ("kind", "status", "summary", "detail") for link in document["links"])
    status = {link["kind"]: link["status"] for link in document["links"]}
    for kind in ("artefact", "environment", "gates", "approval", "history"):
        assert status[kind] == "verified"
    assert (status["configuration"], status["prompt"]) == ("not_applicable", "not_applicable")
    assert (document["complete"], document["verified"]) == (
        True,
        False,
    )  # the code is recorded, its repository is not here

    checked = run("verify", "--record", "--json")
    assert checked.status == 0, checked.out
    document = checked.document
    assert (document["schema"], document["ok"]) == ("manual-registry/verify/1", True)
    assert document["checked"]["versions"] == 2
    assert all(finding["severity"] != "error" for finding in document["findings"])
    assert event(world.root, events_in(world.root))["type"] == "verification.recorded"

    before = tree(world.root)
    for ref in (first, "nobody@9"):
        refused = run("delete", ref, "--json")
        assert (refused.status, refused.codes, refused.error["clause"]) == (3, ["MR-P001"], "RP-2")
        assert refused.hint.startswith(f"mreg archive {ref}")
    assert tree(world.root) == before


def test_the_whole_life_of_a_high_risk_model(tmp_path: Path) -> None:
    world = Empty(tmp_path, pipelines=("ci", "cd"))
    live(world, here(world))


@pytest.mark.slow
def test_the_whole_life_in_processes_of_their_own(tmp_path: Path) -> None:
    world = Empty(tmp_path, pipelines=("ci", "cd"))
    live(world, apart(world))


def test_the_life_as_text_in_processes_of_their_own(tmp_path: Path) -> None:
    """What a person and a CI log see: what happened, the next command, the ledger's head as the last line."""
    world = World(tmp_path)
    run = apart(world)
    done = run("register", "churn", "next", world.artefact("1"), "--metadata", world.metadata())
    lines = done.out.splitlines()
    assert (done.status, lines[0]) == (0, "registered churn@1 (experimental)")
    assert COMPOSITE.fullmatch(lines[1].removeprefix("composite version: "))
    assert lines[2] == "next: mreg approval request churn@1 --to staging"
    assert HEAD_LINE.fullmatch(lines[-1])
    assert "warning: the commit was not looked up" in done.err
    waits = run("promote", "churn@1", "--to", "staging")
    assert (waits.status, waits.out, waits.codes) == (9, "", ["MR-W001"])
    assert waits.hint == "mreg approval request churn@1 --to staging"
    identifier = world.approve("churn@1", "staging")
    done = run("promote", "churn@1", "--to", "staging")
    assert done.out.splitlines()[0] == "churn@1 is now in staging"
    world.approve("churn@1", "production")
    refused = run("promote", "churn@1", "--to", "production")
    assert (refused.status, refused.out, refused.codes) == (3, "", ["MR-P007"])
    done = run("promote", "churn@1", "--to", "production", *as_pipeline(world, "ci"))
    assert HEAD_LINE.fullmatch(done.out.splitlines()[-1])
    assert identifier in run("approval", "list").out
    traced = run("trace", "churn")
    assert traced.status == 0
    assert re.match(
        r"churn 1 \(a system, high risk\) has been in production since \d{4}-\d\d-\d\d \d\d:\d\d UTC\.", traced.out
    )
    assert "Its file is unchanged since registration" in traced.out.splitlines()[0]
    assert f"approved for production by Lead 0 <{LEAD}>" in traced.out.splitlines()[0]
    assert "the signature is good" in traced.out.splitlines()[0]
    assert traced.out.splitlines()[-1] == "complete: no; verified: no"  # no deployment is recorded yet
    assert run("trace", "churn", "--strict").status == 4


# -- limited and minimal risk -----------------------------------------------------------------------------


def test_limited_risk_a_lead_promotes_as_the_actor(tmp_path: Path) -> None:
    world = World(tmp_path, risk="limited", leads=(LEAD,), pipelines=())
    run = here(world)
    words = (
        "register",
        "churn",
        "1",
        world.artefact("1"),
        "--metadata",
        world.metadata(pipeline_run=None, hyperparameters=None, environment=None),
        "--json",
    )
    made = result_of(run(*words), world.root, "register")
    assert made["next"] == "mreg promote churn@1 --to staging"  # no approval for staging in this class
    silent = run("promote", "churn@1", "--to", "staging", "--json")
    assert (silent.status, silent.codes) == (7, ["MR-I031"])
    told = run("promote", "churn@1", "--to", "staging", "--reason", "ready", "--json")
    result_of(told, world.root, "promote", stage="staging")
    history = run("show", "churn@1", "--json").document["stages"]
    assert (history[-1]["actor"], history[-1]["reason"]) == (SME, "ready")

    waits = run("promote", "churn@1", "--to", "production", "--json", actor=LEAD)
    assert (waits.status, waits.codes) == (9, ["MR-W001"])
    approve(world, run, "churn@1", "production", LEAD)
    neither = run("promote", "churn@1", "--to", "production", "--json")
    assert (neither.status, neither.codes) == (3, ["MR-P021"])
    result_of(
        run("promote", "churn@1", "--to", "production", "--json", actor=LEAD), world.root, "promote", stage="production"
    )
    assert run("verify", "--json").document["ok"] is True


def test_limited_risk_a_pipeline_promotes(tmp_path: Path) -> None:
    world = World(tmp_path, risk="limited")
    run = here(world)
    world.register()
    assert run("promote", "churn@1", "--to", "staging", "--reason", "ready").status == 0
    approve(world, run, "churn@1", "production", LEAD2)
    done = run("promote", "churn@1", "--to", "production", *as_pipeline(world, "ci"), "--json", actor=CI)
    result_of(done, world.root, "promote", stage="production")
    assert event(world.root, events_in(world.root))["data"]["promotion"]["pipeline"] == "ci"


def test_minimal_risk_needs_three_commands(tmp_path: Path) -> None:
    """init --risk minimal, register churn next churn.pkl, verify: in processes, and nothing is asked."""
    world = Empty(tmp_path)
    run = apart(world)
    project = tmp_path / "project"
    project.mkdir()
    (project / "churn.pkl").write_bytes(b"a model")
    made = run("init", "--risk", "minimal", cwd=project)
    assert (made.status, made.err) == (0, "")
    assert [line for line in made.out.splitlines() if line.startswith("  mreg ")] == [
        "  mreg register MODEL next FILE",
        "  mreg trace MODEL@latest",
        "  mreg verify",
    ]
    done = run("register", "churn", "next", "churn.pkl", cwd=project)
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines()[0] == "registered churn@1 (experimental)"
    checked = run("verify", cwd=project)
    assert (checked.status, checked.err) == (0, "")
    assert checked.out.splitlines()[-1].startswith("ok: 0 errors, 0 warnings")
    assert run("verify", "--json", cwd=project).document["checked"]["versions"] == 1


def test_minimal_risk_reaches_production_without_anybody(tmp_path: Path) -> None:
    world = World(tmp_path, risk="minimal", leads=(), pipelines=())
    run = here(world)
    result_of(run("register", "churn", "1", world.artefact("1"), "--json"), world.root, "register")
    result_of(run("promote", "churn@1", "--to", "staging", "--json"), world.root, "promote", stage="staging")
    result_of(run("promote", "churn@1", "--to", "production", "--json"), world.root, "promote", stage="production")
    result_of(run("archive", "churn@1", "--reason", "retired", "--json"), world.root, "archive", stage="archived")
    assert run("verify", "--json").document["ok"] is True


def test_minimal_risk_with_a_lead_asks_the_lead_for_production(tmp_path: Path) -> None:
    world = World(tmp_path, risk="minimal", leads=(LEAD,), pipelines=())
    run = here(world)
    run("register", "churn", "1", world.artefact("1"))
    assert run("promote", "churn@1", "--to", "staging").status == 0
    assert run("promote", "churn@1", "--to", "production").status == 9
    approve(world, run, "churn@1", "production", LEAD)
    result_of(run("promote", "churn@1", "--to", "production", "--json"), world.root, "promote", stage="production")
    assert run("archive", "churn@1", "--reason", "retired").status == 9  # what production asks in that class
    approve(world, run, "churn@1", "archived", LEAD)
    result_of(run("archive", "churn@1", "--reason", "retired", "--json"), world.root, "archive", stage="archived")


def test_a_rollback_in_limited_risk_is_made_by_a_lead_and_ratified(tmp_path: Path) -> None:
    world = World(tmp_path, risk="limited", leads=(LEAD, LEAD2), pipelines=())
    run = here(world)
    for version in ("1", "2"):
        ref = f"churn@{version}"
        world.register(version)
        assert run("promote", ref, "--to", "staging", "--reason", "ready").status == 0
        approve(world, run, ref, "production", LEAD)
        assert run("promote", ref, "--to", "production", actor=LEAD).status == 0
    words = ("rollback", "churn", "--to", "1", "--reason", "incident", "--json")
    assert run(*words).codes == ["MR-P021"]
    back = result_of(run(*words, actor=LEAD2), world.root, "rollback", version="1", stage="production")
    finding = next(one for one in run("verify", "--json").document["findings"] if one["code"] == "MR-W001")
    assert finding["severity"] == "warning"
    result_of(run("approval", "sign", back["id"], *signing(world, LEAD), "--json"), world.root, "approval-sign")
    assert "MR-W001" not in [one["code"] for one in run("verify", "--json").document["findings"]]


def test_a_rollback_that_needs_no_approval_waits_for_nobody(tmp_path: Path) -> None:
    """Where no lead is enrolled nobody could ratify: verify must not report an error for ever."""
    world = World(tmp_path, risk="minimal", leads=(), pipelines=(), now=datetime.now(UTC) - timedelta(days=9))
    for version in ("1", "2"):
        world.as_().register("churn", version, world.artefact(version))
        for stage in ("staging", "production"):
            world.as_().promote(f"churn@{version}", to=stage)
    result = world.as_().rollback("churn", to="1", reason="incident")
    assert (result.stage, result.id, result.waiting_for) == ("production", None, ())
    world.now = None
    run = here(world)
    assert run("approval", "list", "--json").document["approvals"] == []
    checked = run("verify", "--json")
    assert checked.status == 0
    assert all(one["severity"] == "info" for one in checked.document["findings"])
