"""Commands of the facade: what brings facts in and moves versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypedDict, Unpack

from manual_registry.registry.commands.base import Commands, path_or_none

if TYPE_CHECKING:
    from manual_registry.core.results import Result
    from manual_registry.ports import Progress
    from manual_registry.registry.given import Given
    from manual_registry.registry.identity import Credentials
    from manual_registry.registry.synced import Synced


class RegisterOptions(TypedDict, total=False):
    """The options of :meth:`ChangeCommands.register` that say what the version is."""

    metadata: str | Path | None
    commit: str | None
    repo: str | Path | None
    data: Sequence[str]
    pipeline_run: str | None
    trained: str | None
    owner: str | None
    metrics: str | Path | None
    params: str | Path | None
    gates: Sequence[str | Path]
    config: str | Path | None
    prompt: str | Path | None
    environment: str | Path | None
    card: str | Path | None


#: Those of them that name one file or directory.
_PATHS = ("metadata", "repo", "metrics", "params", "config", "prompt", "environment", "card")


def _given(**options: Unpack[RegisterOptions]) -> Given:
    from manual_registry.registry.given import Given

    named: dict[str, Any] = dict(options)
    named |= {name: path_or_none(named[name]) for name in _PATHS if name in named}
    named["gates"] = [Path(gate) for gate in options.get("gates", ())]
    return Given(**named)


class ChangeCommands(Commands):
    """What brings facts in and moves versions."""

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

        Files that the metadata file names lie below its own folder; options are free. ``trained`` is RFC 3339 or a
        date, UTC without an offset; ``progress`` gets bytes. Raises :class:`InvalidInput` and its kinds (names,
        metadata, artefact, dates), :class:`FileUnknown`, :class:`PathEscapes`, :class:`Conflict`, :class:`Unavailable`.
        """
        from manual_registry.registry import registering

        given = _given(
            metadata=metadata,
            commit=commit,
            repo=repo,
            data=data,
            pipeline_run=pipeline_run,
            trained=trained,
            owner=owner,
            metrics=metrics,
            params=params,
            gates=gates,
            config=config,
            prompt=prompt,
            environment=environment,
            card=card,
        )
        return registering.register(
            self._work, model, version, Path(path), given, dereference=dereference, progress=progress
        )

    def register_from_run(
        self,
        model: str,
        version: str,
        run_id: str,
        *,
        path: str | None = None,
        tracking_uri: str | None = None,
        dereference: bool = False,
        progress: Progress | None = None,
        **options: Unpack[RegisterOptions],
    ) -> Result:
        """Register the model of MLflow's run ``run_id`` with what the run says: commit, params, metrics, data sets.

        ``path`` chooses among several models: a name, an m-id, or a path in the run. ``tracking_uri`` is an http(s)
        server, a folder of MLflow's or an SQLite file, by default MLFLOW_TRACKING_URI, else what the working directory
        has; nothing is written there. ``options`` are those of :meth:`register`, and win over the run; what the run says
        and no field takes up is told in the warnings, and kept as evidence. ``progress`` gets bytes.

        Raises as :meth:`register`, and :class:`RunUnknown`, :class:`RunUnfit`, :class:`Ambiguous`,
        :class:`BadTrackingAddress`, :class:`ModelSourceUnfit`, :class:`ServerDown` and its kind.
        """
        from manual_registry.registry import from_run

        return from_run.register_from_run(
            self._work,
            model,
            version,
            run_id,
            _given(**options),
            path=path,
            tracking_uri=tracking_uri,
            dereference=dereference,
            progress=progress,
        )

    def metadata_template(self, path: str | Path, *, repo: str | Path | None = None) -> str:
        """Return a metadata file for ``path``, a start filled from git, DVC and CI.

        Returns YAML. Raises :class:`ArtefactMissing`, :class:`NotARepository`.
        """
        from manual_registry.registry import registering

        return registering.template(self._work, Path(path), repo=path_or_none(repo))

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
        """Add evidence and fill empty fields; never changes what stands. An open approval lapses.

        Raises :class:`NotFound`, :class:`InvalidInput` and its kinds, :class:`FieldFilled`, :class:`ArchivedVersion`,
        :class:`Unavailable`.
        """
        from manual_registry.registry import attaching
        from manual_registry.registry.given import Given

        given = Given(
            metadata=path_or_none(metadata),
            gates=[Path(gate) for gate in gates],
            card=path_or_none(card),
            environment=path_or_none(environment),
            evidence=[Path(one) for one in evidence],
        )
        return attaching.attach(self._work, ref, given)

    def promote(
        self,
        ref: str,
        *,
        to: str,
        reason: str | None = None,
        pipeline: str | None = None,
        pipeline_key: str | Path | None = None,
        oidc_token_file: str | Path | None = None,
        progress: Progress | None = None,
    ) -> Result:
        """Move a version to ``staging``, ``production`` or back to ``experimental``.

        A pipeline shows itself by ``pipeline_key`` (a path, or the private key's text) or by a CI job's identity token:
        in ``oidc_token_file``, in ``$MANUAL_REGISTRY_OIDC_TOKEN``, or asked for in GitHub Actions. Raises every reason
        against it at once; :class:`ApprovalWanted` (exit 9) when only a signature is missing.

        The reasons are :class:`TransitionForbidden`, :class:`GateMissing`, :class:`GateFailed`,
        :class:`CardIncomplete`, :class:`EnvironmentMissing`, :class:`ArtefactChanged`, :class:`PolicyDiffers`,
        :class:`PipelineMissing`, :class:`PipelineBad`, :class:`LeadNeeded`, :class:`ApprovalRejected` and what speaks
        against an approval; several come as one :class:`Refused`. A version that stands there already is ``changed``
        False. ``progress`` gets bytes.
        """
        from manual_registry.registry import promoting

        return promoting.promote(
            self._work,
            ref,
            to=to,
            reason=reason,
            credentials=_credentials(pipeline, pipeline_key, oidc_token_file),
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
        oidc_token_file: str | Path | None = None,
        progress: Progress | None = None,
    ) -> Result:
        """Go back to a version that was in production; a lead ratifies it (the result's ``id``) within 48 hours.

        Raises as :meth:`promote`, and :class:`NeverInProduction`. A version in its bag is copied back first;
        ``progress`` gets bytes.
        """
        from manual_registry.registry import promoting

        return promoting.rollback(
            self._work,
            model,
            to=to,
            reason=reason,
            credentials=_credentials(pipeline, pipeline_key, oidc_token_file),
            progress=progress,
        )

    def archive(self, ref: str, *, reason: str, progress: Progress | None = None) -> Result:
        """Archive a version and move its files into a BagIt bag, verified before the working copy goes.

        Raises :class:`NotFound`, :class:`ReasonMissing`, :class:`OpenDeployment`, :class:`ApprovalWanted` (a production
        version), :class:`ArtefactFinding` (a damaged version is not archived), :class:`Unavailable`; the stage is as it
        was then. ``progress`` gets bytes.
        """
        from manual_registry.registry import archiving

        return archiving.archive(self._work, ref, reason=reason, progress=progress)

    def archive_pending(self, *, progress: Progress | None = None) -> Result:
        """Move every archived version whose files still lie in models/; deployed ones are told and left.

        ``progress`` gets bytes of one version after the other. Raises :class:`ArtefactFinding`, :class:`Unavailable`.
        """
        from manual_registry.registry import archiving

        return archiving.archive_pending(self._work, progress=progress)

    def unarchive(self, ref: str, *, reason: str, progress: Progress | None = None) -> Result:
        """Copy a version back from its bag, into staging; the bag stays.

        Raises :class:`NotFound`, :class:`TransitionForbidden`, :class:`ReasonMissing`, :class:`ArtefactFinding`,
        :class:`Unavailable`. ``progress`` gets bytes.
        """
        from manual_registry.registry import archiving

        return archiving.unarchive(self._work, ref, reason=reason, progress=progress)

    def deploy(
        self, ref: str, *, environment: str, at: str | None = None, path: str | None = None, end: bool = False
    ) -> Result:
        """Record a deployment (``end``: its end); it ends the model's earlier deployment in that environment.

        ``at`` is RFC 3339, UTC without an offset, now by default; ``path`` where the file lies there. Raises
        :class:`NotFound`, :class:`BadTime`, :class:`DateInFuture`, :class:`DateOrder`, :class:`DeployNotProduction`,
        :class:`BadName`.
        """
        from manual_registry.registry import remarking

        return remarking.deploy(self._work, ref, environment=environment, at=at, path=path, end=end)

    def alias_set(self, model: str, name: str, version: str) -> Result:
        """Let ``name`` mean ``version`` of ``model``.

        Raises :class:`NotFound`, :class:`BadName`, :class:`ReservedVersion`.
        """
        from manual_registry.registry import remarking

        return remarking.alias_set(self._work, model, name, version)

    def alias_remove(self, model: str, name: str) -> Result:
        """Take an alias away.

        Raises :class:`NotFound`.
        """
        from manual_registry.registry import remarking

        return remarking.alias_remove(self._work, model, name)

    def tag(self, ref: str, tags: Mapping[str, str]) -> Result:
        """Set tags on a version.

        Keys are labels, values one line of text. Raises :class:`NotFound`, :class:`BadName`.
        """
        from manual_registry.registry import remarking

        return remarking.tag(self._work, ref, tags)

    def note(self, ref: str, text: str) -> Result:
        """Add a note to a version.

        At most 32,767 characters. Raises :class:`NotFound`, :class:`BadName`.
        """
        from manual_registry.registry import remarking

        return remarking.note(self._work, ref, text)

    def delete(self, ref: str) -> NoReturn:
        """Refuse (clause RP-2), whether ``ref`` exists or not.

        Raises :class:`DeletionRefused`, always.
        """
        from manual_registry.registry import archiving

        raise archiving.delete(ref)

    def sync(self, *, workbook: str | Path | None = None, from_: str | Path | None = None) -> Synced:
        """Read people's edits of the workbook back, then refresh the view (not a cloud sync).

        ``workbook``: a copy to merge (a conflict copy, a copy from another machine); ``from_``: the directory below
        which typed rows may name files, beside the root. The result's ``document()`` is ``manual-registry/sync/1``.

        Raises :class:`FileUnknown` for ``workbook`` or ``from_``, :class:`WorkbookUnreadable` and its kinds,
        :class:`Conflict` for a workbook of another registry, :class:`HeadUnknown`, :class:`BadConfig`. What is wrong in
        a cell is in the result.
        """
        from manual_registry.registry import syncing

        return syncing.sync(self._work, workbook=path_or_none(workbook), from_=path_or_none(from_))

    def reset_view(self) -> Result:
        """Render the workbook anew; the old file is set aside whole.

        Raises :class:`Busy` while another program has the file open, :class:`BadConfig`, :class:`Unavailable`.
        """
        from manual_registry.registry import views

        return views.reset(self._work)


def _credentials(pipeline: str | None, key: str | Path | None, oidc_token_file: str | Path | None) -> Credentials:
    from manual_registry.registry.identity import Credentials

    # A CI system keeps the key as a secret text; a path never holds these words.
    taken = key if isinstance(key, str) and "PRIVATE KEY-----" in key else path_or_none(key)
    return Credentials(pipeline=pipeline, key=taken, token_file=path_or_none(oidc_token_file))
