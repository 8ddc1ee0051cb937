"""Attempts to bring a model past its gates: reports edited, swapped, added late, held against less than the policy asks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from attacker import CI, LEAD, SME, Scene
from world import World, gate

from manual_registry.core.errors import RegistryError

REF = "churn@3"  # in staging, with a signed, unused approval to production


def place(seq: int) -> str:
    return f"ledger/{seq:012d}.json"


def promote(scene: Scene) -> None:
    scene.as_(CI).promote(REF, to="production", reason="decided", pipeline="ci", pipeline_key=scene.world.key("ci"))


def refusal(scene: Scene) -> list[str]:
    with pytest.raises(RegistryError) as problem:
        promote(scene)
    return [one.code for one in problem.value.reasons]


def test_without_any_of_this_it_goes_through(scene: Scene) -> None:
    promote(scene)
    assert scene.errors() == []


def test_a_report_file_edited_after_approval(scene: Scene) -> None:
    """The numbers that were approved stand in the signed statement and in the ledger; the file is found out."""
    state = scene.state()
    [path] = {one["path"] for one in state.versions["churn", "3"].gates}
    file = scene.root / "models/churn/3" / path
    file.parent.chmod(0o755)
    scene.put(file, file.read_bytes().replace(b"0.85", b"0.99"))
    assert ("MR-A001", f"models/churn/3/{path}") in scene.errors()


def edited(scene: Scene) -> int:
    """Make the report in the ledger say more than was approved, with the hash that such a file would have."""
    seq = scene.seq("version.registered", version="3")
    gates = json.loads(json.dumps(scene.document(seq)["data"]["gates"]))
    gates[0]["metrics"][0] |= {"value": 0.99, "lower": 0.98, "upper": 1.0}
    scene.edit(seq, gates=gates)
    return seq


def test_a_report_in_the_ledger_edited_after_approval(scene: Scene) -> None:
    seq = edited(scene)
    assert place(seq) in {where for _, where in scene.errors()}
    assert refusal(scene)[0].startswith("MR-L")


def test_the_same_with_everything_after_it_chained_anew(scene: Scene) -> None:
    """Then the signed statements tell: they name another head, and other numbers."""
    seq = edited(scene)
    scene.rechain(seq + 1)
    assert scene.errors() != []
    assert refusal(scene)[0].startswith("MR-L")


def test_a_report_attached_after_approval_makes_the_approval_lapse(scene: Scene, tmp_path: Path) -> None:
    report = tmp_path / "better.json"
    report.write_text(json.dumps(gate("performance", value=0.93, lower=0.92, threshold=0.9)))
    scene.as_(SME).attach(REF, gates=[report])
    codes = refusal(scene)
    assert "MR-W001" in codes or "MR-P011" in codes  # it waits for a person again
    assert scene.errors() == []


def test_a_report_attached_by_hand_and_the_old_approval_used_all_the_same(scene: Scene) -> None:
    approval = scene.used(f"A{scene.seqs('approval.requested', version='3')[-1]}")
    record = scene.state().versions["churn", "3"]
    file = {"path": record.gates[0]["path"], "sha256": record.gates[0]["sha256"]}
    data: dict[str, Any] = {"evidence": [], "gates": [], "card": None, "environment": None, "fields": {}}
    data["gates"] = [{**gate("performance", value=0.93, lower=0.92), **file, "model": None}]
    scene.forge("version.attached", {"model": "churn", "version": "3"}, data)
    seq = scene.promoted("3", "production", approval=approval)
    assert place(seq) in {where for _, where in scene.errors()}


def test_a_report_of_another_model_is_none_of_this_one(scene: Scene) -> None:
    data = json.loads(json.dumps(scene.document(scene.seq("version.registered", version="5"))["data"]))
    data["gates"][0]["model"] = "sha256:" + "ab" * 32
    seq = scene.forge("version.registered", {"model": "churn", "version": "9"}, data)
    assert ("MR-L008", place(seq)) in scene.errors()


# -- what the policy adds ---------------------------------------------------------------------------------


@pytest.fixture
def strict(tmp_path: Path) -> World:
    """A registry whose policy asks for two gates more, and for numbers."""
    world = World(tmp_path / "strict")
    toml = world.root / "registry.toml"
    text = toml.read_text(encoding="utf-8")
    more = 'gates = ["performance", "fairness", "security", "drift", "documentation"]'
    text = text.replace('gates = ["performance", "fairness", "security"]', more)
    asked = '[policy.thresholds]\nperformance_score = 0.85\n"drift.psi" = {threshold = 0.2, direction = "lower"}\n'
    toml.write_text(text.replace("[policy.thresholds]\n", asked), encoding="utf-8")
    world.as_(LEAD).policy_sign(as_=LEAD, key=world.key(LEAD))
    return world


def drift(**changes: Any) -> dict[str, Any]:
    metric = {"name": "psi", "value": 0.1, "upper": 0.15, "threshold": 0.2, "direction": "lower", **changes}
    return {**gate("drift"), "metrics": [metric], "passed": metric["upper"] <= metric["threshold"] or "lower" in metric}


USUAL = [gate("performance", threshold=0.85), gate("fairness"), gate("security")]


def test_gates_that_the_policy_adds_are_asked_for(strict: World, tmp_path: Path) -> None:
    strict.register("1", gates=USUAL)
    strict.approve("churn@1", "staging")
    with pytest.raises(RegistryError) as problem:
        strict.promote("churn@1", "staging")
    told = " ".join(one.message for one in problem.value.reasons)
    assert {one.code for one in problem.value.reasons} == {"MR-P003", "MR-P004"}  # no report, no such metric
    assert "drift" in told and "documentation" in told
    more = tmp_path / "more.json"
    more.write_text(json.dumps([drift(), gate("documentation")]))
    strict.as_().attach("churn@1", gates=[more])
    strict.approve("churn@1", "staging")
    strict.promote("churn@1", "staging")
    strict.approve("churn@1", "production")
    strict.promote("churn@1", "production")
    assert strict.as_().verify().ok


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (drift(threshold=0.5), "MR-P040"),  # held against less, though its numbers would do
        (drift(upper=0.25), None),  # taken in as failed, and refused at the step
        (drift(direction="higher", threshold=0.05, lower=0.06), None),  # the other way round
        (gate("drift"), None),  # another metric than the policy asks
    ],
)
def test_a_gate_does_not_pass_by_asking_less(strict: World, tmp_path: Path, report: Any, code: str | None) -> None:
    strict.register("1", gates=USUAL)
    more = tmp_path / "more.json"
    more.write_text(json.dumps([report, gate("documentation")]))
    if code is not None:
        with pytest.raises(RegistryError) as problem:
            strict.as_().attach("churn@1", gates=[more])
        assert [one.code for one in problem.value.reasons] == [code]
        return
    strict.as_().attach("churn@1", gates=[more])
    strict.approve("churn@1", "staging")
    with pytest.raises(RegistryError) as problem:
        strict.promote("churn@1", "staging")
    assert "MR-P004" in [one.code for one in problem.value.reasons]
    assert "drift" in " ".join(one.message for one in problem.value.reasons)


def test_a_weaker_report_put_there_by_hand_is_found(strict: World) -> None:
    strict.register("1", gates=USUAL)
    scene = Scene(world=strict, root=strict.root, now=strict.clock())
    record = scene.state().versions["churn", "1"]
    file = {"path": record.gates[0]["path"], "sha256": record.gates[0]["sha256"]}
    data: dict[str, Any] = {"evidence": [], "gates": [], "card": None, "environment": None, "fields": {}}
    data["gates"] = [{**gate("performance", threshold=0.5), **file, "model": None}]
    seq = scene.forge("version.attached", {"model": "churn", "version": "1"}, data)
    assert ("MR-L008", place(seq)) in scene.errors()
