"""What a promotion lacks: every reason, and the exit status: 9 for a person's signature alone (design 3.2, 3.4)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from life_line import Copied, Done, Runner, events_in, here, result_of, tree
from world import LEAD, LEAD2, SME, World, gate

REF = "churn@1"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A high-risk registry with churn@1 in staging, and bare@1 in staging without card and environment."""
    place = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MANUAL_REGISTRY_STATE", str(place / "state"))
        patch.setenv("MANUAL_REGISTRY_CACHE", str(place / "cache"))
        patch.chdir(place)
        world = World(place / "world", pipelines=("ci", "cd"))
        world.to_staging()
        bare = World.register
        world.model = "bare"
        bare(world, card=None, environment=None)
        world.approve("bare@1", "staging")
        world.promote("bare@1", "staging")
        yield world.place


@pytest.fixture
def world(made: Path, tmp_path: Path) -> World:
    """A copy of :func:`made` to change."""
    place = tmp_path / "world"
    shutil.copytree(made, place)
    return Copied(place, pipelines=("ci", "cd"))


@pytest.fixture
def run(world: World) -> Runner:
    """The command line in this process."""
    return here(world)


def to_production(run: Runner, *words: str | Path, ref: str = REF, as_json: bool = True) -> Done:
    """Promote to production as CI's account."""
    return run("promote", ref, "--to", "production", *words, *(("--json",) if as_json else ()), actor="ci@example.org")


def as_pipeline(world: World, name: str = "ci", key: str | None = None) -> tuple[str | Path, ...]:
    """Act as pipeline ``name`` with the key of ``key``."""
    return ("--pipeline", name, "--pipeline-key", world.key(key or name))


# -- exit 9: nothing but a signature ----------------------------------------------------------------------


def test_nine_when_only_the_signature_lacks_requested_or_not(world: World, run: Runner) -> None:
    for ask in (False, True):
        if ask:
            asked = world.as_().approval_request(REF, to="production").id
        done = to_production(run, *as_pipeline(world))
        assert (done.status, done.codes, done.error["clause"]) == (9, ["MR-W001"], "RP-10")
        wanted = f"mreg approval sign {asked} --as {LEAD}" if ask else f"mreg approval request {REF} --to production"
        assert done.hint == wanted
        text = to_production(run, *as_pipeline(world), as_json=False)
        assert (text.status, text.out, text.codes, text.hint) == (9, "", ["MR-W001"], wanted)


def test_nine_after_attach_let_the_approval_lapse(world: World, run: Runner) -> None:
    world.approve(REF, "production")
    report = world.place / "again.json"
    report.write_text(json.dumps(gate("fairness", value=0.92)), encoding="utf-8")
    done = run("attach", REF, "--gates", report, "--json")
    document = result_of(done, world.root, "attach")
    assert any("lapsed" in warning for warning in document["warnings"])
    done = to_production(run, *as_pipeline(world))
    assert (done.status, done.codes) == (9, ["MR-W001"])


def test_nine_when_a_stale_signature_was_asked_for_anew(world: World, run: Runner) -> None:
    world.now = datetime.now(UTC) - timedelta(hours=49)
    # The ledger's later events are older than that clock: sign with the library's clock put back on a fresh registry.
    old = World(world.place / "old", now=world.now)
    old.to_staging()
    old.approve(REF, "production")
    older = here(old)
    stale = to_production(older, *as_pipeline(old))
    again = f"mreg approval request {REF} --to production"
    assert (stale.status, stale.codes, stale.hint) == (9, ["MR-W001"], again)
    assert "more than 48 hours before; a new approval is needed" in stale.error["message"]
    assert older("approval", "list", "--json").document["approvals"][-1]["status"] == "expired"
    asked = result_of(older("approval", "request", REF, "--to", "production", "--json"), old.root, "approval-request")[
        "id"
    ]
    waits = to_production(older, *as_pipeline(old))
    assert (waits.status, waits.codes, waits.hint) == (9, ["MR-W001"], f"mreg approval sign {asked} --as {LEAD}")
    old.now = None
    old.as_(LEAD2).approval_sign(asked, as_=LEAD2, key=old.key(LEAD2))
    result_of(to_production(older, *as_pipeline(old)), old.root, "promote", stage="production")


