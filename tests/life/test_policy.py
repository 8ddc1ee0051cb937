"""registry.toml and the policy in force: reads warn, promotions refuse, a lead's signature decides (design 3.4)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from life_line import Runner, event, events_in, here, result_of, tree
from world import LEAD, LEAD2, World, gate

REF = "churn@1"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A high-risk registry with a version in staging that is approved for production."""
    made = World(tmp_path)
    made.to_staging()
    return made


@pytest.fixture
def run(world: World) -> Runner:
    """The command line in this process."""
    return here(world)


def edit(world: World, old: str, new: str) -> None:
    """Edit registry.toml as a person would."""
    path = world.root / "registry.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def promote(world: World, run: Runner, ref: str = REF, to: str = "production") -> Any:
    """Promote as the pipeline."""
    return run(
        "promote",
        ref,
        "--to",
        to,
        "--pipeline",
        "ci",
        "--pipeline-key",
        world.key("ci"),
        "--json",
        actor="ci@example.org",
    )


THRESHOLD = ("[policy.thresholds]", "[policy.thresholds]\nperformance_score = 0.88")


def test_what_init_writes_shows_every_setting(world: World) -> None:
    text = (world.root / "registry.toml").read_text(encoding="utf-8")
    for setting in (
        "approval_hours = 48",
        "retention_years = 10",
        "[policy.staging]",
        "[policy.production]",
        "[policy.thresholds]",
        'gates = ["performance", "fairness", "security"]',
        'risk = "high"',
        'placed_on_market = "2026-01-01"',
        'path = "registry.xlsx"',
    ):
        assert setting in text
    assert text.rstrip().split("[policy.thresholds]")[1].split("[")[0].strip() == ""


def test_an_edit_is_told_by_reads_and_stops_promotions(world: World, run: Runner) -> None:
    world.approve(REF, "production")
    edit(world, "approval_hours = 48", "approval_hours = 24")
    for words in (
        ("list",),
        ("status",),
        ("show", REF),
        ("policy", "show"),
        ("history",),
        ("trace", REF),
        ("approval", "list"),
    ):
        done = run(*words)
        assert done.status == 0, words
        assert "registry.toml differs from the policy in force" in done.err, words
    assert run("status", "--json").document["policy_differs"] is True
    document = run("policy", "show", "--json").document
    assert (document["schema"], document["differs"]) == ("manual-registry/policy-show/1", True)
    assert document["differences"] == [
        {"setting": "policy.approval_hours", "in_force": 48, "file": 24, "weaker": False}
    ]
    done = promote(world, run)
    assert (done.status, done.codes, done.error["clause"]) == (3, ["MR-P014"], "RP-14")
    assert done.hint == "mreg policy sign --as EMAIL"
    world.register("2")
    assert sorted(promote(world, run, "churn@2", "staging").codes) == ["MR-P014", "MR-W001"]
    assert run("promote", REF, "--to", "experimental", "--reason", "r", "--json").codes == ["MR-P014"]
    finding = next(one for one in run("verify", "--json").document["findings"] if one["code"] == "MR-P014")
    assert (finding["severity"], finding["location"]) == ("warning", "registry.toml")
    edit(world, "approval_hours = 24", "approval_hours = 48")
    result_of(promote(world, run), world.root, "promote", stage="production")


def test_a_lead_puts_it_in_force_and_then_it_bites(world: World, run: Runner) -> None:
    world.approve(REF, "production")
    edit(world, *THRESHOLD)
    done = run("policy", "sign", "--as", LEAD2, "--key", world.key(LEAD2), "--json")
    result_of(done, world.root, "policy-sign", id="policy", next="mreg policy show")
    assert event(world.root, events_in(world.root))["data"]["control"]["signer"] == LEAD2
    document = run("policy", "show", "--json").document
    assert (document["differs"], document["differences"], document["signed_by"]) == (False, [], LEAD2)
    assert document["since"]["seq"] == events_in(world.root)
    done = promote(world, run)  # 0.85 at the lower end is below 0.88; the approval was given under the other policy
    assert (done.status, done.codes) == (3, ["MR-P004", "MR-W001"])
    assert "0.88" in done.error["message"]
    assert "policy" in done.error["details"]["reasons"][1]["message"]
    better = world.place / "better.json"
    better.write_text(json.dumps(gate("performance", lower=0.88)))
    assert run("attach", REF, "--gates", better, "--json").codes == ["MR-P040"]  # it asks 0.8 only
    better.write_text(json.dumps(gate("performance", lower=0.88, threshold=0.88)))
    assert run("attach", REF, "--gates", better).status == 0
    assert promote(world, run).status == 9
    world.approve(REF, "production")
    result_of(promote(world, run), world.root, "promote", stage="production")
    assert run("verify", "--json").document["ok"] is True


