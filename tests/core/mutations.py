"""Every way in which one leaf of an event's members can be another one: what the tests of decisions run through."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any

from chains import CI, DELEGATE, LEAD, LEAD2, MODEL, SME, SME2, Chain, evidence, gate, key, registration

from manual_registry.core import drills
from manual_registry.core import events as kinds
from manual_registry.core.controls import baseline_details

_HEX = re.compile(r"[0-9a-f]{40,64}")
Event = tuple[str, dict[str, Any], dict[str, Any], str]  # type, subject, data, actor
Path = tuple[str | int, ...]


def others(value: Any) -> list[Any]:
    """Return values of the same kind that are not ``value``."""
    match value:
        case None:
            return ["x", {"x": 1}]
        case bool():
            return [not value]
        case int() | float():
            return [value + 1, -1, value + 0.015625]
        case str() if _HEX.fullmatch(value):
            flip = "0" if value[-1] != "0" else "1"
            return [value[:-1] + flip, ("0" if value[0] != "0" else "1") + value[1:], value[:-1]]
        case str():
            return [value + "x", "x" + value, "", "2026-02-03"]
    return [{"x": 1}] if isinstance(value, dict) else [["x"]]


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield (path, changed whole) for each leaf changed, each member left out, and one added to each mapping."""
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
        yield (*path, "+"), {**value, "unheard-of": 1}
        for name, _ in items:
            yield (*path, f"-{name}"), {other: item for other, item in items if other != name}
    elif isinstance(value, list):
        items = list(enumerate(value))
    if not items:
        yield from ((path, other) for other in others(value))
    for name, item in items:
        for where, changed in leaves(item, (*path, name)):
            whole = deepcopy(value)
            whole[name] = changed
            yield where, whole


