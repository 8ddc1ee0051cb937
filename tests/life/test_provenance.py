"""A scikit-learn model out of a real git and DVC repository, traced to its code and data (design 3.2)."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from adapters.repos import commit, dvc, git, new_repository
from life_line import Runner, events_in, here, result_of, tree
from world import LEAD, LEAD2, World

DATA = "data/breast cancer.csv"
TRAIN = """\
import json, pickle
from sklearn.linear_model import LogisticRegression
rows = [list(map(float, line.split(","))) for line in open("features.csv")]
model = LogisticRegression(max_iter=5000, C=0.5).fit([row[:-1] for row in rows], [row[-1] for row in rows])
pickle.dump(model, open("model.pkl", "wb"))
json.dump({"accuracy": model.score([row[:-1] for row in rows], [row[-1] for row in rows])}, open("metrics.json", "w"))
"""
PIPELINE = f"""\
stages:
  prepare:
    cmd: '"{sys.executable}" prepare.py'
    deps: [prepare.py, "{DATA}"]
    outs: [features.csv]
  train:
    cmd: '"{sys.executable}" train.py'
    deps: [train.py, features.csv]
    params: [C, max_iter]
    outs: [model.pkl]
    metrics:
      - metrics.json: {{cache: false}}
"""
PREPARE = f"""\
rows = open("{DATA}").read().splitlines()[1:]
open("features.csv", "w").write("\\n".join(rows) + "\\n")
"""


@dataclass(frozen=True)
class Project:
    """A repository: ``before`` is a commit without the data, ``head`` the one checked out."""

    directory: Path
    before: str
    head: str

    @property
    def model(self) -> Path:
        """The trained model."""
        return self.directory / "model.pkl"


def md5(path: Path) -> str:
    """Return what DVC calls a file."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A repository whose data came in by `dvc add`; the model is trained on a data set that scikit-learn ships."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression

    directory = tmp_path_factory.mktemp("project") / "added"
    before = new_repository(directory, {"train.py": TRAIN, "prepare.py": PREPARE})
    dvc(directory, "init")
    values, labels = load_breast_cancer(return_X_y=True)
    lines = [",".join(map(repr, map(float, [*row[:4], label]))) for row, label in zip(values, labels, strict=True)]
    (directory / "data").mkdir()
    (directory / DATA).write_text("radius,texture,perimeter,area,label\n" + "\n".join(lines) + "\n")
    dvc(directory, "add", DATA)
    with (directory / ".gitignore").open("a") as ignore:
        ignore.write("/model.pkl\n/reports/\n")
    head = commit(directory, {"environment.txt": "scikit-learn\n", "config.yaml": "threshold: 0.5\n"}, message="data")
    model = LogisticRegression(max_iter=5000).fit(values[:, :4], labels)
    (directory / "model.pkl").write_bytes(pickle.dumps(model))
    return Project(directory, before, head)


