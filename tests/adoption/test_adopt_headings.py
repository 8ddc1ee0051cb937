"""Headings: what is known, what is asked, what is nobody's business."""

from __future__ import annotations

import pytest

from manual_registry.core.adoption.headers import compact, is_field, match_header, order_hint
from manual_registry.core.adoption.vocabulary import AMBIGUOUS, FIELDS, FOREIGN, METRICS, SYNONYMS


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("Model", "model"),
        ("Model name", "model"),
        ("ML model", "model"),
        ("Modell", "model"),
        ("Nom du modèle", "model"),
        ("Version", "version"),
        ("Ver.", "version"),
        ("  ver  ", "version"),
        ("Rev", "version"),
        ("2. Version", "version"),
        ("Storage location", "storage_location"),
        ("Path", "storage_location"),
        ("File", "storage_location"),
        ("Artefact URI", "storage_location"),
        ("Speicherort", "storage_location"),
        ("Ubicación", "storage_location"),
        ("Content hash", "content_hash"),
        ("Checksum", "content_hash"),
        ("Prüfsumme", "content_hash"),
        ("SHA-256", "sha256"),
        ("sha256sum", "sha256"),
        ("MD5", "md5"),
        ("BLAKE3", "blake3"),
        ("Training data version", "training_data"),
        ("Dataset", "training_data"),
        ("Data ref", "training_data"),
        ("Données d'entraînement", "training_data"),
        ("Code commit", "code_commit"),
        ("Git SHA", "code_commit"),
        ("Commit", "code_commit"),
        ("Training date", "training_date"),
        ("Trained\non", "training_date"),
        ("Trained on (dd/mm/yyyy)", "training_date"),
        ("trainingDate", "training_date"),
        ("Trainingsdatum", "training_date"),
        ("Evaluation metrics", "metrics"),
        ("Metrics (test)", "metrics"),
        ("Kennzahlen", "metrics"),
        ("AUC", "metrics.auc"),
        ("Test F1-Score", "metrics.test_f1_score"),
        ("Accuracy (%)", "metrics.accuracy"),
        ("DPR", "metrics.dpr"),
        ("Stage", "stage"),
        ("Status", "stage"),
        ("Environment", "stage"),
        ("Lifecycle", "stage"),
        ("Estado", "stage"),
        ("Approver", "approver"),
        ("Approved by *", "approver"),
        ("Freigegeben von", "approver"),
        ("Approval date", "approval_date"),
        ("Genehmigt am", "approval_date"),
        ("Deployment date", "deployment_date"),
        ("Deployed", "deployment_date"),
        ("Go-live", "deployment_date"),
        ("Mise en production", "deployment_date"),
        ("Owner", "owner"),
        ("Verantwortlich", "owner"),
        ("Notes", "notes"),
        ("Comments", "notes"),
        ("Bemerkungen", "notes"),
    ],
)
def test_a_known_heading_is_taken(header: str, field: str) -> None:
    assert match_header(header).field == field


@pytest.mark.parametrize(
    ("header", "first"),
    [
        ("Trainig data", "training_data"),
        ("Versoin", "version"),
        ("Aprover", "approver"),
        ("Deploymnt date", "deployment_date"),
        ("Date", "training_date"),
        ("Evaluatoin metrics", "metrics"),
        ("SHA", "code_commit"),
    ],
)
def test_a_similar_or_doubtful_heading_is_only_suggested(header: str, first: str) -> None:
    match = match_header(header)
    assert match.field is None
    assert match.choices[0] == first


@pytest.mark.parametrize(
    "header",
    [
        "Jira",
        "Model type",
        "Training time (h)",
        "Size (MB)",
        "#",
        "",
        "Risk",
        "x" * 500,
        "🙂",
        "42",
        "Model size",
        "Framework version",
    ],
)
def test_a_foreign_heading_is_nobodys_business(header: str) -> None:
    match = match_header(header)
    assert match.field is None
    assert match.choices == ()


def test_no_synonym_stands_for_two_fields() -> None:
    seen: dict[str, str] = {}
    for field, line in SYNONYMS.items():
        for word in line.replace("|", ",").split(","):
            key = compact(word)
            assert seen.setdefault(key, field) == field, f"{word.strip()!r} stands for {seen[key]} and {field}"
            assert key not in AMBIGUOUS
            assert key not in METRICS
            assert key not in FOREIGN


def test_every_synonym_leads_to_its_field() -> None:
    assert set(SYNONYMS) == set(FIELDS)
    for field, line in SYNONYMS.items():
        for word in line.replace("|", ",").split(","):
            assert match_header(word.upper()).field == field


@pytest.mark.parametrize(
    ("header", "order"),
    [
        ("Trained (dd/mm/yyyy)", "day-first"),
        ("Datum (TT.MM.JJJJ)", "day-first"),
        ("Date (mm/dd/yyyy)", "month-first"),
        ("Le (JJ/MM/AAAA)", "day-first"),
        ("yy-mm-dd", "year-first"),
        ("Trained on", None),
        ("Model name", None),
    ],
)
def test_a_heading_may_name_the_order_of_dates(header: str, order: str | None) -> None:
    assert order_hint(header) == order


def test_fields_of_a_mapping() -> None:
    assert is_field("model")
    assert is_field("metrics.auc")
    assert is_field("ignore")
    assert not is_field("metrics.")
    assert not is_field("modell")