def test_a_threshold_that_no_report_measures_is_not_passed(world: World, run: Runner) -> None:
    edit(world, "[policy.thresholds]", '[policy.thresholds]\nbrier = {threshold = 0.1, direction = "lower"}')
    assert run("policy", "sign", "--as", LEAD, "--key", world.key(LEAD)).status == 0
    world.approve(REF, "production")
    done = promote(world, run)
    assert (done.status, done.codes) == (3, ["MR-P004"])
    assert "brier" in done.error["message"]


@pytest.mark.parametrize(
    ("old", "new", "setting"),
    [
        ('system = "a system"', 'system = "another"', "system"),
        ('risk = "high"', 'risk = "minimal"', "risk"),
        ('placed_on_market = "2026-01-01"', 'placed_on_market = "2016-01-01"', "placed_on_market"),
        ('placed_on_market = "2026-01-01"', "", "placed_on_market"),
        ("retention_years = 10", "retention_years = 11", "policy.retention_years"),
    ],
)
def test_system_risk_and_dates_count_from_the_ledger_alone(
    world: World, run: Runner, old: str, new: str, setting: str
) -> None:
    edit(world, old, new)
    before = run("list", "--json").document
    assert before["versions"][0]["retention_until"] == "2036-01-01"
    assert run("status", "--json").document["risk"] == "high"
    differences = run("policy", "show", "--json").document["differences"]
    assert setting in [one["setting"] for one in differences]
    done = promote(world, run)
    assert (done.status, sorted(done.codes)) == (3, ["MR-P014", "MR-W001"])


def test_a_weaker_policy_is_marked_before_it_is_signed(world: World, run: Runner) -> None:
    edit(world, *THRESHOLD)
    run("policy", "sign", "--as", LEAD, "--key", world.key(LEAD))
    edit(world, "performance_score = 0.88", "performance_score = 0.5")
    document = run("policy", "show", "--json").document
    assert [one["weaker"] for one in document["differences"]] == [True]
    text = run("policy", "show").out
    assert "weaker" in text.lower()
    signed = run("policy", "sign", "--as", LEAD, "--key", world.key(LEAD))
    assert "weaker" in signed.err.lower()  # what is signed is shown first


UNUSABLE: list[tuple[Callable[[str], str], str]] = [
    (lambda text: text.replace("[policy]", "[policy"), "does not parse"),
    (lambda text: "colour = 1\n" + text, "colour"),
    (lambda text: text.replace('path = "registry.xlsx"', "path = 3"), "workbook.path"),
    (lambda text: text.replace('path = "registry.xlsx"', 'pth = "registry.xlsx"'), "workbook.pth"),
]


@pytest.mark.parametrize(("break_it", "told"), UNUSABLE)
def test_a_registry_toml_that_cannot_be_taken_stops_writers_and_no_reader(
    world: World, run: Runner, break_it: Callable[[str], str], told: str
) -> None:
    path = world.root / "registry.toml"
    path.write_text(break_it(path.read_text(encoding="utf-8")), encoding="utf-8")
    before = tree(world.root)
    writers = (("note", REF, "hm"), ("policy", "sign", "--as", LEAD, "--key", world.key(LEAD)), ("reset-view",))
    for words in (*writers, ("sync",)):
        done = run(*words, "--json")
        assert (done.status, done.codes) == (7, ["MR-I025"]), words
        assert told in done.error["message"]
    for words in (("list",), ("show", REF), ("status",), ("trace", REF), ("history",), ("policy", "show")):
        done = run(*words)
        assert done.status == 0, words
        assert "registry.toml cannot be taken" in done.err, words
        assert told in done.err, words
    assert [one["code"] for one in run("verify", "--json").document["findings"] if told in one["message"]] == [
        "MR-I025"
    ]
    assert tree(world.root) == before


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (lambda text: text.replace("approval_hours = 48", "approval_hours = 49"), "approval_hours"),
        (lambda text: text.replace("approval_hours = 48", "approval_hours = 0"), "approval_hours"),
        (lambda text: text.replace("approval_hours", "aproval_hours"), "aproval_hours"),
        (lambda text: re.sub(r'(\[policy.production\]\ngates = \["performance"), "fairness"', r"\1", text), "fairness"),
        (lambda text: text.replace('risk = "high"', 'risk = "unacceptable"'), "risk"),
        (lambda text: text.replace('placed_on_market = "2026-01-01"', 'placed_on_market = "soon"'), "placed_on_market"),
    ],
)
def test_a_policy_that_could_not_be_signed_stops_promotions_alone(
    world: World, run: Runner, break_it: Callable[[str], str], told: str
) -> None:
    path = world.root / "registry.toml"
    path.write_text(break_it(path.read_text(encoding="utf-8")), encoding="utf-8")
    before = tree(world.root)
    for words in (("list",), ("trace", REF), ("policy", "show")):
        done = run(*words)
        assert done.status == 0, words
        assert "the policy in the ledger counts" in done.err, words
        assert told in done.err, words
    signed = run("policy", "sign", "--as", LEAD, "--key", world.key(LEAD), "--json")
    assert (signed.status, signed.codes) == (7, ["MR-I025"])
    assert told in signed.error["message"]
    assert "MR-P014" in run("promote", REF, "--to", "production", "--json").codes
    finding = next(one for one in run("verify", "--json").document["findings"] if told in one["message"])
    assert (finding["code"], finding["severity"]) == ("MR-I025", "warning")
    assert tree(world.root) == before
    assert run("note", REF, "hm").status == 0


