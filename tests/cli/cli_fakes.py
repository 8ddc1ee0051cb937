"""A facade that records what it was asked and gives canned answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from manual_registry.adapters.workbook_place import belongs_to_registry
from manual_registry.core.results import LINK_KINDS, LinkStatus, Result, Trace, TraceLink, Verification

HEAD = (7, "sha256:" + "ab" * 32)


def result(**more: Any) -> Result:
    values: dict[str, Any] = {
        "command": "note",
        "changed": True,
        "ledger": HEAD,
        "model": "churn",
        "version": "1",
    }
    return Result(**{**values, **more})


def trace(**statuses: LinkStatus) -> Trace:
    links = tuple(
        TraceLink(kind=kind, status=statuses.get(kind, LinkStatus.VERIFIED), summary=f"about {kind}")
        for kind in LINK_KINDS
    )
    return Trace(
        model="churn",
        version="1",
        stage="production",
        composite_id="churn@1+code.none.data.none.model.0123456789ab.config.none",
        links=links,
        needed=frozenset({"artefact"}),
        paragraph="churn@1 has been in production since 2026-11-24.",
    )


STATUS = {
    "schema": "manual-registry/status/1",
    "system": "Churn",
    "risk": "high",
    "registry_id": "0" * 32,
    "root": "/r",
    "counts": {"experimental": 1, "staging": 0, "production": 0, "archived": 0},
    "models": 1,
    "pending": [],
    "overdue": [],
    "pending_moves": [],
    "view_behind": False,
    "ledger": {"seq": 7, "hash": HEAD[1]},
    "next": ["mreg trace churn@1"],
}


class FakeRegistry:
    """Answers every method with what ``answers`` holds under its name (an exception is raised)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.warnings: tuple[str, ...] = ()
        self.head = HEAD
        self.passphrase: Callable[[str], str] | None = None
        self.asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.opened: list[tuple[Path | None, str | None]] = []
        self.answers: dict[str, Any] = {
            "status": STATUS,
            "list": [],
            "pipeline_facts": {},
            "exception_facts": {},
            "takes_signature": True,
            "without_leads": None,
            "close_facts": {"successor": "u", "versions": {}, "closed": None, "remarks": []},
            "history": [],
            "trace": trace(),
            "verify": Verification(checked={"events": 7}, findings=()),
        }

    def owns(self, path: str | Path) -> bool:
        return belongs_to_registry(self.root, Path(path))

    def open(self, path: Path | None = None, *, actor: str | None = None) -> FakeRegistry:
        self.opened.append((path, actor))
        if isinstance(self.answers.get("open"), BaseException):
            raise self.answers["open"]
        return self

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def method(*args: Any, **kwargs: Any) -> Any:
            self.asked.append((name, args, kwargs))
            answer = self.answers.get(name, result())
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return method


class Ran(NamedTuple):
    status: int
    out: str
    err: str
