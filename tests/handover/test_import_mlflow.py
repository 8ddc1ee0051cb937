"""`import mlflow` against a real server: what was exported comes back whole, what others made as far as it is understood."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from adopt_team import Team
from mlflow_server import MlflowServer, Proxy
from mlflow_theirs import Theirs, events, lost, reasons, take
from world import LEAD, SME, World

from manual_registry.core.errors import (
    BadTrackingAddress,
    ModelUnknown,
    RegistryClosed,
    ServerDown,
    WrongCredentials,
)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

#: Members of `show` that tell how the new registry came to it, rather than what the version is.
HOW = {"schema"}


@pytest.fixture
def target(tmp_path: Path, world: World) -> World:
    """An empty registry of the same risk class beside the other one."""
    return World(tmp_path / "target", model=world.model)


# -- what this tool exported -----------------------------------------------------------------------------------


def full_life(world: World, tmp_path: Path) -> list[str]:
    """Give a registry versions of every kind; returns their models."""
    first, second = world.model, f"{world.model}-other"
    for name in ("config", "prompt"):
        (tmp_path / f"{name}.txt").write_text(f"the {name}\n")
    world.to_production("1.0.0")
    world.to_production("1.1.0")  # archives the first one
    world.as_().archive_pending()
    world.to_staging("1.2.0")
    world.register(
        "2.0.0-rc.1",
        hyperparameters={
            "depth": 3, "big": 2**70, "end": math.inf, "deep": {"a": [1, None, "0.10"]}, "": "x", "p@q": "é" * 7000, "0": "1.0",
        },
        metrics={"auc": 0.9, "F1@5%": 0.5, "count": 2**60 + 1, "gate/x": 0.1},
        subgroup_metrics={"age/band": {"<30": {"auc": 0.8}}},
        tags={"team": "risk", "long": "x" * 6000},
        config=str(tmp_path / "config.txt"), prompt=str(tmp_path / "prompt.txt"),
        description="what it is", origin="a lab",
    )  # fmt: skip
    folder = tmp_path / "folder"
    for name in ("a b/Größe.bin", "x#1.txt", "what?.txt", "same/same", "_x23_.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name, encoding="utf-8")
    world.as_().register(second, "7", folder, metadata=world.metadata(card=None, gates=None, environment=None))
    (tmp_path / "later.txt").write_text("seen later")
    (tmp_path / "card.json").write_text(json.dumps({"architecture": "a tree", "limitations": "many"}))
    world.as_().attach(f"{second}@7", evidence=[tmp_path / "later.txt"], card=tmp_path / "card.json")
    world.as_().attach(f"{second}@7", environment=tmp_path / "environment.txt")
    world.as_().tag(f"{second}@7", {"team": "other"})
    world.as_().note(f"{second}@7", "a note")
    world.as_(LEAD).note(f"{second}@7", "another")
    world.as_().alias_set(second, "v3", "7")
    world.as_().alias_set(first, "candidate", "2.0.0-rc.1")
    world.as_().deploy(f"{first}@1.1.0", environment="production", path="/srv/model")
    return [first, second]


def test_an_export_and_its_import_give_the_same_records(
    world: World, target: World, mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    models = full_life(world, tmp_path)
    assert world.as_().export_mlflow(mlflow_server.uri).document()["verified"]
    dry = take(target, mlflow_server, *models, dry_run=True)
    assert (dry["changed"], len(events(target))) == (False, 2)
    done = take(target, mlflow_server, *models)
    assert (done["not_imported"], done["differs"], done["names"]) == ([], [], [])
    assert [one for one in done["warnings"] if "the record counts" in one] == []
    assert [one["version"] for one in done["imported"]] == ["1.0.0", "1.1.0", "1.2.0", "2.0.0-rc.1", "7"]
    plain = [{**one, "event": None} for one in done["imported"]]
    assert plain == dry["imported"]
    for one in done["imported"]:
        ref = f"{one['model']}@{one['version']}"
        old, new = world.as_().show(ref), target.as_().show(ref)
        differing = {name for name in old if old[name] != new[name]} - HOW
        told = lost(done, one["from"]["model"], one["from"]["version"])
        assert differing <= set(told), (ref, differing - set(told))
        assert {"events", "baseline", "stages", "registered_at"} <= differing
        assert new["composite_id"] == old["composite_id"]
        here, there = (
            where.as_().fetch(ref, tmp_path / f"{name}-{ref}") for name, where in (("a", world), ("b", target))
        )
        assert here is not None
        assert there is not None
        for item in old["evidence"]:
            assert (target.root / new["storage_location"] / item["path"]).stat().st_size == item["size"]
    # What it says of the version as such is the same in every member.
    second = models[1]
    old, new = world.as_().show(f"{second}@7"), target.as_().show(f"{second}@7")
    for name in (
        "artefact",
        "metadata",
        "card",
        "environment",
        "evidence",
        "gates",
        "tags",
        "aliases",
        "owner",
        "ci",
        "code",
    ):
        assert old[name] == new[name], name
    assert new["stages"][0]["stage"] == "experimental"
    assert "a note" in new["baseline"]["stated"]["notes"]
    rows = {(one["model"], one["version"]): one["stage"] for one in target.as_().list()}
    assert list(rows.values()) == ["archived", "production", "staging", "experimental", "experimental"]
    # Nobody approved any of it here: a lead confirms, and then production is as good as its own.
    assert events(target)[-1] == "baseline.opened"
    before = target.as_().verify()
    assert before.ok, before.document()
    target.as_(LEAD).approval_sign(done["id"], as_=LEAD, key=target.key(LEAD))
    assert target.as_().verify().ok
    trace = target.as_().trace(f"{models[0]}@production").document()
    assert trace["version"] == "1.1.0"
    # And once more: nothing.
    count = len(events(target))
    again = take(target, mlflow_server, *models)
    assert (again["changed"], again["imported"], len(events(target))) == (False, [], count)
    assert all("in the registry already" in reason for reason in reasons(again).values())


def test_what_was_signed_there_can_still_be_checked(
    world: World, target: World, mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    world.to_production("1")
    world.as_().export_mlflow(mlflow_server.uri)
    done = take(target, mlflow_server, world.model)
    assert "approvals" in lost(done, world.model)
    kept = json.loads((target.root / done["kept"]).read_bytes())
    papers = dict(kept["versions"][0]["papers"])
    for path, text in papers.items():
        (tmp_path / path.replace("/", "_")).write_text(text, encoding="utf-8")
    name = next(
        path for path, text in papers.items() if path.endswith(".json") and '"to":"production"' in text and "/A" in path
    )
    place = tmp_path / name.replace("/", "_")
    checked = subprocess.run(
        [
            *("ssh-keygen", "-Y", "verify", "-f", f"{place}.allowed_signers", "-I", LEAD),
            *("-n", "stage-approval@manual-registry", "-s", f"{place}.sig"),
        ],
        input=place.read_bytes(),
        capture_output=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert "record.json" in papers
    assert "events.jsonl" in papers


# -- what others made ------------------------------------------------------------------------------------------


@pytest.fixture
def theirs(mlflow_server: MlflowServer, tmp_path: Path) -> Theirs:
    """Somebody's models on the server."""
    return Theirs(mlflow_server, tmp_path)


