"""The provenance walk: each link in each of its states, and the paragraph for the incident ticket."""

from __future__ import annotations

from typing import Any

import pytest
from chains import LEAD, LEAD2, Chain, evidence, gate, key

from manual_registry.core import events as kinds
from manual_registry.core.folding import fold
from manual_registry.core.incident import production_periods
from manual_registry.core.results import LINK_KINDS, LinkStatus, Trace, TraceLink
from manual_registry.core.standing import Asked
from manual_registry.core.statements import APPROVAL_NAMESPACE
from manual_registry.core.touches import is_control, touched
from manual_registry.core.walk import Look, Seen, walk, worst

OK, KNOWN, GONE, BAD, NONE = (
    LinkStatus.VERIFIED, LinkStatus.RECORDED, LinkStatus.MISSING, LinkStatus.BROKEN, LinkStatus.NOT_APPLICABLE,
)  # fmt: skip


def look(status: LinkStatus = OK, message: str = "looked at") -> Look:
    """Return what looking gave."""
    return Look(status=status, message=message)


def trace(chain: Chain, version: str = "1", /, **seen: Any) -> Trace:
    """Walk, everything that can be looked at being as registered unless ``seen`` says otherwise."""
    record = chain.record(version)
    good: dict[str, Any] = {
        "artefact": look(),
        "code": look() if record.value("code") else None,
        "data": tuple(look() for _ in record.data["training_data"]),
        "evidence": {item["path"]: look() for item in record.evidence},
        "chain": look(),
    }
    return walk(chain.state, record, Seen(**{**good, **seen}))


def status(found: Trace) -> dict[str, LinkStatus]:
    """Return the status of each link."""
    return {link.kind: link.status for link in found.links}


def link(found: Trace, kind: str) -> TraceLink:
    """Return a link."""
    return next(one for one in found.links if one.kind == kind)


@pytest.fixture(name="chain")
def _chain() -> Chain:
    chain = Chain()
    chain.to_production("1")
    chain.deploy("1", "production")
    return chain


def test_all_is_well(chain: Chain) -> None:
    found = trace(chain, deployment=look())
    assert [one.kind for one in found.links] == list(LINK_KINDS)
    assert status(found) == {**dict.fromkeys(LINK_KINDS, OK), "pipeline": KNOWN, "evaluation": KNOWN}
    assert (found.complete, found.verified, found.broken) == (True, True, False)
    document = found.document()
    assert document["schema"] == "manual-registry/trace/1"
    assert list(document) == ["schema", "model", "version", "stage", "composite_id", "complete", "verified", "links"]


def test_nothing_was_looked_at(chain: Chain) -> None:
    record = chain.record("1")
    seen = Seen(artefact=look(KNOWN), data=tuple(look(KNOWN) for _ in record.data["training_data"]))
    found = walk(chain.state, record, seen)
    assert status(found) == {**dict.fromkeys(LINK_KINDS, KNOWN), "approval": OK}
    assert (found.complete, found.verified, found.broken) == (True, False, False)


@pytest.mark.parametrize(("seen", "kind"), [
    ({"artefact": look(BAD)}, "artefact"), ({"code": look(BAD)}, "code"), ({"data": (look(BAD),)}, "data"),
    ({"deployment": look(BAD)}, "deployment"), ({"chain": look(BAD)}, "history"),
    ({"evidence": {"evidence/config/config.txt": look(BAD)}}, "configuration"),
    ({"evidence": {"evidence/prompt/prompt.txt": look(BAD)}}, "prompt"),
    ({"evidence": {"evidence/environment/environment.txt": look(BAD)}}, "environment"),
    ({"evidence": {"evidence/gates/gates.txt": look(BAD)}}, "gates"),
])  # fmt: skip
def test_what_is_broken_outside_breaks_its_link_and_the_trace(chain: Chain, seen: dict[str, Any], kind: str) -> None:
    found = trace(chain, **seen)
    assert [one.kind for one in found.links if one.status is BAD] == [kind]
    assert (found.broken, found.verified) == (True, False)
    assert f"BROKEN: {kind}." in found.paragraph


