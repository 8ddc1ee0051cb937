"""Whole messy workbooks: tables found, rows sorted out, everything that is not certain asked, nothing lost."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter  # type: ignore[import-untyped]
from adopt_sheets import HEADINGS, book, digest, kinds, names, proposed, reasons, told
from openpyxl.comments import Comment
from openpyxl.workbook.properties import CalcProperties

from manual_registry.adapters.adoption import propose
from manual_registry.adapters.workbook.render import render_bytes
from manual_registry.core.adoption import Answers, TableAnswers, report
from manual_registry.core.errors import BadValue
from manual_registry.core.values import Stage

ROW = (
    "Credit Risk",
    "1.0",
    "models/a.pkl",
    "a" * 64,
    "2024-03-10",
    "AUC 0.91; DPR 0.84",
    "prod",
    "Ada",
    "2024-03-12",
    "Bob",
)


def answers(**said: Any) -> Answers:
    words = {key: said.pop(key) for key in ("stage_words", "model_names") if key in said}
    return Answers(tables=(TableAnswers(sheet="Models", **said),), **words)


# -- a plain sheet ----------------------------------------------------------------------------------------


def test_a_clean_sheet_asks_nothing_and_keeps_every_value_with_its_cell(tmp_path: Path) -> None:
    found = proposed(tmp_path, [HEADINGS, ROW])
    assert kinds(found) == []
    assert found.not_imported == ()
    (row,) = found.rows
    assert (row.model, row.version, row.stated_model) == ("credit-risk", "1.0", "Credit Risk")
    assert row.metrics == {"auc": 0.91, "dpr": 0.84}
    assert row.parsed("stage") is Stage.PRODUCTION
    assert (row.parsed("training_date"), row.parsed("approval_date")) == ("2024-03-10", "2024-03-12")
    assert (row.raw("stage"), row.raw("owner"), row.raw("notes")) == ("prod", "Bob", None)
    assert row.values["sha256"].place == "Models!D2"
    assert row.hashes[0].parsed.whole


def test_headings_anywhere_in_the_first_rows_below_merged_titles(tmp_path: Path) -> None:
    def merge(workbook: Any) -> None:
        workbook["Models"].merge_cells("A1:J1")
        workbook["Models"].merge_cells("A2:J3")

    filler: list[tuple[Any, ...]] = [
        ("ML model tracking 2024",),
        ("Team Risk, as of March",),
        (),
        (),
        ("Legend: prod = in use", None, "x"),
    ]
    rows = [*filler, *[("remark", index) for index in range(13)], HEADINGS, ROW]
    found = proposed(tmp_path, rows, change=merge)
    assert names(found) == [(20, "credit-risk", "1.0")]
    assert found.plan.tables[0].header_row == 19


def test_totals_footnotes_blank_rows_sections_and_repeated_headings_are_told(tmp_path: Path) -> None:
    rows = [
        HEADINGS,
        ROW,
        (),
        ("Retired models",),
        ("Fraud", "2.0", "models/b.pkl"),
        HEADINGS,
        ("Churn", "3", "models/c.pkl"),
        ("Total", 3),
        ("Total:", None, None, None, None, "=SUM(B2:B5)"),
        ("* as of last week",),
        ("1) the old ones are gone",),
        ("Summe: 3 Modelle",),
        ("Orphan", None, "models/d.pkl"),
        (None, None, None, None, None, "AUC 0.5", None, "Ada"),
        ("Total loss", "1", "models/e.pkl"),
    ]
    found = proposed(tmp_path, rows)
    assert names(found) == [(2, "credit-risk", "1.0"), (5, "fraud", "2.0"), (7, "churn", "3"), (15, "total-loss", "1")]
    said = reasons(found)
    assert 3 not in said
    assert said[4].startswith("a heading or remark")
    assert said[6] == "the headings again"
    assert said[8] == said[9] == said[12] == "a total or summary"
    assert said[10] == said[11] == "a footnote"
    assert said[13] == "names no version"
    assert said[14] == "names neither model nor version"


def test_foreign_columns_cells_and_comments_are_carried_along(tmp_path: Path) -> None:
    def comment(workbook: Any) -> None:
        workbook["Models"]["A2"].comment = Comment("the champion", "Ada")
        workbook["Models"]["Z2"].comment = Comment("on a blank cell", "Ada")

    found = proposed(tmp_path, [(*HEADINGS, "Jira", None), (*ROW, "J-1", 42)], change=comment)
    (row,) = found.rows
    assert [(one.header, one.column, one.raw) for one in row.foreign] == [("Jira", "K", "J-1"), ("", "L", "42")]
    assert ("A", "the champion") in row.comments
    assert ("Z", "on a blank cell") in row.comments


def test_two_tables_in_one_sheet_and_several_sheets(tmp_path: Path) -> None:
    path = book(
        tmp_path / "x.xlsx",
        {
            "Live": [
                ("Model", "Version", "Path"),
                ("a", "1", "x.pkl"),
                (),
                ("Version", "Model name", "Status"),
                ("2", "b", "Retired"),
            ],
            "Other": [("Modell", "Version", "Speicherort"), ("c", "3", "y.pkl")],
            "Notes": [("buy milk",), ("call Bob",)],
            "Empty": [],
        },
    )
    found = propose(path)
    assert [(row.sheet, row.model, row.version) for row in found.rows] == [
        ("Live", "a", "1"),
        ("Live", "b", "2"),
        ("Other", "c", "3"),
    ]
    assert [(table.sheet, table.header_row, table.last_row) for table in found.plan.tables] == [
        ("Live", 1, 3),
        ("Live", 4, 5),
        ("Other", 1, 2),
    ]
    assert [(one.sheet, one.row) for one in found.not_imported] == [("Notes", None)]
    assert kinds(found) == []


def test_headings_in_two_rows(tmp_path: Path) -> None:
    def merge(workbook: Any) -> None:
        for area in ("A1:A2", "B1:B2", "C1:D1", "E1:F1"):
            workbook["Models"].merge_cells(area)

    rows = [
        ("Model", "Version", "Evaluation", None, "Approval", None),
        (None, None, "AUC", "F1", "By", "Date"),
        ("a", "1", 0.91, 0.8, "Ada", date(2024, 3, 1)),
    ]
    found = proposed(tmp_path, rows, change=merge)
    assert kinds(found) == []
    (row,) = found.rows
    assert row.metrics == {"auc": 0.91, "f1": 0.8}
    assert row.parsed("approval_date") == "2024-03-01"


# -- headings that are asked ------------------------------------------------------------------------------


def test_a_similar_heading_is_asked_and_the_answer_counts(tmp_path: Path) -> None:
    rows = [("Model", "Versoin", "Path"), ("a", "1.0", "x.pkl")]
    found = proposed(tmp_path, rows)
    assert kinds(found) == ["column"]
    assert found.questions[0].choices == ("version", "ignore")
    assert found.rows[0].version is None
    answered = proposed(tmp_path, rows, answers(columns={"Versoin": "version"}))
    assert kinds(answered) == []
    assert names(answered) == [(2, "a", "1.0")]


def test_two_columns_for_one_field_are_asked_unless_one_is_surer_or_empty(tmp_path: Path) -> None:
    asked = proposed(
        tmp_path, [("Model", "Version", "Training date", "Trained on"), ("a", "1", "2024-01-01", "2024-01-02")]
    )
    assert kinds(asked) == ["column", "column"]
    surer = proposed(tmp_path, [("Model", "Version", "Stage", "Status"), ("a", "1", "prod", "pending")])
    assert kinds(surer) == []
    assert [one.raw for one in surer.rows[0].foreign] == ["pending"]
    empty = proposed(tmp_path, [("Model", "Version", "Training date", "Trained on"), ("a", "1", None, "2024-01-02")])
    assert kinds(empty) == []
    assert empty.rows[0].parsed("training_date") == "2024-01-02"


def test_a_bare_date_is_asked_which_one_it_is(tmp_path: Path) -> None:
    found = proposed(tmp_path, [("Model", "Version", "Date", "Trained on"), ("a", "1", "2024-01-05", "2024-01-02")])
    assert found.questions[0].choices == ("approval_date", "deployment_date", "ignore")


def test_columns_by_letter_by_heading_and_with_headings_that_look_like_letters(tmp_path: Path) -> None:
    rows = [("Model", "Version", "AUC", "B", None), ("a", "1", 0.9, "x.pkl", "note")]
    found = proposed(tmp_path, rows, answers(columns={"D": "storage_location", "AUC": "metrics.roc_auc", "E": "notes"}))
    (row,) = found.rows
    assert (row.metrics, row.raw("storage_location"), row.notes) == ({"roc_auc": 0.9}, "x.pkl", ("note",))
    with pytest.raises(BadValue):
        proposed(tmp_path, rows, answers(columns={"Nonsense": "model"}))
    with pytest.raises(BadValue):
        propose(book(tmp_path / "y.xlsx", {"Models": rows}), Answers(tables=(TableAnswers(sheet="Nowhere"),)))


def test_no_headings_anywhere_are_asked_and_can_be_given(tmp_path: Path) -> None:
    rows = [("foo", "bar", "baz"), ("a", "1", "x.pkl")]
    found = proposed(tmp_path, rows)
    assert kinds(found) == ["headings"]
    given = answers(header_row=1, use=True, columns={"foo": "model", "B": "version", "baz": "storage_location"})
    assert names(proposed(tmp_path, rows, given)) == [(2, "a", "1")]
    assert kinds(proposed(tmp_path, [], None)) == ["headings"]


# -- models and versions ----------------------------------------------------------------------------------


def test_rows_without_a_model_are_asked_and_filled_down(tmp_path: Path) -> None:
    rows = [
        HEADINGS,
        ROW,
        (None, "1.1", "b.pkl"),
        ("Fraud",),
        (None, "2", "c.pkl"),
        ("Total", 3),
        (None, "2.1", "d.pkl"),
    ]
    asked = proposed(tmp_path, rows)
    assert kinds(asked) == ["fill_down"]
    filled = proposed(tmp_path, rows, answers(fill_down=True))
    assert names(filled) == [
        (2, "credit-risk", "1.0"),
        (3, "credit-risk", "1.1"),
        (5, "fraud", "2"),
        (7, "fraud", "2.1"),
    ]
    left = proposed(tmp_path, rows, answers(fill_down=False))
    assert names(left) == [(2, "credit-risk", "1.0")]
    assert reasons(left)[3] == "names no model"


def test_merged_models_count_for_each_row(tmp_path: Path) -> None:
    def merge(workbook: Any) -> None:
        workbook["Models"].merge_cells("A2:A4")

    found = proposed(tmp_path, [HEADINGS, ROW, (None, "1.1", "b.pkl"), (None, "1.2", "c.pkl")], change=merge)
    assert [one[1:] for one in names(found)] == [("credit-risk", "1.0"), ("credit-risk", "1.1"), ("credit-risk", "1.2")]
    assert kinds(found) == []
    assert told(found, "merged cells")


def test_ditto_marks_repeat_the_value_above(tmp_path: Path) -> None:
    found = proposed(tmp_path, [HEADINGS, ROW, ('"', "1.1", "b.pkl", None, "ditto", None, "test", '"')])
    second = found.rows[1]
    assert (second.model, second.parsed("training_date"), second.raw("approver")) == (
        "credit-risk",
        "2024-03-10",
        "Ada",
    )


def test_a_sheet_about_one_model(tmp_path: Path) -> None:
    rows = [("Version", "Path", "AUC"), ("1", "a.pkl", 0.9), ("2", "b.pkl", 0.91)]
    path = book(tmp_path / "x.xlsx", {"Credit Risk": rows})
    asked = propose(path)
    assert kinds(asked) == ["model"]
    assert asked.questions[0].choices == ("credit-risk", "...")
    said = Answers(tables=(TableAnswers(sheet="credit risk", model="credit"),))
    assert names(propose(path, said)) == [(2, "credit", "1"), (3, "credit", "2")]


def test_model_and_version_in_one_column(tmp_path: Path) -> None:
    rows = [
        ("Model", "Path", "Owner"),
        ("Credit v1.2", "a.pkl", "Ada"),
        ("Fraud v2", "b.pkl", "Bob"),
        ("Churn", "c.pkl", "Eve"),
    ]
    assert kinds(proposed(tmp_path, rows)) == ["split_model"]
    split = proposed(tmp_path, rows, answers(split_model=True))
    assert names(split) == [(2, "credit", "v1.2"), (3, "fraud", "v2")]
    assert reasons(split)[4] == "its model cell holds no version"
    assert kinds(proposed(tmp_path, rows, answers(split_model=False))) == ["version_column"]


def test_versions_that_became_numbers_and_dates(tmp_path: Path) -> None:
    def formats(workbook: Any) -> None:
        workbook["Models"]["B2"].number_format = "0.00"
        workbook["Models"]["B4"].number_format = "d-mmm"

    rows = [
        ("Model", "Version"),
        ("a", 1.1),
        ("b", 1.1),
        ("c", datetime(2026, 2, 1)),
        ("d", 1),
        ("d", 1.1),
        ("e", 1.2),
        ("e", 1.2),
    ]
    found = proposed(tmp_path, rows, change=formats)
    assert names(found)[:2] == [(2, "a", "1.10"), (3, "b", "1.1")]
    assert [(one.kind, one.row) for one in found.questions] == [
        ("version_date", 4),
        ("version_number", 5),
        ("version_number", 7),
        ("version_number", 8),
    ]
    said = answers(versions={4: "1.2", 5: "1.0", 7: "1.2", 8: "1.20"})
    done = proposed(tmp_path, rows, said, change=formats)
    assert kinds(done) == []
    assert [one[2] for one in names(done)] == ["1.10", "1.1", "1.2", "1.0", "1.1", "1.2", "1.20"]


def test_names_outside_our_grammar(tmp_path: Path) -> None:
    rows = [
        ("Model", "Version"),
        ("信用", "1"),
        ("Credit Risk", "1.2 (final)"),
        ("credit-risk", "latest"),
        ("Crédit  risk", "3"),
    ]
    found = proposed(tmp_path, rows)
    assert kinds(found) == ["model_name", "version", "version"]
    assert found.questions[1].choices == ("1.2-final", "...")
    assert told(found, "are one model here")
    said = answers(versions={3: "1.2-final", 4: "4"}, model_names={"信用": "credit-cn", "Crédit risk": "credit-fr"})
    done = proposed(tmp_path, rows, said)
    assert kinds(done) == []
    assert [one[1] for one in names(done)] == ["credit-cn", "credit-risk", "credit-risk", "credit-fr"]


# -- dates, stages, numbers -------------------------------------------------------------------------------


def test_dates_in_several_notations(tmp_path: Path) -> None:
    rows = [
        ("Model", "Version", "Trained on"),
        ("a", "1", "03/04/2024"),
        ("a", "2", "25/12/2023"),
        ("a", "3", date(2024, 1, 5)),
        ("a", "4", 45292),
        ("a", "5", "TBD"),
        ("a", "6", "10. März 2024"),
        ("a", "7", "spring"),
    ]
    found = proposed(tmp_path, rows)
    assert kinds(found) == []
    assert [row.parsed("training_date") for row in found.rows] == [
        "2024-04-03",
        "2023-12-25",
        "2024-01-05",
        "2024-01-01",
        None,
        "2024-03-10",
        None,
    ]
    assert found.plan.tables[0].dates == {"C": "day-first"}
    assert "training_date" not in found.rows[4].values
    assert found.rows[6].raw("training_date") == "spring"
    assert told(found, "no date of a known notation")


def test_two_columns_named_for_one_field_are_refused(tmp_path: Path) -> None:
    rows = [("Model", "Version", "Ver 2"), ("a", "1", "2")]
    with pytest.raises(BadValue):
        proposed(tmp_path, rows, answers(columns={"Version": "version", "Ver 2": "version"}))


def test_an_order_that_cannot_be_known_is_asked_once_per_column(tmp_path: Path) -> None:
    rows = [
        ("Model", "Version", "Trained on", "Approval date"),
        ("a", "1", "03/04/2024", "25/12/2024"),
        ("a", "2", "05/06/2024", "01/02/2025"),
    ]
    found = proposed(tmp_path, rows)
    assert [(one.kind, one.column, one.row) for one in found.questions] == [("date_order", "C", 2)]
    assert found.rows[0].parsed("training_date") is None
    assert found.rows[1].parsed("approval_date") == "2025-02-01"
    done = proposed(tmp_path, rows, answers(dates={"Trained on": "month-first"}))
    assert [row.parsed("training_date") for row in done.rows] == ["2024-03-04", "2024-05-06"]
    hinted = proposed(tmp_path, [("Model", "Version", "Trained on (mm/dd/yyyy)"), ("a", "1", "03/04/2024")])
    assert hinted.rows[0].parsed("training_date") == "2024-03-04"


def test_days_and_months_that_a_program_exchanged_are_warned_of(tmp_path: Path) -> None:
    rows = [
        ("Model", "Version", "Trained on"),
        ("a", "1", date(2024, 3, 4)),
        ("a", "2", date(2024, 5, 6)),
        ("a", "3", "25/12/2023"),
    ]
    assert told(proposed(tmp_path, rows), "exchanged")


def test_the_1904_system(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"date_1904": True, "in_memory": True}) as workbook:
        sheet = workbook.add_worksheet("Models")
        sheet.write_row(0, 0, ["Model", "Version", "Trained on", "Approval date"])
        sheet.write_row(1, 0, ["a", "1"])
        sheet.write_datetime(1, 2, datetime(2024, 3, 10), workbook.add_format({"num_format": "dd.mm.yyyy"}))
        sheet.write_number(1, 3, 43_830)
    path = tmp_path / "x.xlsx"
    path.write_bytes(buffer.getvalue())
    (row,) = propose(path).rows
    assert (row.parsed("training_date"), row.parsed("approval_date")) == ("2024-03-10", "2024-01-01")


def test_stage_words_unknown_ones_are_asked_once_each(tmp_path: Path) -> None:
    rows = [
        ("Model", "Version", "Status"),
        ("a", "1", "PRD"),
        ("b", "1", "shadow mode"),
        ("c", "1", "Shadow mode"),
        ("d", "1", "n/a"),
        ("e", "1", "shadow mode"),
    ]
    found = proposed(tmp_path, rows)
    assert kinds(found) == ["stage", "stage"]
    done = proposed(tmp_path, rows, answers(stage_words={"shadow mode": "staging"}))
    assert [row.parsed("stage") for row in done.rows] == [
        Stage.PRODUCTION,
        Stage.STAGING,
        Stage.STAGING,
        None,
        Stage.STAGING,
    ]
    assert kinds(done) == []


def test_two_versions_in_production_are_asked(tmp_path: Path) -> None:
    rows = [("Model", "Version", "Stage"), ("a", "1", "prod"), ("a", "2", "live"), ("b", "1", "prod")]
    found = proposed(tmp_path, rows)
    assert kinds(found) == ["two_in_production"]
    assert kinds(proposed(tmp_path, rows, answers(stages={2: "archived"}))) == []


def test_metrics_in_text_and_in_columns(tmp_path: Path) -> None:
    rows = [
        ("Model", "Version", "Metrics", "AUC", "Accuracy (%)"),
        ("a", "1", "auc=0.5, f1: 88%", 0.91, 93),
        ("a", "2", "good enough", "0,92", None),
        ("a", "3", 0.7, "n.n.", None),
    ]
    found = proposed(tmp_path, rows)
    first, second, third = found.rows
    assert first.metrics == {"auc": 0.91, "f1": 0.88, "accuracy": 0.93}
    assert (second.metrics, second.metrics_text) == ({"auc": 0.92}, ("good enough",))
    assert (third.metrics, third.metrics_text) == ({}, ("0.7", "n.n."))


def test_hashes_and_commits_that_a_spreadsheet_spoilt(tmp_path: Path) -> None:
    rows = [
        ("Model", "Version", "Hash", "Commit"),
        ("a", "1", 1.5e20, 12e45),
        ("a", "2", "abcdef1…", 1234567),
        ("a", "3", "see wiki", "main"),
    ]
    found = proposed(tmp_path, rows)
    assert [row.parsed("content_hash") is None for row in found.rows] == [True, False, True]
    assert [row.parsed("code_commit") for row in found.rows] == [None, "1234567", None]
    assert told(found, "made a number of this commit")
    assert told(found, "cut short")


# -- doubles ----------------------------------------------------------------------------------------------


def test_a_row_that_says_the_same_again_is_left_out_and_another_is_asked(tmp_path: Path) -> None:
    same = proposed(tmp_path, [HEADINGS, ROW, ROW, ("CREDIT RISK", "1.0")])
    assert names(same) == [(2, "credit-risk", "1.0")]
    assert "again" in reasons(same)[3]
    assert "again" in reasons(same)[4]
    rows = [HEADINGS, ROW, ("Credit risk", "1.0", "models/other.pkl")]
    assert kinds(proposed(tmp_path, rows)) == ["double"]
    assert kinds(proposed(tmp_path, rows, answers(skip_rows=(3,)))) == []
    assert reasons(proposed(tmp_path, rows, answers(skip_rows=(3,))))[3] == "left out by the mapping file"


def test_versions_that_differ_by_letter_case_are_doubles(tmp_path: Path) -> None:
    assert kinds(proposed(tmp_path, [("Model", "Version", "Path"), ("a", "V1", "x"), ("a", "v1", "y")])) == ["double"]


def test_a_sheet_that_is_another_view_of_the_same_versions_is_asked_once(tmp_path: Path) -> None:
    versions = [str(number) for number in range(1, 9)]
    sheets: dict[str, Any] = {
        "Models": [("Model", "Version", "Path"), *(("a", one, f"{one}.pkl") for one in versions)],
        "Approvals": [
            ("Model", "Version", "Approved by", "Approved on"),
            *(("a", one, "Ada", "2024-01-31") for one in versions),
        ],
    }
    found = propose(book(tmp_path / "x.xlsx", sheets))
    assert kinds(found) == ["double_table"]
    said = Answers(tables=(TableAnswers(sheet="Approvals", use=False),))
    done = propose(book(tmp_path / "x.xlsx", sheets), said)
    assert kinds(done) == []
    assert len(done.rows) == 8
    assert [(one.sheet, one.row) for one in done.not_imported] == [("Approvals", None)]


# -- what spreadsheets hide -------------------------------------------------------------------------------


def test_hidden_rows_and_columns_are_read_and_told_hidden_sheets_are_not_read(tmp_path: Path) -> None:
    def hide(workbook: Any) -> None:
        workbook["Models"].row_dimensions[2].hidden = True
        workbook["Models"].column_dimensions["C"].hidden = True
        workbook["Old"].sheet_state = "veryHidden"

    sheets: dict[str, Any] = {"Models": [HEADINGS, ROW], "Old": [HEADINGS, ("Fraud", "1", "x.pkl")]}
    path = book(tmp_path / "x.xlsx", sheets, hide)
    found = propose(path)
    assert names(found) == [(2, "credit-risk", "1.0")]
    assert found.rows[0].hidden
    assert told(found, "the row is hidden")
    assert told(found, "the column is hidden")
    assert "hidden" in reasons(found)[None]
    opened = propose(path, Answers(tables=(TableAnswers(sheet="Old", use=True),)))
    assert [row.model for row in opened.rows] == ["credit-risk", "fraud"]


def test_formulas_give_their_stored_result_and_a_missing_one_is_told(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as workbook:
        sheet = workbook.add_worksheet("Models")
        sheet.write_row(0, 0, ["Model", "Version", "Path", "AUC"])
        sheet.write_row(1, 0, ["a", "1"])
        sheet.write_formula(1, 2, '=CONCATENATE("models/",A2,".pkl")', None, "models/a.pkl")
        sheet.write_formula(1, 3, "=1/0", None, "#DIV/0!")
    path = tmp_path / "x.xlsx"
    path.write_bytes(buffer.getvalue())
    found = propose(path)
    assert found.rows[0].raw("storage_location") == "models/a.pkl"
    assert "metrics.auc" not in found.rows[0].values
    assert told(found, "last stored result")
    assert told(found, "failed")
    fresh = proposed(
        tmp_path,
        [("Model", "Version", "Path"), ("a", "1", '="models/"&A2')],
        change=lambda one: setattr(one, "calculation", CalcProperties()),
    )
    assert told(fresh, "without a stored result")


def test_rich_text_inline_strings_links_and_strings_of_formulas(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as workbook:
        bold = workbook.add_format({"bold": True})
        sheet = workbook.add_worksheet("Models")
        sheet.write_row(0, 0, ["Model", "Version", "Path", "Notes"])
        sheet.write_rich_string(1, 0, "Credit ", bold, "Risk")
        sheet.write_string(1, 1, "1.10")
        sheet.write_url(1, 2, "external:models/a.pkl", string="open")
        sheet.write_rich_string(1, 3, "see ", bold, "wiki", " & <b>")
        sheet.write_comment(1, 3, "a remark")
    path = tmp_path / "x.xlsx"
    path.write_bytes(buffer.getvalue())
    (row,) = propose(path).rows
    assert (row.model, row.version) == ("credit-risk", "1.10")
    assert (row.parsed("storage_location"), row.raw("storage_location")) == ("models\\a.pkl", "open")
    assert row.notes == ("see wiki & <b>",)
    assert [text.strip() for _, text in row.comments] == ["a remark"]


def test_what_is_no_text_in_a_cell_is_replaced(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as workbook:
        sheet = workbook.add_worksheet("Models")
        sheet.write_row(0, 0, ["Model", "Version", "Path", "Own"])
        sheet.write_row(1, 0, ["a\x07b", "1", "a\x1b[2J.pkl", "\u200bx\x00"])
    data = buffer.getvalue()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(tmp_path / "x.xlsx", "w") as new:
        for name in old.namelist():
            part = old.read(name)
            new.writestr(name, part.replace(b">Own<", b">_xD800_<") if name.endswith("sharedStrings.xml") else part)
    found = propose(tmp_path / "x.xlsx")
    (row,) = found.rows
    assert (row.model, row.raw("storage_location")) == ("a-b", "a\ufffd[2J.pkl")
    assert [(one.header, one.raw) for one in row.foreign] == [("\ufffd", "x\ufffd")]
    json.dumps(report.document(found), ensure_ascii=False).encode()
    report.text(found).encode()


def test_an_xlsm_is_read(tmp_path: Path) -> None:
    path = book(tmp_path / "x.xlsx", {"Models": [HEADINGS, ROW]}).rename(tmp_path / "x.xlsm")
    assert names(propose(path)) == [(2, "credit-risk", "1.0")]


def test_our_own_workbook_of_another_registry_is_read_by_its_models_sheet(tmp_path: Path) -> None:
    from manual_registry.core.rows import MODELS
    from manual_registry.core.view import Row, Sheet, View

    cells = {
        "Model": "credit-risk",
        "Version": "1.10",
        "Storage location": "models/credit-risk/1.10",
        "Content hash": "a" * 12,
        "Evaluation metrics": "auc 0.91\ndpr 0.84",
        "Stage": "production",
        "SHA-256": "b" * 64,
        "Row id": "credit-risk@1.10",
    }
    sheet = Sheet(name="Models", title="t", columns=MODELS, rows=(Row(row_id="credit-risk@1.10", cells=cells),))
    other = Sheet(
        name="Approvals",
        title="t",
        columns=MODELS,
        rows=(Row(row_id="x@1", cells={**cells, "Version": "9", "Row id": "x@1"}),),
    )
    view = View(
        registry_id="0" * 32,
        system="s",
        head_seq=1,
        head_hash="sha256:" + "0" * 64,
        as_of="2026-11-24T08:00:00.000Z",
        sheets=(sheet, other),
        read_me=(),
    )
    path = tmp_path / "registry.xlsx"
    path.write_bytes(render_bytes(view))
    found = propose(path)
    assert kinds(found) == []
    assert [(row.sheet, row.model, row.version, row.metrics) for row in found.rows] == [
        ("Models", "credit-risk", "1.10", {"auc": 0.91, "dpr": 0.84})
    ]
    assert [one.parsed("stage") for one in found.rows] == [Stage.PRODUCTION]
    assert "own workbook" in found.not_imported[0].reason


# -- csv --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_csv_in_every_dress(tmp_path: Path, delimiter: str, encoding: str) -> None:
    lines = [
        ["Tracking"],
        ["Modell", "Version", "Pfad", "Kennzahlen"],
        ["Größe", "1.10", "models/a.pkl", '"auc 0,91"'],
        [],
        ["Größe", "1.11", "b.pkl", ""],
    ]
    path = tmp_path / "models.csv"
    path.write_bytes("\r\n".join(delimiter.join(line) for line in lines).encode(encoding))
    found = propose(path)
    assert names(found) == [(3, "grosse", "1.10"), (5, "grosse", "1.11")]
    assert found.rows[0].metrics == {"auc": 0.91}
    assert found.rows[0].sheet == "models"


def test_a_csv_that_names_its_delimiter_and_quotes_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('sep=;\nModel;Version;Notes\na;1;"two\nlines"\nb;2;x\n', encoding="utf-8")
    found = propose(path)
    assert [(row.model, row.notes) for row in found.rows] == [("a", ("two\nlines",)), ("b", ("x",))]


def test_the_hash_of_the_file_is_kept(tmp_path: Path) -> None:
    path = book(tmp_path / "x.xlsx", {"Models": [HEADINGS, ROW]})
    found = propose(path)
    assert found.plan.sha256 == digest(path.read_bytes())
    assert found.plan.workbook == "x.xlsx"
    stale = propose(path, Answers(sha256="0" * 64))
    assert told(stale, "another state")