def test_a_version_that_was_never_ours(theirs: Theirs, target: World, mlflow_server: MlflowServer) -> None:
    name = f"Credit Risk {target.model}"
    theirs.version(
        name, tags={"team": "credit", "bad/key": "kept", "aisdp.approver": "Bob", "aisdp.approval_date": "2024-01-02"},
        description="scores\nloans",
    )  # fmt: skip
    theirs.version(name, tags={"manual_registry.version": "2.0-beta"})
    theirs.client.set_registered_model_alias(name, "production", "1")
    theirs.client.set_registered_model_alias(name, "candidate", "2")
    done = take(target, mlflow_server, name)
    model = name.lower().replace(" ", "-")
    assert done["names"] == [{"mlflow": name, "model": model}]
    assert [(one["version"], one["stage"]) for one in done["imported"]] == [
        ("1", "production"),
        ("2.0-beta", "experimental"),
    ]
    shown = target.as_().show(f"{model}@1")
    assert shown["metadata"]["hyperparameters"] == {"depth": 3, "rate": "0.10", "on": True}
    assert shown["metrics"] == {"auc": 0.9}
    assert shown["training_data"] == ["mlflow:train%20set@2981c147"]
    assert shown["code"]["commit"] == "d" * 40
    assert shown["code"]["repository"] == "https://git.example.org/credit.git"
    assert shown["training_date"] == "2023-11-14T22:23:20.000Z"
    assert shown["pipeline_run"].startswith("mlflow:")
    assert (shown["owner"], shown["metadata"]["description"]) == ("ada", "scores loans")
    assert shown["tags"] == {"team": "credit"}
    assert (shown["artefact"]["kind"], shown["artefact"]["files"]) == ("directory", 2)
    stated = shown["baseline"]["stated"]
    assert (stated["approver"], stated["tag bad/key"], stated["run tag team"]) == ("Bob", "kept", "risk")
    assert (stated["metrics.loss"], stated["source"], stated["description"]) == ("nan", "train.py", "scores\nloans")
    assert {"metrics.loss", "metric auc", "run tag team", "tag bad/key"} <= set(lost(done, name))
    assert target.as_().show(f"{model}@candidate")["version"] == "2.0-beta"
    assert target.as_().verify().ok
    assert "secret" not in json.dumps(done)
    kept = [*(target.root / "ledger").iterdir(), *(target.root / "adopted").iterdir()]
    assert not [path for path in kept if b"secret" in path.read_bytes()]
    # A new version later: that alone comes.
    theirs.version(name)
    later = take(target, mlflow_server, name)
    assert [one["version"] for one in later["imported"]] == ["3"]
    assert events(target)[-2:] == ["version.adopted", "baseline.opened"]
    assert len([one for one in (target.root / "adopted").iterdir() if one.suffix == ".json"]) == 2
    assert target.as_().verify().ok