def test_a_format_that_is_newer_than_the_tool(world: World, run: Runner) -> None:
    edit(world, "format = 1", "format = 2")
    done = run("list", "--json")
    assert (done.status, done.codes) == (7, ["MR-I026"])


def test_only_a_lead_signs_and_the_roster_is_kept(world: World, run: Runner) -> None:
    from manual_registry.adapters.keys import generate_ed25519

    edit(world, *THRESHOLD)
    generate_ed25519(world.key("stranger"), "stranger")
    events = events_in(world.root)
    stranger = run("policy", "sign", "--as", "nobody@example.org", "--key", world.key("stranger"), "--json")
    assert (stranger.status, stranger.codes) == (3, ["MR-P018"])
    foreign = run("policy", "sign", "--as", LEAD, "--key", world.key(LEAD2), "--json")
    assert (foreign.status, foreign.codes) == (7, ["MR-I024"])
    used = run(
        "pipeline", "add", "other", "--public-key", world.public("ci"), "--as", LEAD, "--key", world.key(LEAD), "--json"
    )
    assert (used.status, used.codes) == (6, ["MR-C006"])  # one key, one identity, ever
    taken = run(
        "pipeline",
        "add",
        "ci",
        "--public-key",
        world.public("stranger"),
        "--as",
        LEAD,
        "--key",
        world.key(LEAD),
        "--json",
    )
    assert (taken.status, taken.codes) == (6, ["MR-C007"])
    bad = run(
        "approver",
        "add",
        "X <x*@example.org>",
        "--role",
        "technical-sme",
        "--public-key",
        world.public("stranger"),
        "--as",
        LEAD,
        "--key",
        world.key(LEAD),
        "--json",
    )
    assert (bad.status, bad.codes) == (7, ["MR-I023"])
    unknown = run(
        "approver", "revoke", "x@example.org", "--reason", "r", "--as", LEAD, "--key", world.key(LEAD), "--json"
    )
    assert (unknown.status, unknown.codes) == (5, ["MR-N006"])
    assert (
        run("pipeline", "revoke", "nothing", "--reason", "r", "--as", LEAD, "--key", world.key(LEAD), "--json").status
        == 5
    )
    assert events_in(world.root) == events
    people = run("approver", "list", "--json").document
    assert people["schema"] == "manual-registry/approver-list/1"
    assert [(one["email"], one["role"], one["revoked_at"]) for one in people["approvers"]] == [
        (LEAD, "ai-governance-lead", None),
        (LEAD2, "ai-governance-lead", None),
    ]
    pipelines = run("pipeline", "list", "--json").document
    assert [(one["name"], one["added_by"]) for one in pipelines["pipelines"]] == [("ci", LEAD)]
    assert all(one["fingerprint"].startswith("SHA256:") for one in (*people["approvers"], *pipelines["pipelines"]))


def test_the_first_lead_enrols_with_their_own_key_told_loudly(tmp_path: Path) -> None:
    world = World(tmp_path, leads=(), pipelines=())
    run = here(world)
    from manual_registry.adapters.keys import generate_ed25519

    for name in (LEAD, LEAD2):
        generate_ed25519(world.key(name), name)
    words = ("approver", "add", f"A Lead <{LEAD}>", "--role", "ai-governance-lead", "--public-key", world.public(LEAD))
    other = run(*words, "--as", LEAD2, "--key", world.key(LEAD2), "--json")
    assert (other.status, other.codes) == (3, ["MR-P018"])
    done = run(*words, "--as", LEAD, "--key", world.key(LEAD))
    assert done.status == 0
    assert "first lead of this registry" in done.err
    again = (
        "approver",
        "add",
        f"B Lead <{LEAD2}>",
        "--role",
        "ai-governance-lead",
        "--public-key",
        world.public(LEAD2),
    )
    own = run(*again, "--as", LEAD2, "--key", world.key(LEAD2), "--json")
    assert (own.status, own.codes) == (3, ["MR-P018"])
    result_of(run(*again, "--as", LEAD, "--key", world.key(LEAD), "--json"), world.root, "approver-add", id=LEAD2)