def mutants(
    subject: Mapping[str, Any], data: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield (dotted path, subject, data) with one thing changed."""
    for path, changed in leaves({"subject": dict(subject), "data": dict(data)}):
        if len(path) > 1:
            yield ".".join(str(part) for part in path), changed["subject"], changed["data"]


# -- one legal event of each kind, and of each way to promote ----------------------------------------------


def created() -> tuple[Chain | None, Event]:
    event = Chain(pipelines=()).events[0]
    return None, (kinds.CREATED, dict(event.subject), dict(event.data), event.actor)


def registered() -> tuple[Chain, Event]:
    return Chain(), (kinds.REGISTERED, {"model": MODEL, "version": "1"}, registration(MODEL, "1"), SME)


def attached() -> tuple[Chain, Event]:
    chain = Chain(risk="minimal", leads=())
    none: dict[str, Any] = dict.fromkeys(
        ("pipeline_run", "hyperparameters", "metrics", "subgroup_metrics", "training_date", "owner", "environment"),
        None,
    )
    chain.register("1", **none, code=None)
    report, packages = evidence("gates", "later.json"), evidence("environment", "requirements.txt")
    data = chain.attachment(
        evidence=[report, packages],
        gates=[gate("robustness", report)],
        environment={"path": packages["path"], "sha256": packages["sha256"]},
        fields={"owner": "team", "metrics": {"auc": 0.5}, "training_date": "2026-01-31", "hyperparameters": {"n": 1}},
    )
    return chain, (kinds.ATTACHED, chain.of("1"), data, SME)


def promoted_to_production() -> tuple[Chain, Event]:
    chain = Chain()
    chain.to_production("1")
    chain.to_staging("2")
    approval = chain.approve("2", "production")
    return chain, (kinds.PROMOTED, chain.of("2"), chain.step("2", "production", approval), CI)


def promoted_with_a_token() -> tuple[Chain, Event]:
    chain = Chain(pipelines=())
    chain.token_pipeline_add("github")
    chain.to_staging("1")
    approval = chain.approve("1", "production")
    data = chain.with_token("1", "production", approval, pipeline="github")
    return chain, (kinds.PROMOTED, chain.of("1"), data, CI)


def promoted_to_staging() -> tuple[Chain, Event]:
    chain = Chain(smes=(SME2,))
    chain.register("1")
    approval = chain.approve("1", "staging", SME2)
    return chain, (kinds.PROMOTED, chain.of("1"), chain.step("1", "staging", approval, pipeline=None), SME)


def promoted_by_a_lead() -> tuple[Chain, Event]:
    chain = Chain(risk="limited")
    chain.to_staging("1")
    approval = chain.approve("1", "production")
    return chain, (kinds.PROMOTED, chain.of("1"), chain.step("1", "production", approval, pipeline=None), LEAD)


def promoted_back() -> tuple[Chain, Event]:
    chain = Chain()
    chain.to_staging("1")
    return chain, (kinds.PROMOTED, chain.of("1"), chain.step("1", "experimental", pipeline=None), SME)


def promoted_minimal() -> tuple[Chain, Event]:
    chain = Chain(risk="minimal", leads=())
    chain.to_production("1")
    chain.to_staging("2")
    return chain, (kinds.PROMOTED, chain.of("2"), chain.step("2", "production", pipeline=None), SME)


def rolled_back() -> tuple[Chain, Event]:
    chain = Chain()
    chain.to_production("1")
    chain.to_production("2")
    chain.move("1")
    return chain, (kinds.ROLLED_BACK, chain.of("1"), chain.rollback("1"), CI)


def rolled_back_minimal() -> tuple[Chain, Event]:
    chain = Chain(risk="minimal", leads=())
    chain.to_production("1")
    chain.to_production("2")
    return chain, (kinds.ROLLED_BACK, chain.of("1"), chain.rollback("1", pipeline=None), SME)


def archived_from_production() -> tuple[Chain, Event]:
    chain = Chain()
    chain.to_production("1")
    approval = chain.approve("1", "archived")
    return chain, (kinds.ARCHIVED, chain.of("1"), chain.archival("1", approval), SME)


def archived_experimental() -> tuple[Chain, Event]:
    chain = Chain()
    chain.register("1")
    return chain, (kinds.ARCHIVED, chain.of("1"), chain.archival("1"), SME)


def moved() -> tuple[Chain, Event]:
    chain = Chain()
    chain.register("1")
    chain.archive("1")
    data = {"bag": "archive/churn/1", "manifest": "1" * 64, "payload": "2" * 64}
    return chain, (kinds.MOVED, chain.of("1"), data, SME)


def unarchived() -> tuple[Chain, Event]:
    chain, _ = moved()
    chain.move("1")
    return chain, (kinds.UNARCHIVED, chain.of("1"), {"reason": "needed", "restored": True}, SME)


def deployed() -> tuple[Chain, Event]:
    chain = Chain()
    chain.to_production("1")
    chain.deploy("1", "production")
    chain.to_production("2")
    return chain, (kinds.DEPLOYED, chain.of("2"), {**chain.deployment("2", "production"), "path": "/srv/m"}, SME)


def deployment_ended() -> tuple[Chain, Event]:
    chain = Chain()
    chain.register("1")
    chain.deploy("1", "test")
    data = {"environment": "test", "at": "2026-03-02T08:00:00.000Z"}
    chain.now += (chain.now - chain.now.replace(hour=0)) * 3  # a day later
    return chain, (kinds.DEPLOYMENT_ENDED, chain.of("1"), data, SME)


def alias_set() -> tuple[Chain, Event]:
    chain = Chain()
    chain.register("1")
    return chain, (kinds.ALIAS_SET, chain.of("1"), {"alias": "champion"}, SME)


def alias_removed() -> tuple[Chain, Event]:
    chain, _ = alias_set()
    chain.alias("champion", "1")
    return chain, (kinds.ALIAS_REMOVED, {"model": MODEL}, {"alias": "champion"}, SME)


def tagged() -> tuple[Chain, Event]:
    chain, _ = alias_set()
    return chain, (kinds.TAGGED, chain.of("1"), {"tags": {"team": "risk"}}, SME)


def noted() -> tuple[Chain, Event]:
    chain, _ = alias_set()
    return chain, (kinds.NOTED, chain.of("1"), {"text": "seen"}, SME)


def requested() -> tuple[Chain, Event]:
    chain = Chain()
    chain.to_production("1")
    chain.to_staging("2")
    return chain, (
        kinds.REQUESTED,
        chain.of("2"),
        {"kind": "stage", "from": "staging", "to": "production", "replaces": "1"},
        SME,
    )


def issued() -> tuple[Chain, Event]:
    chain = Chain()
    chain.register("1")
    identifier = chain.request("1", "staging")
    statement = chain.statement(chain.state.requests[identifier], LEAD)
    return chain, (kinds.ISSUED, chain.of("1"), {"id": identifier, "statement": statement}, SME)


def signed() -> tuple[Chain, Event]:
    chain = Chain()
    chain.to_staging("1")
    identifier = chain.request("1", "production")
    return chain, (kinds.SIGNED, chain.of("1"), chain.signature(identifier), LEAD)


def ratified() -> tuple[Chain, Event]:
    chain, (kind, subject, data, actor) = rolled_back()
    identifier = f"A{chain.add(kind, subject, data, actor=actor).seq}"
    return chain, (kinds.SIGNED, chain.of("1"), chain.signature(identifier), LEAD)


def withdrawn() -> tuple[Chain, Event]:
    chain, event = issued()
    return chain, (kinds.WITHDRAWN, event[1], {"id": event[2]["id"]}, SME)


def approver_added() -> tuple[Chain, Event]:
    chain = Chain()
    return chain, (kinds.APPROVER_ADDED, {"approver": SME2}, chain.enrolment(SME2, "technical-sme"), LEAD)


def first_lead_added() -> tuple[Chain, Event]:
    chain = Chain(leads=())
    return chain, (kinds.APPROVER_ADDED, {"approver": LEAD}, chain.enrolment(LEAD), LEAD)


def approver_revoked() -> tuple[Chain, Event]:
    chain = Chain(smes=(SME2,))
    since = "2026-03-01T06:00:00.000Z"
    details = {"approver": SME2, "reason": "left", "compromised_since": since}
    data = {"reason": "left", "compromised_since": since, "control": chain.control("approver.revoke", details)}
    return chain, (kinds.APPROVER_REVOKED, {"approver": SME2}, data, LEAD)


def former_key_told() -> tuple[Chain, Event]:
    chain = Chain()
    chain.approver_revoke(LEAD2)
    told = {"reason": "stolen", "compromised_since": "2026-03-01T06:00:00.000Z", "key": key(LEAD2).line}
    control = chain.control("approver.revoke", {"approver": LEAD2, **told})
    return chain, (kinds.APPROVER_REVOKED, {"approver": LEAD2}, {**told, "control": control}, LEAD)


def pipeline_added() -> tuple[Chain, Event]:
    chain = Chain(pipelines=())
    chain.pipeline_add("ci")
    event = chain.events.pop()
    fresh = Chain(pipelines=())
    return fresh, (kinds.PIPELINE_ADDED, dict(event.subject), dict(event.data), LEAD)


def token_pipeline_added() -> tuple[Chain, Event]:
    chain = Chain()
    return chain, (kinds.PIPELINE_ADDED, {"pipeline": "github"}, chain.token_pipeline_data("github"), LEAD)


def pipeline_revoked() -> tuple[Chain, Event]:
    chain = Chain()
    details = {"pipeline": "ci", "reason": "leaked"}
    return chain, (
        kinds.PIPELINE_REVOKED,
        {"pipeline": "ci"},
        {"reason": "leaked", "control": chain.control("pipeline.revoke", details)},
        LEAD,
    )


def policy_signed() -> tuple[Chain, Event]:
    chain = Chain()
    return chain, (kinds.POLICY_SIGNED, {}, chain.policy_data(system="another"), LEAD)


def closed() -> tuple[Chain, Event]:
    chain = Chain()
    chain.register("1")
    return chain, (kinds.CLOSED, {}, chain.closing(), LEAD)


def delegated() -> tuple[Chain, Event]:
    chain = Chain()
    chain.approver_add(DELEGATE, "delegate")
    return chain, (kinds.DELEGATED, {"approver": DELEGATE}, chain.delegation(DELEGATE, models="ch*"), LEAD)


def signed_by_a_delegate() -> tuple[Chain, Event]:
    chain = Chain()
    chain.to_staging("1")
    chain.delegate()
    identifier = chain.request("1", "production")
    return chain, (kinds.SIGNED, chain.of("1"), chain.signature(identifier, DELEGATE), DELEGATE)


def recovered() -> tuple[Chain, Event]:
    chain = Chain(recovery=key("recovery").line)
    data = {"name": "A New One", "key": key("new@example.org").line}
    details = {"approver": "new@example.org", **data}
    control = chain.control("approver.recover", details, by="recovery", role="recovery")
    return chain, (kinds.RECOVERED, {"approver": "new@example.org"}, {**data, "control": control}, SME)


def exception_granted() -> tuple[Chain, Event]:
    chain = Chain()
    chain.register_failed("1")
    return chain, (kinds.EXCEPTION_GRANTED, chain.of("1"), chain.exception("1"), LEAD)


def promoted_with_an_exception() -> tuple[Chain, Event]:
    chain = Chain()
    chain.register_failed("1")
    chain.let_through("1")
    approval = chain.approve("1", "staging")
    return chain, (kinds.PROMOTED, chain.of("1"), chain.step("1", "staging", approval), CI)


_NEW = {"name": "Name of new", "role": "technical-sme", "key": key("new@example.org").line}


def control_requested() -> tuple[Chain, Event]:
    body = {"action": "approver.add", "subject": {"approver": "new@example.org"}, "data": dict(_NEW)}
    return Chain(), (kinds.CONTROL_REQUESTED, {}, body, SME)


def control_issued() -> tuple[Chain, Event]:
    chain = Chain()
    identifier = chain.ask("approver.add", {"approver": "new@example.org"}, _NEW)
    statement = chain.answer(identifier)["statement"]
    return chain, (kinds.CONTROL_ISSUED, {}, {"id": identifier, "statement": statement}, SME)


def request_answered() -> tuple[Chain, Event]:
    """Somebody else's events came in between."""
    chain, (kind, subject, data, actor) = control_issued()
    chain.add(kind, subject, data, actor=actor)
    control = chain.answer(data["id"])
    chain.register("1")
    return chain, (kinds.APPROVER_ADDED, {"approver": "new@example.org"}, {**_NEW, "control": control}, SME)


def baseline_answered() -> tuple[Chain, Event]:
    chain, (kind, subject, data, actor) = baseline_opened()
    name = f"A{chain.add(kind, subject, data, actor=actor).seq}"
    control = chain.answer(name)
    chain.register("1")
    return chain, (kinds.BASELINE_SIGNED, {}, {"id": name, "control": control}, LEAD)


def control_rejected() -> tuple[Chain, Event]:
    chain = Chain()
    identifier = chain.ask("approver.add", {"approver": "new@example.org"}, _NEW)
    details = {"id": identifier, "comment": "whose key is that?"}
    seq = int(identifier[1:])
    control = chain.control("request.reject", details, answers=(identifier, seq))
    return chain, (kinds.CONTROL_REJECTED, {}, {**details, "control": control}, LEAD)


def control_withdrawn() -> tuple[Chain, Event]:
    chain, event = control_issued()
    return chain, (kinds.CONTROL_WITHDRAWN, {}, {"id": event[2]["id"]}, SME)


def edited() -> tuple[Chain, Event]:
    chain, _ = alias_set()
    return chain, (kinds.EDITED, chain.of("1"), {"field": "owner", "value": "Ada", "was": "team"}, SME)


def filled() -> tuple[Chain, Event]:
    chain = Chain(smes=(SME2,))
    chain.register("1")
    entry = {"decision": "approved", "approver": SME2, "date": "2026-03-01", "comment": "as discussed"}
    return chain, (kinds.FILLED, chain.of("1"), {"id": chain.request("1", "staging"), **entry}, SME)


def adopted() -> tuple[Chain, Event]:
    """A baseline entry with little in it, in the stage that its sheet stated."""
    place = {"source": "old.xlsx", "sha256": "ab" * 32, "sheet": "Models", "row": 4}
    baseline = {
        **place,
        "stage": "staging",
        "stated": {"approver": "Jane"},
        "kept": "adopted/old.xlsx",
        "location": "../old/m.bin",
        "foreign": [{"header": "Jira", "column": "K", "value": "ML-1"}],
        "comments": [{"header": "Metrics", "column": "G", "text": "on the holdout"}],
    }
    data = registration("old", "1", training_data=[], code=None, hyperparameters=None, gates=[])
    return Chain(), (kinds.ADOPTED, {"model": "old", "version": "1"}, {**data, "baseline": baseline}, SME)


def taken_in() -> tuple[Chain, Event]:
    """Its files are copied in."""
    chain, (kind, subject, data, actor) = adopted()
    chain.add(kind, subject, data, actor=actor)
    brought = {"location": "../old/m.bin", "observed": data["artefact"]["blake3"]}
    return chain, (kinds.TAKEN_IN, subject, brought, SME)


def attached_to_a_baseline() -> tuple[Chain, Event]:
    """Code and data, which a sheet may not say in a form that can be checked."""
    chain, (kind, subject, data, actor) = adopted()
    chain.add(kind, subject, data, actor=actor)
    whole = registration("old", "1")
    fields = {name: whole[name] for name in ("code", "training_data")}
    return chain, (kinds.ATTACHED, subject, chain.attachment(fields=fields), SME)


def baseline_opened() -> tuple[Chain, Event]:
    """The request over what was adopted."""
    chain, (kind, subject, data, actor) = adopted()
    chain.add(kind, subject, data, actor=actor)
    entry = {"model": "old", "version": "1", "blake3": data["artefact"]["blake3"], "stage": "staging"}
    return chain, (kinds.BASELINE_OPENED, {}, {"source": "old.xlsx", "sha256": "ab" * 32, "versions": [entry]}, SME)


def baseline_signed() -> tuple[Chain, Event]:
    """A lead confirms it."""
    chain, (kind, subject, data, actor) = baseline_opened()
    name = f"A{chain.add(kind, subject, data, actor=actor).seq}"
    control = chain.control("baseline.confirm", baseline_details(chain.state, name))
    return chain, (kinds.BASELINE_SIGNED, {}, {"id": name, "control": control}, LEAD)


def restored() -> tuple[Chain, Event]:
    """Two cells put back."""
    cells = [{"sheet": "Models", "row": "churn@1", "column": name, "sha256": "ab" * 32} for name in ("Model", "Stage")]
    return Chain(), (kinds.RESTORED, {}, {"workbook": "cd" * 32, "cells": cells, "count": 2}, SME)


def recorded() -> tuple[Chain, Event]:
    return Chain(), (kinds.VERIFIED, {}, {"ok": True, "checked": {"events": 1}, "findings": [], "scope": []}, SME)


def exported() -> tuple[Chain, Event]:
    """One version handed over, with something that differs there."""
    chain = Chain()
    chain.register("1")
    mismatch = {
        "model": MODEL,
        "version": "1",
        "place": "version.tag",
        "field": "aisdp.stage",
        "problem": "changed",
        "expected": "experimental",
        "found": "production",
    }
    data = {
        "target": "mlflow",
        "uri": "https://mlflow.example.org:5000/here",
        "server": "3.17.2",
        "action": "export",
        "through": chain.state.head_seq,
        "models": [MODEL],
        "checked": 1,
        "versions": [{"model": MODEL, "version": "1", "number": "1", "digest": "ab" * 32}],
        "marks": [
            {"model": MODEL, "version": None, "through": chain.state.head_seq, "alias": "champion"},
            {"model": MODEL, "version": "1", "through": chain.state.head_seq, "alias": None},
        ],
        "mismatches": [mismatch],
        "count": 1,
    }
    return chain, (kinds.EXPORTED, {}, data, SME)


def drilled() -> tuple[Chain, Event]:
    """Two of three archived versions: one came back, one did not."""
    chain = Chain()
    for version in ("1", "2", "3"):
        chain.register(version)
        chain.archive(version)
        chain.move(version)
    turn = drills.chosen(chain.state, through=chain.state.head_seq, seed=chain.state.head_hash or "", sample=2)
    return chain, (kinds.DRILLED, {}, chain.drill(2, bad=[turn[1].version]), SME)


def anchored() -> tuple[Chain, Event]:
    chain = Chain()
    return chain, (kinds.ANCHORED, {}, chain.anchor(), SME)


CASES: dict[str, Callable[[], tuple[Chain | None, Event]]] = {
    one.__name__: one
    for one in (
        created, registered, attached, promoted_to_production, promoted_with_a_token, token_pipeline_added,
        promoted_to_staging, promoted_by_a_lead, promoted_back,
        promoted_minimal, rolled_back, rolled_back_minimal, archived_from_production, archived_experimental, moved,
        unarchived, deployed, deployment_ended, alias_set, alias_removed, tagged, noted, requested, issued, signed,
        ratified, withdrawn, approver_added, first_lead_added, approver_revoked, former_key_told, pipeline_added, pipeline_revoked,
        policy_signed, edited, filled, adopted, taken_in, attached_to_a_baseline, baseline_opened, baseline_signed, recorded, delegated,
        signed_by_a_delegate, recovered, exception_granted, promoted_with_an_exception, control_requested, control_issued,
        request_answered, baseline_answered, control_rejected, control_withdrawn,
        restored, exported, drilled, anchored, closed,
    )
}  # fmt: skip