# -- exit 3: no pipeline identity, or a bad one -----------------------------------------------------------


@pytest.mark.parametrize("approved", [False, True])
@pytest.mark.parametrize(
    ("case", "code"),
    [
        ("none", "MR-P007"),
        ("unknown name", "MR-P008"),
        ("another pipeline's key", "MR-P008"),
        ("a lead's key", "MR-P008"),
        ("no such key file", "MR-P008"),
        ("no key in the file", "MR-P008"),
        ("the public half", "MR-P008"),
        ("revoked", "MR-P008"),
    ],
)
def test_three_without_a_good_pipeline_identity(
    world: World, run: Runner, case: str, code: str, approved: bool
) -> None:
    if approved:
        world.approve(REF, "production")
    stray = world.place / "stray"
    words: dict[str, tuple[str | Path, ...]] = {
        "none": (),
        "unknown name": as_pipeline(world, "jenkins", "ci"),
        "another pipeline's key": as_pipeline(world, "ci", "cd"),
        "a lead's key": as_pipeline(world, "ci", LEAD),
        "no such key file": ("--pipeline", "ci", "--pipeline-key", stray),
        "no key in the file": ("--pipeline", "ci", "--pipeline-key", stray),
        "the public half": ("--pipeline", "ci", "--pipeline-key", stray),
        "revoked": as_pipeline(world),
    }
    if case == "no key in the file":
        stray.write_text("not a key\n")
    if case == "the public half":
        shutil.copy(world.public("ci"), stray)
    if case == "revoked":
        world.as_(LEAD).pipeline_revoke("ci", reason="left", as_=LEAD, key=world.key(LEAD))
    before = tree(world.root)
    done = to_production(run, *words[case])
    assert done.status == 3, (done.out, done.err)
    assert done.codes == [code] + ([] if approved else ["MR-W001"])
    assert done.error["code"] == code
    assert tree(world.root) == before


