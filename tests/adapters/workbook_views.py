"""Views like those of a real register, for the tests of the workbook adapter."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from manual_registry.core.view import Column, ColumnKind, Row, Sheet, View

EDIT = ColumnKind.EDITABLE
STAGES = ("experimental", "staging", "production", "archived")
MODELS = ("churn", "credit-scoring", "fraud-detection", "cv-screening")
MODEL_COLUMNS = (
    Column(header="Model", width=14, wrap=True),
    Column(header="Version", width=8),
    Column(header="Storage location", width=25, wrap=True, link=True),
    Column(header="Content hash", width=13, wrap=True),
    Column(header="Training data version", width=16, wrap=True),
    Column(header="Code commit", width=11, wrap=True),
    Column(header="Training date", width=10),
    Column(header="Evaluation metrics", width=24, wrap=True),
    Column(header="Stage", kind=EDIT, width=12, choices=STAGES),
    Column(header="Approver", width=16, wrap=True),
    Column(header="Approval date", width=10),
    Column(header="Deployment date", width=11),
    Column(header="SHA-256", width=66, outline=True),
    Column(header="Validation gates", width=14, wrap=True),
    Column(header="Pipeline run", width=10, wrap=True),
    Column(header="Composite version", width=80, outline=True),
    Column(header="Retention until", width=10),
    Column(header="Owner", kind=EDIT, width=11, wrap=True),
    Column(header="Notes", kind=EDIT, width=19, wrap=True),
    Column(header="Check", width=13, wrap=True),
    Column(header="Row id", hidden=True, width=10),
)
APPROVAL_COLUMNS = (
    Column(header="Approval", width=13),
    Column(header="Model", width=15),
    Column(header="Version", width=9),
    Column(header="From", width=12),
    Column(header="To", width=12),
    Column(header="Requested", width=16),
    Column(header="Requested by", width=20, wrap=True),
    Column(header="Status", width=12),
    Column(header="Decision", kind=EDIT, width=10, choices=("approve", "reject")),
    Column(header="Approver", kind=EDIT, width=22, wrap=True, choices=("ada@example.org", "grace@example.org")),
    Column(header="Approval date", kind=EDIT, width=11),
    Column(header="Comment", kind=EDIT, width=30, wrap=True),
    Column(header="Check", width=24, wrap=True),
    Column(header="Row id", hidden=True, width=10),
)
HISTORY_COLUMNS = (
    Column(header="No", text=False, width=6),
    Column(header="When", width=18),
    Column(header="Who", width=24),
    Column(header="What", width=18),
    Column(header="Model", width=16),
    Column(header="Version", width=10),
    Column(header="Summary", width=60, wrap=True),
    Column(header="Event hash", width=70, outline=True),
    Column(header="Row id", hidden=True, width=10),
)


def _hex(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def model_row(number: int) -> Row:
    """Return a plausible register row."""
    model, version = MODELS[number % 4], f"1.{number // 4}.0"
    stage = STAGES[(number * 7) % 4]
    digest, commit = _hex(f"{model}{version}"), _hex(f"c{number}")[:40]
    approved = stage in {"staging", "production"}
    root = "archive" if stage == "archived" else "models"
    return Row(
        row_id=f"{model}@{version}",
        cells={
            "Model": model,
            "Version": version,
            "Storage location": f"{root}/{model}/{version}/",
            "Content hash": f"blake3:{digest[:12]}",
            "Training data version": f"dvc:{commit[:7]}:data/train.csv",
            "Code commit": commit[:12],
            "Training date": f"2026-{number % 9 + 1:02d}-{number % 27 + 1:02d}",
            "Evaluation metrics": f"auc_roc=0.{870 + number % 90} [0.851, 0.902]\ndp_ratio=0.9{number % 10}",
            "Stage": stage,
            "Approver": "Ada Lovelace <ada@example.org>" if approved else None,
            "Approval date": f"2026-{number % 9 + 2:02d}-03" if approved else None,
            "Deployment date": f"2026-{number % 9 + 2:02d}-04" if stage == "production" else None,
            "SHA-256": digest,
            "Validation gates": "performance ✓\nfairness ✓\nsecurity ✓" if approved else "performance ✓",
            "Pipeline run": f"gh-{48210 + number}",
            "Composite version": f"{model}@{version}+code.{commit[:12]}.data.none.model.{digest[:12]}",
            "Retention until": "2036-11-24",
            "Owner": "Risk team" if number % 3 else "Grace Hopper",
            "Notes": "Retrained after the drift alert of October" if number % 5 == 0 else None,
            "Check": {3: "ap-3 waits for a signature", 6: "! fairness gate failed"}.get(number % 11),
        },
        links={"Storage location": f"{root}/{model}/{version}/"},
        look="problem" if number % 29 == 17 else stage,
    )


def view(rows: int = 60, *, seq: int = 12) -> View:
    """Return a whole view with ``rows`` versions at ledger head ``seq``."""
    history = tuple(
        Row(
            row_id=str(number),
            cells={
                "No": number,
                "When": f"2026-11-{number % 28 + 1:02d} 08:{number % 60:02d}",
                "Who": "sme@example.org",
                "What": "registered",
                "Model": "churn",
                "Version": f"1.{number}.0",
                "Summary": "registered with three gate reports and a complete card",
                "Event hash": "sha256:" + _hex(str(number)),
            },
        )
        for number in range(1, seq + 1)
    )
    approvals = tuple(
        Row(
            row_id=f"ap-{number}",
            cells={
                "Approval": f"ap-{_hex(str(number))[:8]}",
                "Model": MODELS[number % 4],
                "Version": f"1.{number}.0",
                "From": "staging" if number % 2 else "experimental",
                "To": "production" if number % 2 else "staging",
                "Requested": "2026-11-20 14:05",
                "Requested by": "linus@example.org",
                "Status": ("requested", "signed", "used", "rejected", "lapsed")[number % 5],
                "Check": "Filled in, NOT yet signed" if number % 5 == 0 else None,
            },
        )
        for number in range(12)
    )
    return View(
        registry_id=_hex("registry")[:32],
        system="Credit & churn scoring",
        head_seq=seq,
        head_hash="sha256:" + _hex(f"head{seq}"),
        as_of="2026-11-24T08:00:00.000Z",
        sheets=(
            Sheet(
                name="Models",
                title="Model register",
                columns=MODEL_COLUMNS,
                rows=tuple(map(model_row, range(rows))),
            ),
            Sheet(name="Approvals", title="Approvals", columns=APPROVAL_COLUMNS, rows=approvals),
            Sheet(name="History", title="History", columns=HISTORY_COLUMNS, rows=history),
        ),
        read_me=(
            (
                "What this is",
                "The register of every model version. It is a view: the ledger beside it is the record.",
            ),
            (
                "What you may edit",
                "The cells below purple headings. Nothing takes effect before `sync` has read it.",
            ),
        ),
    )


def with_row(base: View, sheet: str, row: Row, *, seq: int | None = None) -> View:
    """Return ``base`` with ``row`` in place of the row with its id, or at the end, and a later head."""
    sheets = []
    for one in base.sheets:
        if one.name == sheet:
            rows = tuple(row if old.row_id == row.row_id else old for old in one.rows)
            sheets.append(replace(one, rows=rows if row in rows else (*rows, row)))
        else:
            sheets.append(one)
    later = base.head_seq + 1 if seq is None else seq
    return replace(base, sheets=tuple(sheets), head_seq=later, head_hash="sha256:" + _hex(f"head{later}"))
