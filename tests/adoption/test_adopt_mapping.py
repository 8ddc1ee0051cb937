"""The mapping file: what is written can be corrected and read back, and asks again what nobody answered."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from adopt_sheets import HEADINGS, book, kinds
from hypothesis import given, settings
from hypothesis import strategies as st

from manual_registry.adapters.adoption import propose, read_mapping, write_mapping
from manual_registry.adapters.adoption.mapping_file import quoted
from manual_registry.core.adoption import Answers, Proposal, SheetCell, SheetGrid, answers_from, propose_sheets, report
from manual_registry.core.errors import FileUnknown, FormatTooNew, MetadataUnreadable, RegistryError

CELLS = st.one_of(
    st.none(),
    st.sampled_from(
        [
            "Model",
            "Version",
            "Versoin",
            "Path",
            "AUC",
            "Date",
            "Trained on",
            "Status",
            "Notes",
            "B",
            "C",
            "a\nb",
            "Credit",
            "credit@1.0",
            "1.0",
            "v2",
            "prod",
            "shadow",
            "03/04/2024",
            "25/12/2023",
            "auc 0,91",
            "n/a",
            '"',
            "Total",
            "* note",
            "models/a.pkl",
            'quo"te\\',
            "\x7f",
            "x" * 90,
        ]
    ),
    st.integers(0, 3),
    st.sampled_from([1.1, 1.2, 45292.0]),
)
GRIDS = st.lists(st.lists(CELLS, min_size=0, max_size=7), max_size=12)


def grid(rows: list[list[Any]], name: str = "Sheet 1") -> SheetGrid:
    cells = {
        number: {column: SheetCell(value=value) for column, value in enumerate(row, 1) if value is not None}
        for number, row in enumerate(rows, 1)
    }
    return SheetGrid(name=name, cells={number: row for number, row in cells.items() if row})


def read(grids: list[SheetGrid], answers: Answers | None = None) -> Proposal:
    return propose_sheets(grids, answers, workbook="x.xlsx", sha256="0" * 64)


@given(GRIDS, GRIDS)
@settings(max_examples=120)
def test_written_read_back_and_applied_it_says_the_same(one: list[list[Any]], other: list[list[Any]]) -> None:
    grids = [grid([["Model", "Version", "Path", "Trained on", "Status"], *one]), grid(other, 'B "2"')]
    first = read(grids)
    text = write_mapping(first)
    again = read(grids, answers_from(tomllib.loads(text), where="mapping.toml"))
    assert again.rows == first.rows
    assert again.not_imported == first.not_imported
    assert kinds(again) == kinds(first)
    assert write_mapping(again) == text


@given(GRIDS)
@settings(max_examples=120)
def test_any_sheet_can_be_read_told_and_accounts_for_each_of_its_rows(rows: list[list[Any]]) -> None:
    found = read([grid(rows)])
    json.dumps(report.document(found))
    assert report.text(found).isprintable() or "\n" in report.text(found)
    tables = [table for table in found.plan.tables if table.use is not False]
    listed = {row.row for row in found.rows} | {one.row for one in found.not_imported}
    for number, row in enumerate(rows, 1):
        inside = any((table.header_row or 0) < number <= table.last_row for table in tables)
        if inside and any(value not in (None, "") for value in row):
            assert number in listed


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_any_text_can_be_quoted(text: str) -> None:
    assert tomllib.loads(f"key = {quoted(text)}")["key"] == text
    assert tomllib.loads(f"{quoted(text)} = 1") == {text: 1}


def test_a_person_answers_in_the_file_and_nothing_is_open(tmp_path: Path) -> None:
    sheet = book(
        tmp_path / "x.xlsx",
        {
            "Models": [
                ("Model", "Versoin", "Path", "Trained on", "Status"),
                ("a", 1, "a.pkl", "03/04/2024", "on ice"),
                (None, 1.1, "b.pkl", "05/06/2024", "prod"),
            ]
        },
    )
    file = tmp_path / "mapping.toml"
    first = write_mapping(propose(sheet))
    assert '"Versoin" = "?"' in first
    file.write_text(first.replace('"Versoin" = "?"', '"Versoin" = "version"'), encoding="utf-8")
    second = write_mapping(propose(sheet, read_mapping(file)))
    for question, answer in (
        ('fill_down = "?"', "fill_down = true"),
        ('"Trained on" = "?"', '"Trained on" = "day-first"'),
        ('version_numbers = "?"', 'version_numbers = "0.0"'),
        ('# "on ice" = "experimental"', '"on ice" = "staging"'),
    ):
        assert question in second
        second = second.replace(question, answer)
    file.write_text(second, encoding="utf-8")
    done = propose(sheet, read_mapping(file))
    assert kinds(done) == []
    assert [(row.model, row.version, row.parsed("training_date"), row.parsed("stage")) for row in done.rows] == [
        ("a", "1.0", "2024-04-03", "staging"),
        ("a", "1.1", "2024-06-05", "production"),
    ]


def test_everything_wrong_in_a_mapping_file_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "mapping.toml"
    file.write_text(
        """
        format = 1
        colour = "red"
        [[table]]
        sheet = "Models"
        header_row = "3"
        use = "yes"
        skip_rows = ["4"]
        version_numbers = "0.0.0"
        [table.columns]
        "Model" = "modle"
        [table.dates]
        C = "dd/mm"
        [table.versions]
        four = "1.0"
        5 = "not a version!"
        [table.stages]
        4 = "life"
        [stages]
        "x" = "prod"
        [models]
        "y" = "Not A Name"
        """,
        encoding="utf-8",
    )
    with pytest.raises(RegistryError) as caught:
        read_mapping(file)
    said = "\n".join(reason.message for reason in caught.value.reasons)
    for words in (
        "colour",
        "header_row",
        "use",
        "skip_rows",
        "version_numbers",
        "did you mean model",
        "dd/mm",
        "four",
        "not a version!",
        "life",
        "prod",
        "Not A Name",
    ):
        assert words in said, words
    assert all(reason.exit_status in (2, 7) for reason in caught.value.reasons)


@pytest.mark.parametrize(
    "text",
    [
        "a = ",
        "[[table]]\nsheet = 3",
        "table = 3",
        "[[table]]",
        "[[table]]\nsheet='x'\ncolumns = 3",
        "\x00",
        "stages = []",
    ],
)
def test_a_broken_mapping_file_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mapping.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(RegistryError):
        read_mapping(file)


def test_a_missing_or_newer_mapping_file(tmp_path: Path) -> None:
    with pytest.raises(FileUnknown):
        read_mapping(tmp_path / "none.toml")
    with pytest.raises(MetadataUnreadable):
        read_mapping(tmp_path)
    (tmp_path / "m.toml").write_text("format = 2", encoding="utf-8")
    with pytest.raises(FormatTooNew):
        read_mapping(tmp_path / "m.toml")


def test_the_document_has_the_contract_s_members(tmp_path: Path) -> None:
    row = ("Credit", "1.0", "a.pkl", "a" * 64, "2024-03-10", "AUC 0.9", "prod", "Ada", "2024-03-12", "Bob")
    found = propose(book(tmp_path / "x.xlsx", {"Models": [HEADINGS, row, ("Total", 1)], "Notes": [("hi",)]}))
    document = json.loads(json.dumps(report.document(found)))
    assert document["schema"] == "manual-registry/adopt/1"
    assert document["imported"] == []
    assert document["questions"] == []
    assert {"sheet": "Models", "row": 3, "reason": "a total or summary"} in document["not_imported"]
    assert {one["sheet"]: one["row"] for one in document["not_imported"]} == {"Models": 3, "Notes": None}
    assert document["mapping"]["tables"][0]["columns"][0] == {
        "column": "A",
        "header": "Model",
        "field": "model",
        "how": "known",
    }
    assert document["rows"][0]["values"]["metrics"] == {"column": "F", "stated": "AUC 0.9", "understood": {"auc": 0.9}}


def test_the_report_for_a_terminal_cannot_move_the_cursor(tmp_path: Path) -> None:
    rows = [("Model", "Version", "Evil\u202e"), ("a\u202eb", "1\u2028", "x")]
    text = report.text(propose(book(tmp_path / "x.xlsx", {"Mo\u202edels": rows})))
    assert all(char.isprintable() or char == "\n" for char in text)