def test_a_pipeline_without_its_key_is_refused_and_a_key_without_a_pipeline_is_a_usage_error(
    world: World, run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = to_production(run, "--pipeline", "ci")
    assert (bare.status, bare.codes) == (3, ["MR-P007", "MR-W001"])
    assert to_production(run, "--pipeline-key", world.key("ci")).status == 2
    monkeypatch.setenv("MANUAL_REGISTRY_PIPELINE_KEY", str(world.key("ci")))
    assert to_production(run).codes == ["MR-P007", "MR-W001"]  # the variable alone names no pipeline
    world.approve(REF, "production")
    result_of(to_production(run, "--pipeline", "ci"), world.root, "promote", stage="production")


def test_nobody_is_a_pipeline_without_its_key_not_even_a_lead(world: World, run: Runner) -> None:
    """Manual promotion is refused for high-risk systems."""
    world.approve(REF, "production", lead=LEAD2)
    for actor in (SME, LEAD, "ci@example.org"):
        done = run("promote", REF, "--to", "production", "--json", actor=actor)
        assert (done.status, done.codes, done.error["clause"]) == (3, ["MR-P007"], "RP-11")


# -- all reasons at once ----------------------------------------------------------------------------------


def test_every_reason_is_told_each_on_a_line_of_its_own(world: World, run: Runner) -> None:
    wanted = ["MR-P005", "MR-P006", "MR-P007", "MR-W001"]
    done = to_production(run, ref="bare@1")
    assert (done.status, done.codes) == (3, wanted)
    clauses = [reason["clause"] for reason in done.error["details"]["reasons"]]
    assert clauses == ["RP-12", "RP-12", "RP-11", "RP-10"]
    text = to_production(run, ref="bare@1", as_json=False)
    lines = text.err.rstrip("\n").split("\n")
    errors = [number for number, line in enumerate(lines) if line.startswith("error ")]
    assert (text.status, text.out, text.codes) == (3, "", wanted)
    assert errors == list(range(errors[0], errors[0] + 4))  # one block, the commands that help after it, nothing else
    assert all(line.startswith("next: mreg ") for line in lines[errors[-1] + 1 :])
    assert lines[errors[-1] + 1 :]
    assert all(f"[{clause}]" in lines[at] for at, clause in zip(errors, clauses, strict=True))


def test_integrity_comes_before_policy(world: World, run: Runner) -> None:
    artefact = world.root / "models/churn/1/artefact/model-1.bin"
    artefact.chmod(0o644)
    artefact.write_bytes(b"something else")
    done = to_production(run)
    assert (done.status, done.codes) == (4, ["MR-A001", "MR-P007", "MR-W001"])
    assert done.hint == f"mreg verify {REF}"


def test_a_rejected_approval_refuses_and_a_new_one_is_waited_for(world: World, run: Runner) -> None:
    asked = world.as_().approval_request(REF, to="production").id or ""
    silent = run("approval", "sign", asked, "--as", LEAD, "--key", world.key(LEAD), "--reject", "--json")
    assert (silent.status, silent.codes) == (7, ["MR-I031"])
    no = run(
        "approval", "sign", asked, "--as", LEAD, "--key", world.key(LEAD), "--reject", "--comment", "not yet", "--json"
    )
    result_of(no, world.root, "approval-sign", id=asked)
    done = to_production(run, *as_pipeline(world))
    assert (done.status, done.codes) == (3, ["MR-P022"])
    closed = run("approval", "sign", asked, "--as", LEAD2, "--key", world.key(LEAD2), "--json")
    assert (closed.status, closed.codes) == (6, ["MR-C008"])
    world.as_().approval_request(REF, to="production")
    assert to_production(run, *as_pipeline(world)).status == 9


@pytest.mark.parametrize(
    ("report", "code"),
    [(None, "MR-P003"), (gate("security", value=0.7, lower=0.6, passed=False), "MR-P004")],
)
def test_a_gate_that_is_not_there_or_did_not_pass(
    world: World, run: Runner, report: dict[str, Any] | None, code: str
) -> None:
    gates = [gate("performance"), gate("fairness"), *([report] if report else [])]
    world.model = "gated"
    world.register(gates=gates)
    done = run("promote", "gated@1", "--to", "staging", "--json")
    assert (done.status, done.codes) == (3, [code, "MR-W001"])
    assert "security" in done.error["message"]
    assert done.hint == "mreg attach gated@1 --gates REPORT.json"


def test_who_registered_it_cannot_approve_it(world: World, run: Runner) -> None:
    world.model = "own"
    artefact, metadata = world.artefact("own"), world.metadata()
    result_of(
        run("register", "own", "1", artefact, "--metadata", metadata, "--json", actor=LEAD), world.root, "register"
    )
    asked = result_of(run("approval", "request", "own@1", "--to", "staging", "--json"), world.root, "approval-request")
    assert asked["next"] == f"mreg approval sign {asked['id']} --as {LEAD2}"
    events = events_in(world.root)
    done = run(
        "approval", "sign", asked["id"], "--as", LEAD, "--key", world.key(LEAD), "--json", actor="someone@example.org"
    )
    assert (done.status, done.codes) == (3, ["MR-P009"])
    stranger = run("approval", "sign", asked["id"], "--as", "nobody@example.org", "--key", world.key(LEAD), "--json")
    assert (stranger.status, stranger.codes) == (5, ["MR-N006"])
    foreign = run("approval", "sign", asked["id"], "--as", LEAD2, "--key", world.key(LEAD), "--json")
    assert (foreign.status, foreign.codes) == (7, ["MR-I024"])
    assert events_in(world.root) == events


def test_a_revoked_lead_signs_no_more_and_an_earlier_signature_does_not_carry(world: World, run: Runner) -> None:
    world.approve(REF, "production", lead=LEAD2)
    words = ("approver", "revoke", LEAD2, "--reason", "left", "--as", LEAD, "--key", world.key(LEAD), "--json")
    result_of(run(*words), world.root, "approver-revoke", id=LEAD2)
    done = to_production(run, *as_pipeline(world))
    assert done.status == 3
    assert "MR-P012" in done.codes
    last = run("approver", "revoke", LEAD, "--reason", "left", "--as", LEAD, "--key", world.key(LEAD), "--json")
    assert (last.status, last.codes) == (3, ["MR-P019"])


def test_a_replacement_that_was_not_signed_for(world: World, run: Runner) -> None:
    """The lead saw that nothing is replaced; meanwhile another version went to production: ask again."""
    world.approve(REF, "production")
    world.register("2")
    world.approve("churn@2", "staging")
    world.promote("churn@2", "staging")
    world.approve("churn@2", "production")
    world.promote("churn@2", "production")
    done = to_production(run, *as_pipeline(world))
    assert (done.status, done.codes) == (9, ["MR-W001"])
    assert done.hint == f"mreg approval request {REF} --to production"
    assert "replaces" in done.error["message"]
    asked = result_of(run("approval", "request", REF, "--to", "production", "--json"), world.root, "approval-request")[
        "id"
    ]
    assert to_production(run, *as_pipeline(world)).status == 9
    world.as_(LEAD).approval_sign(asked, as_=LEAD, key=world.key(LEAD))
    result_of(to_production(run, *as_pipeline(world)), world.root, "promote", stage="production")


def test_archiving_a_production_version_asks_the_approval_of_its_class(world: World, run: Runner) -> None:
    world.approve(REF, "production")
    world.promote(REF, "production")
    words = ("archive", REF, "--reason", "retired", "--json")
    done = run(*words)
    again = f"mreg approval request {REF} --to archived"
    assert (done.status, done.codes, done.hint) == (9, ["MR-W001"], again)
    assert run("deploy", REF, "--environment", "production").status == 0
    done = run(*words)
    assert (done.status, done.codes) == (3, ["MR-P016", "MR-W001"])
    assert run("deploy", REF, "--environment", "production", "--end").status == 0
    asked = world.as_().approval_request(REF, to="archived").id or ""
    unfit = run("approval", "sign", asked, "--as", SME, "--key", world.key(SME), "--json")
    assert unfit.status == 5  # an expert who is not in the roster
    world.as_(LEAD).approval_sign(asked, as_=LEAD, key=world.key(LEAD))
    result_of(run(*words), world.root, "archive", stage="archived")


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (("deploy", REF, "--environment", "production"), 3, "MR-P015"),
        (("deploy", REF, "--environment", "edge", "--end"), 5, "MR-N010"),
        (("deploy", REF, "--environment", "edge", "--at", "2999-01-01"), 7, "MR-I020"),
        (("deploy", REF, "--environment", "edge", "--at", "2020-01-01"), 7, "MR-I021"),
        (("deploy", REF, "--environment", "a b"), 7, "MR-I001"),
        (("alias", "set", "churn", "latest", "1"), 6, "MR-C011"),
        (("alias", "set", "churn", "1", "1"), 6, "MR-C011"),
        (("alias", "set", "churn", "best", "9"), 5, "MR-N001"),
        (("alias", "remove", "churn", "best"), 5, "MR-N008"),
        (("tag", REF, "novalue"), 2, "MR-U001"),
        (("tag", REF, "a b=c"), 7, "MR-I001"),
        (("note", REF, " "), 7, "MR-I031"),
        (("attach", REF), 2, "MR-U001"),
        (("approval", "show", "A999"), 5, "MR-N004"),
        (("approval", "withdraw", "A999"), 5, "MR-N004"),
        (("approval", "request", REF), 2, "MR-U001"),
        (("fetch", "churn@9", "x"), 5, "MR-N001"),
        (("show",), 2, "MR-U001"),
        (("unknown-command",), 2, "MR-U001"),
        (("search", "nosuchfield=1"), 7, "MR-I027"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_other_refusals(world: World, run: Runner, words: tuple[str, ...], status: int, code: str) -> None:
    before = tree(world.root)
    done = run(*words, "--json")
    assert (done.status, done.codes) == (status, [code])
    text = run(*words)
    assert (text.status, text.out, text.codes) == (status, "", [code])
    assert tree(world.root) == before
