"""Every record carries the composite version identifier, and a line of the log leads back to a version."""

from __future__ import annotations

import doctest
import json
import logging
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import manual_registry
from manual_registry import inference_log
from manual_registry.core.errors import BadReference
from manual_registry.inference_log import CompositeVersionFilter, bind

ONE = "credit-risk@1.0.0+code.3f2a9c0b1d4e.data.0a1b2c3d4e5f.model.9a8b7c6d5e4f.config.none"
TWO = "chat@2+build.7+code.none.data.none.model.9a8b7c6d5e4f.config.0a1b2c3d4e5f.prompt.1a2b3c4d5e6f"


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(getattr(record, "composite_version", None))


@pytest.fixture
def kept() -> Iterator[tuple[logging.Logger, _Kept]]:
    logger = logging.getLogger("test.inference")
    handler = _Kept()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield logger, handler
    logger.removeHandler(handler)
    logger.filters.clear()
    logger.propagate = True


def test_on_a_handler_it_marks_records_of_child_loggers_too(kept: tuple[logging.Logger, _Kept]) -> None:
    logger, handler = kept
    handler.addFilter(CompositeVersionFilter(ONE))
    logger.info("scored")
    logger.getChild("batch").warning("slow")
    assert handler.seen == [ONE, ONE]


def test_it_overwrites_nothing(kept: tuple[logging.Logger, _Kept]) -> None:
    logger, handler = kept
    handler.addFilter(CompositeVersionFilter(ONE))
    logger.info("scored", extra={"composite_version": TWO})
    logger.info("no model answered", extra={"composite_version": None})
    assert handler.seen == [TWO, None]


def test_bound_again_the_new_identifier_counts(kept: tuple[logging.Logger, _Kept]) -> None:
    logger, handler = kept
    bind(logger, ONE)
    logger.info("first")
    bound = bind(logger, TWO)
    logger.info("second")
    logger.removeFilter(bound)
    logger.info("third")
    assert handler.seen == [ONE, TWO, None]


@pytest.mark.parametrize(
    "text", ["", "credit-risk@1.0.0", ONE.upper(), f"{ONE}.more.x", ONE.replace("@", " "), "a@1+code.none"]
)
def test_what_is_no_identifier_is_refused_at_the_start(kept: tuple[logging.Logger, _Kept], text: str) -> None:
    logger, _handler = kept
    bind(logger, ONE)
    with pytest.raises(BadReference) as refusal:
        bind(logger, text)
    assert refusal.value.status == 7
    assert [present.composite_id for present in logger.filters if isinstance(present, CompositeVersionFilter)] == [ONE]


def test_from_registry_asks_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[Path | None, str]] = []

    class _Registry:
        @classmethod
        def open(cls, path: Path | None) -> SimpleNamespace:
            def show(ref: str) -> dict[str, str]:
                asked.append((path, ref))
                return {"composite_id": ONE}

            return SimpleNamespace(show=show)

    monkeypatch.setitem(vars(manual_registry), "Registry", _Registry)
    marks = CompositeVersionFilter.from_registry(tmp_path, "credit-risk@production")
    for _ in range(3):
        assert marks.filter(logging.makeLogRecord({}))
    assert asked == [(tmp_path, "credit-risk@production")]


def test_a_line_of_the_log_leads_back_to_the_version(tmp_path: Path) -> None:
    root, file = tmp_path / "registry", tmp_path / "churn.pkl"
    file.write_bytes(b"weights")
    manual_registry.Registry.init(root, risk="minimal", actor="ada@example.org")
    registry = manual_registry.Registry.open(root, actor="ada@example.org")
    registry.register("churn", "next", file)
    record = logging.makeLogRecord({})
    assert CompositeVersionFilter.from_registry(root, "churn@latest").filter(record)
    traced = registry.trace(str(vars(record)["composite_version"]))
    assert (traced.model, traced.version) == ("churn", "1")


def test_importing_it_loads_no_heavy_library() -> None:
    import subprocess

    heavy = "{'pandas', 'openpyxl', 'pydantic', 'pygit2', 'click', 'rich', 'cryptography'}"
    script = f"import manual_registry.inference_log, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_formatter_of_the_docstring_writes_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    example = textwrap.dedent((inference_log.__doc__ or "").split("::\n", 1)[1])
    definition = example.split("\n\nhandler", 1)[0]
    names: dict[str, Any] = {}
    exec(f"import json, logging\nfrom datetime import UTC, datetime\n{definition}", names)
    record = logging.makeLogRecord({"msg": "scored %d", "args": (7,), "levelname": "INFO", "request_id": "r-1"})
    CompositeVersionFilter(ONE).filter(record)
    line = json.loads(names["JsonLines"]().format(record))
    assert line["composite_version"] == ONE
    assert (line["message"], line["level"], line["request_id"]) == ("scored 7", "INFO", "r-1")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])


def test_the_doctest_runs() -> None:
    assert doctest.testmod(inference_log).failed == 0