def test_what_cannot_come_is_told(theirs: Theirs, target: World, mlflow_server: MlflowServer) -> None:
    client, name = theirs.client, target.model
    run = theirs.run()
    theirs.version(name, run)  # 1: comes
    theirs.version(name, run, tags={"manual_registry.version": "70"})  # 2 and 3 would be one
    theirs.version(name, run, tags={"manual_registry.version": "70"})
    theirs.version(name, run, tags={"manual_registry.version": "no version!"})  # 4
    theirs.version(name, run, source=f"runs:/{run}/nothing-there")  # 5
    gone = theirs.run()
    theirs.version(name, gone)  # 6: comes, its run was deleted
    client.delete_run(gone)
    theirs.version(name, run, tags={"aisdp.content_hash": "sha256:" + "ab" * 32})  # 7
    theirs.version(name, theirs.run(end=4_100_000_000_000))  # 8: trained in the future
    theirs.version(name, run, tags={"aisdp.stage": "production"})  # 9 and 10 both state production
    theirs.version(name, run, tags={"aisdp.stage": "production"})
    single = theirs.place / "single.pkl"
    single.write_bytes(b"pickled")
    client.log_artifact(run, str(single), "folder")
    theirs.version(name, run, source=f"runs:/{run}/folder/single.pkl")  # 11: one file
    client.create_registered_model(f"{name}-empty")
    shown = target.cli(
        "--json", "import", "mlflow", "--tracking-uri", mlflow_server.uri, "--model", name, "--model", f"{name}-empty"
    )
    assert shown.returncode == 4, shown.stderr
    done = json.loads(shown.stdout)
    assert [(one["version"], one["from"]["version"]) for one in done["imported"]] == [
        ("1", 1),
        ("6", 6),
        ("8", 8),
        ("11", 11),
    ]
    why = reasons(done)
    assert "would be" in why[name, 2]
    assert "would be" in why[name, 3]
    assert "version 'no version!'" in why[name, 4]
    assert "no files" in why[name, 5]
    assert "sha256:abab" in why[name, 7]
    assert "state production" in why[name, 9]
    assert [one["version"] for one in done["differs"]] == [7]
    assert any(f"{name}-empty: a registered model without versions" in one for one in done["warnings"])
    assert "deleted" in lost(done, name, 6)["run"]
    assert "has not come yet" in lost(done, name, 8)["training_date"]
    assert target.as_().show(f"{name}@11")["artefact"]["name"] == "single.pkl"
    assert not list((target.root / "models" / ".incoming").glob("*/*"))
    # The alias decides which of the two it is.
    client.set_registered_model_alias(name, "production", "10")
    again = take(target, mlflow_server, name)
    assert [(one["version"], one["stage"]) for one in again["imported"]] == [("10", "production")]
    assert target.as_().verify().ok


