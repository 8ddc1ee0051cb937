"""Writing to MLflow: each part of a version when it is missing, each value that is behind, in an order that can stop anywhere.

Rules held here: a run and a logged model carry their tags from the first moment, so that whoever comes after an
interruption finds them; the model version comes last, with all its tags at once, so that nobody meets one whose files
are not there; through which event of the ledger is about to be written is said before the first value is, and that it was
when all are; every request that writes is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from manual_registry.adapters.mlflow import files, reading
from manual_registry.adapters.mlflow.reading import Held, Shelf
from manual_registry.adapters.mlflow.server import Server, told
from manual_registry.core.errors import Busy
from manual_registry.core.handover import limits, through
from manual_registry.core.handover.entities import File, Key, ModelEntities, VersionEntities
from manual_registry.core.handover.mapping import EXPORTING, PRODUCTION_ALIAS, THROUGH, VERIFIED
from manual_registry.core.handover.through import Begun

Write = Mapping[Key, str | None]
Locate = Callable[[str], Path]


@dataclass(slots=True)
class Writer:
    """Writes to one server; ``written`` counts the requests that did. ``through`` is the ledger's head, exported."""

    server: Server
    through: int
    progress: Callable[[int], None] | None = None
    written: int = field(default=0)

    def _do(self, doing: str, action: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        with told(self.server.uri, doing):
            made = action(*arguments, **named)
        self.written += 1
        return made

    # -- the model ----------------------------------------------------------------------------------------

    def ensure_model(self, shelf: Shelf, wanted: ModelEntities, *, production_alias: str) -> None:
        """Make experiment and registered model where they are missing."""
        client, name = self.server.client, wanted.model
        if shelf.experiment is None:
            tags = dict(wanted.experiment_tags)
            made = self._do("making the experiment", client.create_experiment, name, tags=tags)
            with told(self.server.uri):
                shelf.experiment = client.get_experiment(made)
        if shelf.registered is None:
            # What it was exported through is said once its aliases stand.
            tags = {**wanted.model_tags, EXPORTING: Begun(self.through, production_alias).text()}
            shelf.registered = self._do(
                "making the registered model",
                client.create_registered_model,
                name,
                tags=tags,
                description=wanted.description,
            )

    def apply_model(self, shelf: Shelf, write: Write, *, production_alias: str, asked: bool) -> None:
        """Bring tags, description and aliases up to date; ``asked``: somebody named that alias just now."""
        client, name = self.server.client, shelf.registered.name
        now, tags = Begun(self.through, production_alias), dict(shelf.registered.tags)
        begun = through.beginning(tags, through.of_model(tags), now) if write else None
        if begun is not None:
            tags[EXPORTING] = begun
            self._do(f"tagging {name}", client.set_registered_model_tag, name, EXPORTING, begun)
        for (place, key), value in write.items():
            match place:
                case "experiment.tag" if value is not None:
                    self._do(
                        f"tagging {name}",
                        client.set_experiment_tag,
                        shelf.experiment.experiment_id,
                        key,
                        value,
                    )
                case "registered_model" if value is not None and key == "description":
                    self._do(f"describing {name}", client.update_registered_model, name, value)
                case "registered_model.tag" if value is not None:
                    self._do(f"tagging {name}", client.set_registered_model_tag, name, key, value)
                case "registered_model.alias":
                    self._alias(name, key, value)
        marks = {PRODUCTION_ALIAS: production_alias, THROUGH: str(self.through)}
        another = asked and tags.get(PRODUCTION_ALIAS) != production_alias
        if write or another or any(mark not in tags for mark in marks):
            # Last: only now nothing of what was exported before is left.
            if tags.get(EXPORTING, now.text()) != now.text():
                marks[EXPORTING] = now.text()
            for mark, value in marks.items():
                self._do(f"tagging {name}", client.set_registered_model_tag, name, mark, value)

    def _alias(self, name: str, alias: str, number: str | None) -> None:
        client = self.server.client
        if number is None:
            self._do(f"alias {alias}", client.delete_registered_model_alias, name, alias)
        else:
            self._do(f"alias {alias}", client.set_registered_model_alias, name, alias, number)

    # -- a version ----------------------------------------------------------------------------------------

    def ensure_version(self, shelf: Shelf, wanted: VersionEntities) -> Held:
        """Make the run and the logged model where they are missing, empty but for their tags."""
        held = shelf.held(wanted.version)
        if held.run is not None and held.logged is not None:
            return held
        held = reading.again(self.server, shelf, wanted.version)
        if held.run is None:
            held.run = self._create_run(shelf, wanted)
        if held.logged is None:
            held.logged = self._create_logged(shelf, wanted, held.run.info.run_id)
        return held

    def _create_run(self, shelf: Shelf, wanted: VersionEntities) -> Any:
        run, _, _ = wanted.whole()
        return self._do(
            f"making the run of {wanted.ref}",
            self.server.client.create_run,
            shelf.experiment.experiment_id,
            start_time=run.start,
            tags={**run.tags, THROUGH: str(self.through)},
            run_name=run.name,
        )

    def _create_logged(self, shelf: Shelf, wanted: VersionEntities, run_id: str) -> Any:
        """Make it with as many params as one request takes; the rest follows as what is missing does."""
        _, logged, _ = wanted.whole()
        return self._do(
            f"making the logged model of {wanted.ref}",
            self.server.client.create_logged_model,
            shelf.experiment.experiment_id,
            name=logged.name,
            source_run_id=run_id,
            tags=dict(logged.tags),
            params=dict(islice(logged.params.items(), limits.BATCH)),
        )

    def apply_version(self, shelf: Shelf, held: Held, wanted: VersionEntities, write: Write, locate: Locate) -> None:
        """Write what ``write`` names of ``wanted``; ``locate`` says where a file's origin lies."""
        places: dict[str, dict[str, str | None]] = {}
        for (place, name), value in write.items():
            places.setdefault(place, {})[name] = value
        begun = self._begin(held, wanted) if write else False
        self._log(held, wanted, places)
        self._upload(held, wanted, places, locate)
        self._finish(held, wanted, places)
        self._version(shelf, held, wanted, places)
        if begun:
            self._end(held, wanted)

    def _begin(self, held: Held, wanted: VersionEntities) -> bool:
        """Say through which event is written from here on, where what is there was written through others."""
        tags = dict(held.run.data.tags)
        known = through.of_version(dict(held.registered.tags) if held.registered is not None else None, tags)
        begun = through.beginning(tags, known, Begun(self.through))
        if begun is not None:
            run_id, client = held.run.info.run_id, self.server.client
            self._do(f"tagging the run of {wanted.ref}", client.set_tag, run_id, EXPORTING, begun)
        return begun is not None or tags.get(EXPORTING, str(self.through)) != str(self.through)

    def _end(self, held: Held, wanted: VersionEntities) -> None:
        """Say that nothing is left of what was exported before."""
        from mlflow.entities import RunTag

        tags = [RunTag(name, str(self.through)) for name in (THROUGH, EXPORTING)]
        run_id, client = held.run.info.run_id, self.server.client
        self._do(f"tagging the run of {wanted.ref}", client.log_batch, run_id, tags=tags)

    def _log(self, held: Held, wanted: VersionEntities, places: Mapping[str, Mapping[str, str | None]]) -> None:
        from mlflow.entities import Metric, Param, RunTag

        run_id, client = held.run.info.run_id, self.server.client
        run, _, _ = wanted.whole()
        params = [Param(name, run.params[name]) for name in places.get("run.param", ()) if name in run.params]
        # One that the run has already is not there twice by that: MLflow only links it.
        behind = {*places.get("run.metric", ()), *places.get("model.metric", ())}
        model_id = held.logged.model_id
        metrics = [
            Metric(one.name, one.value, one.timestamp, one.step, model_id=model_id)
            for one in run.metrics
            if one.name in behind
        ]
        before = places.get("run.metric.earlier", {})
        metrics += [
            Metric(one.name, one.value, one.timestamp, one.step)
            for one in run.earlier
            if one.earlier_key()[1] in before
        ]
        changed = places.get("run.tag", {})
        tags = [RunTag(name, value) for name, value in changed.items() if value is not None]
        if params or metrics or tags:
            doing = f"logging params and metrics of {wanted.ref}"
            self._do(doing, client.log_batch, run_id, metrics=metrics, params=params, tags=tags)
        for name in (name for name, value in changed.items() if value is None):
            self._do(f"tagging the run of {wanted.ref}", client.delete_tag, run_id, name)
        self._log_datasets(held, wanted, places.get("run.dataset", {}))
        self._log_model_params(held, wanted, places.get("model.param", {}))
        for name, value in places.get("model.tag", {}).items():
            if value is not None:
                tag = {name: value}
                self._do(
                    f"tagging the logged model of {wanted.ref}",
                    client.set_logged_model_tags,
                    held.logged.model_id,
                    tag,
                )

    def _log_datasets(self, held: Held, wanted: VersionEntities, missing: Mapping[str, str | None]) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        run, _, _ = wanted.whole()
        inputs = [
            DatasetInput(
                dataset=Dataset(name=one.name, digest=one.digest, source_type=one.source_type, source=one.source),
                tags=[InputTag(key="mlflow.data.context", value=one.context)],
            )
            for one in run.datasets
            if f"{one.context} {one.name} {one.digest}" in missing
        ]
        if inputs:
            run_id, client = held.run.info.run_id, self.server.client
            try:
                self._do(f"logging the data sets of {wanted.ref}", client.log_inputs, run_id, datasets=inputs)
            except Busy:
                self._look_again(held)
                there = {one.dataset.digest for one in held.run.inputs.dataset_inputs} if held.run.inputs else set()
                if not all(one.dataset.digest in there for one in inputs):
                    raise

    def _log_model_params(self, held: Held, wanted: VersionEntities, missing: Mapping[str, str | None]) -> None:
        _, logged, _ = wanted.whole()
        params = {name: logged.params[name] for name in missing if name in logged.params}
        if params:
            model_id, client = held.logged.model_id, self.server.client
            try:
                self._do(f"logging params of {wanted.ref}", client.log_model_params, model_id, params)
            except Busy:  # an answer may have been lost and the request repeated: MLflow refuses a param that is there
                with told(self.server.uri, "looking again"):
                    held.logged = client.get_logged_model(model_id)
                if not params.keys() <= (held.logged.params or {}).keys():
                    raise

    def _upload(
        self, held: Held, wanted: VersionEntities, places: Mapping[str, Mapping[str, str | None]], locate: Locate
    ) -> None:
        run, logged, _ = wanted.whole()
        for place, location, there in (
            ("run.file", held.run.info.artifact_uri, run.files),
            ("model.file", held.logged.artifact_location, logged.files),
        ):
            for file in there:
                if file.path in places.get(place, ()):
                    self._upload_one(str(location), file, locate)

    def _upload_one(self, location: str, file: File, locate: Locate) -> None:
        files.upload(self.server, location, file, locate)
        self.written += 1
        if self.progress is not None:
            self.progress(file.size)

    def _finish(self, held: Held, wanted: VersionEntities, places: Mapping[str, Mapping[str, str | None]]) -> None:
        from mlflow.entities import LoggedModelOutput

        client, run_id, model_id = self.server.client, held.run.info.run_id, held.logged.model_id
        run, _, _ = wanted.whole()
        if "status" in places.get("model", ()):
            self._do(f"finishing {wanted.ref}", client.finalize_logged_model, model_id, "READY")
        if model_id not in _outputs(held):
            try:
                self._do(f"linking {wanted.ref}", client.log_outputs, run_id, [LoggedModelOutput(model_id, 0)])
            except Busy:
                self._look_again(held)
                if model_id not in _outputs(held):
                    raise
        if {"status", "end"} & places.get("run", {}).keys():
            self._do(f"ending the run of {wanted.ref}", client.set_terminated, run_id, run.status, run.end)

    def _look_again(self, held: Held) -> None:
        """Read the run anew: another export may have written the same at that moment."""
        with told(self.server.uri, "looking again"):
            held.run = self.server.client.get_run(held.run.info.run_id)

    def _version(
        self, shelf: Shelf, held: Held, wanted: VersionEntities, places: Mapping[str, Mapping[str, str | None]]
    ) -> None:
        client = self.server.client
        _, _, registered = wanted.whole()
        if held.registered is None:
            self._create_version(shelf, held, wanted)
            return
        name, number = held.registered.name, held.registered.version
        if "description" in places.get("version", ()):
            text = registered.description
            self._do(f"describing {wanted.ref}", client.update_model_version, name, number, text)
        tags = places.get("version.tag", {})
        for key, value in tags.items():
            self._version_tag(name, number, key, value)
        if any(places.values()):
            self._version_tag(name, number, THROUGH, str(self.through))

    def _create_version(self, shelf: Shelf, held: Held, wanted: VersionEntities) -> None:
        _, _, registered = wanted.whole()
        found = reading.again(self.server, shelf, wanted.version)
        if found.registered is not None:
            held.registered = found.registered
            return
        shelf.versions[wanted.version] = held
        held.registered = self._do(
            f"registering {wanted.ref}",
            self.server.client.create_model_version,
            shelf.registered.name,
            source=f"models:/{held.logged.model_id}",
            run_id=held.run.info.run_id,
            model_id=held.logged.model_id,
            tags={**registered.tags, THROUGH: str(self.through)},
            description=registered.description,
            await_creation_for=0,
        )

    def _version_tag(self, name: str, number: str, key: str, value: str | None) -> None:
        client = self.server.client
        if value is None:
            self._do(f"tagging {name}", client.delete_model_version_tag, name, number, key)
        else:
            self._do(f"tagging {name}", client.set_model_version_tag, name, number, key, value)

    def say_through(self, held: Held) -> None:
        """Say again through which event a version was exported: the tag was taken away."""
        self._version_tag(held.registered.name, held.registered.version, THROUGH, str(self.through))

    def say_verified(self, held: Held, outcome: str, at: str) -> None:
        """Keep the outcome of the read-back as a tag, once for each outcome."""
        there = str(held.registered.tags.get(VERIFIED, ""))
        if not there.startswith(outcome):
            value = f"{outcome} {at}"[: limits.VERSION_TAG_VALUE]
            self._version_tag(held.registered.name, held.registered.version, VERIFIED, value)


def _outputs(held: Held) -> list[str]:
    """Return the ids of the logged models that a run names as its own."""
    return [one.model_id for one in held.run.outputs.model_outputs] if held.run.outputs is not None else []
