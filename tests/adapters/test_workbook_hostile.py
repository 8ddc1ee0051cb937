"""Hostile and broken files: each is refused with its code and place, at once, and nothing is written."""

from __future__ import annotations

import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from manual_registry.adapters.workbook import OpenpyxlWorkbook
from manual_registry.adapters.workbook.errors import is_fixable
from manual_registry.core.errors import WorkbookUnreadable
from manual_registry.core.view import Column, Row, Sheet, View

FOLDER = Path(__file__).parent / "hostile"
CASES = [line.split("\t") for line in (FOLDER / "places.tsv").read_text().splitlines()]
COLUMNS = tuple(Column(header=header) for header in ("Model", "Version", "Notes", "Row id"))
ROW = Row(row_id="churn@1", cells={"Model": "churn", "Version": "1"})
BASE = View(
    registry_id="0" * 32,
    system="x",
    head_seq=1,
    head_hash="sha256:" + "0" * 64,
    as_of="2026-11-24T08:00:00.000Z",
    sheets=(Sheet(name="Models", title="Models", columns=COLUMNS, rows=(ROW,)),),
    read_me=(),
)
BOOK = OpenpyxlWorkbook()


@pytest.fixture
def path(tmp_path: Path, name: str) -> Path:
    found = tmp_path / "registry.xlsx"
    found.write_bytes((FOLDER / f"{name}.xlsx").read_bytes())
    return found


@pytest.mark.parametrize(("name", "place"), CASES)
def test_refused_with_code_and_place_within_a_second(path: Path, name: str, place: str) -> None:
    begun = time.process_time()
    with pytest.raises(WorkbookUnreadable) as refused:
        BOOK.read(path, BASE)
    assert time.process_time() - begun < 1
    assert refused.value.code == name.partition("_")[0]
    assert place in (refused.value.location or "")
    assert (refused.value.location or "").startswith("registry.xlsx")
    assert refused.value.hint


@pytest.mark.parametrize(("name", "place"), CASES)
def test_within_a_hundred_megabytes(path: Path, name: str, place: str) -> None:
    if sys.gettrace() is not None:
        pytest.skip("memory cannot be measured under a debugger")
    tracemalloc.start()
    try:
        with pytest.raises(WorkbookUnreadable):
            BOOK.read(path, BASE)
        assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("name", "place"), CASES)
def test_what_a_person_can_put_right_is_left_alone_and_the_rest_kept_whole(path: Path, name: str, place: str) -> None:
    before = path.read_bytes()
    with pytest.raises(WorkbookUnreadable) as refused:
        BOOK.read(path, BASE)
    done = BOOK.refresh(path, BASE, BASE)
    if is_fixable(refused.value):
        assert (done.written, path.read_bytes()) == (False, before)
    else:
        assert done.set_aside is not None
        assert done.set_aside.read_bytes() == before
    assert done.warnings


def test_the_small_workbook_that_they_are_made_of_is_read(tmp_path: Path) -> None:
    sys.path.insert(0, str(FOLDER))
    try:
        import make  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(FOLDER))
    path = tmp_path / "registry.xlsx"
    path.write_bytes(make.zipped(make.parts()))
    assert BOOK.read(path, BASE).differences == ()
    made = {name for name, _, _ in make.cases()}
    assert made == {one.stem for one in FOLDER.glob("*.xlsx")} == {name for name, _ in CASES}
