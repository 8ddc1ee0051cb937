"""The package's texts are found in checkout and wheel, and no value forges structure in them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from manual_registry.adapters import templates
from manual_registry.core.errors import ToolMissing

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted(path.name for path in (ROOT / "templates").iterdir())

_MARKDOWN = MarkdownIt("commonmark").enable("table").enable("strikethrough")
_MARKS = "#*_`|<>[]()!-+=~:\\&;.0123 \n\tabA:/\"'$"
_NOISE = st.text(
    alphabet=st.one_of(st.sampled_from(_MARKS), st.characters(exclude_categories=["Cs"])),
    max_size=80,
)


def _kinds(source: str) -> set[str]:
    found: set[str] = set()

    def walk(tokens: list[Token]) -> None:
        for token in tokens:
            found.add(token.type)
            walk(token.children or [])

    walk(_MARKDOWN.parse(source))
    return found


def _shown(source: str) -> str:
    """What a reader sees of one paragraph."""
    (inline,) = [token for token in _MARKDOWN.parse(source) if token.type == "inline"]
    return "".join(child.content for child in inline.children or [])


@pytest.mark.parametrize("name", SHIPPED)
def test_reads_every_shipped_template(name: str) -> None:
    assert templates.read_template(name) == (ROOT / "templates" / name).read_text(encoding="utf-8")


def test_policy_text_is_the_policy() -> None:
    assert templates.policy_text() == (ROOT / "archive_policy.md").read_text(encoding="utf-8")


def test_an_installed_package_reads_its_own_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "card.md.j2").write_text("from the wheel\n", encoding="utf-8")
    monkeypatch.setattr("importlib.resources.files", lambda _package: tmp_path)
    assert templates.render("card.md.j2") == "from the wheel\n"


@pytest.mark.parametrize("name", ["absent.md.j2", "../LICENSE", "/etc/passwd", "", ".."])
def test_what_is_no_template_is_refused(name: str) -> None:
    with pytest.raises(ToolMissing) as refusal:
        templates.read_template(name)
    assert refusal.value.status == 8


def _environment_with(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    monkeypatch.setattr(templates, "read_template", lambda _name: source)


def test_a_missing_value_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    _environment_with(monkeypatch, "{{ registry_id }}")
    with pytest.raises(ToolMissing, match="registry_id"):
        templates.render("x.md.j2")


@pytest.mark.parametrize(
    "source", ["{{ ''.__class__.__mro__ }}", "{{ value.append(1) }}", "{{ value.__init__.__globals__ }}"]
)
def test_templates_run_in_the_sandbox(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    _environment_with(monkeypatch, source)
    with pytest.raises(ToolMissing):
        templates.render("x.txt.j2", value=[])


def test_text_is_not_html(monkeypatch: pytest.MonkeyPatch) -> None:
    _environment_with(monkeypatch, "{{ value }}|\n")
    assert templates.render("x.txt.j2", value="R&D <b>\x1b[31m\nnext") == "R&D <b>[31m next|\n"
    assert templates.render("x.md.j2", value="R&D <b> a_b _c_") == "R&amp;D \\<b\\> a_b \\_c\\_|\n"


def test_filters_of_ours_are_not_escaped_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    _environment_with(monkeypatch, "{{ value|code }} {{ number|number }}")
    assert templates.render("x.md.j2", value="a_b*", number=0.81234567) == "`a_b*` 0.812346"


@given(_NOISE)
def test_a_line_shows_exactly_its_text_and_nothing_else(text: str) -> None:
    escaped = templates.markdown_line(text)
    assert "\n" not in escaped
    if escaped:
        assert _kinds(escaped) <= {"paragraph_open", "inline", "text", "text_special", "paragraph_close"}
        assert _shown(escaped) == templates.text_line(text)


@given(_NOISE)
def test_a_cell_cannot_leave_its_cell(text: str) -> None:
    for cell in (templates.markdown_line(text), templates.code_span(text)):
        table = _MARKDOWN.parse(f"| a | b |\n|---|---|\n| {cell} | x |\n")
        assert [token.type for token in table].count("td_open") == 2


@given(_NOISE)
def test_prose_keeps_paragraphs_and_lists_only(text: str) -> None:
    allowed = {"paragraph", "bullet_list", "ordered_list", "list_item"}
    ends = {f"{kind}_{end}" for kind in allowed for end in ("open", "close")}
    kinds = _kinds(f"before\n\n{templates.markdown_prose(text)}\n\nafter\n")
    assert kinds <= ends | {"inline", "text", "text_special", "softbreak", "hardbreak"}


@given(_NOISE)
def test_a_code_span_shows_its_text(text: str) -> None:
    paragraph = _MARKDOWN.parse(f"x {templates.code_span(text)} y")
    (inline,) = [token for token in paragraph if token.type == "inline"]
    codes = [child.content for child in inline.children or [] if child.type == "code_inline"]
    assert [code.strip() for code in codes] == [templates.text_line(text).replace("|", "¦").strip()]


def test_prose_keeps_what_people_write() -> None:
    text = "The model is small.\n\n- fast\n- may fail on rare_values\n1. first"
    assert templates.markdown_prose(text) == text


RECORD = {
    "model": "credit-risk",
    "version": "1.1.0",
    "stage": "production",
    "composite_id": "credit-risk@1.1.0+code.a.data.b.model.c.config.none",
    "blake3": "ab" * 32,
    "sha256": "cd" * 32,
    "owner": "R&D | <Risk>",
    "metadata": {
        "card": {
            "architecture": "Logistic regression\n\n## Approvals\n\n| id | step |\n|---|---|\n| A1 | x |",
            "intended_use": "Consumer loans.\n\n- adults\n- <script>alert(1)</script>",
        }
    },
    "metrics": {"auc_roc": 0.81234567, "n": 100},
    "gates": [
        {
            "gate": "performance",
            "passed": True,
            "evaluated_at": "2026-11-20",
            "evaluation_dataset": "hold|out",
            "metrics": [{"name": "auc_roc", "value": 0.8, "lower": 0.75, "threshold": 0.7, "direction": "higher"}],
        }
    ],
    "approvals": [{"id": "A9", "to": "production", "status": "used", "approver": "ada@example.org"}],
    "training_data": ["dvc:3f2a:data/loans.csv"],
    "deployments": [{"environment": "production", "at": "2026-11-24T08:00:00.000Z", "ended_at": None}],
}
HEADINGS = [
    "Intended use",
    "Architecture",
    "Training data",
    "Limitations",
    "Failure modes",
    "Ethical considerations",
]


def test_a_card_has_the_six_parts_and_no_forged_section() -> None:
    card = templates.render("card.md.j2", record=RECORD)
    tokens = _MARKDOWN.parse(card)
    titles = [tokens[n + 1].content for n, token in enumerate(tokens) if token.type == "heading_open"]
    assert titles == [
        "Model card: credit-risk 1.1.0",
        *HEADINGS,
        *("Metrics", "Gates", "Approvals", "Lineage", "Deployments"),
    ]
    assert "html_block" not in _kinds(card)
    assert "html_inline" not in _kinds(card)
    assert "| passed | 2026-11-20 | hold\\|out | auc_roc | 0.8 | 0.75 to … | at least 0.7 |" in card
    assert card.count("Not stated.") == 4


def test_a_card_of_a_bare_version_says_what_is_not_known() -> None:
    card = templates.render("card.md.j2", record={"model": "churn", "version": "1", "stage": "experimental"})
    assert card.count("Not stated.") == len(HEADINGS)
    assert "No gate reports." in card
    assert "None\n" not in card.replace("None recorded.", "").replace("None.", "")
