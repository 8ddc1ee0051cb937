"""What an import says, and what it makes of odd answers, without a server."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow_offers import arranged, exported, full, offer, plain, run

from manual_registry.core.canonical import dump, parse
from manual_registry.core.errors import ExportUnfinished
from manual_registry.core.handover import since, through
from manual_registry.core.handover.arranging import LeftOut
from manual_registry.core.handover.entities import History, Metric
from manual_registry.core.handover.mapping import EXPORTING, THROUGH
from manual_registry.core.handover.through import Begun
from manual_registry.core.stated import command_again
from manual_registry.registry.brought import Brought

LATER = History(
    values={"auc": tuple(Metric(name="auc", value=v, timestamp=v, step=v) for v in (1, 2, 3))}, cut=("loss",)
)


# -- an export that has not ended --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "run_tags", "begun"),
    [
        ({THROUGH: "9"}, {EXPORTING: "9"}, None),
        ({THROUGH: "9"}, {EXPORTING: "9 12 15:production"}, Begun(15, "production")),
        ({THROUGH: "9"}, {}, None),
        ({}, {EXPORTING: "4"}, Begun(4)),
        ({THROUGH: "x"}, {EXPORTING: "nonsense"}, None),
        (None, None, None),
    ],
)
def test_an_export_that_has_not_ended(
    version: dict[str, str] | None, run_tags: dict[str, str] | None, begun: Begun | None
) -> None:
    assert through.unfinished(version, run_tags) == begun


def half(*, broken: bool) -> Any:
    """Return a version of ours while an export of it is under way; ``broken``: its papers are half written."""
    one = exported(full())
    found = one.entities
    assert found.run is not None
    assert found.registered is not None
    registered = replace(found.registered, tags={**found.registered.tags, THROUGH: "3"})
    begun = replace(found.run, tags={**found.run.tags, EXPORTING: "3 7", "aisdp.owner": "another"})
    papers = {**one.papers, "events.jsonl": b"{}\n"} if broken else one.papers
    return replace(one, entities=replace(found, run=begun, registered=registered), papers=papers)


def test_what_an_export_left_half_is_no_finding() -> None:
    done = arranged(half(broken=True))
    (left,) = done.left_out
    assert (left.differs, left.code) == (False, ExportUnfinished.code)
    assert "through event 7 was interrupted, or is running now; repeat the export" in left.reason
    whole = arranged(half(broken=False))
    assert [one.ref for one in whole.arrivals]
    assert len(whole.warnings) == 1
    assert "comes as its record.json says" in whole.warnings[0]


def test_the_exit_status_tells_what_to_repeat() -> None:
    def status(*codes: str | None, differs: bool = False) -> int:
        left = [LeftOut(name="m", number=1, reason="r", code=code) for code in codes]
        left += [LeftOut(name="m", number=2, reason="r", differs=True)] if differs else []
        return Brought(uri="u", server="3", dry_run=False, left_out=left).exit_status

    assert [status(), status(None), status("MR-C042"), status("MR-C042", "MR-X045")] == [0, 0, 6, 8]
    assert status("MR-X045", differs=True) == 4


# -- every value of a metric -------------------------------------------------------------------------------------


def test_the_values_of_a_metric_are_kept_and_told() -> None:
    assert LATER.document() == {"values": [["auc", [[1, 1, 1], [2, 2, 2], [3, 3, 3]]]], "cut": ["loss"]}
    assert LATER.told("auc", "it") == "all 3 are in it"
    assert "too many" in (LATER.told("loss", "it") or "")
    assert LATER.told("other", "it") is None
    odd = History(
        values={"n": (Metric(name="n", value=math.nan, timestamp=1), Metric(name="n", value=math.inf, timestamp=2))}
    )
    assert odd.document()["values"] == [["n", [[0, 1, "nan"], [0, 2, "inf"]]]]
    made = replace(plain(run=run(metrics=(Metric(name="auc", value=3, timestamp=3, step=3),))), history=LATER)
    (found,) = arranged(made).arrivals
    assert {one.field: one.reason for one in found.lost}["metric auc"] == (
        "its last value, of step 3; all 3 are in the snapshot"
    )
    document: Any = parse(offer(made).snapshot())
    assert document["versions"][0]["run"]["history"] == LATER.document()


class Page(list[Any]):
    """A page of MLflow's."""

    def __init__(self, found: list[Any], token: str | None = None) -> None:
        super().__init__(found)
        self.token = token


def histories(pages: Mapping[Any, Page]) -> Any:
    """Return what reads them from a server that gives these pages."""
    pytest.importorskip("mlflow")
    from manual_registry.adapters.mlflow.histories import Histories

    client = SimpleNamespace(get_metric_history=lambda _run, _name, max_results, page_token: pages[page_token])
    return Histories(SimpleNamespace(uri="http://x", client=client))  # type: ignore[arg-type]