@pytest.fixture(scope="module")
def reproduced(added: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same with a pipeline: `dvc repro` ran it, dvc.lock says what came out."""
    directory = tmp_path_factory.mktemp("project") / "reproduced"
    shutil.copytree(added.directory, directory, symlinks=True)
    (directory / "model.pkl").unlink()
    (directory / ".gitignore").write_text("/reports/\n")
    (directory / "dvc.yaml").write_text(PIPELINE)
    (directory / "params.yaml").write_text("C: 0.5\nmax_iter: 5000\n")
    dvc(directory, "repro")
    return Project(directory, added.head, commit(directory, message="pipeline"))


@pytest.fixture
def project(added: Project, tmp_path: Path) -> Project:
    """A copy of :func:`added` to change."""
    directory = tmp_path / "project"
    shutil.copytree(added.directory, directory, symlinks=True)
    return Project(directory, added.before, added.head)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A high-risk registry beside the projects."""
    yield World(tmp_path / "world")


@pytest.fixture
def run(world: World) -> Runner:
    """The command line in this process."""
    return here(world)


def register(run: Runner, world: World, project: Project, *words: str | Path, version: str = "1") -> dict[str, Any]:
    """Register the project's model with what the metadata file of the world says, code and data from the options."""
    metadata = world.metadata(training_data=None, code=None)
    given = ("register", "cancer", version, project.model, "--metadata", metadata, *words, "--json")
    return result_of(run(*given), world.root, "register")


def links(run: Runner, ref: str) -> dict[str, dict[str, Any]]:
    """Trace and return the links by kind."""
    document = run("trace", ref, "--json").document
    return {link["kind"]: link for link in document["links"]}


def test_a_whole_life_with_everything_verified(world: World, run: Runner, added: Project) -> None:
    """The trace in production proves code, data, gates and approval: complete and verified, also --strict."""
    place, short = added.directory, added.head[:10]
    made = register(
        run,
        world,
        added,
        "--repo",
        place,
        "--commit",
        short,
        "--data",
        f"dvc:{short}:{DATA}",
        "--config",
        place / "config.yaml",
    )
    config = hashlib.sha256(b"threshold: 0.5\n").hexdigest()[:12]
    data = md5(place / DATA)
    assert made["composite_id"].startswith(f"cancer@1+code.{added.head[:12]}.data.{data[:12]}.model.")
    assert made["composite_id"].endswith(f".config.{config}")
    shown = run("show", "cancer@1", "--json").document
    assert (shown["code_commit"], shown["code"]["dirty"]) == (added.head, False)
    assert shown["training_data"] == [f"dvc:{added.head}:{DATA}"]  # short ones are resolved
    found = shown["training_data_detail"][0]
    assert found["hash"] == data
    assert found["detail"]["size"] == (place / DATA).stat().st_size
    assert found["detail"]["found_in"] == f"{DATA}.dvc"

    world.model = "cancer"
    for stage in ("staging", "production"):
        world.approve("cancer@1", stage, lead=LEAD2)
        world.promote("cancer@1", stage)
    deployed = world.place / "served.pkl"
    shutil.copy(added.model, deployed)
    assert run("deploy", "cancer@1", "--environment", "production", "--path", deployed).status == 0
    done = run("trace", "cancer", "--strict", "--json")
    assert done.status == 0
    assert (done.document["complete"], done.document["verified"]) == (True, True)
    status = {link["kind"]: link["status"] for link in done.document["links"]}
    assert {kind for kind, one in status.items() if one == "verified"} == {
        "deployment",
        "artefact",
        "code",
        "data",
        "configuration",
        "environment",
        "gates",
        "approval",
        "history",
    }
    text = run("trace", deployed).out.splitlines()[0]  # from the deployed file, one command back to everything
    origin = f"trained on 2026-01-01 on dvc:{added.head}:{DATA} with commit {added.head[:12]}"
    assert f"{origin} (code and data found there just now)" in text
    deployed.write_bytes(b"another model")
    broken = run("trace", "cancer", "--json")
    assert broken.status == 4
    assert {link["kind"] for link in broken.document["links"] if link["status"] == "broken"} == {"deployment"}


def test_the_author_of_the_commit_counts_as_a_registrant(world: World, run: Runner, added: Project) -> None:
    """ada@example.org made the commit: she cannot approve, though somebody else registered."""
    from manual_registry.adapters.keys import generate_ed25519

    generate_ed25519(world.key("ada"), "ada")
    world.as_(LEAD).approver_add(
        "Ada <ada@example.org>", role="technical-sme", public_key=world.public("ada"), as_=LEAD, key=world.key(LEAD)
    )
    register(run, world, added, "--repo", added.directory, "--commit", added.head, "--data", f"dvc:{added.head}:{DATA}")
    asked = run("approval", "request", "cancer@1", "--to", "staging", "--json").document["id"]
    done = run("approval", "sign", asked, "--as", "ada@example.org", "--key", world.key("ada"), "--json")
    assert (done.status, done.codes) == (3, ["MR-P009"])


def test_what_dvc_repro_wrote_into_dvc_lock(world: World, run: Runner, reproduced: Project) -> None:
    place, head = reproduced.directory, reproduced.head
    register(
        run,
        world,
        reproduced,
        "--repo",
        place,
        "--commit",
        head,
        "--data",
        f"dvc:{head}:features.csv",
        "--data",
        f"dvc:{head}:{DATA}",
        "--metrics",
        place / "metrics.json",
        "--params",
        place / "params.yaml",
    )
    shown = run("show", "cancer@1", "--json").document
    features, raw = shown["training_data_detail"]
    assert (features["hash"], features["detail"]["found_in"], features["detail"]["stage"]) == (
        md5(place / "features.csv"),
        "dvc.lock",
        "prepare",
    )
    assert raw["hash"] == md5(place / DATA)
    together = hashlib.sha256("\n".join(sorted(shown["training_data"])).encode()).hexdigest()
    assert f".data.{together[:12]}." in shown["composite_id"]
    assert shown["metrics"] == json.loads((place / "metrics.json").read_text())
    assert shown["metadata"]["hyperparameters"] == {"C": 0.5, "max_iter": 5000}
    walked = links(run, "cancer@1")
    assert (walked["code"]["status"], walked["data"]["status"]) == ("verified", "verified")
    assert [one["status"] for one in walked["data"]["detail"]["references"]] == ["verified", "verified"]


def test_a_dirty_work_tree_is_recorded_and_told(world: World, run: Runner, project: Project) -> None:
    (project.directory / "train.py").write_text(TRAIN + "# changed\n")
    (project.directory / "notes.txt").write_text("untracked\n")
    made = register(
        run,
        world,
        project,
        "--repo",
        project.directory,
        "--commit",
        project.head,
        "--data",
        f"git:{project.head}:train.py",
    )
    assert any("uncommitted changes" in warning and "train.py" in warning for warning in made["warnings"])
    assert run("show", "cancer@1", "--json").document["code"]["dirty"] is True
    assert "from a work tree with uncommitted changes" in links(run, "cancer@1")["code"]["summary"]
    text = run(
        "register", "cancer", "2", project.model, "--metadata", world.metadata(code=None), "--repo", project.directory
    )
    assert "warning: the work tree has uncommitted changes (train.py); recorded" in text.err
    assert f"{project.head} is checked out" in text.err  # no commit was named: HEAD was taken, and that is told


@pytest.mark.parametrize(
    ("words", "codes"),
    [
        (("--commit", "f" * 40), ["MR-I010"]),
        (("--commit", "0000000"), ["MR-I010"]),
        (("--commit", "{head}", "--data", "dvc:{before}:{data}"), ["MR-I013"]),
        (("--commit", "{head}", "--data", "dvc:{head}:data/nothing.csv"), ["MR-I013"]),
        (("--commit", "{head}", "--data", "dvc:" + "f" * 40 + ":{data}"), ["MR-I010"]),
        (("--commit", "{head}", "--data", "git:{head}:data/nothing.csv"), ["MR-I013"]),
        (("--commit", "{head}", "--data", "dvc:{head}:../outside.csv"), ["MR-I012"]),
        (
            ("--commit", "f" * 40, "--data", "dvc:{before}:{data}", "--data", "nonsense"),
            ["MR-I010", "MR-I013", "MR-I012"],
        ),
    ],
)
def test_a_commit_or_path_that_is_not_there(
    world: World, run: Runner, added: Project, words: tuple[str, ...], codes: list[str]
) -> None:
    filled = [word.format(head=added.head, before=added.before, data=DATA) for word in words]
    before = tree(world.root)
    changes: dict[str, Any] = {"code": None} | ({"training_data": None} if "--data" in words else {})
    metadata = world.metadata(**changes)
    done = run(
        "register", "cancer", "1", added.model, "--metadata", metadata, "--repo", added.directory, *filled, "--json"
    )
    assert (done.status, sorted(done.codes)) == (7, sorted(codes))
    assert tree(world.root) == before


def test_a_directory_that_is_no_repository(world: World, run: Runner, added: Project, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    events = events_in(world.root)
    words = ("register", "cancer", "1", added.model, "--metadata", world.metadata(code=None), "--commit", added.head)
    done = run(*words, "--repo", tmp_path / "plain", "--json")
    assert (done.status, "MR-I011" in done.codes) == (7, True)
    assert events_in(world.root) == events


def test_a_repository_that_lost_the_commit_breaks_the_trace(world: World, run: Runner, project: Project) -> None:
    register(
        run,
        world,
        project,
        "--repo",
        project.directory,
        "--commit",
        project.head,
        "--data",
        f"dvc:{project.head}:{DATA}",
    )
    assert links(run, "cancer@1")["code"]["status"] == "verified"
    git(project.directory, "reset", "-q", "--hard", project.before)
    git(project.directory, "reflog", "expire", "--expire=now", "--all")
    git(project.directory, "gc", "-q", "--prune=now")
    done = run("trace", "cancer@1", "--json")
    assert done.status == 4
    assert {link["kind"] for link in done.document["links"] if link["status"] == "broken"} == {"code", "data"}
    shutil.rmtree(project.directory)
    done = run("trace", "cancer@1", "--json")  # not here is not broken
    assert done.status == 0
    walked = {link["kind"]: link["status"] for link in done.document["links"]}
    assert (walked["code"], walked["data"]) == ("recorded", "recorded")


def test_the_template_is_filled_from_git_and_dvc_and_loads_back(world: World, run: Runner, reproduced: Project) -> None:
    target = reproduced.directory / "reports" / "metadata.yaml"
    target.parent.mkdir(exist_ok=True)
    words = ("register", "cancer", "next", reproduced.model)
    assert run(*words, "--template", target, "--repo", reproduced.directory).status == 0
    text = target.read_text()
    assert f'commit: "{reproduced.head}"' in text
    assert f"dvc:{reproduced.head}:{DATA}" in text
    assert f"dvc:{reproduced.head}:features.csv" in text
    assert f"dvc:{reproduced.head}:model.pkl" not in text  # the model itself is no training data
    done = run(*words, "--metadata", target, "--json")
    assert (done.status, done.codes) == (7, ["MR-I030"] * 3)  # hyperparameters and metrics came from the pipeline
    filled = ("--data", f"dvc:{reproduced.head}:features.csv", "--trained", "2026-11-22", "--pipeline-run", "local")
    result_of(run(*words, "--metadata", target, *filled, "--json"), world.root, "register", version="1")
    shown = run("show", "cancer@1", "--json").document
    assert shown["metrics"] == json.loads((reproduced.directory / "metrics.json").read_text())
    assert shown["metadata"]["hyperparameters"] == {"C": 0.5, "max_iter": 5000}
    status = {kind: link["status"] for kind, link in links(run, "cancer@1").items()}
    assert (status["code"], status["data"]) == ("verified", "verified")


def test_the_model_that_comes_back_predicts_the_same(world: World, run: Runner, added: Project, tmp_path: Path) -> None:
    from sklearn.datasets import load_breast_cancer

    register(run, world, added, "--repo", added.directory, "--commit", added.head, "--data", f"dvc:{added.head}:{DATA}")
    world.as_().archive("cancer@1", reason="old")
    assert run("fetch", "cancer@1", tmp_path / "back.pkl").status == 0
    back = pickle.loads((tmp_path / "back.pkl").read_bytes())
    before = pickle.loads(added.model.read_bytes())
    values = load_breast_cancer(return_X_y=True)[0][:, :4]
    assert (back.predict(values) == before.predict(values)).all()
