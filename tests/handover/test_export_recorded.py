"""What of an export is kept in the ledger, and what is looked at before anything is written; without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from chains import Chain
from world import World

from manual_registry.adapters.mlflow.server import Server, is_local
from manual_registry.core import events as kinds
from manual_registry.core.errors import LocalArtefacts, ServerDown, StorageReadOnly
from manual_registry.core.handover.comparing import Mismatch
from manual_registry.core.records import Exported
from manual_registry.registry import handover
from manual_registry.registry.handover import Handover
from manual_registry.registry.handover_outcome import Outcome


def mismatch(version: str | None, problem: str = "changed", place: str = "version.tag") -> Mismatch:
    """Return a mismatch of m."""
    return Mismatch(
        model="m", version=version, place=place, name="aisdp.stage", problem=problem, expected="a", found="b"
    )


def outcome(version: str, *, read: bool = True, **rest: Any) -> Outcome:
    """Return what became of a version of m."""
    return Outcome(**{"model": "m", "version": version, "number": version, "digest": "d" * 64, "read": read, **rest})


def export_of(*outcomes: Outcome, mismatches: tuple[Mismatch, ...] = (), models: tuple[str, ...] = ("m",)) -> Handover:
    """Return an export that ended so."""
    return Handover(
        uri="http://h",
        server="3",
        action="export",
        outcomes=list(outcomes),
        mismatches=list(mismatches),
        models=list(models),
    )


# -- what is kept ------------------------------------------------------------------------------------------------


def test_only_what_was_read_is_recorded_as_such() -> None:
    fresh = handover._fresh(
        Exported(),
        export_of(
            outcome("1"), outcome("2", read=False), outcome("3", unfit=True), outcome("4", digest="", read=False)
        ),
    )
    assert [one["version"] for one in fresh] == ["1"]
    assert handover._fresh(Exported(versions={("m", "1"): ("1", "d" * 64)}), export_of(outcome("1"))) == []


def test_what_is_known_of_versions_that_were_not_read_stays_known() -> None:
    known = [
        mismatch("1").document(),
        mismatch("2").document(),
        mismatch(None, place="registered_model.alias").document(),
    ]
    before = Exported(mismatches={"m": known})
    read_one = export_of(outcome("1"), outcome("2", read=False))
    assert handover._told(before, read_one, ["m"]) == [mismatch("2").document()]
    # An export that ended in the middle did not come to the aliases.
    partial = export_of(outcome("1"), models=())
    assert [one["version"] for one in handover._told(before, partial, ["m"])] == [None, "2"]
    # Unfit files of ours say nothing about those there; that they were unfit once is not kept.
    unfit = export_of(outcome("2", unfit=True, read=False), mismatches=(mismatch("2", "unfit", "artefact"),))
    told = handover._told(before, unfit, ["m"])
    assert [(one["version"], one["problem"]) for one in told] == [("1", "changed"), ("2", "unfit"), ("2", "changed")]
    again = handover._told(Exported(mismatches={"m": told}), unfit, ["m"])
    assert again == told
    assert not handover._news(Exported(mismatches={"m": list(reversed(told))}), told, ["m"])
    mended = export_of(outcome("1"), outcome("2"))
    assert handover._told(Exported(mismatches={"m": told}), mended, ["m"]) == []


def test_a_check_that_found_something_makes_its_version_doubtful() -> None:
    chain = Chain()
    chain.register("1")
    chain.register("2")
    data: dict[str, Any] = {
        "target": "mlflow",
        "uri": "http://h",
        "server": "3.1.0",
        "through": 1,
        "models": ["churn"],
        "checked": 2,
    }
    found = {**mismatch("1").document(), "model": "churn"}
    exported = [{"model": "churn", "version": "1", "number": "1", "digest": "0" * 64}]

    def after(action: str, versions: list[Any], mismatches: list[Any], count: int) -> Exported:
        chain.add(
            kinds.EXPORTED,
            {},
            {**data, "action": action, "versions": versions, "mismatches": mismatches, "count": count},
        )
        return chain.state.exports["mlflow", "http://h"]

    done = after("export", exported, [], 0)
    assert not done.doubtful("churn", "1")
    done = after("check", [], [found], 1)
    assert (done.doubtful("churn", "1"), done.doubtful("churn", "2")) == (True, False)
    assert done.versions["churn", "1"] == ("1", "0" * 64)
    assert not after("check", [], [], 0).doubtful("churn", "1")
    # More than the event lists: any version may be among them.
    done = after("check", [], [found] * 1000, 1001)
    assert done.doubtful("churn", "2")
    assert not after("export", [], [], 0).doubtful("churn", "2")


# -- before anything is written --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "local"),
    [
        ("/srv/mlruns/1", True),
        ("./mlruns/1", True),
        ("file:///srv/mlruns", True),
        ("C:\\mlruns", True),
        ("mlflow-artifacts:/1", False),
        ("s3://bucket/1", False),
        ("dbfs:/databricks/1", False),
        ("", False),
    ],
)
def test_what_is_a_directory(location: str, *, local: bool) -> None:
    assert is_local(location) is local


def test_a_server_lends_no_directory_and_a_store_of_this_machine_does(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    client: Any = None
    server = Server(uri="http://h:5000", version="3.0.0", client=client)
    with pytest.raises(LocalArtefacts, match="--serve-artifacts"):
        server.repository(str(tmp_path))
    assert server.repositories == {}
    store = Server(uri=str(tmp_path), version="3.0.0", client=client)
    assert store.repository(str(tmp_path)).list_artifacts() == []


def test_a_ledger_that_cannot_be_written_is_told_before_a_server_is_asked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    world.register("1")
    nobody = "http://127.0.0.1:9"
    registry = world.as_()
    from manual_registry.adapters import files

    real = files.os.access
    ledger = str(world.root / "ledger")
    monkeypatch.setattr(files.os, "access", lambda path, mode: str(path) != ledger and real(path, mode))
    for options in ({}, {"verify_only": True, "record": True}):
        with pytest.raises(StorageReadOnly, match="ledger"):
            registry.export_mlflow(nobody, **options)  # type: ignore[arg-type]
    for options in ({"verify_only": True}, {"dry_run": True}):  # need not write
        with pytest.raises(ServerDown):
            registry.export_mlflow(nobody, **options)  # type: ignore[arg-type]