def value(number: int) -> Any:
    """Return a value as MLflow's client gives it."""
    return SimpleNamespace(key="auc", value=float(number), timestamp=number, step=number)


@pytest.mark.slow
def test_histories_end(monkeypatch: pytest.MonkeyPatch) -> None:
    logged = run(metrics=(Metric(name="auc", value=1, timestamp=1),))
    whole = histories({None: Page([value(2)], "a"), "a": Page([value(1)])}).of("r", logged)
    assert ([one.step for one in whole.values["auc"]], whole.cut) == ([1, 2], ())
    for pages in ({None: Page([value(1)], "a"), "a": Page([value(2)], "a")}, {None: Page([], "a")}):
        assert histories(pages).of("r", logged).cut == ("auc",)
    monkeypatch.setattr("manual_registry.adapters.mlflow.histories.OF_RUN", 3)
    many = histories({None: Page([value(number) for number in range(9)])}).of("r", logged)
    assert (len(many.values["auc"]), many.cut) == (3, ("auc",))


@pytest.mark.slow
def test_pages_that_lead_in_a_circle() -> None:
    pytest.importorskip("mlflow")
    from manual_registry.adapters.mlflow.finding import pages
    from manual_registry.core.errors import ServerRefused

    with pytest.raises(ServerRefused, match="circle"):
        pages(lambda _token: Page([1], "a"))
    with pytest.raises(ServerRefused, match="no end"):
        pages(lambda token: Page([1, 2], f"{token}x"), most=10)


# -- what is wrong with a store ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("problem", "code", "words"),
    [
        (type("NoCredentialsError", (Exception,), {})("Unable to locate credentials"), "MR-X045", "AWS_ACCESS_KEY_ID"),
        (RuntimeError("An error occurred (SignatureDoesNotMatch)"), "MR-X045", "does not let us in"),
        (RuntimeError("An error occurred (NoSuchBucket)"), "MR-X045", "not there any more"),
        (RuntimeError('Could not connect to the endpoint URL: "http://x"'), "MR-X045", "does not answer"),
        (ModuleNotFoundError("no", name="botocore.client"), "MR-X004", "botocore is needed"),
        (RuntimeError("An error occurred (NoSuchKey)"), "MR-X043", "refused"),
        (AttributeError("'list' has no get"), "MR-X043", "refused"),
    ],
)
def test_why_a_store_cannot_be_had(problem: Exception, code: str, words: str) -> None:
    pytest.importorskip("mlflow")
    from manual_registry.adapters.mlflow.stores import unavailable
    from manual_registry.core.errors import RegistryError

    server: Any = SimpleNamespace(uri="http://127.0.0.1:1")
    with (
        pytest.raises(RegistryError, match=words) as caught,
        unavailable(server, "listing", "s3://user:secret@bucket/x"),
    ):
        raise problem
    assert caught.value.code == code
    assert "secret" not in str(caught.value)
    assert caught.value.hint == ("pip install boto3" if code == "MR-X004" else None)


# -- what became of files -----------------------------------------------------------------------------------------


def test_listings_are_compared_by_name_and_size() -> None:
    assert since.changed({"a": 1, "b": -1}, {"a": 1, "b": 7}) is None
    said = since.changed({"a": 1, "b": 2}, {"a": 3, "c\n": 4})
    assert said == "a has 3 bytes, it had 1, b is gone, c\\n came to it"
    assert "and 4 more" in (since.changed({}, {str(number): 1 for number in range(9)}) or "")
    snapshot = offer(plain("m", 2, files={"data": 7})).snapshot()
    assert since.kept_files(snapshot)["m", 2] == {"data": 7}
    for bad in (b"", b"[]", b"{}", dump({"versions": [{"model": 1}]})):
        assert since.kept_files(bad) == {}


# -- commands to type again -----------------------------------------------------------------------------------------


def test_the_command_that_goes_on_names_the_models_that_came() -> None:
    records: Any = [SimpleNamespace(adopted={"sheet": name}) for name in ("churn", "Credit Risk", "churn")]
    line = "mreg import mlflow --tracking-uri http://h --model churn --model 'Credit Risk'"
    assert command_again("http://h", records) == line
    many: Any = [SimpleNamespace(adopted={"sheet": str(number)}) for number in range(9)]
    assert command_again("http://h", many) == "mreg import mlflow --tracking-uri http://h"
    assert command_again("my sheet.xlsx", records) == "mreg adopt 'my sheet.xlsx'"


def test_a_text_that_is_too_long_is_cut_in_the_entry_alone() -> None:
    began = time.monotonic()
    made = plain(tags={"long": "x" * 200_000}, description="y" * 200_000)
    (found,) = arranged(made).arrivals
    assert found.data["tags"] == {}
    assert found.stated["tag long"].endswith("… [200000 characters, the snapshot has them all]")
    assert len(dump(dict(found.stated))) < 50_000
    assert time.monotonic() - began < 5
    assert b"x" * 200_000 in offer(made).snapshot()
