"""What MLflow's loaders need goes over with a model, is proven like the rest, and comes back as what was registered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from mlflow_exports import export, places
from mlflow_server import MlflowServer
from world import LEAD, World

from manual_registry.core.handover import flavours
from manual_registry.registry import Registry

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

COPIES = {f"components/tokenizer/{name}" for name in ("config.json", "tokenizer.json", "tokenizer_config.json")}


def checkpoint(place: Path) -> Path:
    """Write what looks like a checkpoint of Transformers."""
    place.mkdir()
    config = {"model_type": "bert", "architectures": ["BertForSequenceClassification"]}
    (place / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (place / "model.safetensors").write_bytes(b"weights")
    (place / "tokenizer.json").write_text("{}", encoding="utf-8")
    (place / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}', encoding="utf-8")
    return place


def test_a_checkpoint_goes_over_with_the_copies_that_its_loader_wants(
    world: World, mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    world.as_().register(world.model, "1", checkpoint(tmp_path / "checkpoint"), metadata=world.metadata())
    tags = {"task": "text-classification"}
    world.as_().tag(f"{world.model}@1", tags)
    dry = export(world, mlflow_server, dry_run=True)
    assert set(str(dry).replace("'", " ").split()) >= COPIES
    done = export(world, mlflow_server)
    assert (done["verified"], done["exported"][0]["flavour"]) == (True, "transformers")
    (stored,) = mlflow_server.artefacts.rglob(f"{done['exported'][0]['model_id']}/artifacts")
    assert {str(one.relative_to(stored)) for one in stored.glob("components/*/*")} == COPIES
    assert (stored / "components/tokenizer/tokenizer.json").read_bytes() == (
        stored / "artefact/tokenizer.json"
    ).read_bytes()
    said = yaml.safe_load((stored / "MLmodel").read_text(encoding="utf-8"))["flavors"]["transformers"]
    assert (said["pipeline_model_type"], said["components"]) == ("BertForSequenceClassification", ["tokenizer"])
    # A tag that makes it another flavour leaves no file behind that nobody asked for.
    world.as_().tag(f"{world.model}@1", {"task": "translation"})
    done = export(world, mlflow_server)
    assert (done["verified"], done["exported"][0]["flavour"]) == (True, "manual_registry")
    back = tmp_path / "back"
    Registry.init(back, risk="minimal", actor=LEAD)
    Registry.open(back, actor=LEAD).import_mlflow(mlflow_server.uri, models=(world.model,))
    assert {one.name for one in (back / "models" / world.model / "1" / "artefact").iterdir()} == {
        one.name for one in (tmp_path / "checkpoint").iterdir()
    }
    (stored / "components/tokenizer/tokenizer.json").write_text("[]", encoding="utf-8")
    (stored / "components/tokenizer/more.json").write_text("[]", encoding="utf-8")
    found = sorted(places(export(world, mlflow_server, verify_only=True)))
    assert found == [
        ("model.file", "components/tokenizer/more.json", "added"),
        ("model.file", "components/tokenizer/tokenizer.json", "changed"),
    ]


def test_a_checkpoint_that_the_first_release_exported_has_no_copies_yet(
    world: World, mlflow_server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.as_().register(world.model, "1", checkpoint(tmp_path / "checkpoint"), metadata=world.metadata())
    tell = flavours.tell
    with monkeypatch.context() as patch:
        patch.setattr(flavours, "tell", lambda *words, **named: tell(*words, **{**named, "as_first": True}))
        assert export(world, mlflow_server)["verified"]
    done = export(world, mlflow_server)
    assert (done["verified"], done["mismatches"]) == (True, [])
    (stored,) = mlflow_server.artefacts.rglob(f"{done['exported'][0]['model_id']}/artifacts")
    assert {str(one.relative_to(stored)) for one in stored.glob("components/*/*")} == COPIES