@pytest.mark.parametrize("kind", ["artefact", "code", "data"])
def test_what_was_not_checked_is_not_verified(chain: Chain, kind: str) -> None:
    found = trace(chain, **{kind: (look(KNOWN),) if kind == "data" else look(KNOWN)})
    assert (status(found)[kind], found.verified, found.complete) == (KNOWN, False, True)


def test_of_several_the_worst_counts() -> None:
    assert worst([]) is OK
    assert worst([look(OK), look(KNOWN)]) is KNOWN
    assert worst([look(GONE), look(KNOWN)]) is GONE
    assert worst([look(OK), look(BAD), look(KNOWN), look(GONE)]) is BAD


def test_what_was_never_recorded_is_missing_or_not_applicable() -> None:
    chain = Chain(risk="minimal", leads=(), placed=None)
    none: dict[str, Any] = dict.fromkeys(
        ("code", "training_date", "pipeline_run", "metrics", "card", "config", "prompt", "environment")
    )
    chain.register("1", **none, training_data=[], gates=[], evidence=[])
    assert status(trace(chain)) == {
        "deployment": NONE, "artefact": OK, "code": GONE, "data": GONE, "pipeline": NONE, "configuration": NONE,
        "prompt": NONE,
        "environment": NONE, "evaluation": NONE, "gates": NONE, "approval": NONE, "history": OK,
    }  # fmt: skip
    assert "Missing: code, data." in trace(chain).paragraph
    chain.promote("1", "staging")
    chain.promote("1", "production")
    assert status(trace(chain))["deployment"] is GONE


def test_in_high_risk_more_is_owed() -> None:
    chain = Chain(risk="minimal", leads=(LEAD,), pipelines=())
    none: dict[str, Any] = dict.fromkeys(("pipeline_run", "metrics", "environment"))
    chain.register("1", **none, gates=[])
    chain.promote("1", "staging")
    chain.promote("1", "production")
    from manual_registry.core.policy import default_document
    from manual_registry.core.values import Risk

    chain.policy_sign(risk="high", policy=default_document(Risk.HIGH))
    found = status(trace(chain))
    assert {name for name, one in found.items() if one is GONE} == {
        "deployment",
        "pipeline",
        "environment",
        "evaluation",
    }


def test_deployments(chain: Chain) -> None:
    assert status(trace(chain))["deployment"] is KNOWN
    chain.end("1", "production")
    found = link(trace(chain), "deployment")
    assert (found.status, "was in production from" in found.summary) == (KNOWN, True)
    chain.register("2")
    assert status(trace(chain, "2"))["deployment"] is NONE


def test_gates_that_failed(chain: Chain) -> None:
    file = evidence("gates", "later.json")
    chain.attach("1", evidence=[file], gates=[gate("robustness", file, passed=False, metric={"lower": 0.1})])
    found = link(trace(chain), "gates")
    assert found.status is OK  # the policy does not ask for it
    assert "robustness" in found.summary
    chain.attach("1", evidence=[file], gates=[gate("fairness", file, passed=False, metric={"lower": 0.1})])
    after = trace(chain)
    # The promotion rested on the reports of its time; the later one is told.
    assert (link(after, "gates").status, after.broken) == (OK, False)
    seq = chain.state.head_seq
    assert f"later: a report of the robustness gate (event {seq - 1}) did NOT pass" in link(after, "gates").summary
    assert f"a report of the fairness gate (event {seq}) did NOT pass (fairness.fairness_score: " in after.paragraph


def test_gates_that_the_step_rested_on_and_that_had_failed_then(chain: Chain) -> None:
    file, first = evidence("gates", "later.json"), evidence("gates", "gates.txt")
    chain.register("2", gates=[gate("fairness", first, passed=False, metric={"lower": 0.1})])
    chain.force(kinds.PROMOTED, chain.of("2"), chain.step("2", "staging"))
    assert status(trace(chain, "2"))["gates"] is GONE  # performance and security had no report
    chain.attach("2", evidence=[file], gates=[gate(name, file) for name in ("performance", "security", "fairness")])
    assert status(trace(chain, "2"))["gates"] is GONE  # nor does a later one heal it


