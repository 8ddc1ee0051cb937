"""The demo's project: git and DVC themselves accept what it writes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from manual_registry.adapters.data_references import resolve_reference
from manual_registry.adapters.git import GitRepository
from manual_registry.adapters.metadata import load_card, load_gates, load_metadata
from manual_registry.core.gates import claim_problem, report_from, shortfalls
from manual_registry.core.metadata import CARD_FIELDS, card_missing
from manual_registry.demo.project import DATA_PATH, Person, Project, create_project, shipped_data
from manual_registry.demo.versions import FIRST, SECOND, Built, build

AUTHOR = Person(name="Zoë Example", email="zoe@example.org", role="Technical SME")
AT = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)
AT_EPOCH = int(AT.timestamp())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Built, Built]:
    project = create_project(tmp_path_factory.mktemp("demo") / "project")
    first = build(project, FIRST, author=AUTHOR, at=AT)
    return project, first, build(project, SECOND, author=AUTHOR, at=AT + timedelta(minutes=5))


def _run(*command: str | Path, cwd: Path) -> str:
    program = shutil.which(str(command[0]), path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run([program, *command[1:]], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_git_agrees(built: tuple[Project, Built, Built]) -> None:
    project, first, second = built
    log = _run("git", "log", "--format=%H %an <%ae> %ct %s", cwd=project.root).splitlines()
    assert log == [
        f"{second.commit} {AUTHOR} {AT_EPOCH + 300} {SECOND.message}",
        f"{first.commit} {AUTHOR} {AT_EPOCH} {FIRST.message}",
    ]
    assert _run("git", "status", "--porcelain", cwd=project.root) == ""
    assert _run("git", "fsck", "--strict", cwd=project.root) == ""
    assert f"{DATA_PATH}.dvc" in _run("git", "ls-files", cwd=project.root).splitlines()
    assert DATA_PATH not in _run("git", "ls-files", cwd=project.root).splitlines()


def test_dvc_agrees_and_can_pull(built: tuple[Project, Built, Built], tmp_path: Path) -> None:
    project, _, second = built
    shutil.copytree(project.root.parent / "data-store", tmp_path / "data-store")
    _run("git", "clone", "-q", project.root, tmp_path / "clone", cwd=tmp_path)
    assert not (tmp_path / "clone" / DATA_PATH).exists()
    _run("dvc", "pull", "-q", cwd=tmp_path / "clone")
    assert (tmp_path / "clone" / DATA_PATH).read_bytes() == shipped_data()
    assert json.loads(_run("dvc", "status", "--json", cwd=tmp_path / "clone")) == {}
    assert second.commit in _run("git", "rev-parse", "HEAD", cwd=tmp_path / "clone")


def test_committed_code_gives_the_model(built: tuple[Project, Built, Built], tmp_path: Path) -> None:
    """The provenance is true: the commit's code, parameters and data give the artefact's bytes."""
    project, _, second = built
    for name in ("train.py", "params.yaml", DATA_PATH):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(project.root / name, tmp_path / name)
    subprocess.run([sys.executable, "-I", "train.py"], cwd=tmp_path, check=True, env={})
    assert (tmp_path / "build/model.npz").read_bytes() == second.documents.model.read_bytes()
    assert (tmp_path / "build/serving.yaml").read_bytes() == second.documents.serving.read_bytes()


def test_gate_reports_bear_out_their_claims(built: tuple[Project, Built, Built]) -> None:
    for version in built[1:]:
        reports = [report_from(json.loads(path.read_text())) for path in version.documents.gates]
        assert [report.gate for report in reports] == ["performance", "fairness", "security"]
        for report in reports:
            assert report.passed
            assert claim_problem(report) is None
            assert shortfalls(report) == ()
            assert report.model == f"sha256:{hashlib.sha256(version.documents.model.read_bytes()).hexdigest()}"


def test_security_report_lists_zero_findings(built: tuple[Project, Built, Built]) -> None:
    report = json.loads(built[1].documents.gates[2].read_text())
    assert report["metrics"][0] == {
        "name": "code_carrying_members",
        "value": 0,
        "threshold": 0,
        "direction": "lower",
    }
    assert all(metric["value"] == 0 for metric in report["metrics"])


def test_metadata_and_card_are_complete(built: tuple[Project, Built, Built]) -> None:
    for version in built[1:]:
        document = yaml.safe_load(version.documents.metadata.read_text(encoding="utf-8"))
        assert document["code"] == {"commit": version.commit}
        assert document["training_data"] == f"dvc:{version.commit}:{DATA_PATH}"
        assert document["metrics"] == version.trained.evaluation.metrics()
        for name in (document["config"], document["environment"], document["card"], *document["gates"]):
            assert (version.documents.metadata.parent / name).is_file()
        assert set(document["subgroup_metrics"]["age_group"]) == {"25 and under", "over 25"}
        card = yaml.safe_load(version.documents.card.read_text(encoding="utf-8"))
        assert tuple(card) == CARD_FIELDS
        assert all(text.strip() for text in card.values())


def test_registry_reads_every_document(built: tuple[Project, Built, Built]) -> None:
    for version in built[1:]:
        files = version.documents
        told = load_metadata(files.metadata)
        assert told.gate_files == tuple(path.name for path in files.gates)
        assert (told.card_file, told.config, told.environment) == (
            "card.yaml",
            "serving.yaml",
            "environment.txt",
        )
        assert card_missing(load_card(files.card)) == []
        for path in files.gates:
            assert load_gates(path)[0].passed


def test_training_data_resolve_in_their_commit(built: tuple[Project, Built, Built]) -> None:
    project, first, _ = built
    found = resolve_reference(project.data_reference(first.commit), GitRepository.open(project.root))
    assert found.hash == hashlib.md5(shipped_data()).hexdigest()


def test_environment_file_names_what_training_imports(built: tuple[Project, Built, Built]) -> None:
    lines = built[1].documents.environment.read_text().splitlines()
    assert lines[0].startswith("# Python 3.")
    assert [line.partition("==")[0] for line in lines[1:]] == ["numpy", "PyYAML"]
