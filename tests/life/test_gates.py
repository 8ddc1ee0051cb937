"""`gates run` and `gates scan` as a pipeline uses them: thresholds of the policy, reports that attach takes, refusals."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fairlearn", reason="the extra [gates] is not installed")
pytest.importorskip("picklescan", reason="the extra [gates] is not installed")

from life_line import Runner, call, here
from world import World

REF = "churn@1"


@pytest.fixture(scope="module")
def predictions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of AUC-ROC about 0.92; both groups alike."""
    source = np.random.default_rng(3)
    group, label = source.choice(["a", "b"], 600), source.integers(0, 2, 600)
    score = np.clip(0.5 + 0.25 * (2 * label - 1) + source.normal(0, 0.25, 600), 0, 1)
    rows = "".join(f"{y},{s:.4f},{g}\n" for y, s, g in zip(label, score, group, strict=True))
    path = tmp_path_factory.mktemp("table") / "holdout.csv"
    path.write_text("label,score,group\n" + rows)
    return path


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A limited-risk registry whose policy asks for numbers."""
    found = World(tmp_path / "world", risk="limited", leads=("lead@example.org",), pipelines=())
    toml = found.root / "registry.toml"
    asked = '[policy.thresholds]\nauc_roc = 0.8\n"fairness.demographic_parity_ratio" = 0.8\n'
    toml.write_text(toml.read_text().replace("[policy.thresholds]\n", asked))
    lead = found.leads[0]
    found.as_(lead).policy_sign(as_=lead, key=found.key(lead))
    return found


@pytest.fixture
def run(world: World) -> Runner:
    return here(world)


def reports(path: Path) -> list[dict[str, Any]]:
    found = json.loads(path.read_text())
    assert isinstance(found, list)
    return found


def metric(report: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in report["metrics"] if one["name"] == name)


# -- run --------------------------------------------------------------------------------------------------


def test_a_report_under_the_policy_in_force_is_taken_in(
    world: World, run: Runner, predictions: Path, tmp_path: Path
) -> None:
    world.register("1", gates=[])
    out = tmp_path / "gates.json"
    done = run("gates", "run", REF, "--predictions", predictions, "--evaluation-dataset", "holdout 2026", "-o", out)
    assert done.status == 0, done.err
    assert "performance: passed" in done.out
    performance, fairness = reports(out)
    assert (
        metric(performance, "auc_roc")["threshold"] == metric(fairness, "demographic_parity_ratio")["threshold"] == 0.8
    )
    assert [one["name"] for one in performance["metrics"]] == ["auc_roc", "accuracy", "f1"]
    sha256 = subprocess.run(["sha256sum", predictions], capture_output=True, text=True, check=True).stdout.split()[0]
    assert performance["evaluation_dataset"] == f"holdout 2026; predictions sha256:{sha256}"
    assert performance["model"] == f"sha256:{world.as_().show(REF)['sha256']}"
    assert run("attach", REF, "--gates", out).status == 0
    assert run("promote", REF, "--to", "staging", "--reason", "measured").status == 0
    assert run("verify").status == 0


def test_the_first_gate_that_fails_ends_it_and_the_report_is_there(
    world: World, run: Runner, predictions: Path, tmp_path: Path
) -> None:
    out = tmp_path / "gates.json"
    words = ("gates", "run", "--predictions", predictions, "--threshold", "auc_roc=0.99", "-o", out)
    done = run(*words, "--json")
    assert (done.status, done.codes) == (3, ["MR-P004"])
    assert done.error["clause"] == "RP-12"
    assert "lower bound" in done.error["message"]
    assert done.error["details"]["reports"] == reports(out)
    [report] = reports(out)
    assert (report["gate"], report["passed"]) == ("performance", False)
    world.register("1", gates=[])
    assert run("attach", REF, "--gates", out).status == 0  # a failed gate is evidence too
    done = run("promote", REF, "--to", "staging", "--reason", "measured", "--json")
    assert "MR-P004" in done.codes


def test_no_option_asks_less_than_the_policy(run: Runner, predictions: Path, tmp_path: Path) -> None:
    out = tmp_path / "gates.json"
    for name in ("auc_roc=0.7", "performance.auc_roc=0.7999", "demographic_parity_ratio=0.1"):
        done = run("gates", "run", "--predictions", predictions, "--threshold", name, "-o", out, "--json")
        assert (done.status, done.codes) == (3, ["MR-P040"])
    assert not out.exists()
    assert run("gates", "run", "--predictions", predictions, "--policy", "x.toml").status == 2


def test_a_weaker_report_is_refused_when_it_comes_in(
    world: World, run: Runner, predictions: Path, tmp_path: Path
) -> None:
    """Made outside of the registry, held against less: refused by `attach` and by `register`, whatever it measured."""
    world.register("1", gates=[])
    out = tmp_path / "gates.json"
    words = ["-m", "manual_registry", "gates", "run", "--predictions", str(predictions), "-o", str(out)]
    outside = subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert outside.returncode == 0, outside.stderr
    assert "no threshold is set for the performance gate" in outside.stderr
    head = world.as_().head
    done = run("attach", REF, "--gates", out, "--json")
    assert (done.status, done.codes) == (3, ["MR-P040"])
    assert "0.5; the policy asks for at least 0.8" in done.error["message"]
    assert world.as_().head == head
    metadata = world.metadata(gates=reports(out))
    done = run("register", "churn", "2", world.artefact("2"), "--metadata", metadata, "--json")
    assert (done.status, done.codes) == (3, ["MR-P040"])


def test_json_tells_all(run: Runner, predictions: Path) -> None:
    document = run("gates", "run", "--predictions", predictions, "--json", "--seed", "7").document
    assert (document["schema"], document["passed"]) == ("manual-registry/gates-run/1", True)
    assert document["predictions"]["rows"] == 600
    assert document["predictions"]["groups"] == ["a", "b"]
    assert set(document["measured"]) == {
        "auc_roc", "accuracy", "f1", "demographic_parity_ratio", "equalised_odds_difference",
    }  # fmt: skip
    again = run("gates", "run", "--predictions", predictions, "--json", "--seed", "7").document
    assert again["measured"] == document["measured"]


def test_outside_a_registry_a_policy_file_serves(predictions: Path, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("[policy.thresholds]\nauc_roc = 0.95\n")
    (tmp_path / "odd.toml").write_text('[policy.thresholds]\nauc_roc = {threshold = 0.9, direction = "lower"}\n')
    for name, status in (("policy.toml", 3), ("odd.toml", 7), ("missing.toml", 5)):
        words = ("gates", "run", "--predictions", predictions, "--policy", tmp_path / name, "--gate", "performance")
        assert call(*words, cwd=tmp_path).status == status, name
    assert call("gates", "run", REF, "--predictions", predictions, cwd=tmp_path).status == 2


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("--gate", "drift"), 2),
        (("--gate", "security"), 2),
        (("--confidence", "1"), 7),
        (("--confidence", "95"), 7),
        (("--resamples", "3"), 7),
        (("--seed", "-1"), 7),
        (("--threshold-at", "nan"), 7),
        (("--threshold", "auc_roc"), 7),
        (("--threshold", "auc=0.8"), 7),
        (("--threshold", "auc_roc=80"), 7),
        (("--threshold", "auc_roc=nan"), 7),
        (("--group", "sex"), 7),
        (("--group", "label"), 7),
        (("--evaluation-dataset", "a\nb"), 7),
        (("--model", "missing.pkl"), 7),
    ],
)
def test_what_makes_no_sense_is_told(run: Runner, predictions: Path, words: tuple[str, ...], status: int) -> None:
    done = run("gates", "run", "--predictions", predictions, *words, "--json")
    assert done.status == status, done.err
    assert done.error["message"]


def test_the_model_must_be_the_version(world: World, run: Runner, predictions: Path) -> None:
    world.register("1", gates=[])
    words = ("gates", "run", REF, "--predictions", predictions, "--model")
    assert run(*words, world.artefact("1")).status == 0
    assert run(*words, world.artefact("2"), "--json").codes == ["MR-I019"]


def test_three_gates_in_one_go(world: World, run: Runner, predictions: Path, tmp_path: Path) -> None:
    model, out = tmp_path / "model.pkl", tmp_path / "gates.json"
    model.write_bytes(pickle.dumps({"weights": [1, 2]}))
    gates = ("--gate", "performance", "--gate", "fairness", "--gate", "security", "--model", model)
    assert run("gates", "run", "--predictions", predictions, *gates, "-o", out).status == 0
    assert [one["gate"] for one in reports(out)] == ["performance", "fairness", "security"]
    model.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    assert run("gates", "run", "--predictions", predictions, *gates, "-o", out).status == 3
    assert [one["passed"] for one in reports(out)] == [True, True, False]
    out.write_text("notes of mine")
    assert run("gates", "run", "--predictions", predictions, *gates, "-o", out, "--json").codes == ["MR-C009"]
    assert out.read_text() == "notes of mine"


def test_without_the_extra_it_says_what_to_install(predictions: Path, tmp_path: Path) -> None:
    for module, words in (
        ("sklearn", ["run", "--predictions", str(predictions)]),
        ("fairlearn", ["run", "--predictions", str(predictions)]),
        ("picklescan", ["scan", str(predictions)]),
    ):
        code = f"import sys; sys.modules[{module!r}] = None; from manual_registry.cli import main; sys.exit(main())"
        done = subprocess.run(
            [sys.executable, "-c", code, "gates", *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 8, done.stderr
        assert "pip install 'manual-registry[gates]'" in done.stderr
        assert "Traceback" not in done.stderr


# -- scan -------------------------------------------------------------------------------------------------


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("true",)


def test_a_model_that_runs_code_does_not_pass(world: World, run: Runner, tmp_path: Path) -> None:
    model, out = tmp_path / "model.pkl", tmp_path / "security.json"
    model.write_bytes(pickle.dumps(Evil()))
    done = run("gates", "scan", model, "-o", out, "--json")
    assert (done.status, done.codes) == (3, ["MR-P004"])
    assert "system" in done.error["message"]
    [report] = reports(out)
    assert (report["gate"], report["passed"]) == ("security", False)
    assert metric(report, "dangerous_code") == {
        "name": "dangerous_code", "value": 1.0, "threshold": 0.0, "direction": "lower",
    }  # fmt: skip
    run("register", "churn", "1", model, "--metadata", world.metadata(gates=None))
    assert run("attach", REF, "--gates", out).status == 0  # it is evidence, of a failure
    other = tmp_path / "other.pkl"
    other.write_bytes(pickle.dumps([1]))
    assert run("gates", "scan", other, "-o", out).status == 0
    assert run("attach", REF, "--gates", out, "--json").codes == ["MR-I019"]  # a clean report of another model
    assert run("gates", "scan", other, "--ref", REF, "--json").codes == ["MR-I019"]


def test_an_import_let_through_by_hand_stands_in_the_report(run: Runner, tmp_path: Path) -> None:
    model, out = tmp_path / "model.pkl", tmp_path / "security.json"
    model.write_bytes(b"\x80\x02cmymodels\nScorer\n)\x81.")
    assert run("gates", "scan", model, "-o", out).status == 3
    done = run("gates", "scan", model, "--allow", "mymodels.Scorer", "-o", out)
    assert done.status == 0
    assert "let through by hand: mymodels.Scorer" in done.out
    [report] = reports(out)
    assert "let through by hand: mymodels.Scorer" in report["evaluation_dataset"]
    assert metric(report, "imports_allowed_by_hand")["value"] == 1


def test_what_cannot_be_judged_does_not_pass(run: Runner, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF" + bytes(100))
    done = run("gates", "scan", tmp_path / "model.gguf", "--json")
    assert (done.status, done.codes) == (3, ["MR-P004"])
    assert run("gates", "scan", tmp_path / "missing.pkl").status == 7
