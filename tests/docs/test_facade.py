"""Docstrings of the facade: each method says what it raises, and every class that is named exists."""

from __future__ import annotations

import inspect
import re

import pytest

from manual_registry.core import errors
from manual_registry.registry import Registry

METHODS = {
    name: member
    for name, member in inspect.getmembers(Registry, inspect.isfunction)
    if not name.startswith("_") and member.__doc__
}


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_method_says_what_it_raises(name: str) -> None:
    text = " ".join((METHODS[name].__doc__ or "").split())
    assert re.search(r"\b(Raises|Also|The reasons are)\b", text), text


def test_every_class_that_is_named_is_there() -> None:
    texts = [Registry.__doc__ or "", *((member.__doc__ or "") for member in METHODS.values())]
    named = {name for text in texts for name in re.findall(r":class:`(\w+)`", text)}
    assert {name for name in named if not hasattr(errors, name)} == set()
    assert len(named) > 40


def test_every_public_method_has_a_docstring() -> None:
    public = [name for name, _ in inspect.getmembers(Registry) if not name.startswith("_")]
    assert [name for name in public if not (getattr(Registry, name).__doc__ or "").strip()] == []
