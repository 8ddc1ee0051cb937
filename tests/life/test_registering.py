"""`register`: options and the metadata file, `next`, what stands already, names, contents (design 3.2)."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from life_line import Runner, event, events_in, here, result_of, tree
from world import CARD, LEAD, SME, World, gate


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A registry of minimal risk: nothing is asked."""
    return World(tmp_path, risk="minimal", leads=(), pipelines=())


@pytest.fixture
def high(tmp_path: Path) -> World:
    """A registry of high risk."""
    return World(tmp_path, leads=(LEAD,), pipelines=())


@pytest.fixture
def run(world: World) -> Runner:
    """The command line in this process, in the registry of minimal risk."""
    return here(world)


def register(run: Runner, world: World, number: str, path: Path, *words: str | Path, **members: Any) -> dict[str, Any]:
    """Register and check the document."""
    return result_of(run("register", "churn", number, path, *words, "--json"), world.root, "register", **members)


def sha256(data: bytes) -> str:
    """Return the hex SHA-256."""
    return hashlib.sha256(data).hexdigest()


# -- metadata ---------------------------------------------------------------------------------------------


def test_every_missing_field_is_named_at_once(high: World) -> None:
    run, before = here(high), tree(high.root)
    done = run("register", "churn", "1", high.artefact("1"), "--json")
    assert (done.status, done.codes) == (7, ["MR-I030"] * 6)
    told = " ".join(reason["message"] for reason in done.error["details"]["reasons"])
    for name in ("training_data", "code", "training_date", "pipeline_run", "hyperparameters", "metrics"):
        assert f"{name} is missing" in told
    for option in ("--data", "--commit", "--trained", "--pipeline-run", "--params", "--metrics"):
        assert option in told
    assert all(reason["clause"] == "RP-16" for reason in done.error["details"]["reasons"])
    assert done.hint == f"mreg register churn 1 {high.artefact('1')} --template metadata.yaml"
    text = run("register", "churn", "1", high.artefact("1"))
    assert (text.status, text.out, len(text.codes), text.hint) == (7, "", 6, done.hint)
    assert tree(high.root) == before


def test_missing_fields_wrong_ones_and_a_missing_file_come_together(high: World) -> None:
    run = here(high)
    metadata = high.place / "bad.yaml"
    metadata.write_text("metrics: {auc: .nan}\nhyperparamters: {}\ntraining_date: soon\n")
    done = run("register", "churn", "1", high.place / "nothing.bin", "--metadata", metadata, "--json")
    assert done.status == 7
    assert {"MR-I003", "MR-I015", "MR-I017", "MR-I022", "MR-I030"} <= set(done.codes)
    assert "did you mean 'hyperparameters'" in done.err