def test_two_models_of_one_name_and_names_that_are_odd(
    theirs: Theirs, target: World, mlflow_server: MlflowServer
) -> None:
    one, two, odd = f"It's {target.model}", f"It-s {target.model}!", "\u6a21\u578b" * len(target.model)
    run, model = theirs.run(), f"it-s-{target.model}"
    for name in (one, two, odd):
        theirs.version(name, run)
    done = take(target, mlflow_server, one, two, odd)
    assert done["imported"] == []
    why = reasons(done)
    assert "fits a model name" in why[odd, 1]
    assert f"{two} would be called {model} too" in why[one, 1]
    assert f"{one} would be called {model} too" in why[two, 1]
    # Each alone would do; but a model here that came from the one takes nothing of the other.
    assert take(target, mlflow_server, two)["imported"][0]["model"] == model
    theirs.version(one, run)
    late = reasons(take(target, mlflow_server, one))
    assert f"came from the model {two}" in late[one, 2]
    assert "not from here" in late[one, 1]


# -- interrupted, hostile, refused -----------------------------------------------------------------------------


def test_killed_in_the_middle_it_goes_on(
    world: World, target: World, mlflow_server: MlflowServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("1", "2", "3"):
        world.register(version)
    world.as_().alias_set(world.model, "good", "2")
    world.as_().export_mlflow(mlflow_server.uri)
    code = (
        "import sys; from manual_registry.registry import bringing; bringing.TOGETHER = 1;"
        " from manual_registry.__main__ import main; sys.exit(main())"
    )
    for stop in ("artefact/model-1.bin", "artefact/model-3.bin"):
        process = subprocess.Popen(
            [sys.executable, "-c", code, "--actor", SME, "import", "mlflow", "--tracking-uri", proxy.uri, "--model", world.model],
            cwd=target.root,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip

        def kill(_number: int, method: str, path: str, stop: str = stop, process: Any = process) -> None:
            if method == "GET" and path.endswith(stop):
                process.send_signal(signal.SIGKILL)
                process.wait()

        proxy.after = kill
        _, err = process.communicate()
        assert process.returncode == -signal.SIGKILL, err
    proxy.after = None
    assert events(target).count("version.adopted") == 2
    assert list((target.root / "models" / ".incoming").iterdir())  # a half download
    done = take(target, proxy, world.model)
    assert [one["version"] for one in done["imported"]] == ["3"]
    assert events(target)[-3:] == ["version.adopted", "alias.set", "baseline.opened"]
    assert {one.name for one in (target.root / "models" / ".incoming").iterdir()} == {".lock"}
    assert target.as_().show(f"{world.model}@good")["version"] == "2"
    checked = target.as_().verify()
    assert checked.ok, checked.document()
    assert len(list((target.root / "adopted").iterdir())) == 1  # the same was read each time


def test_a_server_that_goes_away_keeps_what_came(
    world: World, target: World, mlflow_server: MlflowServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for version in ("1", "2"):
        world.register(version)
    world.as_().export_mlflow(mlflow_server.uri)
    proxy.before = lambda _number, _method, path: (0, b"") if path.endswith("model-2.bin") else None
    with pytest.raises(ServerDown, match="goes on"):
        take(target, proxy, world.model)
    assert [one["version"] for one in target.as_().list()] == ["1"]
    proxy.before = lambda _number, _method, path: (401, b"no") if path.endswith("/version") else None
    with pytest.raises(WrongCredentials):
        take(target, proxy, world.model)
    proxy.before = None
    assert [one["version"] for one in take(target, proxy, world.model)["imported"]] == ["2"]
    with pytest.raises(ModelUnknown):
        take(target, proxy, "nobody")
    with pytest.raises(BadTrackingAddress):
        target.as_().import_mlflow("file:///tmp/mlruns")


def test_what_was_changed_in_mlflow_is_not_taken(
    world: World, target: World, mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    for version in ("1", "2", "3", "4", "5"):
        world.register(version, config=None)
    world.as_().export_mlflow(mlflow_server.uri)
    client = mlflow_server.client()
    place = Path(
        str(
            client.get_logged_model(
                client.get_model_version(world.model, "1").source.removeprefix("models:/")
            ).artifact_location
        ).partition(":/")[2]
    )
    (mlflow_server.artefacts / place / "artefact" / "model-1.bin").write_bytes(b"model X")
    run = client.get_model_version(world.model, "2").run_id
    client.log_text(run, "numpy==6.6\n", "manual_registry/evidence/environment/environment.txt")
    client.set_model_version_tag(world.model, "3", "manual_registry.sha256", "ab" * 32)
    client.log_text(client.get_model_version(world.model, "4").run_id, "{}", "manual_registry/record.json")
    run = client.get_model_version(world.model, "5").run_id
    record = client.download_artifacts(run, "manual_registry/record.json", str(tmp_path))
    text = Path(record).read_text(encoding="utf-8")
    assert "0.91" in text
    client.log_text(run, text.replace("0.91", "0.99"), "manual_registry/record.json")
    shown = target.cli("import", "mlflow", "--tracking-uri", mlflow_server.uri, "--model", world.model)
    assert shown.returncode == 4
    told = [line for line in shown.stdout.splitlines() if line.startswith("differs")]
    assert len(told) == 5, shown.stdout
    assert "it was exported with" in told[0]
    assert "something else than its events.jsonl: registration, row.metrics" in told[4]
    assert target.as_().list() == []
    assert events(target)[-1] != "baseline.opened"
    assert target.as_().verify().ok


def test_a_hostile_server_writes_nothing_elsewhere(
    theirs: Theirs, target: World, mlflow_server: MlflowServer, proxy: Proxy
) -> None:
    theirs.version(target.model)
    before = {path for path in target.place.parent.rglob("*") if target.root not in path.parents}
    listings = (
        {"path": "../../evil", "is_dir": False, "file_size": 4},
        {"path": "/tmp/evil", "is_dir": False, "file_size": 4},
        {"path": "a\\b", "is_dir": False, "file_size": 4},
        {"path": "x", "is_dir": True},  # which holds itself, and so on
        {"path": "e" * 4000, "is_dir": False, "file_size": 4},
        {"path": "con.txt", "is_dir": False, "file_size": 4},
        {"path": 7, "is_dir": False},
        {},
    )
    for one in listings:
        body = json.dumps({"files": [one]}).encode()
        proxy.before = lambda _number, _method, path, body=body: (
            (200, body) if "/mlflow-artifacts/artifacts?" in path else None
        )
        done = take(target, proxy, target.model)
        assert reasons(done)[target.model, 1].startswith("its files cannot be had"), one
    proxy.before = lambda _number, _method, path: (200, b"short") if path.endswith("/data") else None
    assert "the server lists" in reasons(take(target, proxy, target.model))[target.model, 1]
    proxy.before = None
    assert {path for path in target.place.parent.rglob("*") if target.root not in path.parents} == before
    assert target.as_().list() == []


def test_places_that_are_not_looked_into(
    theirs: Theirs, target: World, mlflow_server: MlflowServer, proxy: Proxy
) -> None:
    version = theirs.version(target.model)
    model_id = version.source.removeprefix("models:/")
    found = theirs.client.get_logged_model(model_id)

    for location, why in (
        ("file:///etc", "server's own disk"),
        ("/etc", "server's own disk"),
        ("http://127.0.0.1:9/api/2.0/mlflow-artifacts/artifacts/x", "another host"),
        ("s3://bucket/model", ""),
        ("nonsense://x", ""),
    ):
        body = json.dumps(
            {"model": {"info": {"experiment_id": found.experiment_id, "model_id": model_id, "name": "model",
                                "artifact_uri": location, "creation_timestamp_ms": 1, "last_updated_timestamp_ms": 1,
                                "status": "LOGGED_MODEL_READY"}, "data": {}}}
        ).encode()  # fmt: skip
        proxy.before = lambda _number, _method, path, body=body: (
            (200, body) if f"logged-models/{model_id}" in path else None
        )
        assert why in reasons(take(target, proxy, target.model))[target.model, 1], location


def test_a_closed_register_takes_nothing(
    world: World, target: World, mlflow_server: MlflowServer, proxy: Proxy
) -> None:
    world.register("1")
    world.as_().export_mlflow(mlflow_server.uri)
    target.as_(LEAD).close(successor="https://example.org", reason="over", as_=LEAD, key=target.key(LEAD))
    proxy.seen[:] = []
    with pytest.raises(RegistryClosed):
        take(target, proxy, world.model)
    assert proxy.seen == []  # refused before the server is asked anything
    dry = take(target, proxy, world.model, dry_run=True)
    assert dry["imported"]
    assert dry["next"] is None
    assert any("was closed on" in one for one in dry["warnings"])


def test_what_a_person_reads(theirs: Theirs, target: World, mlflow_server: MlflowServer) -> None:
    name = f"Read {target.model}"
    theirs.version(name)
    words = ("import", "mlflow", "--tracking-uri", mlflow_server.uri, "--model", name)
    dry = target.cli(*words, "--dry-run")
    model = name.lower().replace(" ", "-")
    assert dry.returncode == 0, dry.stderr
    assert dry.stdout.splitlines()[:2] == [
        f"called     {name} is {model} here",
        f"would come {model}@1 (experimental): {name}, version 1 there",
    ]
    done = target.cli(*words)
    lines = done.stdout.splitlines()
    assert lines[1] == f"imported   {model}@1 (experimental): {name}, version 1 there"
    assert lines[-2].startswith("next: mreg approval sign A")
    assert lines[-1].startswith("ledger ")


def test_what_was_adopted_there_keeps_its_identifier(
    world: World, target: World, mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    """Its code was filled in later, so that it is no part of the identifier, which an inference log may carry."""
    team, model = Team(tmp_path / "team"), f"{world.model}-sheet"
    file = team.file("m/one.onnx")
    team.row(model, "1.0.0", "m/one.onnx", file, "2023-02-13", "AUC 0.88", "staging", "Bob")
    world.as_().adopt(team.save(), in_place=True)
    late = tmp_path / "late.json"
    late.write_text(json.dumps({"code": {"commit": "c" * 40}, "training_data": "sha256:" + "ab" * 32}))
    world.as_().attach(f"{model}@1.0.0", metadata=late)
    world.as_().export_mlflow(mlflow_server.uri)
    done = take(target, mlflow_server, model)
    old, new = world.as_().show(f"{model}@1.0.0"), target.as_().show(f"{model}@1.0.0")
    assert {name for name in old if old[name] != new[name]} <= set(lost(done, model))
    assert (new["composite_id"], new["code"]["commit"]) == (old["composite_id"], "c" * 40)
    assert "+code.none." in new["composite_id"]
    assert new["baseline"]["stated"]["approver"] == "Bob"
    assert new["baseline"]["foreign"] == old["baseline"]["foreign"]
    assert target.as_().verify().ok