def test_a_failed_gate_under_the_step_breaks_it() -> None:
    chain, file = Chain(), evidence("gates", "gates.txt")
    reports = [gate(name, file) for name in ("performance", "security")]
    chain.register("1", gates=[*reports, gate("fairness", file, passed=False, metric={"lower": 0.1})])
    chain.force(kinds.PROMOTED, chain.of("1"), chain.step("1", "staging"))
    assert status(trace(chain))["gates"] is BAD
    chain.attach("1", evidence=[file], gates=[gate("fairness", file)])
    assert status(trace(chain))["gates"] is BAD


def test_a_policy_of_a_later_day_judges_no_earlier_step(chain: Chain) -> None:
    from manual_registry.core.policy import default_document
    from manual_registry.core.values import Risk

    stricter = {
        **default_document(Risk.HIGH),
        "production": {"gates": ["performance", "fairness", "security", "drift"]},
    }
    chain.policy_sign(policy=stricter)
    assert status(trace(chain))["gates"] is OK
    assert trace(chain).verified


def test_a_gate_that_an_experimental_version_has_not_passed_breaks_nothing() -> None:
    chain, file = Chain(), evidence("gates", "gates.txt")
    chain.register("1", gates=[gate("fairness", file, passed=False, metric={"lower": 0.1})])
    assert link(trace(chain), "gates").status is OK


# -- the approval ------------------------------------------------------------------------------------------


def test_a_version_that_needs_none_has_none() -> None:
    chain = Chain()
    chain.register("1")
    assert status(trace(chain))["approval"] is NONE
    assert "approval" not in trace(chain).needed


def test_a_version_that_needs_one_and_has_none() -> None:
    chain = Chain()
    chain.register("1")
    chain.force(kinds.PROMOTED, chain.of("1"), chain.step("1", "staging"))
    found = trace(chain)
    assert (status(found)["approval"], found.complete) == (GONE, False)
    assert "No signed approval stands behind it, though one is needed." in found.paragraph


def test_a_lead_who_came_later_was_not_asked() -> None:
    chain = Chain(risk="minimal", leads=())
    chain.to_production("1")
    chain.approver_add(LEAD)
    assert status(trace(chain))["approval"] is NONE
    chain.to_staging("2")
    chain.force(kinds.PROMOTED, chain.of("2"), chain.step("2", "production", pipeline=None))
    assert status(trace(chain, "2"))["approval"] is GONE


@pytest.mark.parametrize("damage", ["statement", "signature", "stranger", "other-key"])
def test_a_signature_that_does_not_hold_breaks_the_link(chain: Chain, damage: str) -> None:
    request = chain.state.requests[chain.record("1").steps[-1].approval or ""]
    line = request.statement or ""
    match damage:
        case "statement":
            request.statement = line.replace('"comment":null', '"comment":"yes"')
        case "signature":
            request.signature = "x"
        case "stranger":
            request.signature = key("stranger").sign(line.encode(), APPROVAL_NAMESPACE)
        case "other-key":
            request.signature = key(LEAD2).sign(line.encode(), APPROVAL_NAMESPACE)
    found = trace(chain)
    assert status(found)["approval"] is BAD
    assert "the signature does NOT hold" in found.paragraph
    assert not found.verified


def test_an_approver_who_left_later_was_active_then(chain: Chain) -> None:
    chain.approver_revoke(LEAD, by=LEAD2)
    assert status(trace(chain))["approval"] is OK
    request = chain.state.requests[chain.record("1").steps[-1].approval or ""]
    request.signed_seq = chain.state.head_seq + 1
    assert status(trace(chain))["approval"] is BAD
    request.signed_seq = 1
    assert status(trace(chain))["approval"] is BAD


def test_after_a_rollback_and_in_the_archive(chain: Chain) -> None:
    first = chain.record("1").steps[-1].approval
    chain.end("1", "production")
    chain.to_production("2")
    assert link(trace(chain), "approval").detail["id"] == first
    chain.roll_back("1")
    found = link(trace(chain), "approval")
    assert (found.status, found.detail["id"]) == (OK, first)