@pytest.mark.parametrize("form", ["yaml", "json", "toml"])
def test_the_metadata_file_and_the_files_that_it_names(high: World, form: str) -> None:
    """Paths in the file are relative to it, not to where the command runs; everything is kept byte for byte."""
    run, project = here(high), high.place / "project"
    (project / "reports").mkdir(parents=True)
    files: dict[str, bytes] = {
        "config.yaml": b"threshold: 0.5\n",
        "prompt.txt": "Erkläre die Entscheidung.\n".encode(),
        "requirements.txt": b"numpy==2.0\r\n",
        "card.yaml": json.dumps(CARD).encode(),
        "reports/performance.json": json.dumps([gate("performance"), gate("fairness")]).encode(),
        "reports/security.json": json.dumps(gate("security")).encode(),
    }
    for name, data in files.items():
        (project / name).write_bytes(data)
    document = {
        "training_data": ["sha256:" + "ab" * 32, "delta:lake/table@v3"],
        "code": {"commit": "c" * 40, "repository": "https://user:secret@example.org/churn.git"},
        "training_date": "2026-01-01",
        "pipeline_run": "run-1",
        "hyperparameters": {"depth": 3, "inner": {"rate": 0.1}},
        "metrics": {"auc": 0.91},
        "subgroup_metrics": {"sex": {"female": {"auc": 0.9}, "male": {"auc": 0.92}}},
        "gates": ["reports/performance.json", "reports/security.json"],
        "config": "config.yaml",
        "prompt": "prompt.txt",
        "environment": "requirements.txt",
        "card": "card.yaml",
        "owner": "team risk",
        "origin": "in-house",
        "description": "Predicts churn.\nTwo lines.",
        "tags": {"team": "risk"},
    }
    metadata = project / f"metadata.{form}"
    metadata.write_text(json.dumps(document) if form != "toml" else toml(document), encoding="utf-8")
    made = register(run, high, "1", high.artefact("1"), "--metadata", metadata, stage="experimental")
    config, prompt = sha256(files["config.yaml"]), sha256(files["prompt.txt"])
    assert made["composite_id"].endswith(f".config.{config[:12]}.prompt.{prompt[:12]}")

    shown = run("show", "churn@1", "--json").document
    assert shown["schema"] == "manual-registry/show/1"
    assert shown["training_data"] == document["training_data"]
    assert (shown["code_commit"], shown["code"]["repository"]) == ("c" * 40, "https://example.org/churn.git")
    assert (shown["training_date"], shown["pipeline_run"], shown["owner"]) == ("2026-01-01", "run-1", "team risk")
    assert (shown["metrics"], shown["tags"], shown["card"]) == ({"auc": 0.91}, {"team": "risk"}, CARD)
    for name in ("hyperparameters", "subgroup_metrics", "origin", "description"):
        assert shown["metadata"][name] == document[name]
    assert [one["gate"] for one in shown["gates"]] == ["performance", "fairness", "security"]
    kept = {Path(one["path"]).name: one for one in shown["evidence"]}
    for name, data in {**files, metadata.name: metadata.read_bytes()}.items():
        stored = high.root / "models/churn/1" / kept[Path(name).name]["path"]
        assert stored.read_bytes() == data
        assert stored.stat().st_mode & 0o222 == 0
        assert kept[Path(name).name]["sha256"] == sha256(data)
    assert run("verify", "--json").document["ok"] is True


def toml(document: dict[str, Any]) -> str:
    """Write what the test needs as TOML."""
    lines = [f"{key} = {inline(value)}" for key, value in document.items()]
    return "\n".join(lines) + "\n"


