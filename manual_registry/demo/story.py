"""``manual-registry demo``: a model's whole life in a high-risk registry, told as it happens.

Three people and a pipeline take part, each under their own name in the ledger: who registers does not sign,
who signs does not promote. Every step is one call of the facade, and the command that does the same is told
with it. Needs no network, no git binary and no ssh-keygen. The training is versions.py, the repository
project.py.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from manual_registry.adapters.keys import generate_ed25519
from manual_registry.core.errors import (
    DiskFull,
    IntegrityError,
    NameTaken,
    PipelineMissing,
    RegistryError,
    StorageFailed,
    StorageReadOnly,
)
from manual_registry.core.results import Result, Trace
from manual_registry.demo.project import Person, Project, create_project
from manual_registry.demo.versions import FIRST, MODEL, SECOND, Built, Release, build
from manual_registry.registry import Registry

Report = Callable[[str], None]

DEFAULT_DIRECTORY = Path("manual-registry-demo")
SYSTEM = "Consumer credit scoring (demo)"
ENVIRONMENT = "production"
PIPELINE = "ci"

SME = Person(name="Mira Söderström", email="mira.soderstrom@example.org", role="Technical SME")
LEAD = Person(name="Jonas Okafor", email="jonas.okafor@example.org", role="AI Governance Lead")
ENGINEER = Person(name="Lena Vogt", email="lena.vogt@example.org", role="platform engineer")
CI = Person(name=f"Pipeline {PIPELINE}", email="ci@example.org", role="with a key of its own")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Scene:
    """Where it plays: ``directory`` holds registry/, project/, keys/ and the DVC remote data-store/."""

    directory: Path
    project: Project
    report: Report

    @property
    def root(self) -> Path:
        return self.directory / "registry"

    def key(self, name: str) -> Path:
        return self.directory / "keys" / name

    def registry(self, person: Person) -> Registry:
        """Open the registry as ``person`` would on their own machine."""
        return Registry.open(self.root, actor=person.email)

    def tell(self, person: Person | None, what: str, *commands: str) -> None:
        """Report one step: who did what, then the commands that do it, as typed in registry/."""
        self.report(f"{person.name} ({person.role}) {what}" if person else what)
        for command in commands:
            self.report(f"    $ {command}")

    def heed(self, result: Result) -> Result:
        """Report what the registry warned of, and pass the result on."""
        for warning in result.warnings:
            self.report(f"    note: {warning}")
        return result


def run(directory: Path | None, *, report: Report) -> Trace:
    """Play the story in ``directory`` (None: ``./manual-registry-demo``); return the trace of its end.

    ``report`` gets each line of the story. Raises :class:`NameTaken` when ``directory`` holds anything
    already (nothing is touched then), and what the facade raises.
    """
    place = (directory or DEFAULT_DIRECTORY).absolute()
    _refuse_taken(place)
    with _storage_errors(place):
        scene = _prepare(place, report)
        _found(scene)
        first = _release(scene, FIRST)
        _one_refusal(scene, first)
        _produce(scene, first, replaced=None)
        second = _release(scene, SECOND)
        _produce(scene, second, replaced=first)
        _archive(scene, first, second)
        return _close(scene, second)


def _refuse_taken(place: Path) -> None:
    with _storage_errors(place):
        free = place.is_dir() and not any(place.iterdir())
        if free or not (place.exists() or place.is_symlink()):
            return
    raise NameTaken(
        f"{place} holds something already; the demo begins in an empty or new directory and touched nothing",
        location=str(place),
        hint="mreg demo ANOTHER-DIRECTORY",
    )


def _prepare(place: Path, report: Report) -> _Scene:
    """Make the project and the keys, as people would have them before there is a registry."""
    (place / "keys").mkdir(parents=True)
    scene = _Scene(directory=place, project=create_project(place / "project"), report=report)
    generate_ed25519(scene.key("jonas"), LEAD.email)
    generate_ed25519(scene.key("ci"), CI.email)
    scene.tell(None, f"In {place}: project/ is a git repository with DVC metadata, keys/ holds two Ed25519 keys.")
    scene.tell(
        None,
        "The data are real (1,000 loans, Statlog German Credit, CC BY 4.0), and so is every number below.",
    )
    scene.tell(None, "Commands are written as you would type them in registry/.")
    return scene


def _found(scene: _Scene) -> None:
    today = datetime.now(UTC).date().isoformat()
    scene.heed(
        Registry.init(
            scene.root,
            risk="high",
            system=SYSTEM,
            placed_on_market=today,
            leads=[(str(LEAD), scene.key("jonas.pub"))],
            actor=LEAD.email,
        )
    )
    scene.tell(
        LEAD,
        f"founds the registry of a high-risk AI system; it keeps everything for ten years from {today}, and"
        " his key stands in its first event.",
        f'mreg init . --risk high --system "{SYSTEM}" --placed-on-market {today} --lead "{LEAD}"'
        " --lead-key ../keys/jonas.pub",
    )
    lead = scene.registry(LEAD)
    scene.heed(lead.pipeline_add(PIPELINE, public_key=scene.key("ci.pub"), as_=LEAD.email, key=scene.key("jonas")))
    scene.tell(
        LEAD,
        f"admits the pipeline {PIPELINE} and signs that. From now on only it can promote to production.",
        f"mreg pipeline add {PIPELINE} --public-key ../keys/ci.pub --as {LEAD.email} --key ../keys/jonas",
    )


def _release(scene: _Scene, release: Release) -> Built:
    """Train, register, bring to staging, and have it approved for production."""
    built = build(scene.project, release, author=SME, at=datetime.now(UTC))
    numbers, ref = built.trained.evaluation, _ref(built)
    auc, parity = numbers.auc_roc, numbers.demographic_parity_ratio
    scene.tell(
        SME,
        f"trains {ref} from commit {built.commit[:12]}: AUC-ROC {auc.value:.3f} ({auc.lower:.3f} to"
        f" {auc.upper:.3f}), demographic parity ratio between the age groups {parity.value:.3f}"
        f" ({parity.lower:.3f} to {parity.upper:.3f}).",
    )
    _register(scene, built)
    _approve(scene, built, "staging", f"{SME.name}, who registered it, could not")
    _promote(scene, built, "staging", "signs exactly this promotion")
    _approve(scene, built, "production", "good for 48 hours and for one promotion")
    return built


def _register(scene: _Scene, built: Built) -> None:
    files, ref = built.documents, _ref(built)
    result = scene.heed(
        scene.registry(SME).register(
            MODEL, built.version, files.model, metadata=files.metadata, repo=scene.project.root
        )
    )
    folder = f"../project/build/{built.version}"
    scene.tell(
        SME,
        f"registers {ref} with model card, environment file and three gate reports; the file is copied,"
        " hashed twice and made read-only.",
        f"mreg register {MODEL} {built.version} {folder}/model.npz --metadata {folder}/metadata.yaml --repo ../project",
    )
    scene.report(f"    inference logs carry {result.composite_id}")


def _approve(scene: _Scene, built: Built, to: str, remark: str) -> None:
    """Ask as the SME, sign as the lead."""
    ref = _ref(built)
    number = scene.heed(scene.registry(SME).approval_request(ref, to=to)).id
    if number is None:
        raise IntegrityError(f"{ref}: the request for {to} came back without an id")
    comment = f"Read the card and the gate reports of {ref}."
    lead = scene.registry(LEAD)
    scene.heed(lead.approval_sign(number, as_=LEAD.email, key=scene.key("jonas"), comment=comment))
    scene.tell(
        LEAD,
        f"reads card and gate reports of {ref} and signs for {to}: {remark}.",
        f"mreg approval request {ref} --to {to}",
        f"mreg approval sign {number} --as {LEAD.email} --key ../keys/jonas",
    )


def _promote(scene: _Scene, built: Built, to: str, remark: str) -> None:
    ref, reason = _ref(built), f"approved for {to}"
    scene.heed(scene.registry(CI).promote(ref, to=to, reason=reason, pipeline=PIPELINE, pipeline_key=scene.key("ci")))
    scene.tell(
        CI,
        f"promotes {ref} to {to} and {remark}.",
        f'mreg promote {ref} --to {to} --reason "{reason}" --pipeline {PIPELINE} --pipeline-key ../keys/ci',
    )


def _one_refusal(scene: _Scene, built: Built) -> None:
    """Try the promotion by hand: approved or not, the registry says no."""
    ref = _ref(built)
    scene.tell(
        SME,
        f"is in a hurry and promotes {ref} to production by hand. It has been approved, after all.",
        f'mreg promote {ref} --to production --reason "in a hurry"',
    )
    try:
        scene.registry(SME).promote(ref, to="production", reason="in a hurry")
    except RegistryError as refused:
        if not any(isinstance(reason, PipelineMissing) for reason in refused.reasons):
            raise
        for reason in refused.reasons:
            clause = f", clause {reason.clause}" if reason.clause else ""
            scene.report(f"    REFUSED (exit {refused.exit_status}, {reason.code}{clause}): {reason.message}")
        return
    raise IntegrityError(f"{ref} went to production by hand in a high-risk registry; this tool is broken")


def _produce(scene: _Scene, built: Built, *, replaced: Built | None) -> None:
    """Bring to production and deploy; with that the deployment of the version replaced ends."""
    ref = _ref(built)
    before = f"; the same event takes {_ref(replaced)} out of it" if replaced else ""
    _promote(scene, built, "production", f"signs exactly this promotion{before}")
    scene.heed(scene.registry(CI).deploy(ref, environment=ENVIRONMENT))
    ends = f" The deployment of {_ref(replaced)} ends with that." if replaced else ""
    scene.tell(CI, f"deploys {ref} to {ENVIRONMENT}.{ends}", f"mreg deploy {ref} --environment {ENVIRONMENT}")


def _archive(scene: _Scene, first: Built, second: Built) -> None:
    ref, reason = _ref(first), f"replaced by {second.version}"
    scene.heed(scene.registry(ENGINEER).archive(ref, reason=reason))
    scene.tell(
        ENGINEER,
        f"moves {ref}, replaced and no longer deployed, into a BagIt bag in archive/. Nothing is ever deleted.",
        f'mreg archive {ref} --reason "{reason}"',
    )


def _close(scene: _Scene, second: Built) -> Trace:
    registry = scene.registry(ENGINEER)
    checked = registry.verify()
    if not checked.ok:
        raise IntegrityError("; ".join(finding.message for finding in checked.findings))
    scene.tell(ENGINEER, "checks every event, signature and file: all as the ledger says.", "mreg verify")
    trace = registry.trace(_ref(second))
    scene.tell(
        ENGINEER,
        f"is asked at night what runs in production, and traces {_ref(second)}.",
        f"mreg trace {_ref(second)}",
    )
    scene.report(f"Open {scene.root / 'registry.xlsx'} to see all of it in a spreadsheet.")
    return trace


def _ref(built: Built) -> str:
    return f"{MODEL}@{built.version}"


@contextmanager
def _storage_errors(place: Path) -> Iterator[None]:
    """Tell a full or read-only disk as the registry's own errors."""
    import pygit2

    try:
        yield
    except (OSError, pygit2.GitError) as error:
        text = f"{place}: the demo cannot be written: {getattr(error, 'strerror', None) or error}"
        number = getattr(error, "errno", None)
        if number in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(text, location=str(place)) from error
        if number in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise StorageReadOnly(text, location=str(place), hint="mreg demo ANOTHER-DIRECTORY") from error
        raise StorageFailed(text, location=str(place)) from error
