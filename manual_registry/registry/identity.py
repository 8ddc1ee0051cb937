"""Who promotes: a pipeline with a key, or a CI job with an identity token (clause RP-11).

Rules held here: what the environment says (``CI=true``) is never an identity, only a place where one may be had; a token
is asked for when the step needs one, and late, since it lives for minutes; what is wrong with an identity is told beside
the other reasons. Whether it is good is decided in the core, on the event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manual_registry.core.errors import (
    BadKey,
    LeadNeeded,
    PipelineBad,
    PipelineMissing,
    RegistryError,
    SigningFailed,
    UsageError,
)
from manual_registry.core.oidc import names, read_token, token_reasons
from manual_registry.core.state import Pipeline, State, VersionState
from manual_registry.core.statements import PROMOTION_NAMESPACE, promotion_line
from manual_registry.core.times import parse_time
from manual_registry.core.values import Stage

if TYPE_CHECKING:
    from manual_registry.ports import Signer
    from manual_registry.registry.workspace import Workspace

#: The environment variable with the private key, its path or its text.
KEY_VARIABLE = "MANUAL_REGISTRY_PIPELINE_KEY"
#: A token from GitHub is asked for anew when it has less than this left.
_SPARE = timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """What the caller hands over: a pipeline's name, its private key (a path, or the key's text), a token file."""

    pipeline: str | None = None
    key: str | Path | None = None
    token_file: Path | None = None


@dataclass(kw_only=True, slots=True)
class Identity:
    """Signs, or shows a token, for one of ``pipelines``; or the ``problem`` that there is (told beside the others)."""

    pipelines: Sequence[str] = ()
    signer: Signer | None = None
    token: Callable[[datetime], str] | None = None
    problem: RegistryError | None = None

    def reasons(self, found: list[RegistryError]) -> list[RegistryError]:
        """Put the problem in the place of "no pipeline identity"."""
        if self.problem is None:
            return found
        return [*(one for one in found if not isinstance(one, PipelineMissing | LeadNeeded)), self.problem]

    def promotion(
        self,
        work: Workspace,
        state: State,
        record: VersionState,
        to: Stage,
        used: dict[str, Any] | None,
        at: str,
    ) -> dict[str, Any] | None:
        """Return the member ``promotion`` of the event: signed, or with a token; None without an identity."""
        from manual_registry.adapters.ci import detect

        if self.token is not None:
            return self._with_token(state, self.token, at)
        if self.signer is None:
            return None
        job, name = detect(work.environ), self.pipelines[0]
        line = promotion_line(
            state,
            record,
            state.pipelines[name],
            to=to.value,
            approval=used,
            run=job.run if job else None,
            issued_at=at,
        )
        self.problem = None
        try:
            signature = self.signer.sign(line, namespace=PROMOTION_NAMESPACE)
        except (BadKey, SigningFailed) as problem:
            self.problem = PipelineBad(f"pipeline {name}: {problem.message}", clause="RP-11", hint=problem.hint)
            return None
        return {"pipeline": name, "statement": line.decode(), "signature": signature}

    def _with_token(self, state: State, token: Callable[[datetime], str], at: str) -> dict[str, Any] | None:
        """Name the pipeline that the token is good for; several may differ in what they pin."""
        self.problem = None
        try:
            text = token(parse_time(at))
        except RegistryError as problem:
            self.problem = problem
            return None
        name = self._whose(state, text, at)
        if name is None:
            self.problem = PipelineBad(
                "the identity token is for no enrolled pipeline: none has its issuer and audience",
                clause="RP-11",
                hint="mreg pipeline list",
            )
            return None
        return {"pipeline": name, "token": text}

    def _whose(self, state: State, text: str, at: str) -> str | None:
        found = read_token(text)
        if found is None:
            return self.pipelines[0]  # the decision says what is wrong with it
        fit = [name for name in self.pipelines if names(state.pipelines[name].oidc or {}, found)]
        if len(fit) < 2 and len(self.pipelines) == 1:
            return self.pipelines[0]
        moment = parse_time(at)
        for name in fit:
            pins: Mapping[str, Any] = state.pipelines[name].oidc or {}
            if not token_reasons(pins, text, at=moment, head_at=None, used={}):
                return name
        return fit[0] if fit else None


def identity_for(work: Workspace, state: State, given: Credentials, to: Stage) -> Identity:
    """Find who promotes to ``to``; what does not go together is a usage error, all else is kept as a problem."""
    if given.key is not None and given.token_file is not None:
        raise UsageError("a pipeline has a key or identity tokens: --pipeline-key or --oidc-token-file, not both")
    if given.key is not None:
        return _with_key(work, state, given.pipeline, given.key)
    known = [one for one in _active(state, given.pipeline) if one.oidc is not None]
    if given.token_file is not None:
        return _with_file(known, given)
    wanted = given.pipeline is not None or needs_identity(work, state, to)
    if known and wanted:
        found = _from_ci(work, known, given.pipeline)
        if found is not None:
            return found
    if given.pipeline is None:
        return Identity(problem=_how_in_ci(work, known) if wanted else None)
    named = given.pipeline
    why = (
        f"pipeline {named} shows itself by its key: --pipeline-key FILE (or ${KEY_VARIABLE})"
        if not known
        else f"pipeline {named} shows itself by an identity token: --oidc-token-file FILE, or in GitHub Actions"
        " permissions: {id-token: write}"
    )
    return Identity(problem=PipelineMissing(why, clause="RP-11", hint="mreg pipeline list"))


def needs_identity(work: Workspace, state: State, to: Stage) -> bool:
    """Tell whether the step asks for a pipeline; where a lead may take it too, only when none acts."""
    if state.policy.needs_pipeline(to):
        return True
    leads = {one.email for one in state.active_leads()}
    return state.policy.needs_pipeline_or_lead(to) and work.actor not in leads


def _active(state: State, name: str | None) -> list[Pipeline]:
    """Return the pipelines that may be meant; of a revoked one the decision says that it is."""
    return [
        one for one in state.pipelines.values() if (one.name == name if name is not None else one.revoked_seq is None)
    ]


def _with_file(known: list[Pipeline], given: Credentials) -> Identity:
    from manual_registry.adapters.identity import token_from_file

    path = given.token_file or Path()
    if not known:
        who = f"pipeline {given.pipeline} is not" if given.pipeline else "no pipeline is"
        why = f"{who} enrolled for identity tokens"
        return Identity(problem=PipelineBad(why, clause="RP-11", hint="mreg pipeline list"))
    try:
        text = token_from_file(path)
    except RegistryError as problem:
        return Identity(problem=PipelineBad(problem.message, clause="RP-11"))
    return Identity(pipelines=[one.name for one in known], token=lambda _now: text)


def _from_ci(work: Workspace, known: list[Pipeline], named: str | None) -> Identity | None:
    """Return the identity that the CI system offers this job: a token in the environment, or GitHub's on request."""
    from manual_registry.adapters import identity

    several = [one.name for one in known]
    text = identity.token_from_environment(work.environ)
    if text is not None:
        return Identity(pipelines=several, token=lambda _now: text)
    if not identity.can_request(work.environ):
        return None
    audiences = {str(one.oidc["audience"]) for one in known if one.oidc is not None}
    if len(audiences) > 1 and named is None:
        raise UsageError(f"pipelines {', '.join(several)} expect different audiences; say which: --pipeline NAME")
    return Identity(pipelines=several, token=_Asking(work.environ, audiences.pop()))