def test_a_partial_fold_gives_the_same_trace(chain: Chain) -> None:
    chain.to_production("2")
    for version in ("1", "2"):
        name = ("churn", version)
        partial = fold(event for event in chain.events if is_control(event) or name in touched(event))
        seen = Seen(artefact=look(KNOWN), data=(look(KNOWN),))
        assert walk(partial, partial.versions[name], seen) == walk(chain.state, chain.record(version), seen)


def test_the_paragraph_is_fit_for_an_incident_ticket(chain: Chain) -> None:
    record = chain.record("1")
    since = record.steps[-1].at[:16].replace("T", " ")
    told = trace(chain).paragraph
    assert told.startswith(
        f"churn 1 (a system, high risk) has been in production since {since} UTC, deployed to production at "
    )
    assert f"Its file is unchanged since registration (BLAKE3 {record.blake3[:12]}, hashed again just now)." in told
    assert "It was trained on 2026-02-01 on sha256:" in told
    assert "with commit c0dec0dec0de (code and data found there just now)." in told
    assert f"It was approved for production by Lead lead@ <{LEAD}> on " in told
    assert told.endswith("; the signature is good.")
    told = trace(chain, artefact=look(BAD, "GONE"), code=look(BAD), data=(look(KNOWN),)).paragraph
    assert "Its file is NOT as registered: GONE." in told
    assert "(code NOT found there)" in told
    assert "was not hashed again" in trace(chain, artefact=look(KNOWN)).paragraph


# -- at a time, after a rollback, out of the archive -------------------------------------------------------


def asked(chain: Chain, version: str, stay: int = 0, at: str = "2026-03-01") -> Asked:
    """Return that a time was asked about in which ``version`` was in production."""
    return Asked(at=at, stays=(production_periods(chain.record(version))[stay],))


def at_time(chain: Chain, version: str, stay: int = 0) -> Trace:
    """Walk as for `trace MODEL --at`."""
    record = chain.record(version)
    seen = Seen(artefact=look(), code=look(), data=(look(),), chain=look())
    return walk(chain.state, record, seen, asked=asked(chain, version, stay))


def test_at_a_time_the_paragraph_says_what_was_then(chain: Chain) -> None:
    chain.to_production("2")
    chain.end("1", "production")
    since, until = production_periods(chain.record("1"))[0]
    told = at_time(chain, "1").paragraph
    assert told.startswith("churn 1 (a system, high risk) was in production at 2026-03-01: from ")
    assert f"from {since[:16].replace('T', ' ')} UTC to {(until or '')[:16].replace('T', ' ')} UTC" in told
    assert "deployed to production from " in told
    assert "Now it is in archived, since " in told
    assert "has been in" not in told
    told = at_time(chain, "2").paragraph
    assert "and is still" in told
    assert "Now it is" not in told
    assert "deployed" not in told.split(".")[0]


def test_at_a_time_the_approval_of_that_stay_counts(chain: Chain) -> None:
    first = chain.record("1").steps[-1].approval
    chain.end("1", "production")
    chain.to_production("2")
    chain.unarchive("1")
    plain = trace(chain)
    assert link(plain, "approval").status is NONE
    assert "No signed approval stands behind its last step" in plain.paragraph
    assert "It was in production from " in plain.paragraph
    assert "It came out of the archive: what staging asks is asked again" in plain.paragraph
    then = at_time(chain, "1")
    assert (link(then, "approval").status, link(then, "approval").detail["id"]) == (OK, first)
    assert then.needed >= {"approval", "gates"}


def test_a_rollback_that_is_not_ratified_is_told(chain: Chain) -> None:
    chain.end("1", "production")
    chain.to_production("2")
    identifier = chain.roll_back("1")
    found = trace(chain)
    assert f"which no lead has ratified yet ({identifier}, due " in found.paragraph
    assert "no lead has ratified yet" in link(found, "approval").summary
    chain.sign(identifier, decision="rejected", comment="why?")
    assert f"a lead REJECTED that ({identifier})" in trace(chain).paragraph


def test_a_rollback_that_is_ratified_is_told(chain: Chain) -> None:
    chain.end("1", "production")
    chain.to_production("2")
    identifier = chain.roll_back("1")
    chain.sign(identifier)
    assert f"ratified by {LEAD} ({identifier})." in trace(chain).paragraph
