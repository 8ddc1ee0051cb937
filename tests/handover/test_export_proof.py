"""`export mlflow`: nothing is called proven that was not read, nothing told of MLflow that is wrong here."""

from __future__ import annotations

import json
import pickle
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from adopt_team import Team
from mlflow_exports import command, counts, export, places
from mlflow_server import MlflowServer, Proxy, running
from world import World

from manual_registry.core.errors import LocalArtefacts
from manual_registry.registry import Registry

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def recorded(world: World) -> list[dict[str, Any]]:
    """Return the data of each event about exports."""
    events = (json.loads(path.read_bytes()) for path in sorted((world.root / "ledger").iterdir()))
    return [one["data"] for one in events if one["type"] == "export.recorded"]


def spoil(path: Path, data: bytes | None) -> None:
    """Overwrite a stored file as anybody with access to the folder can; None: remove it."""
    for one in (path.parent, path):
        one.chmod(0o755)
    if data is None:
        path.unlink()
    else:
        path.write_bytes(data)


def there(server: MlflowServer, model: str, number: str, name: str) -> Path:
    """Return where the server keeps a file of a logged model."""
    source = server.client().get_model_version(model, number).source.removeprefix("models:/")
    (path,) = server.artefacts.rglob(f"{source}/artifacts/{name}")
    return path


# -- a server whose files are out of reach -------------------------------------------------------------------------


def test_a_directory_of_the_server_is_no_place_for_artefacts(world: World, tmp_path: Path) -> None:
    pytest.importorskip("mlflow.server")
    world.register("1")
    with running(tmp_path / "server", serves=False) as server:
        with pytest.raises(LocalArtefacts, match="on this machine and nowhere else") as caught:
            export(world, server)
        assert caught.value.exit_status == 8
        assert server.client().get_experiment_by_name(world.model) is None
        dry = export(world, server, dry_run=True)
        assert [one for one in dry["warnings"] if "--serve-artifacts" in one]
        # One that has lain there since before this was looked at.
        registry_id = world.as_().status()["registry_id"]
        tags = {"manual_registry.registry_id": registry_id, "manual_registry.model": world.model}
        server.client().create_experiment(world.model, tags=tags)
        for options in ({}, {"verify_only": True}, {"dry_run": True}):
            with pytest.raises(LocalArtefacts):
                export(world, server, **options)
    assert recorded(world) == []
    assert not list((tmp_path / "server" / "artefacts").iterdir())


# -- what was read, and what was not -----------------------------------------------------------------------------


def test_a_finding_stays_until_its_version_was_read_again(world: World, mlflow_server: MlflowServer) -> None:
    world.register("1")
    first = export(world, mlflow_server)
    assert (first["read"], recorded(world)[-1]["checked"]) == (1, 1)
    path = there(mlflow_server, world.model, "1", "artefact/model-1.bin")
    good = path.read_bytes()
    path.write_bytes(b"x" * len(good))
    again = export(world, mlflow_server)
    assert (again["read"], again["events"], [one["read"] for one in again["skipped"]]) == (0, [], [False])
    export(world, mlflow_server, verify_only=True, record=True)
    world.register("2")
    done = export(world, mlflow_server)
    changed = ("model.file", "artefact/model-1.bin", "changed")
    assert (places(done), done["verified"], done["read"]) == ([changed], False, 2)
    last = recorded(world)[-1]
    assert (last["action"], last["checked"], last["count"]) == ("export", 2, 1)
    path.write_bytes(good)
    done = export(world, mlflow_server)
    assert (done["verified"], done["read"], recorded(world)[-1]["count"]) == (True, 1, 0)
    assert world.as_().verify().ok


def test_what_only_a_tag_says_is_read(world: World, mlflow_server: MlflowServer, proxy: Proxy) -> None:
    """The tag is on the server, where anybody can write it; the ledger knows nothing of an export to that address."""
    world.register("1")
    export(world, mlflow_server)
    path = there(mlflow_server, world.model, "1", "artefact/model-1.bin")
    path.write_bytes(b"x" * path.stat().st_size)
    assert places(export(world, proxy)) == [("model.file", "artefact/model-1.bin", "changed")]


