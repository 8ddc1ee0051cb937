"""Which experiment and which registered model are this registry's, whatever they are called by now.

Rules held here: both are looked for by name and by their tags, and what was found is confirmed by what lies in it, so that
neither a new name nor one edited tag hides them; what is somebody else's stops an export before anything is written, and
is told by a check, which goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from manual_registry.adapters.mlflow.server import Server
from manual_registry.core.errors import ForeignTarget, FormatTooNew, ServerDown, ServerRefused
from manual_registry.core.handover.mapping import COMPOSITE_ID, MAPPING, MAPPING_TAG, MODEL, REGISTRY_ID, VERSION

#: More entries of one list are nobody's register.
MOST: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose it is: the registry and its model, and what tells the model's versions besides the tags that name them.

    ``composites`` are their composite ids, ``names`` what their logged models are called (MLflow never changes that),
    ``numbers`` MLflow's numbers as the ledger has them: each -> the version of ours.
    """

    registry_id: str
    model: str
    composites: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[str, str] = field(default_factory=dict)
    versions: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        """Note the versions that there are: asked for each object that is found."""
        object.__setattr__(self, "versions", frozenset(self.composites.values()))

    def owns(self, tags: Mapping[str, str] | None) -> bool:
        """Tell whether the tags say so."""
        return bool(tags) and (tags.get(REGISTRY_ID), tags.get(MODEL)) == (self.registry_id, self.model)  # type: ignore[union-attr]

    def votes(self, tags: Mapping[str, str] | None) -> list[str]:
        """Return which versions of ours the tags name: none that this model does not have, nothing by another's tags."""
        if not tags or not self.owns(tags):
            return []
        named = (tags.get(VERSION), self.composites.get(str(tags.get(COMPOSITE_ID))))
        return [one for one in named if one is not None and one in self.versions]

    def filter(self) -> str:
        """Return MLflow's search expression for what has our tags."""
        return f"tags.`{REGISTRY_ID}` = '{self.registry_id}' and tags.`{MODEL}` = '{self.model}'"


def pages(ask: Callable[[str | None], Any], *, most: int = MOST) -> list[Any]:
    """Return every entry of all pages; ``ask`` is called with each page's token, first with None.

    Raises :class:`ServerRefused` where a page leads back to one that was read, or there is no end: more than ``most``.
    """
    found: list[Any] = []
    token, seen = None, set[str]()
    while True:
        page = ask(token)
        found.extend(page)
        token = page.token or None
        if token is None:
            return found
        if token in seen:
            raise ServerRefused(f"the MLflow server's pages lead in a circle (after {len(found)} entries)")
        if len(found) > most or len(seen) > most:
            raise ServerRefused(f"the MLflow server lists more than {most} entries and no end")
        seen.add(token)


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


def refusals(owner: Owner, experiment: Any, foreign: Sequence[str]) -> list[ForeignTarget]:
    """Say why nothing may be written: ``foreign`` are the places that are somebody else's, ``experiment`` what was found."""
    found = []
    deleted = experiment is not None and experiment.lifecycle_stage != "active"
    words = {"experiment": "an experiment", "registered_model": "a registered model"}
    named = [words[place] for place in foreign if not (deleted and place == "experiment")]
    no_tag = f"no tag {REGISTRY_ID} = {owner.registry_id}"
    if named:
        found.append(
            ForeignTarget(
                f"MLflow has {' and '.join(named)} {owner.model!r} that this registry did not make ({no_tag}); nothing was"
                " written for it. Rename it there first",
                location=owner.model,
            )
        )
    if deleted:
        number = experiment.experiment_id
        restore = f"mlflow experiments restore --experiment-id {number}"
        if "experiment" in foreign:
            found.append(
                ForeignTarget(
                    f"MLflow has an experiment {owner.model!r} that this registry did not make ({no_tag}). It was deleted"
                    " there: no list shows it, and its name is kept. Restore it and give it another name, or delete it for"
                    f" good on the server (mlflow gc --experiment-ids {number})",
                    location=owner.model,
                    hint=f"{restore} && mlflow experiments rename --experiment-id {number} --new-name {owner.model}-other",
                )
            )
        else:
            found.append(
                ForeignTarget(
                    f"MLflow's experiment {experiment.name!r} was deleted and its name is kept; restore it first",
                    location=owner.model,
                    hint=restore,
                )
            )
    return found


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
