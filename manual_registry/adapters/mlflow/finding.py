"""Which experiment and which registered model are this registry's, whatever they are called by now.

Rules held here: both are looked for by name and by their tags, and what was found is confirmed by what lies in it, so that
neither a new name nor one edited tag hides them; what is somebody else's stops an export before anything is written, and
is told by a check, which goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from manual_registry.adapters.mlflow.server import Server
from manual_registry.core.errors import FormatTooNew, ServerDown
from manual_registry.core.handover.mapping import MAPPING, MAPPING_TAG, MODEL, REGISTRY_ID, VERSION


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose it is: the registry and its model."""

    registry_id: str
    model: str

    def owns(self, tags: Mapping[str, str] | None) -> bool:
        """Tell whether the tags say so."""
        return bool(tags) and (tags.get(REGISTRY_ID), tags.get(MODEL)) == (self.registry_id, self.model)  # type: ignore[union-attr]

    def version_of(self, tags: Mapping[str, str] | None) -> str | None:
        """Return the version of ours that the tags name; None: none of ours."""
        return tags.get(VERSION) if tags and self.owns(tags) else None

    def filter(self) -> str:
        """Return MLflow's search expression for what has our tags."""
        return f"tags.`{REGISTRY_ID}` = '{self.registry_id}' and tags.`{MODEL}` = '{self.model}'"


def pages(ask: Callable[[str | None], Any]) -> list[Any]:
    """Return every entry of all pages; ``ask`` is called with each page's token, first with None."""
    found: list[Any] = []
    token: str | None = None
    while True:
        page = ask(token)
        found.extend(page)
        token = page.token or None
        if token is None:
            return found


def experiments(server: Server, owner: Owner, *, all_of_them: bool) -> list[Any]:
    """Return the experiments that may be ours, the most likely first; one that has no tag of ours comes alone.

    ``all_of_them``: those of other names too, even where one of the name is ours.
    """
    named = server.client.get_experiment_by_name(owner.model)
    if named is not None and not named.experiment_id:
        raise ServerDown(
            f"{server.uri} answers, but says nothing that an MLflow server would; look at the address",
            location=server.uri,
        )
    return _candidates(
        named,
        owner,
        lambda: pages(lambda token: server.client.search_experiments(filter_string=owner.filter(), page_token=token)),
        all_of_them=all_of_them,
    )


def registered_models(server: Server, owner: Owner, *, all_of_them: bool) -> list[Any]:
    """Return the registered models that may be ours, as :func:`experiments` does."""
    client = server.client
    named = client.search_registered_models(filter_string=f"name = '{owner.model}'", max_results=1)
    return _candidates(
        named[0] if named else None,
        owner,
        lambda: pages(lambda token: client.search_registered_models(filter_string=owner.filter(), page_token=token)),
        all_of_them=all_of_them,
    )


def _candidates(named: Any, owner: Owner, search: Callable[[], list[Any]], *, all_of_them: bool) -> list[Any]:
    sure = named is not None and owner.owns(named.tags)
    if sure and not all_of_them:
        return [named]
    others = sorted((one for one in search() if named is None or one.name != named.name), key=lambda one: one.name)
    if sure:
        return [named, *others]
    return others or ([named] if named is not None else [])


def most(votes: Iterable[str]) -> str | None:
    """Return what most of ``votes`` say; the first of several; None: there are none."""
    counted = Counter(votes).most_common(1)
    return counted[0][0] if counted else None


def require_no_newer(model: str, tags: Iterable[Mapping[str, str]], *, check: bool) -> None:
    """Raise :class:`FormatTooNew` where a newer tool exported ``model``.

    One newer mark keeps an export from writing. A check is stopped by more than half of them only: it tells an edited one.
    """
    marks = [each[MAPPING_TAG] for each in tags if MAPPING_TAG in each]
    newer = [one for one in marks if one.isascii() and one.isdecimal() and int(one[:9]) > int(MAPPING)]
    if newer and (not check or 2 * len(newer) > len(marks)):
        raise FormatTooNew(
            f"{model} was exported by a newer tool (mapping {newer[0]}, this one writes {MAPPING})",
            location=model,
            hint="pip install -U manual-registry",
        )
