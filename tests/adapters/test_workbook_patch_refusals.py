"""What the patcher does not know it refuses, in words, and the older way is taken; what `sync` decided it does."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from test_workbook_patch import BASE, CHANGED, GROWN, made_by, refresh, touched
from workbook_files import Extra, opens, parts_of, with_parts, zipped
from workbook_views import model_row, with_row

from manual_registry.adapters.workbook import OpenpyxlWorkbook
from manual_registry.core.view import View
from manual_registry.ports import Instructions

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
BOOK = OpenpyxlWorkbook(clock=lambda: NOW)
SHEET = "xl/worksheets/sheet1.xml"


def changed(part: str, *swaps: tuple[str, str]) -> bytes:
    """Return BASE as saved by openpyxl with the text of one part changed."""
    parts = parts_of(made_by("ours by openpyxl"))
    text = parts[part].decode()
    for pattern, new in swaps:
        assert re.search(pattern, text), pattern
        text = re.sub(pattern, new, text)
    parts[part] = text.encode()
    return zipped(parts)


def utf16(part: str) -> bytes:
    parts = parts_of(made_by("ours by openpyxl"))
    parts[part] = ('<?xml version="1.0" encoding="UTF-16"?>' + parts[part].decode()).encode("utf-16")
    return zipped(parts)


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "cells without places": (
        lambda: changed(SHEET, (r'<c r="[A-Z]+(6|7)"', "<c")),
        "row 6 is written in another way",
    ),
    "rows without numbers": (lambda: changed(SHEET, (r'<row r="\d+"', "<row")), "written in another way"),
    "a prefix": (
        lambda: changed(SHEET, (r"<(/?)(?=\w)", r"<\1x:"), (r"(<x:worksheet) xmlns=", r"\1 xmlns:x=")),
        "written in another way",
    ),
    "UTF-16": (lambda: utf16(SHEET), "written in another way"),
    "a UTF-16 table": (lambda: utf16("xl/tables/table1.xml"), "not in UTF-8"),
    "a shared formula": (
        lambda: changed(
            SHEET,
            (
                r'<c r="I6"([^>]*) t="inlineStr">.*?</c>',
                r'<c r="I6"\1 t="str"><f t="shared" ref="I6:I7" si="0">"x"</f></c>',
            ),
        ),
        "",
    ),
    "a signature": (
        lambda: with_parts(
            made_by("ours by openpyxl"),
            Extra("_xmlsignatures/sig1.xml", b"<a/>", "application/xml", "xl/workbook.xml", "http://x/signature"),
        ),
        "digital signature",
    ),
    "cells out of order": (
        lambda: changed(SHEET, (r'(<c r="A6".*?</c>)(<c r="B6".*?</c>)', r"\2\1")),
        "row 6",
    ),
}


@pytest.mark.parametrize("case", [case for case in REFUSED if case != "a shared formula"])
def test_the_older_way_is_taken_and_told(tmp_path: Path, case: str) -> None:
    path = tmp_path / "registry.xlsx"
    path.write_bytes(REFUSED[case][0]())
    assert BOOK.read(path, BASE).differences == ()
    done = BOOK.refresh(path, BASE, GROWN)
    assert done.written
    assert len(done.warnings) == 1
    assert "could not be changed in place" in done.warnings[0]
    assert REFUSED[case][1] in done.warnings[0]
    assert BOOK.read(path, GROWN).differences == ()


def test_a_formula_over_several_cells_is_a_difference_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "registry.xlsx"
    path.write_bytes(REFUSED["a shared formula"][0]())
    done = BOOK.refresh(path, BASE, GROWN)
    assert (done.waiting, done.warnings) == (1, ())
    assert b'<f t="shared" ref="I6:I7" si="0">' in parts_of(path.read_bytes())[SHEET]
    done = BOOK.refresh(path, GROWN, GROWN, sync=Instructions())
    assert "belongs to a formula over several cells" in done.warnings[-1]
    assert BOOK.read(path, GROWN).differences == ()


def test_an_untouched_file_that_cannot_be_patched_is_rendered_without_a_word(tmp_path: Path) -> None:
    path = tmp_path / "registry.xlsx"
    from manual_registry.adapters.workbook.render import render_bytes

    empty = replace(BASE, sheets=(replace(BASE.sheets[0], rows=()), *BASE.sheets[1:]))
    path.write_bytes(render_bytes(empty))
    done = BOOK.refresh(path, empty, BASE)
    assert (done.written, done.warnings) == (True, ())
    assert opens(path.read_bytes())["Models"]["C5"].font.underline == "single"


def test_an_untouched_file_stays_untouched_and_in_the_views_order(tmp_path: Path) -> None:
    from manual_registry.adapters.workbook.read import read_book

    path = tmp_path / "registry.xlsx"
    path.write_bytes(made_by("ours"))
    first = replace(model_row(40), links={"Storage location": "models/first/"})
    rows = (first, *BASE.sheets[0].rows)
    new = replace(BASE, head_seq=13, sheets=(replace(BASE.sheets[0], rows=rows), *BASE.sheets[1:]))
    done = BOOK.refresh(path, BASE, new)
    assert (done.warnings, done.set_aside) == ((), None)
    book = read_book(path.read_bytes(), "x")
    assert book.untouched
    assert [book.grids["Models"].cells[at][21] for at in range(5, 18)] == [row.row_id for row in rows]
    models = opens(path.read_bytes())["Models"]
    assert [models[f"C{at}"].hyperlink.target for at in range(5, 18)] == [row.links["Storage location"] for row in rows]
    assert models.tables["Models"].ref == "A4:U17"


def test_macros_are_never_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "registry.xlsm"
    path.write_bytes(
        changed(
            "[Content_Types].xml",
            (r"openxmlformats-officedocument.spreadsheetml.sheet.main", "ms-excel.sheet.macroEnabled.main"),
        )
    )
    before = path.read_bytes()
    assert BOOK.read(path, BASE).differences == ()
    done = BOOK.refresh(path, BASE, GROWN)
    assert (done.written, done.set_aside) == (False, None)
    assert "macros" in done.warnings[0]
    assert path.read_bytes() == before


def test_what_is_read_with_a_word_of_warning(tmp_path: Path) -> None:
    path = tmp_path / "registry.xlsx"

    def change(workbook: Any) -> None:
        workbook["Models"]["B6"] = '="1.0.0"'
        workbook["Models"].merge_cells("H7:I8")
        workbook.create_sheet("Mine").sheet_state = "hidden"
        workbook.create_sheet("Deep").sheet_state = "veryHidden"

    touched(path, change)
    link = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/externalLink"
    path.write_bytes(
        with_parts(
            path.read_bytes(),
            Extra("xl/externalLinks/externalLink1.xml", b"<a/>", "application/xml", "xl/workbook.xml", link),
        )
    )
    told = "\n".join(BOOK.read(path, BASE).notices)
    for part in (
        "links to other workbooks",
        "hidden sheets (Mine)",
        "very hidden: Deep",
        "merged (Models!H7:I8)",
        "Models!B6",
    ):
        assert part in told
    touched(path, lambda workbook: None)
    assert BOOK.read(path, BASE).notices == ()


def volatile(view: View) -> View:
    """Let Check be what it is in a real register: told by the tool, and never an edit."""
    models = view.sheets[0]
    columns = tuple(replace(one, volatile=True) if one.header == "Check" else one for one in models.columns)
    return replace(view, sheets=(replace(models, columns=columns), *view.sheets[1:]))


# -- sync ---------------------------------------------------------------------------------------------------


def _edited(workbook: Any) -> None:
    models = workbook["Models"]
    models["M5"], models["I6"], models["R7"], models["S8"] = "tampered", "production", "my owner", "my note"
    models["B9"] = '="1.0.0"'
    models.delete_rows(16)
    for column in range(1, 22):
        models.cell(17, column).value = models.cell(10, column).value
    models["A18"], models["B18"], models["W18"] = "churn", "9.9", "mine"
    models["A19"] = "half"


def test_sync_puts_back_accepts_keeps_adopts_and_says(tmp_path: Path) -> None:
    path = tmp_path / "registry.xlsx"
    touched(path, _edited)
    before = path.read_bytes()
    typed = BOOK.read(path, BASE).typed
    assert [(one.sheet, one.number, one.cells["Model"], one.cells["Version"]) for one in typed] == [
        ("Models", 18, "churn", "9.9"),
        ("Models", 19, "half", None),
    ]
    owner = replace(model_row(2), cells={**model_row(2).cells, "Owner": "my owner"})
    adopted = replace(
        model_row(50),
        row_id="churn@9.9",
        cells={**model_row(50).cells, "Model": "churn", "Version": "9.9", "Check": None},
    )
    base = volatile(BASE)
    new = with_row(with_row(base, "Models", owner), "Models", adopted)
    said = Instructions(
        accept=frozenset({("Models", model_row(2).row_id, "Owner")}),
        keep=frozenset({("Models", model_row(3).row_id, "Notes")}),
        adopt={("Models", 18): "churn@9.9"},
        says={
            ("Models", model_row(1).row_id): "! no",
            ("Models", 19): "Version missing",
            ("Models", "churn@9.9"): "=taken",
        },
    )
    done = BOOK.refresh(path, base, new, sync=said)
    assert done.set_aside is not None
    assert done.set_aside.read_bytes() == before
    assert done.waiting == 3  # the kept note, the copied row, the half-typed row
    models = opens(path.read_bytes())["Models"]
    values = {
        name: models[name].value
        for name in ("M5", "I6", "R7", "S8", "B9", "T6", "U18", "B18", "W18", "T19", "A19", "T18")
    }
    assert values == {
        "M5": model_row(0).cells["SHA-256"],
        "I6": model_row(1).cells["Stage"],
        "R7": "my owner",
        "S8": "my note",
        "B9": model_row(4).cells["Version"],
        "T6": "! no",
        "U18": "churn@9.9",
        "B18": "9.9",
        "W18": "mine",
        "T19": "Version missing",
        "A19": "half",
        "T18": "=taken",
    }
    assert models["C18"].hyperlink.target == model_row(50).links["Storage location"]
    assert models["T18"].data_type == "s"
    found = {(one.row, one.column, one.found) for one in BOOK.read(path, new).differences}
    assert found == {
        (model_row(3).row_id, "Notes", "my note"),
        (model_row(5).row_id, None, "copied"),
        ("", None, "typed"),
    }
    ids = [models.cell(row, 21).value for row in range(5, 25)]
    assert model_row(11).row_id in ids[14:]  # the deleted row has come back below


def test_a_second_sync_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "registry.xlsx"
    touched(path, _edited)
    said = Instructions(says={("Models", 18): "told", ("Models", 19): "told", ("Models", model_row(1).row_id): "! no"})
    base, new = volatile(BASE), volatile(CHANGED)
    assert BOOK.refresh(path, base, new, sync=said).written
    before = path.read_bytes()
    assert not BOOK.refresh(path, new, new, sync=said).written
    assert path.read_bytes() == before
    done = BOOK.refresh(path, new, new, sync=Instructions())
    assert done.written  # what was said is over and goes away
    assert opens(path.read_bytes())["Models"]["T6"].value == model_row(1).cells["Check"]


def test_sync_does_the_same_the_older_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from manual_registry.adapters.workbook import patch
    from manual_registry.adapters.workbook.container import Unpatchable

    def refuse(*_: object) -> None:
        raise Unpatchable("of this test")

    monkeypatch.setattr(patch, "patched", refuse)
    test_sync_puts_back_accepts_keeps_adopts_and_says(tmp_path)


def test_overwritten_formulas_leave_the_calculation_chain(tmp_path: Path) -> None:
    path = tmp_path / "registry.xlsx"
    touched(path, lambda workbook: workbook["Models"].__setitem__("B9", '="1.0.0"'))
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/calcChain"
    start = b'<calcChain xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    chain = start + b'<c r="D2" i="2"/><c r="B9" i="1"/><c r="D2"/><c r="D2" i="3"/></calcChain>'
    content = "application/vnd.openxmlformats-officedocument.spreadsheetml.calcChain+xml"
    path.write_bytes(with_parts(path.read_bytes(), Extra("xl/calcChain.xml", chain, content, "xl/workbook.xml", kind)))
    assert BOOK.refresh(path, BASE, CHANGED, sync=Instructions()).written
    assert parts_of(path.read_bytes())["xl/calcChain.xml"].endswith(
        b'<c r="D2" i="2"/><c r="D2" i="1"/><c r="D2" i="3"/></calcChain>'
    )


def test_refresh_checks_itself(tmp_path: Path) -> None:
    """The helper that compares a person's things does find a change."""
    path = tmp_path / "registry.xlsx"
    path.write_bytes(made_by("dressed"))
    real = BOOK.refresh

    def meddling(*given: Any) -> Any:
        done = real(*given)
        parts = parts_of(path.read_bytes())
        parts[SHEET] = parts[SHEET].replace(b"<v>42.5</v>", b"")
        path.write_bytes(zipped(parts))
        return done

    with pytest.raises(AssertionError), pytest.MonkeyPatch.context() as patches:
        import test_workbook_patch

        patches.setattr(test_workbook_patch.BOOK, "refresh", meddling)
        refresh(path, BASE, GROWN)
