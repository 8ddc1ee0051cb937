"""``Registry``: one method for each command, returning values."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from manual_registry.registry.handmade import locating
from manual_registry.registry.workspace import Clock, Workspace, find_root, utc_now

if TYPE_CHECKING:
    import pandas

    from manual_registry.core.results import Result, Trace, Verification
    from manual_registry.ports import Progress
    from manual_registry.registry import (
        approving,
        archiving,
        controlling,
        gathering,
        promoting,
        reading,
        registering,
        remarking,
        reviewing,
        tracing,
        verifying,
        views,
    )
else:

    class _Later:
        """A module of this package, imported when a method first needs it: `trace` starts without the rest."""

        def __init__(self, name: str) -> None:
            self._name = f"manual_registry.registry.{name}"

        def __getattr__(self, attribute: str) -> Any:
            return getattr(import_module(self._name), attribute)

    _WORK = "approving archiving controlling gathering promoting reading registering remarking reviewing tracing verifying views"
    globals().update({name: _Later(name) for name in _WORK.split()})

Document = dict[str, Any]
Documents = list[Document]


@locating
class Registry:
    """An opened registry.

    Every writing method returns a :class:`~manual_registry.core.results.Result`; every method raises
    :class:`~manual_registry.core.errors.RegistryError` and nothing else for what can be foreseen. ``REF`` is as in the
    README: ``model@version``, ``model@stage``, ``model@alias``, ``model@latest``, a composite identifier, a content hash
    or a path.
    """

    def __init__(self, work: Workspace) -> None:
        """Wrap a workspace; use :meth:`open` or :meth:`init`."""
        self._work = work

    # -- set up -------------------------------------------------------------------------------------------

    @staticmethod
    def init(
        directory: str | Path,
        *,
        risk: str,
        system: str | None = None,
        placed_on_market: str | None = None,
        leads: Sequence[tuple[str, Path]] = (),
        actor: str | None = None,
        clock: Clock = utc_now,
    ) -> Result:
        """Make a registry in ``directory``.

        ``leads`` are pairs of ``Name <email>`` and the path of an OpenSSH public key; ``placed_on_market`` is a date
        (AI Act Art. 18: retention counts from it). Raises :class:`NameTaken` (nothing is touched).
        """
        return controlling.init(
            Path(directory),
            risk=risk,
            system=system,
            placed_on_market=placed_on_market,
            leads=leads,
            actor=actor,
            clock=clock,
            environ=os.environ,
        )

    @classmethod
    def open(cls, path: str | Path | None = None, *, actor: str | None = None, clock: Clock = utc_now) -> Registry:
        """Open a registry: ``path``, else ``$MANUAL_REGISTRY``, else the nearest parent with a registry.toml.

        ``actor`` is an e-mail address (claimed, not proven). Raises :class:`NoRegistry`, :class:`BadConfig`.
        """
        root = find_root(Path(path) if path is not None else None, os.environ)
        return cls(Workspace(root, actor=actor, clock=clock))

    @property
    def root(self) -> Path:
        """The registry's root directory."""
        return self._work.root

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for the user that came up so far."""
        return tuple(self._work.warnings)

    @property
    def head(self) -> tuple[int, str]:
        """The ledger's head as (number, ``sha256:…``)."""
        return self._work.load().head

    @property
    def passphrase(self) -> Callable[[str], str] | None:
        """Asks a person for a key's passphrase; None: nobody is there to ask."""
        return self._work.passphrase

    @passphrase.setter
    def passphrase(self, ask: Callable[[str], str] | None) -> None:
        self._work.passphrase = ask

    def approver_add(
        self, person: str, *, role: str, public_key: str | Path, as_: str, key: str | Path | None = None
    ) -> Result:
        """Enrol ``Name <email>`` as ``ai-governance-lead`` or ``technical-sme``, signed by the lead ``as_``."""
        return controlling.approver_add(
            self._work, person, role=role, public_key=Path(public_key), as_=as_, key=_path(key)
        )

    def approver_revoke(self, email: str, *, reason: str, as_: str, key: str | Path | None = None) -> Result:
        """Revoke an approver from here on; the last active lead stays."""
        return controlling.approver_revoke(self._work, email, reason=reason, as_=as_, key=_path(key))

    def approver_list(self) -> Documents:
        """Return the roster: name, email, role, key, fingerprint, since, revoked_at, reason, added_by."""
        return controlling.approver_list(self._work)

    def pipeline_add(self, name: str, *, public_key: str | Path, as_: str, key: str | Path | None = None) -> Result:
        """Enrol a pipeline with a key of its own, signed by the lead ``as_``."""
        return controlling.pipeline_add(self._work, name, public_key=Path(public_key), as_=as_, key=_path(key))

    def pipeline_revoke(self, name: str, *, reason: str, as_: str, key: str | Path | None = None) -> Result:
        """Revoke a pipeline from here on."""
        return controlling.pipeline_revoke(self._work, name, reason=reason, as_=as_, key=_path(key))

    def pipeline_list(self) -> Documents:
        """Return the pipelines: name, key, fingerprint, since, revoked_at, reason, added_by."""
        return controlling.pipeline_list(self._work)

    def policy_show(self) -> Document:
        """Return the policy in force, since when, and how registry.toml differs."""
        return controlling.policy_show(self._work)

    def policy_sign(self, *, as_: str, key: str | Path | None = None) -> Result:
        """Put registry.toml's system, risk, placed-on-market date and ``[policy]`` in force."""
        return controlling.policy_sign(self._work, as_=as_, key=_path(key))

    def anchor(self) -> str:
        """Return one line that names the ledger's head, to be kept elsewhere."""
        return controlling.anchor(self._work)

    # -- read ---------------------------------------------------------------------------------------------

    def status(self) -> Document:
        """Say what the registry is, what waits, and what to do next."""
        return reading.status(self._work)

    def list(self) -> Documents:
        """Return one entry per version, by model, in order of registration."""
        return reading.rows(self._work)

    def search(self, expression: str) -> Documents:
        """Return the entries for which every term of EXPR (words, ``field>=value``) holds."""
        return reading.search(self._work, expression)

    def show(self, ref: str) -> Document:
        """Return everything that is known of one version."""
        return reading.show(self._work, ref)

    def compare(self, first: str, second: str) -> Document:
        """Return what differs between two versions, and the names of what does not."""
        return reading.compare(self._work, first, second)

    def history(self, ref: str | None = None) -> Documents:
        """Return the events, oldest first: all, a model's, or a version's."""
        return reading.history(self._work, ref)

    def card(self, ref: str) -> str:
        """Return the model card of a version as Markdown."""
        return reading.card(self._work, ref)

    def to_dataframe(self) -> pandas.DataFrame:
        """Return the register as a table: one row per version, dates and stages typed, ``metrics.*`` as columns."""
        return reading.to_dataframe(self._work)

    def trace(self, ref: str, *, at: str | None = None, hash: bool = True, progress: Progress | None = None) -> Trace:
        """Walk from a version back to code, data, evaluation and signature.

        ``ref`` may be a bare model: its production version, with ``at`` (RFC 3339, or a date for the whole day) the one
        of that time. ``hash`` False: nothing is hashed, the index serves. Raises :class:`NothingInProduction`,
        :class:`SeveralInTime`. What does not hold is a broken link of the result, not an error.
        """
        return tracing.trace(self._work, ref, at=at, hash=hash, progress=progress)

    def verify(
        self,
        refs: Sequence[str] = (),
        *,
        sample: int | None = None,
        jobs: int | None = None,
        both: bool = False,
        quick: bool = False,
        anchor: str | None = None,
        record: bool = False,
        progress: Progress | None = None,
    ) -> Verification:
        """Check the ledger, every decision, signature, file and view again; all findings, each located.

        ``both`` adds SHA-256 to BLAKE3; ``quick`` hashes no artefact; ``anchor`` is ``SEQ:sha256:HEX`` or a file with a
        line of :meth:`anchor`; ``record`` keeps the outcome in the ledger. Writes nothing otherwise.
        """
        return verifying.verify(
            self._work,
            refs,
            sample=sample,
            jobs=jobs,
            both=both,
            quick=quick,
            anchor=anchor,
            record=record,
            progress=progress,
        )

    def fetch(self, ref: str, destination: str | Path, *, progress: Progress | None = None) -> Document:
        """Copy a version's artefact to ``destination``, verified; refuses on a hash mismatch."""
        return archiving.fetch(self._work, ref, Path(destination), progress=progress)

    # -- change -------------------------------------------------------------------------------------------

    def register(
        self,
        model: str,
        version: str,
        path: str | Path,
        *,
        metadata: str | Path | None = None,
        commit: str | None = None,
        repo: str | Path | None = None,
        data: Sequence[str] = (),
        pipeline_run: str | None = None,
        trained: str | None = None,
        owner: str | None = None,
        metrics: str | Path | None = None,
        params: str | Path | None = None,
        gates: Sequence[str | Path] = (),
        config: str | Path | None = None,
        prompt: str | Path | None = None,
        environment: str | Path | None = None,
        card: str | Path | None = None,
        dereference: bool = False,
        progress: Progress | None = None,
    ) -> Result:
        """Register ``path`` (a file or directory) as ``model``@``version`` (``next`` counts up).

        Copies it, hashes it (BLAKE3 and SHA-256), and writes one event. The same again is ``changed`` False; anything
        else under a version that stands raises :class:`VersionTaken` naming what differs (clause RP-1). All problems of
        the metadata are raised together.
        """
        given = gathering.Given(
            metadata=_path(metadata),
            commit=commit,
            repo=_path(repo),
            data=data,
            pipeline_run=pipeline_run,
            trained=trained,
            owner=owner,
            metrics=_path(metrics),
            params=_path(params),
            gates=[Path(gate) for gate in gates],
            config=_path(config),
            prompt=_path(prompt),
            environment=_path(environment),
            card=_path(card),
        )
        return registering.register(
            self._work, model, version, Path(path), given, dereference=dereference, progress=progress
        )

    def metadata_template(self, path: str | Path, *, repo: str | Path | None = None) -> str:
        """Return a metadata file for ``path``, a start filled from git, DVC and CI."""
        return registering.template(self._work, Path(path), repo=_path(repo))

    def attach(
        self,
        ref: str,
        *,
        gates: Sequence[str | Path] = (),
        card: str | Path | None = None,
        environment: str | Path | None = None,
        metadata: str | Path | None = None,
        evidence: Sequence[str | Path] = (),
    ) -> Result:
        """Add evidence and fill empty fields; never changes what stands. An open approval lapses."""
        given = gathering.Given(
            metadata=_path(metadata),
            gates=[Path(gate) for gate in gates],
            card=_path(card),
            environment=_path(environment),
            evidence=[Path(one) for one in evidence],
        )
        return registering.attach(self._work, ref, given)

    def promote(
        self,
        ref: str,
        *,
        to: str,
        reason: str | None = None,
        pipeline: str | None = None,
        pipeline_key: str | Path | None = None,
        progress: Progress | None = None,
    ) -> Result:
        """Move a version to ``staging``, ``production`` or back to ``experimental``.

        Raises every reason against it at once; :class:`ApprovalWanted` (exit 9) when only a signature is missing.
        """
        return promoting.promote(
            self._work,
            ref,
            to=to,
            reason=reason,
            pipeline=pipeline,
            pipeline_key=_path(pipeline_key),
            progress=progress,
        )

    def rollback(
        self,
        model: str,
        *,
        to: str,
        reason: str,
        pipeline: str | None = None,
        pipeline_key: str | Path | None = None,
        progress: Progress | None = None,
    ) -> Result:
        """Go back to a version that was in production; a lead ratifies it (the result's ``id``) within 48 hours."""
        return promoting.rollback(
            self._work,
            model,
            to=to,
            reason=reason,
            pipeline=pipeline,
            pipeline_key=_path(pipeline_key),
            progress=progress,
        )

    def archive(self, ref: str, *, reason: str, progress: Progress | None = None) -> Result:
        """Archive a version and move its files into a BagIt bag, verified before the working copy goes."""
        return archiving.archive(self._work, ref, reason=reason, progress=progress)

    def archive_pending(self, *, progress: Progress | None = None) -> Result:
        """Move every archived version whose files still lie in models/; deployed ones are told and left."""
        return archiving.archive_pending(self._work, progress=progress)

    def unarchive(self, ref: str, *, reason: str, progress: Progress | None = None) -> Result:
        """Copy a version back from its bag, into staging; the bag stays."""
        return archiving.unarchive(self._work, ref, reason=reason, progress=progress)

    def deploy(
        self, ref: str, *, environment: str, at: str | None = None, path: str | None = None, end: bool = False
    ) -> Result:
        """Record a deployment (``end``: its end); it ends the model's earlier deployment in that environment."""
        return remarking.deploy(self._work, ref, environment=environment, at=at, path=path, end=end)

    def alias_set(self, model: str, name: str, version: str) -> Result:
        """Let ``name`` mean ``version`` of ``model``."""
        return remarking.alias_set(self._work, model, name, version)

    def alias_remove(self, model: str, name: str) -> Result:
        """Take an alias away."""
        return remarking.alias_remove(self._work, model, name)

    def tag(self, ref: str, tags: Mapping[str, str]) -> Result:
        """Set tags on a version."""
        return remarking.tag(self._work, ref, tags)

    def note(self, ref: str, text: str) -> Result:
        """Add a note to a version."""
        return remarking.note(self._work, ref, text)

    def delete(self, ref: str) -> NoReturn:
        """Refuse (clause RP-2), whether ``ref`` exists or not."""
        raise archiving.delete(ref)

    def reset_view(self) -> Result:
        """Render the workbook anew; the old file is set aside whole."""
        return views.reset(self._work)

    # -- approve ------------------------------------------------------------------------------------------

    def approval_request(self, ref: str, *, to: str) -> Result:
        """Ask for the approval of a step to ``staging``, ``production`` or ``archived``; its id is the result's ``id``."""
        return approving.request(self._work, ref, to)

    def approval_list(self, *, pending: bool = False) -> Documents:
        """Return the approvals: id, kind, model, version, to, status, approver, problems."""
        return reviewing.listing(self._work, pending=pending)

    def approval_show(self, id: str) -> Document:
        """Return an approval, what a lead reads before signing (``review``), and the auditor's command."""
        return reviewing.show(self._work, id)

    def approval_statement(
        self, id: str, *, as_: str, reject: bool = False, comment: str | None = None
    ) -> tuple[bytes, Result]:
        """Issue the statement that ``as_`` will sign elsewhere; returns its bytes (kept by an event) and the result."""
        return approving.statement(self._work, id, as_=as_, reject=reject, comment=comment)

    def approval_sign(
        self, id: str, *, as_: str, key: str | Path | None = None, reject: bool = False, comment: str | None = None
    ) -> Result:
        """Sign an approval as ``as_`` with ``key`` (else the agent or ~/.ssh); ``reject`` needs a comment."""
        return approving.sign(self._work, id, as_=as_, key=_path(key), reject=reject, comment=comment)

    def approval_import(self, id: str, *, signature: str | Path, statement: str | Path | None = None) -> Result:
        """Take a signature made elsewhere over a statement that this registry issued."""
        return approving.import_signature(self._work, id, signature=Path(signature), statement=_path(statement))

    def approval_withdraw(self, id: str) -> Result:
        """Take a request back."""
        return approving.withdraw(self._work, id)


def _path(text: str | Path | None) -> Path | None:
    return Path(text) if text is not None else None
