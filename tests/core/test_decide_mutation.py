"""Each single change of a legal event is refused, or stands below with the reason why the ledger cannot gainsay it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from fnmatch import fnmatchcase
from typing import Any

import pytest
from chains import LEAD, START, Chain, key
from mutations import CASES, Event, Path, leaves, mutants

from manual_registry.core import events as kinds
from manual_registry.core.canonical import dump
from manual_registry.core.decide import decide
from manual_registry.core.errors import RegistryError
from manual_registry.core.ledger import Draft, seal
from manual_registry.core.state import State
from manual_registry.core.statements import APPROVAL_NAMESPACE, CONTROL_NAMESPACE, PROMOTION_NAMESPACE
from manual_registry.core.times import stamp

WORDS = "words of the person who acts, whom nobody gainsays"
STATED = "an unsigned fact that only its registrant knows; an anchor bounds when it was stated (design 2)"
FILES = "`verify` hashes the files again; the ledger alone cannot know them"
RULED = "the numbers still bear out the claim: another report, as good by the same rule"
ASKED = "a request does nothing; what it asks for is decided when a lead signs it"
OPTIONAL = "an optional part: the event says less, and what it says is true"

#: case -> path -> why a change there may stand. Every line is needed: a test holds that, too.
EXCEPTIONS: dict[str, dict[str, str]] = {
    "created": {
        "data.system": STATED,
        "data.tool": STATED,
        "data.leads.*.email": "the first leads stand on nobody's signature (RP-14); `anchor` prints their fingerprints",
        "data.leads.*.name": "the first leads stand on nobody's signature (RP-14); `anchor` prints their fingerprints",
        "data.placed_on_market": STATED,
        "data.policy.retention_years": "a longer retention is another legal policy, in force from here",
    },
    "registered": {
        "data.artefact.name": FILES,
        "data.artefact.size": FILES,
        "data.artefact.blake3": FILES + "; the composite identifier holds its first 12 characters",
        "data.artefact.sha256": FILES,
        "data.training_data.*.detail": STATED,
        "data.training_data.*.detail.+": STATED,
        "data.code.commit": "`trace` looks the commit up; the composite identifier holds its first 12 characters",
        "data.code.repository": STATED,
        "data.code.path": STATED,
        "data.code.dirty": STATED,
        "data.code.author": STATED,
        "data.code.checked": STATED,
        "data.training_date": STATED,
        "data.pipeline_run": STATED,
        "data.hyperparameters*": STATED,
        "data.metrics.*": STATED,
        "data.subgroup_metrics.*": STATED,
        "data.evidence.*.blake3": FILES,
        "data.evidence.*.size": FILES,
        "data.gates.*.gate": STATED,
        "data.gates.*.evaluation_dataset": STATED,
        "data.gates.*.evaluated_at": STATED,
        "data.gates.*.metrics.0.name": STATED,
        "data.gates.*.metrics.0.-lower": RULED,
        "data.gates.*.metrics.0.-upper": RULED,
        "data.gates.*.metrics.0.value": RULED,
        "data.gates.*.metrics.0.lower": RULED,
        "data.gates.*.metrics.0.upper": RULED,
        "data.gates.*.metrics.0.threshold": RULED,
        "data.card.fields.*": WORDS + "; whether the card is complete is asked at promotion (RP-12)",
        "data.owner": WORDS,
        "data.origin": WORDS,
        "data.description": WORDS,
        "data.tags.*": WORDS,
    },
    "attached": {
        "data.evidence.*.blake3": FILES,
        "data.evidence.*.size": FILES,
        "data.gates.*.gate": STATED,
        "data.gates.*.evaluation_dataset": STATED,
        "data.gates.*.evaluated_at": STATED,
        "data.gates.*.metrics.0.*": RULED,
        "data.fields.-*": OPTIONAL,
        "data.fields.owner": WORDS,
        "data.fields.metrics.*": STATED,
        "data.fields.training_date": STATED,
        "data.fields.hyperparameters.*": STATED,
    },
    "promoted_to_production": {"data.reason": WORDS},
    "promoted_to_staging": {"data.reason": WORDS},
    "promoted_with_a_token": {"data.reason": WORDS},
    "promoted_by_a_lead": {"data.reason": WORDS},
    "promoted_with_an_exception": {"data.reason": WORDS},
    "control_requested": {"data.subject.approver": ASKED, "data.data.*": ASKED},
    "promoted_back": {"data.reason": WORDS},
    "promoted_minimal": {"data.reason": WORDS},
    "rolled_back": {"data.reason": WORDS},
    "rolled_back_minimal": {"data.reason": WORDS},
    "archived_from_production": {"data.reason": WORDS},
    "archived_experimental": {"data.reason": WORDS},
    "unarchived": {"data.reason": WORDS},
    "moved": {"data.manifest": FILES, "data.payload": FILES},
    "deployed": {"data.path": STATED},
    "alias_set": {"data.alias": WORDS},
    "tagged": {"data.tags.*": WORDS},
    "noted": {"data.text": WORDS},
    "edited": {"data.value": WORDS},
    "filled": {"data.comment": WORDS + "; nothing of it takes effect unsigned"},
    "anchored": {"data.authority": "`verify --tsa-roots` compares it with the certificate in the token"},
    "exported": {
        "data.uri": STATED,
        "data.server": STATED,
        "data.checked": STATED,
        "data.versions.*.number": STATED,
        "data.versions.*.digest": "what was compared; `export mlflow --verify-only` does it again",
        "data.-marks": OPTIONAL,
        "data.mismatches.*": STATED,
    },
    "drilled": {
        "data.versions.*.files": STATED,
        "data.versions.*.bytes": STATED,
        "data.versions.*.milliseconds": STATED,
        "data.versions.*.problems.*": STATED,
    },
    "restored": dict.fromkeys(("data.workbook", "data.cells.*"), STATED),
    "recorded": dict.fromkeys(("data.ok", "data.checked.*", "data.scope"), STATED),
}

#: A baseline entry is decided as a registration is; the example has neither data nor code nor gates.
EXCEPTIONS["adopted"] = {
    path: why
    for path, why in EXCEPTIONS["registered"].items()
    if not path.startswith(("data.training_data", "data.code", "data.gates"))
} | {
    f"data.baseline.{name}": STATED
    for name in ("source", "sha256", "sheet", "row", "stated.*", "kept", "location", "foreign.*.*", "comments.*.*")
}
EXCEPTIONS["adopted"] |= {f"data.baseline.-{name}": OPTIONAL for name in ("kept", "location", "foreign", "comments")}
EXCEPTIONS["attached_to_a_baseline"] = {
    f"data.fields.{path.removeprefix('data.')}": why
    for path, why in EXCEPTIONS["registered"].items()
    if path.startswith(("data.training_data", "data.code"))
} | {"data.fields.-*": OPTIONAL}
# Evidence that nothing in the event refers to.
EXCEPTIONS["adopted"] |= {"data.evidence.4.path": FILES, "data.evidence.4.sha256": FILES}


def judged(chain: Chain | None, event: Event) -> list[RegistryError]:
    """Return the reasons against ``event`` as the next one."""
    kind, subject, data, actor = event
    if chain is not None:
        return chain.reasons(kind, subject, data, actor=actor)
    draft = Draft(type=kind, subject=subject, data=data)
    return decide(State(), seal(draft, seq=1, prev=None, at=stamp(START), actor=actor))


@pytest.mark.parametrize("name", CASES)
def test_every_single_change_is_refused_or_justified(name: str) -> None:
    chain, event = CASES[name]()
    kind, subject, data, actor = event
    assert judged(chain, event) == []
    excused = EXCEPTIONS.get(name, {})
    used: set[str] = set()
    unexplained = []
    for path, other_subject, other_data in mutants(subject, data):
        if judged(chain, (kind, other_subject, other_data, actor)):
            continue
        fits = [pattern for pattern in excused if fnmatchcase(path, pattern.replace("[", "[[]"))]
        used |= set(fits)
        if not fits:
            unexplained.append(path)
    assert unexplained == []
    assert used == excused.keys(), f"not needed: {excused.keys() - used}"


def test_all_kinds_of_events_are_among_the_cases() -> None:
    assert {make()[1][0] for make in CASES.values()} == set(kinds.EVENT_TYPES)


@pytest.mark.parametrize("name", CASES)
def test_place_time_and_actor_are_decided_too(name: str) -> None:
    chain, (kind, subject, data, actor) = CASES[name]()
    state = chain.state if chain else State()
    draft = Draft(type=kind, subject=subject, data=data)
    at = stamp(chain.now if chain else START)
    good: dict[str, Any] = {"seq": state.head_seq + 1, "prev": state.head_hash, "at": at, "actor": actor}
    assert decide(state, seal(draft, **good)) == []
    wrong: list[dict[str, Any]] = [
        {"seq": good["seq"] + 1},
        {"prev": "sha256:" + "0" * 64},
        {"prev": None if good["prev"] else "sha256:" + "0" * 64},
        {"at": at.replace("Z", "+00:00")},
        {"at": at[:-5] + "Z"},
        {"at": "yesterday"},
        {"actor": actor.upper()},
        {"actor": "nobody"},
    ]
    for change in wrong:
        assert decide(state, seal(draft, **{**good, **change})) != [], change


# -- signed with the right key, but saying something else --------------------------------------------------


def resigned(chain: Chain, event: Event) -> Iterator[tuple[str, Event]]:
    """Yield the event with one leaf of its statement changed and signed again by the same signer."""
    kind, subject, data, actor = event
    parts = [("promotion", PROMOTION_NAMESPACE, data.get("promotion"))]
    parts += [("control", CONTROL_NAMESPACE, data.get("control"))]
    if "signature" in data:
        parts.append(("", APPROVAL_NAMESPACE, data))
    for name, namespace, part in parts:
        if not part:
            continue
        said = json.loads(part["statement"])
        signer = part.get("pipeline") or part.get("signer") or said["predicate"]["approver"]
        for path, changed in leaves(said):
            line = dump(changed)
            fresh = {**part, "statement": line.decode(), "signature": key(signer).sign(line, namespace)}
            yield _dotted(name, path), (kind, subject, {**deepcopy(data), name: fresh} if name else fresh, actor)


def _dotted(name: str, path: Path) -> str:
    return ".".join([name or "approval", *(str(part) for part in path)])


#: What a signer is free to say. Times may differ by minutes; none of the changed ones does.
FREE = {
    "approval.predicate.comment": "the approver's own words",
    "promotion.predicate.run": "the pipeline's own name of its run",
}
SIGNED_CASES = [
    "promoted_to_production", "rolled_back", "signed", "ratified", "approver_added", "first_lead_added",
    "approver_revoked", "former_key_told", "pipeline_added", "token_pipeline_added", "pipeline_revoked", "policy_signed", "baseline_signed",
    "delegated", "signed_by_a_delegate", "recovered", "exception_granted", "promoted_with_an_exception",
    "request_answered", "baseline_answered", "control_rejected", "closed",
]  # fmt: skip


@pytest.mark.parametrize("name", SIGNED_CASES)
def test_a_statement_that_says_anything_else_is_refused_though_its_signature_is_good(name: str) -> None:
    chain, event = CASES[name]()
    assert chain is not None
    seen = 0
    for path, changed in resigned(chain, event):
        seen += 1
        if not judged(chain, changed):
            assert path in FREE, path
    assert seen > 30


def test_signed_cases_are_all_that_carry_a_signature() -> None:
    found = set()
    for name, make in CASES.items():
        data = make()[1][2]
        if (data.get("promotion") or {}).get("signature") or data.get("control") or "signature" in data:
            found.add(name)
    assert found == set(SIGNED_CASES)


@pytest.mark.parametrize("name", ["signed", "ratified"])
def test_a_signature_of_another_key_namespace_or_statement_is_refused(name: str) -> None:
    chain, (kind, subject, data, actor) = CASES[name]()
    assert chain is not None
    line = data["statement"].encode()
    for signature in (
        key("stranger").sign(line, APPROVAL_NAMESPACE),
        key(LEAD).sign(line, PROMOTION_NAMESPACE),
        key(LEAD).sign(line + b"\n", APPROVAL_NAMESPACE),
        "",
    ):
        assert judged(chain, (kind, subject, {**data, "signature": signature}, actor))
