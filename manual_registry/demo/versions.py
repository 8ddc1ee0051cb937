"""The two versions of the demo's model: what differs between them, and the run that makes each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from manual_registry.demo.project import Person, Project, commit_params
from manual_registry.demo.reports import Documents, Run, write_documents
from manual_registry.demo.train import Params, Trained, train, write_build

MODEL = "credit-scorecard"


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """A version to be: its parameters, what it is, the commit's message and the name of the run."""

    version: str
    params: Params
    description: str
    message: str
    pipeline_run: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """A version that has been trained: the commit it came from, its files and its numbers."""

    version: str
    commit: str
    documents: Documents
    trained: Trained


FIRST = Release(
    version="1.0.0",
    params=Params(
        numeric=("duration_months",),
        logarithmic=(),
        categorical=("checking_account",),
        ridge=0.0,
        decision_threshold=0.5,
        seed=1994,
        folds=5,
        resamples=1000,
    ),
    description="First scorecard: duration of the loan and state of the checking account.",
    message="Scorecard from duration and checking account",
    pipeline_run="demo-run-1",
)

SECOND = Release(
    version="1.1.0",
    params=Params(
        numeric=("duration_months",),
        logarithmic=("credit_amount_dm",),
        categorical=("checking_account", "savings"),
        ridge=5.0,
        decision_threshold=0.5,
        seed=1994,
        folds=5,
        resamples=1000,
    ),
    description="Adds amount and savings, with a ridge penalty; the gain lies within the intervals.",
    message="Add amount and savings, with a ridge penalty",
    pipeline_run="demo-run-2",
)


def build(project: Project, release: Release, *, author: Person, at: datetime) -> Built:
    """Commit the parameters as ``author``, train from the project's data, write ``build/<version>/``."""
    commit = commit_params(project, release.params.document(), message=release.message, author=author, at=at)
    trained = train(project.data(), release.params)
    folder = project.build(release.version)
    write_build(trained, folder)
    run = Run(
        version=release.version,
        commit=commit,
        data_reference=project.data_reference(commit),
        pipeline_run=release.pipeline_run,
        trained_at=at,
        owner="Consumer credit team",
        description=release.description,
        trained=trained,
    )
    return Built(version=release.version, commit=commit, documents=write_documents(run, folder), trained=trained)
