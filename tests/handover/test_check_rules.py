"""What a check takes for somebody's doing, by its rules alone; without a server."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from manual_registry.adapters.mlflow.finding import Owner
from manual_registry.adapters.mlflow.reading import Shelf
from manual_registry.adapters.mlflow.server import plain_address
from manual_registry.adapters.mlflow.sorting import sort_in
from manual_registry.core.errors import BadTrackingAddress
from manual_registry.core.handover import comparing, through, verdict
from manual_registry.core.handover.mapping import COMPOSITE_ID, MODEL, REGISTRY_ID, THROUGH, VERIFIED, VERSION
from manual_registry.core.handover.through import Begun
from manual_registry.core.records import Exported

OK = f"ok sha256:{'a' * 64}"
STAGE, NOTE, POISON = ("version.tag", "stage"), ("version.tag", "note"), ("run.dataset", "training x 1")


def test_what_equals_an_earlier_export_is_behind_and_the_rest_is_somebodys_doing() -> None:
    ours = {STAGE: "production", NOTE: "new", ("version", "description"): "d"}
    base = {STAGE: "staging", ("version", "description"): "d"}
    for found, others in (
        (base, []),
        ({**base, STAGE: "experimental"}, [STAGE]),
        ({("version", "description"): "d"}, [STAGE]),
        ({**base, NOTE: "theirs"}, [NOTE]),
        ({**base, POISON: "[]"}, [POISON]),
        ({**base, ("run.dataset", "eval x 1"): "[]", ("version.tag", "own"): "1"}, []),
    ):
        told = comparing.check(ours, found, model="m", version="1")
        left, behind = comparing.apart(told, [base], found)
        assert [(one.place, one.name) for one in left] == others, found
        assert len(left) + len(behind) == len(told)
        assert comparing.apart(told, [], found) == (told, [])


def test_tags_that_were_set_back_excuse_nothing() -> None:
    begun = [Begun(3), Begun(9), Begun(7, "champion"), Begun(7)]
    assert through.counting(begun, None) == begun
    assert through.counting(begun, (7, "")) == [Begun(7), Begun(9)]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (f"{OK} 2026-01-01T00:00:00Z", False),
        (f"ok sha256:{'b' * 64}", True),
        ("2 mismatches sha256:" + "c" * 64, True),
        ("ok", True),
        ("MISMATCH", True),
        (None, True),
    ],
)
def test_the_outcome_of_a_read_back_is_what_the_ledger_says(said: str | None, told: bool) -> None:
    tags = {THROUGH: "7"} if said is None else {THROUGH: "7", VERIFIED: said}
    key = ("m", "1")
    before = Exported(versions={key: ("1", "a" * 64)}, marks={key: (7, "")}, seq=8, at="2026-01-02")
    assert (verdict.edited(tags, before, *key) is not None) == told
    # Of an export that was not recorded the form alone is known.
    loose = {**tags, THROUGH: "9"}
    assert (verdict.edited(loose, before, *key) is not None) == (said in ("ok", "MISMATCH"))
    assert (verdict.edited(tags, Exported(), *key) is not None) == (said in ("ok", "MISMATCH"))


def test_mismatches_that_an_export_wrote_stay_said_until_it_reads_again() -> None:
    tags, key = {THROUGH: "7", VERIFIED: "2 mismatches sha256:" + "c" * 64}, ("m", "1")
    before = Exported(versions={key: ("1", "a" * 64)}, marks={key: (7, "")}, seq=8, at="2026-01-02")
    before.mismatches["m"] = [{"version": "1"}]
    assert verdict.edited(tags, before, *key) is None
    before.mismatches["m"], before.checked_at = [], "2026-01-03"
    assert verdict.edited(tags, before, *key) is None


# -- which version it is ------------------------------------------------------------------------------------------


def parts(number: int, name: str, **tags: dict[str, str]) -> tuple[Any, Any, Any]:
    """Return run, logged model and model version; ``tags`` by part."""
    run = SimpleNamespace(
        info=SimpleNamespace(run_id=f"r{number}", lifecycle_stage="active"), data=SimpleNamespace(tags=tags["run"])
    )
    model = SimpleNamespace(model_id=f"m-{number}", name=name, tags=tags["model"], creation_timestamp=number)
    source = f"models:/m-{number}"
    return run, model, SimpleNamespace(version=number, run_id=f"r{number}", source=source, tags=tags["version"])


def tagged(version: str, composite: str | None = None, registry: str = "r") -> dict[str, str]:
    """Return tags as an export writes them."""
    return {REGISTRY_ID: registry, MODEL: "m", VERSION: version, COMPOSITE_ID: composite or f"c{version}"}


def sort(owner: Owner, *found: tuple[Any, Any, Any]) -> Shelf:
    """Sort parts in."""
    shelf = Shelf(model="m", owner=owner, registered=SimpleNamespace(tags=tagged("")))
    sort_in(shelf, owner, *([each[place] for each in found] for place in range(3)))
    return shelf


def test_which_version_it_is_most_of_it_says_and_the_ledger_where_that_leaves_none() -> None:
    known = {"composites": {"c1": "1", "c2": "2"}, "names": {"m-1": "1", "m-2": "2"}}
    plain, recorded = Owner("r", "m", **known), Owner("r", "m", **known, numbers={"1": "1", "2": "2"})
    one = parts(1, "m-1", run=tagged("1"), model=tagged("1"), version=tagged("1"))
    edited = parts(2, "m-2", run=tagged("2"), model=tagged("7"), version=tagged("3.3.3"))
    wiped = parts(2, "m-2", run=tagged("1", "x"), model={}, version=tagged("1", "x"))
    for owner, two in ((plain, edited), (recorded, edited), (recorded, wiped)):
        shelf = sort(owner, one, two)
        assert (shelf.held("2").registered is two[2], shelf.held("1").registered is one[2]) == (True, True)
        assert (shelf.claims, shelf.held("1").doubles, shelf.held("2").doubles) == ([], [], [])


def test_what_only_claims_to_be_ours_is_told_and_peoples_own_is_not() -> None:
    owner = Owner("r", "m", composites={"c1": "1"}, names={"m-1": "1"}, numbers={"1": "1"})
    one = parts(1, "m-1", run=tagged("1"), model=tagged("1"), version=tagged("1"))
    forged = parts(2, "x", run={}, model={}, version=tagged("9.9", "c1"))
    second = parts(3, "x", run={}, model={}, version=tagged("1"))
    theirs = parts(4, "x", run={"own": "1"}, model={}, version={"stage": "production"})
    loose = parts(5, "x", run=tagged("8"), model=tagged("8"), version={})
    shelf = sort(owner, forged, second, theirs, loose, one)
    assert shelf.held("1").registered is one[2]
    assert shelf.held("1").doubles == ["model version 3"]
    assert sorted(shelf.claims) == [
        ("model", "logged model m-5", "8"),
        ("run", "run r5", "8"),
        ("version", "model version 2", "9.9"),
    ]
    # Nothing of another registry's is claimed, whatever it is called.
    foreign = parts(1, "m-1", run=tagged("1", registry="z"), model={}, version=tagged("1", registry="z"))
    shelf = sort(Owner("r", "m", composites={"c1": "1"}, names={"m-1": "1"}), foreign)
    assert shelf.versions == {}


# -- an address ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uri", ["localhost:5951", "mlflow.example.org", "10.0.0.1:5000/x", "host:5000"])
def test_an_address_without_its_beginning_is_offered_whole(uri: str) -> None:
    with pytest.raises(BadTrackingAddress, match="lacks the http") as caught:
        plain_address(uri)
    assert caught.value.hint == f"--tracking-uri http://{uri}"


@pytest.mark.parametrize("uri", ["mlruns", "file:///tmp/x", "sqlite:///x.db", "databricks", "", "C:/x", "http://"])
def test_what_is_no_address_is_offered_a_server(uri: str) -> None:
    with pytest.raises(BadTrackingAddress) as caught:
        plain_address(uri)
    assert "mlflow server" in (caught.value.hint or "")
