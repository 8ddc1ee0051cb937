"""REF: from what a person types to one version, never a guess (design 3.2).

The order is fixed: composite identifier, content hash, ``model@x`` (version, stage, alias, ``latest``); a path is
hashed by the facade and comes here as a content hash. Several matches are a conflict with the list.
"""

from __future__ import annotations

from typing import Protocol

from manual_registry.core.errors import (
    Ambiguous,
    ContentUnknown,
    ModelUnknown,
    NothingInProduction,
    VersionUnknown,
)
from manual_registry.core.references import parse_composite
from manual_registry.core.state import State
from manual_registry.core.values import Digest, Stage, digest_prefix

Name = tuple[str, str]


class Lookup(Protocol):
    """What resolving asks of the fold or of the index over it."""

    def has_model(self, model: str) -> bool:
        """Tell whether the model has a version."""

    def versions_named(self, model: str, version: str) -> list[Name]:
        """Versions of that name, without regard to letter case."""

    def versions_in(self, model: str, stage: str) -> list[Name]:
        """Versions in that stage."""

    def alias(self, model: str, name: str) -> list[Name]:
        """The version that the alias names."""

    def latest(self, model: str) -> list[Name]:
        """The version registered last."""

    def with_digest(self, digest: Digest) -> list[Name]:
        """Versions whose artefact has that (prefix of a) content hash."""

    def with_composite(self, text: str) -> list[Name]:
        """Versions with that composite identifier."""


class StateLookup:
    """:class:`Lookup` over a whole fold."""

    def __init__(self, state: State) -> None:
        """Look into ``state``."""
        self._state = state

    def has_model(self, model: str) -> bool:
        return model in self._state.models

    def versions_named(self, model: str, version: str) -> list[Name]:
        found = self._state.models.get(model)
        standing = found.by_lower.get(version.lower()) if found else None
        return [(model, standing)] if standing else []

    def versions_in(self, model: str, stage: str) -> list[Name]:
        found = self._state.models.get(model)
        return [
            (model, one) for one in (found.versions if found else ()) if self._state.versions[model, one].stage == stage
        ]

    def alias(self, model: str, name: str) -> list[Name]:
        found = self._state.models.get(model)
        return [(model, found.aliases[name])] if found and name in found.aliases else []

    def latest(self, model: str) -> list[Name]:
        found = self._state.models.get(model)
        return [(model, found.versions[-1])] if found else []

    def with_digest(self, digest: Digest) -> list[Name]:
        return [
            name
            for name, one in self._state.versions.items()
            if (one.blake3 if digest.algorithm == "blake3" else one.sha256).startswith(digest.value)
        ]

    def with_composite(self, text: str) -> list[Name]:
        return [name for name, one in self._state.versions.items() if one.composite_id == text]


def is_symbolic(ref: str) -> bool:
    """Tell whether REF is anything but a path (no name here holds a slash: ``/mnt/a@b/model.bin`` is one)."""
    return "/" not in ref and ("+code." in ref or ref.lower().startswith(("blake3:", "sha256:")) or "@" in ref)


def resolve(lookup: Lookup, ref: str) -> Name:
    """Return the one version that a symbolic REF names.

    Raises :class:`Ambiguous` with the list, or a NotFound error that says what is there.
    """
    if "+code." in ref:
        parts = parse_composite(ref)
        return one(
            lookup.with_composite(ref),
            ref,
            VersionUnknown(f"no version has the identifier {ref}", hint=f"mreg search model={parts.model}"),
        )
    if ref.lower().startswith(("blake3:", "sha256:")):
        digest = digest_prefix(ref)
        return one(
            lookup.with_digest(digest), ref, ContentUnknown(f"no version has the content {digest}", hint="mreg list")
        )
    model, _, word = ref.partition("@")
    return in_model(lookup, model, word)


def in_model(lookup: Lookup, model: str, word: str) -> Name:
    """Resolve ``word`` within ``model``: version, then stage, then alias, then ``latest``."""
    if not lookup.has_model(model):
        raise ModelUnknown(f"no model {model!r} in this registry", location=model, hint="mreg list")
    ref = f"{model}@{word}"
    named = lookup.versions_named(model, word)
    if named:
        return named[0]
    stage = "experimental" if word.lower() == "none" else word.lower()
    if stage in {known.value for known in Stage}:
        missing: VersionUnknown | NothingInProduction = VersionUnknown(
            f"{model} has no version in {stage}", location=ref
        )
        if stage == Stage.PRODUCTION.value:
            missing = NothingInProduction(
                f"{model} has no version in production", location=ref, hint=f"mreg search model={model}"
            )
        return one(lookup.versions_in(model, stage), ref, missing)
    found = lookup.alias(model, word) or (lookup.latest(model) if word == "latest" else [])
    return one(
        found,
        ref,
        VersionUnknown(f"{model} has no version or alias {word!r}", location=ref, hint=f"mreg search model={model}"),
    )


def one(found: list[Name], ref: str, missing: VersionUnknown | NothingInProduction | ContentUnknown) -> Name:
    """Return the single match; raises ``missing`` for none and :class:`Ambiguous` for several."""
    if not found:
        raise missing
    if len(found) > 1:
        names = [f"{model}@{version}" for model, version in sorted(found)]
        raise Ambiguous(
            f"{ref} fits {len(names)} versions: {', '.join(names)}",
            location=ref,
            details={"matches": list(names)},
            hint=f"mreg show {names[0]}",
        )
    return found[0]