def inline(value: Any) -> str:
    """One TOML value."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(inline, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def test_options_win_over_the_file(high: World) -> None:
    run, place = here(high), high.place
    written = {
        "metrics.json": {"auc": 0.5, "f1": 0.4},
        "params.yaml": {"depth": 9},
        "gates.json": [gate("performance", value=0.94, lower=0.93)],
        "config.json": {"a": 1},
    }
    for name, value in written.items():
        (place / name).write_text(json.dumps(value))
    other = place / "other.txt"
    other.write_text("scipy\n")
    words = (
        "--metadata",
        high.metadata(),
        "--commit",
        "d" * 40,
        "--data",
        "sha256:" + "cd" * 32,
        "--data",
        "sha256:" + "ef" * 32,
        "--pipeline-run",
        "run-2",
        "--trained",
        "2026-02-03T04:05:06+01:00",
        "--owner",
        "me",
        "--metrics",
        place / "metrics.json",
        "--params",
        place / "params.yaml",
        "--gates",
        place / "gates.json",
        "--config",
        place / "config.json",
        "--environment",
        other,
    )
    register(run, high, "1", high.artefact("1"), *words)
    shown = run("show", "churn@1", "--json").document
    assert shown["code_commit"] == "d" * 40
    assert shown["training_data"] == ["sha256:" + "cd" * 32, "sha256:" + "ef" * 32]
    assert (shown["pipeline_run"], shown["owner"], shown["training_date"]) == (
        "run-2",
        "me",
        "2026-02-03T03:05:06.000Z",
    )
    assert (shown["metrics"], shown["metadata"]["hyperparameters"]) == (written["metrics.json"], written["params.yaml"])
    assert [(one["gate"], one["metrics"][0]["value"]) for one in shown["gates"]] == [("performance", 0.94)]
    assert Path(shown["environment"]["path"]).name == "other.txt"
    assert shown["card"] == CARD  # what no option says stays as the file says


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ("training_date: 2999-01-01", "MR-I020"),
        ("metrics: {auc: .inf}", "MR-I017"),
        ("gates: [nothing.json]", "MR-N009"),
        ("config: nothing.yaml", "MR-N009"),
        ("training_data: nonsense", "MR-I012"),
        ("[unclosed", "MR-I014"),
        ("colour: red", "MR-I015"),
        ("owner: [a, b]", "MR-I016"),
    ],
)
def test_metadata_that_cannot_be_taken(world: World, run: Runner, metadata: str, code: str) -> None:
    path = world.place / "m.yaml"
    path.write_text(metadata)
    before = tree(world.root)
    done = run("register", "churn", "1", world.artefact("1"), "--metadata", path, "--json")
    assert code in done.codes
    assert done.status == (5 if code.startswith("MR-N") else 7)
    assert tree(world.root) == before


@pytest.mark.parametrize("field", ["config", "prompt", "environment", "card", "gates"])
@pytest.mark.parametrize("name", [
    "../secret.yaml", "sub/../../secret.yaml", "{home}/secret.yaml", "/etc/passwd", "link.yaml", "linked/secret.yaml",
    ".env", "sub/.hidden/x", "..\\secret.yaml", "id_ed25519", "https://example.org/x.yaml", "\\\\server\\x",
])  # fmt: skip
def test_a_metadata_file_from_elsewhere_picks_no_file_of_who_registers(
    world: World, run: Runner, field: str, name: str
) -> None:
    """It was shipped beside an artefact; the person who registers did not write it."""
    place = world.place / "shipped"
    (place / "sub" / ".hidden").mkdir(parents=True)
    for path in (world.place / "secret.yaml", place / ".env", place / "sub" / ".hidden" / "x"):
        path.write_text("secret: yes\n")
    (place / "link.yaml").symlink_to(world.place / "secret.yaml")
    (place / "linked").symlink_to(world.place)
    (place / "id_ed25519").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n")
    named = name.format(home=world.place)
    (place / "m.yaml").write_text(json.dumps({field: [named] if field == "gates" else named}))
    (place / "model.bin").write_bytes(b"model")
    before = tree(world.root)
    done = run("register", "churn", "1", place / "model.bin", "--metadata", place / "m.yaml", "--json")
    assert "MR-I007" in done.codes
    assert done.status == 7
    assert "secret: yes" not in done.err
    assert tree(world.root) == before


def test_what_lies_beside_the_metadata_file_is_taken_and_options_are_free(world: World, run: Runner) -> None:
    place = world.place / "shipped"
    (place / "sub").mkdir(parents=True)
    (place / "sub" / "serving.yaml").write_text("threads: 2\n")
    (world.place / "prompt.txt").write_text("be brief\n")
    (place / "m.yaml").write_text(json.dumps({"config": "sub/serving.yaml"}))
    register(
        run, world, "1", world.artefact("1"), "--metadata", place / "m.yaml", "--prompt", world.place / "prompt.txt"
    )
    shown = run("show", "churn@1", "--json").document
    assert (shown["config"]["path"], shown["prompt"]["path"]) == (
        "evidence/config/serving.yaml",
        "evidence/prompt/prompt.txt",
    )


def test_a_gate_report_that_claims_what_its_numbers_do_not_bear_out(world: World, run: Runner) -> None:
    report = world.place / "gate.json"
    report.write_text(json.dumps(gate("performance", lower=0.7)))
    done = run("register", "churn", "1", world.artefact("1"), "--gates", report, "--json")
    assert (done.status, done.codes) == (7, ["MR-I018"])
    about = {**gate("performance"), "model": "sha256:" + "0" * 64}
    report.write_text(json.dumps(about))
    done = run("register", "churn", "1", world.artefact("1"), "--gates", report, "--json")
    assert (done.status, done.codes) == (7, ["MR-I019"])
    report.write_text(json.dumps({**about, "model": f"sha256:{sha256(world.artefact('1').read_bytes())}"}))
    register(run, world, "1", world.artefact("1"), "--gates", report)


# -- versions ---------------------------------------------------------------------------------------------


def test_next_counts_up(world: World, run: Runner) -> None:
    register(run, world, "next", world.artefact("a"), version="1")
    register(run, world, "next", world.artefact("b"), version="2")
    register(run, world, "v2.9", world.artefact("c"), version="v2.9")
    register(run, world, "next", world.artefact("d"), version="v2.10")
    register(run, world, "2026-009", world.artefact("e"), version="2026-009")
    register(run, world, "next", world.artefact("f"), version="2026-010")
    register(run, world, "1.0rc", world.artefact("g"), version="1.0rc")
    register(run, world, "next", world.artefact("h"), version="1.1rc")
    register(run, world, "final", world.artefact("i"), version="final")
    done = run("register", "churn", "next", world.artefact("j"), "--json")
    assert (done.status, done.codes, done.hint) == (7, ["MR-I002"], "mreg register churn VERSION PATH")


def test_next_steps_over_what_is_taken(world: World, run: Runner) -> None:
    register(run, world, "2", world.artefact("a"))
    register(run, world, "1", world.artefact("b"))
    register(run, world, "next", world.artefact("c"), version="3")  # registered last was 1; 2 stands
    assert run("alias", "set", "churn", "4", "1").status == 0
    register(run, world, "next", world.artefact("d"), version="5")


def test_a_version_that_stands(world: World, run: Runner) -> None:
    path = world.artefact("1")
    register(run, world, "1", path, "--owner", "me")
    register(run, world, "1", path, "--owner", "me", changed=False)
    before = tree(world.root)
    for words, names in (
        ((world.artefact("2"), "--owner", "me"), "content"),
        ((path, "--owner", "you"), "owner"),
        ((path,), "owner"),
        ((path, "--owner", "me", "--trained", "2026-01-01", "--data", "sha256:" + "ab" * 32), "training_d"),
    ):
        done = run("register", "churn", "1", *words, "--json")
        assert (done.status, done.codes, done.hint) == (6, ["MR-C001"], "mreg register churn next PATH")
        assert names in done.error["message"]
        assert any(names in one for one in done.error["details"]["differs"])
        assert done.error["clause"] == "RP-1"
    assert tree(world.root) == before


@pytest.mark.parametrize("stage", ["experimental", "archived"])
def test_a_number_is_never_used_again(world: World, run: Runner, stage: str) -> None:
    register(run, world, "1a", world.artefact("1"))
    if stage == "archived":
        world.as_().archive("churn@1a", reason="old")
    for version, code in (("1a", "MR-C001"), ("1A", "MR-C002")):
        done = run("register", "churn", version, world.artefact("2"), "--json")
        assert (done.status, done.codes) == (6, [code])
    done = run("register", "churn", "1A", world.artefact("1"), "--json")
    assert (done.status, done.codes) == (6, ["MR-C002"])  # also with the same content
    register(run, world, "1a", world.artefact("1"), changed=False, stage=stage)


@pytest.mark.parametrize(
    ("model", "version", "status"),
    [
        ("Churn", "1", 7),
        ("churn model", "1", 7),
        ("../churn", "1", 7),
        ("-churn", "1", 2),
        ("con", "1", 7),
        ("churn.", "1", 7),
        ("a" * 101, "1", 7),
        ("churn", "1/2", 7),
        ("churn", "1.", 7),
        ("churn", "nul.txt", 7),
        ("churn", "v" * 65, 7),
        ("churn", "1+code.x", 7),
        ("churn", "é", 7),
        ("churn", "latest", 6),
        ("churn", "Production", 6),
        ("churn", "none", 6),
        ("churn", "auto", 6),
        ("churn", "best", 6),
    ],
)
def test_names_outside_the_grammar(world: World, run: Runner, model: str, version: str, status: int) -> None:
    register(run, world, "0", world.artefact("0"))
    assert run("alias", "set", "churn", "best", "0").status == 0
    before = tree(world.root)
    assert run("register", model, version, world.artefact("1"), "--json").status == status
    assert tree(world.root) == before


def test_equal_content_is_allowed_and_told(world: World, run: Runner) -> None:
    register(run, world, "1", world.artefact("1"), warnings=[])
    again = register(run, world, "2", world.artefact("1"))
    assert again["warnings"] == ["the same content is registered as churn@1 too"]
    text = run("register", "other", "1", world.artefact("1"))
    assert "warning: the same content is registered as churn@1, churn@2 too" in text.err


# -- contents ---------------------------------------------------------------------------------------------


def test_a_directory_of_several_files(world: World, run: Runner) -> None:
    model = world.place / "Modell größe"
    files = {"weights.bin": b"\x00" * 70_000, "tokenizer/wörter.txt": "süß\n".encode(), "空.json": b"{}", "empty": b""}
    for name, data in files.items():
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_bytes(data)
    (model / ".DS_Store").write_bytes(b"finder")
    (model / "__pycache__").mkdir()
    (model / "__pycache__/x.pyc").write_bytes(b"x")
    made = register(run, world, "1", model)
    assert any(".DS_Store" in warning and "__pycache__" in warning for warning in made["warnings"])
    place = world.root / "models/churn/1"
    names = sorted(files, key=lambda name: name.encode())
    sums = "".join(f"{sha256(files[name])}  {name}\n" for name in names)
    assert (place / "SHA256SUMS").read_text(encoding="utf-8") == sums
    shown = run("show", "churn@1", "--json").document
    assert shown["sha256"] == sha256(sums.encode())
    assert shown["artefact"]["files"] == 4
    checked = subprocess.run(
        ["sha256sum", "-c", "../SHA256SUMS"], cwd=place / "artefact", capture_output=True, check=False
    )
    assert checked.returncode == 0
    assert not any(path.stat().st_mode & 0o222 for path in place.rglob("*"))
    assert run("fetch", "churn@1", world.place / "copy").status == 0
    assert {
        path.relative_to(world.place / "copy").as_posix(): path.read_bytes()
        for path in (world.place / "copy").rglob("*")
        if path.is_file()
    } == files


def test_an_empty_file(world: World, run: Runner) -> None:
    path = world.artefact("1", b"")
    register(run, world, "1", path)
    shown = run("show", "churn@1", "--json").document
    assert (shown["size"], shown["sha256"]) == (0, sha256(b""))
    assert shown["blake3"] == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    assert run("verify", "--both", "--json").document["ok"] is True
    assert run("fetch", "churn@1", world.place / "copy").status == 0
    assert (world.place / "copy").read_bytes() == b""


@pytest.mark.parametrize(
    "name", ["modèle final.onnx", "модель.pkl", "模型.bin", 'mo\'del "x".bin', "-rf", "👩🏽‍🔬.bin"]
)
def test_names_in_unicode_and_with_blanks(world: World, run: Runner, name: str) -> None:
    path = world.place / name
    path.write_bytes(name.encode())
    register(run, world, "1", path)
    assert (world.root / "models/churn/1/artefact" / name).read_bytes() == name.encode()
    assert run("show", "churn@1").status == 0
    traced = run("trace", "churn@1", "--json")
    assert {link["kind"]: link["status"] for link in traced.document["links"]}["artefact"] == "verified"
    assert run("archive", "churn@1", "--reason", "old").status == 0
    assert run("verify", "--json").document["ok"] is True


def test_links_are_refused_unless_dereferenced(world: World, run: Runner) -> None:
    target = world.artefact("1")
    model = world.place / "linked"
    model.mkdir()
    (model / "weights.bin").symlink_to(target)
    done = run("register", "churn", "1", model, "--json")
    assert (done.status, done.codes) == (7, ["MR-I004"])
    register(run, world, "1", model, "--dereference")
    stored = world.root / "models/churn/1/artefact/weights.bin"
    assert stored.read_bytes() == target.read_bytes()
    assert not stored.is_symlink()


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nothing.bin", "MR-I003"),
        ("empty", "MR-I009"),
        ("bad/a\\b", "MR-I006"),
        ("bad/a%b", "MR-I006"),
        ("bad/line\nfeed", "MR-I006"),
        ("bad/e\u0301.bin", "MR-I006"),
        ("bad/COM1.txt", "MR-I006"),
    ],
)
def test_what_cannot_be_stored(world: World, run: Runner, name: str, code: str) -> None:
    if name.startswith("bad/"):
        (world.place / "bad").mkdir()
        (world.place / name).write_bytes(b"x")
    if name == "empty":
        (world.place / "empty").mkdir()
    before = tree(world.root)
    done = run("register", "churn", "1", world.place / name.split("/", maxsplit=1)[0], "--json")
    assert (done.status, done.codes) == (7, [code])
    assert tree(world.root) == before


# -- the template -----------------------------------------------------------------------------------------


def test_the_template_of_a_registration_loads_back(high: World) -> None:
    run, before = here(high), tree(high.root)
    target = high.place / "metadata.yaml"
    words = ("register", "churn", "1", high.artefact("1"))
    done = run(*words, "--template", target)
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines()[-1] == f"next: mreg register churn 1 {high.artefact('1')} --metadata {target}"
    assert tree(high.root) == before
    for line in ("training_data", "code", "training_date", "pipeline_run", "hyperparameters", "metrics"):
        assert f"{line}:" in target.read_text()
    blank = run(*words, "--metadata", target, "--json")
    assert (blank.status, blank.codes) == (7, ["MR-I030"] * 6)  # it loads; a blank field counts as absent
    taken = run(*words, "--template", target, "--json")
    assert (taken.status, taken.codes) == (6, ["MR-C009"])
    document = run(*words, "--template", high.place / "other.yaml", "--json").document
    assert document["schema"] == "manual-registry/register-template/1"
    assert run(*words, "--template", "-").out == target.read_text()


def test_ci_fills_run_commit_and_who_started_it(high: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "GITLAB_CI": "true",
        "GITLAB_USER_EMAIL": "Starter@Example.org",
        "CI_COMMIT_SHA": "e" * 40,
        "CI_PIPELINE_ID": "77",
        "CI_PIPELINE_URL": "https://ci.example.org/p/77",
        "CI_PROJECT_URL": "https://ci.example.org/p",
    }.items():
        monkeypatch.setenv(name, value)
    run = here(high)
    words = ("--metadata", high.metadata(code=None, pipeline_run=None))
    done = run("register", "churn", "1", high.artefact("1"), *words, "--json", actor=None)
    result_of(done, high.root, "register")
    shown = run("show", "churn@1", "--json").document
    assert (shown["code_commit"], shown["pipeline_run"]) == ("e" * 40, "https://ci.example.org/p/77")
    assert event(high.root, events_in(high.root))["actor"] == "starter@example.org"
    named = run("register", "churn", "2", high.artefact("2"), *words, "--json", actor=SME)
    result_of(named, high.root, "register")
    assert event(high.root, events_in(high.root))["actor"] == SME
    assert shown["ci"]["started_by"] == "Starter@Example.org"
