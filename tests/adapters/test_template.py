"""The start of a Metadata file, filled from git, DVC and CI, loads back as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from repos import commit, git, new_repository

from manual_registry.adapters.ci import CiJob
from manual_registry.adapters.git import GitRepository
from manual_registry.adapters.metadata import parse_metadata
from manual_registry.adapters.metadata_models import MetadataModel
from manual_registry.adapters.template import metadata_template, quoted
from manual_registry.adapters.yaml_text import parse_yaml
from manual_registry.core.metadata import CARD_FIELDS, Metadata

DVC_FILE = "outs:\n- md5: b026324c6904b2a9cb4b88d6d61c81d1\n  size: 2\n  hash: md5\n  path: %s\n"


def read(text: str) -> Metadata:
    return parse_metadata(text.encode(), name="metadata.yaml")


@pytest.mark.parametrize("risk", ["high", "limited", "minimal"])
def test_without_anything_known_it_is_blank_and_whole(risk: str) -> None:
    text = metadata_template(Path("churn.pkl"), None, None, risk)
    assert read(text) == Metadata()
    for field in (*MetadataModel.model_fields, *CARD_FIELDS, "commit", "repository"):
        assert any(line.lstrip().startswith(f"{field}:") for line in text.splitlines()), field
    assert (f"asked for in risk class {risk}" in text) == (risk != "minimal")


def test_it_is_filled_from_git_and_dvc(tmp_path: Path) -> None:
    directory = tmp_path / "repo"
    new_repository(
        directory,
        {
            "data/train.csv.dvc": DVC_FILE % "train.csv",
            "model.pkl.dvc": DVC_FILE % "model.pkl",
            "dvc.yaml": "stages:\n  train:\n    cmd: x\n    metrics:\n    - metrics.json: {cache: false}\n",
            "params.yaml": "train: {rate: 1e-3, countries: [no, se], cut: .inf}\nseed: 7\n",
            "metrics.json": '{"auc": 0.91, "n": 3}',
        },
    )
    git(directory, "remote", "add", "origin", "https://u:p@example.org/r.git")
    head = git(directory, "rev-parse", "HEAD")
    repository = GitRepository.open(directory)
    found = read(metadata_template(directory / "model.pkl", repository, None, "high"))
    assert found.training_data == (f"dvc:{head}:data/train.csv",)
    assert (found.code_commit, found.code_repository) == (head, "https://example.org/r.git")
    assert found.owner == "Ada Lovelace <ada@example.org>"
    assert found.hyperparameters == {
        "train": {"rate": 0.001, "countries": ["no", "se"], "cut": float("inf")},
        "seed": 7,
    }
    assert found.metrics == {"auc": 0.91, "n": 3}


def test_several_data_sets_are_offered_for_choosing(tmp_path: Path) -> None:
    directory = tmp_path / "repo"
    head = new_repository(directory, {f"{name}.csv.dvc": DVC_FILE % f"{name}.csv" for name in "ab"})
    text = metadata_template(directory / "model.pkl", GitRepository.open(directory), None, "high")
    assert read(text).training_data == ()
    chosen = text.replace("#  - ", "  - ")
    chosen = "\n".join(line for line in chosen.splitlines() if "gate: performance" not in line)
    assert read(chosen).training_data == (f"dvc:{head}:a.csv", f"dvc:{head}:b.csv")


def test_a_dirty_work_tree_is_told(tmp_path: Path) -> None:
    directory = tmp_path / "repo"
    commit_id = new_repository(directory, {"train.py": "1\n"})
    (directory / "train.py").write_text("2\n")
    text = metadata_template(directory / "m", GitRepository.open(directory), None, "high")
    assert "CAUTION: 1 tracked files differ" in text
    assert read(text).code_commit == commit_id


def test_files_of_dvc_that_do_not_parse_leave_their_fields_blank(tmp_path: Path) -> None:
    directory = tmp_path / "repo"
    files: dict[str, str | bytes] = {"dvc.yaml": "metrics: [m.json]\n", "m.json": "{", "params.yaml": "a: ["}
    new_repository(directory, {**files, "x.dvc": "outs: ["})
    found = read(metadata_template(directory / "m", GitRepository.open(directory), None, "high"))
    assert (found.metrics, found.hyperparameters, found.training_data) == (None, None, ())
    commit(directory, {"dvc.yaml": "["})
    assert read(metadata_template(directory / "m", GitRepository.open(directory), None, "high")).metrics is None


def test_ci_fills_the_run_and_stands_in_for_git() -> None:
    job = CiJob(
        provider="gitlab",
        started_by="ada@example.org",
        commit="0" * 40,
        run="007",
        repository="https://example.org/r",
    )
    found = read(metadata_template(Path("m"), None, job, "high"))
    assert (found.pipeline_run, found.code_commit, found.owner) == ("007", "0" * 40, "ada@example.org")
    assert found.code_repository == "https://example.org/r"


def test_an_unborn_repository_leaves_it_blank(tmp_path: Path) -> None:
    new_repository(tmp_path / "new")
    assert read(metadata_template(Path("m"), GitRepository.open(tmp_path / "new"), None, "high")) == Metadata()


@given(st.text(st.characters(codec="utf-8")))
def test_quoted_text_comes_back_from_one_line(text: str) -> None:
    line = quoted(text)
    assert line.isprintable()
    assert parse_yaml(line, where="x") == text