def _how_in_ci(work: Workspace, known: Sequence[Pipeline]) -> RegistryError | None:
    """Say to a job that has no token how it gets one; None elsewhere, and where no pipeline is known by tokens."""
    from manual_registry.adapters.ci import detect
    from manual_registry.adapters.identity import TOKEN_VARIABLE

    job = detect(work.environ)
    audience = next((one.oidc["audience"] for one in known if one.oidc is not None), None)
    ways = {
        "github": "permissions: {id-token: write}",
        "gitlab": f"id_tokens: {{{TOKEN_VARIABLE}: {{aud: '{audience}'}}}}",
    }
    if job is None or audience is None or job.provider not in ways:
        return None
    return PipelineMissing(
        f"this job has no identity token to promote with; it gets one with {ways[job.provider]}", clause="RP-11"
    )


@dataclass(slots=True)
class _Asking:
    """GitHub's token for this job, asked for when it is needed, and again when it is about to expire."""

    environ: Mapping[str, str]
    audience: str
    kept: str | None = None
    until: datetime | None = field(default=None)

    def __call__(self, now: datetime) -> str:
        from manual_registry.adapters.identity import request_token

        if self.kept is None or self.until is None or now + _SPARE > self.until:
            self.kept = request_token(self.environ, self.audience)
            found = read_token(self.kept)
            self.until = found.time("exp") if found else None
        return self.kept


def _with_key(work: Workspace, state: State, name: str | None, key: str | Path) -> Identity:
    from manual_registry.adapters.keys import signer_for, signer_for_text
    from manual_registry.core.sshkeys import parse_public_key

    why = f"pipeline {name} is not enrolled" if name else "no pipeline is enrolled"
    for one in reversed([one for one in state.pipelines.values() if name in (None, one.name)]):
        if one.key is None:
            why = f"pipeline {one.name} is known by identity tokens and has no key"
            continue
        try:
            public = parse_public_key(one.key)
            signer = (
                signer_for_text(key, public, named=KEY_VARIABLE)
                if isinstance(key, str)
                else signer_for(key, public, terminal=False, passphrase=work.passphrase)
            )
        except RegistryError as problem:
            why = f"pipeline {one.name}: {problem.message}"
            continue
        work.warn(*getattr(signer, "warnings", ()))
        return Identity(pipelines=(one.name,), signer=signer)
    return Identity(problem=PipelineBad(why, clause="RP-11", hint="mreg pipeline list"))