def test_what_was_read_before_the_server_went_away_is_kept(
    world: World, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    world.register("1")
    world.register("2")
    proxy.before = lambda _number, method, path: (0, b"") if method == "PUT" and "model-2.bin" in path else None
    shown = world.cli("export", "mlflow", "--tracking-uri", proxy.uri)
    assert shown.returncode == 8
    (kept,) = recorded(world)
    assert ([one["version"] for one in kept["versions"]], kept["checked"], kept["count"]) == (["1"], 1, 0)
    proxy.before = None
    done = export(world, proxy)
    assert (done["verified"], done["read"]) == (True, 1)


# -- what is wrong here ------------------------------------------------------------------------------------------


def test_an_artefact_that_goes_missing_after_its_export(world: World, mlflow_server: MlflowServer) -> None:
    world.register("1")
    export(world, mlflow_server)
    spoil(world.root / "models" / world.model / "1" / "artefact" / "model-1.bin", None)
    words = ("--json", "export", "mlflow", "--tracking-uri", mlflow_server.uri)
    shown = world.cli(*words)
    assert shown.returncode == 4, shown.stderr
    done = json.loads(shown.stdout)
    assert ([one["problem"] for one in done["mismatches"]], len(done["events"])) == (["unfit"], 1)
    assert done["skipped"][0]["reason"].startswith("not exported")
    checked = json.loads(world.cli(*words, "--verify-only", "--record").stdout)
    assert checked["skipped"][0]["reason"].startswith("not compared")
    assert [one["versions"] for one in recorded(world)[1:]] == [[], []]
    assert [one["checked"] for one in recorded(world)] == [1, 0, 0]


def test_what_was_known_there_outlives_what_is_wrong_here(world: World, mlflow_server: MlflowServer) -> None:
    world.register("1")
    export(world, mlflow_server)
    mlflow_server.client().set_model_version_tag(world.model, "1", "aisdp.stage", "production")
    export(world, mlflow_server, verify_only=True, record=True)
    spoil(world.root / "models" / world.model / "1" / "artefact" / "model-1.bin", None)
    for _ in range(2):
        export(world, mlflow_server)
    last = recorded(world)[-1]
    assert [(one["place"], one["problem"]) for one in last["mismatches"]] == [
        ("artefact", "unfit"), ("version.tag", "changed"),
    ]  # fmt: skip
    assert len(recorded(world)) == 3  # the second time it is no news


def test_evidence_that_is_gone_or_changed_leaves_its_version_out(world: World, mlflow_server: MlflowServer) -> None:
    for version in ("1", "2", "3"):
        world.register(version)
    folder = world.root / "models" / world.model
    (environment,) = (
        folder.glob("1/evidence/environment/*")
        if (folder / "1/evidence/environment").is_dir()
        else (folder / "1/evidence/environment.txt",)
    )
    one, (two,) = environment, list((folder / "2").rglob("metadata.yaml"))
    good = one.read_bytes(), two.read_bytes()
    spoil(one, b"evil==1\n")
    spoil(two, None)
    for options in ({"dry_run": True}, {}):
        done = export(world, mlflow_server, **options)
        assert [(found["version"], found["problem"]) for found in done["mismatches"]] == [
            ("1", "unfit"),
            ("2", "unfit"),
        ]
    assert counts(mlflow_server, world.model) == (1, 1, 1)
    spoil(one, good[0])
    two.write_bytes(good[1])
    done = export(world, mlflow_server)
    assert (done["verified"], counts(mlflow_server, world.model)) == (True, (3, 3, 3))


def test_a_file_changed_where_it_lies_is_told_as_changed_here(
    world: World, mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    """The flavour, and so MLmodel, is told by the file's beginning, its size by the disk: MLflow holds what it was given."""
    from sklearn.linear_model import LogisticRegression

    team, model = Team(tmp_path / "team"), world.model
    stored = tmp_path / "team" / "m" / "one.pkl"
    stated = team.file("m/one.pkl", pickle.dumps(LogisticRegression().fit([[0.0], [1.0]], [0, 1])))
    team.row(model, "1.0.0", "m/one.pkl", stated, "2023-02-13", "AUC 0.88", "staging", "Bob")
    world.as_().adopt(team.save(), in_place=True)
    assert export(world, mlflow_server)["exported"][0]["flavour"] == "sklearn"
    for data in (b"x" * stored.stat().st_size, b"another size"):
        stored.write_bytes(data)
        for options in ({"dry_run": True}, {"verify_only": True}, {}):
            assert places(export(world, mlflow_server, **options)) == [
                ("artefact", "../team/m/one.pkl", "unfit"),
            ], (data[:8], options)


def test_a_dry_run_finds_a_spoiled_artefact(world: World, mlflow_server: MlflowServer) -> None:
    world.register("1")
    path = world.root / "models" / world.model / "1" / "artefact" / "model-1.bin"
    spoil(path, b"x" * path.stat().st_size)
    shown = world.cli("export", "mlflow", "--tracking-uri", mlflow_server.uri, "--dry-run")
    assert (shown.returncode, "unfit" in shown.stdout) == (4, True), shown.stderr


# -- what a person is told -----------------------------------------------------------------------------------------


def test_the_plan_is_what_is_made(world: World, mlflow_server: MlflowServer, proxy: Proxy) -> None:
    from manual_registry.adapters.mlflow import files, finding, reading, server

    world.to_production("1")
    plan = export(world, proxy, dry_run=True)["plan"]
    assert all(one["new"] for one in plan)
    export(world, proxy)
    told = {(one["version"], one["object"]): set(one["fields"]) for one in plan}
    connected = server.connect(mlflow_server.uri)
    composite = mlflow_server.client().get_model_version(world.model, "1").tags["manual_registry.composite_id"]
    owner = finding.Owner(world.as_().status()["registry_id"], world.model, composites={composite: "1"})
    shelf = reading.shelf(connected, owner)
    held = shelf.held("1")
    run_files = files.listing(connected, held.run.info.artifact_uri, "manual_registry")
    model_files = files.listing(connected, held.logged.artifact_location)
    whole = reading.entities(
        connected,
        world.model,
        "1",
        held,
        run_files=files.unhashed(run_files),
        model_files=files.unhashed(model_files),
    )
    flat = whole.flat()
    for place, word in (("run", "run"), ("model", "logged model"), ("version", "model version")):
        found = {name for where, name in flat if where.partition(".")[0] == place}
        assert found - {"mlflow.modelVersions"} == told["1", word], word  # which MLflow itself keeps
    flat = shelf.flat()
    for place in ("experiment", "registered_model"):
        found = {name for where, name in flat if where.partition(".")[0] == place}
        assert found == told[None, place.replace("_", " ")], place
    assert all(one["values"] == 0 for one in export(world, proxy, dry_run=True)["plan"])


def test_the_name_of_production_is_remembered_and_its_change_recorded(
    world: World, mlflow_server: MlflowServer
) -> None:
    world.to_production("1")
    export(world, mlflow_server, alias="champion")
    assert export(world, mlflow_server, verify_only=True)["mismatches"] == []
    again = export(world, mlflow_server)
    assert (again["requests"], again["events"]) == (0, [])
    assert mlflow_server.client().get_registered_model(world.model).aliases == {"champion": "1"}
    moved = export(world, mlflow_server, alias="production")
    assert (moved["verified"], len(moved["events"])) == (True, 1)
    assert mlflow_server.client().get_registered_model(world.model).aliases == {"production": "1"}
    assert export(world, mlflow_server)["requests"] == 0
    assert world.as_().verify().ok


def test_what_was_found_is_told_although_the_ledger_does_not_take_it(world: World, proxy: Proxy) -> None:
    world.register("1")
    export(world, proxy)
    proxy.seen[:] = []
    broken = world.root / "ledger" / "000000000099.json"

    def spoils(_number: int, _method: str, path: str) -> None:
        if "model-1.bin" in path:
            broken.write_text("{}")

    proxy.after = spoils
    words = ("export", "mlflow", "--tracking-uri", proxy.uri, "--verify-only", "--record")
    shown = world.cli(*words)
    assert (shown.returncode, "1 read back, no mismatch" in shown.stdout) == (4, True), shown.stdout
    assert "error MR-L" in shown.stderr
    broken.unlink()
    shown = world.cli("--json", *words)
    done = json.loads(shown.stdout)
    assert (shown.returncode, done["unrecorded"]["code"][:4], done["events"]) == (4, "MR-L", [])


def test_a_person_who_stops_it_is_told_that_it_goes_on(world: World, proxy: Proxy) -> None:
    world.register("1")
    process: subprocess.Popen[str]

    def stop(_number: int, method: str, _path: str) -> None:
        if method == "PUT":
            process.send_signal(signal.SIGINT)

    proxy.after = stop
    process = command(world, proxy.uri)
    _, told = process.communicate()
    proxy.after = None
    assert (process.returncode, "the same command goes on from it" in told) == (130, True), told
    assert export(world, proxy)["verified"]


def test_counts_are_told_in_words_that_fit(world: World, mlflow_server: MlflowServer) -> None:
    world.register("1")
    export(world, mlflow_server)
    mlflow_server.client().set_model_version_tag(world.model, "1", "aisdp.stage", "production")
    words = ("export", "mlflow", "--tracking-uri", mlflow_server.uri, "--verify-only", "--record")
    lines = world.cli(*words).stdout.splitlines()
    assert lines[1].endswith(": 1 of 1 version there, 0 writes, 1 read back, 1 mismatch")
    assert lines[3] == f"next: mreg export mlflow --tracking-uri {mlflow_server.uri} --verify-only"
    assert world.as_().history()[-1]["summary"].endswith(": 1 version read, 1 mismatch")
    assert Registry.open(world.root).verify().ok
