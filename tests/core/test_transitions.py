"""The transition table, cell by cell (design 3.1, clause RP-9)."""

from __future__ import annotations

import itertools
import shlex

import pytest

from manual_registry.core import transitions
from manual_registry.core.errors import TransitionForbidden, WrongCommand
from manual_registry.core.values import Stage

E, S, P, A = Stage.EXPERIMENTAL, Stage.STAGING, Stage.PRODUCTION, Stage.ARCHIVED
#: The contract's sentence, written out: (from, to) -> the commands that may take the step.
TABLE = {
    (E, E): (), (E, S): ("promote",), (E, P): (), (E, A): ("archive",),
    (S, E): ("promote",), (S, S): (), (S, P): ("promote",), (S, A): ("archive",),
    (P, E): (), (P, S): (), (P, P): (), (P, A): ("archive",),
    (A, E): (), (A, S): ("unarchive",), (A, P): ("rollback",), (A, A): (),
}  # fmt: skip
COMMANDS = ("promote", "archive", "unarchive", "rollback")
CELLS = [(command, *cell) for command, cell in itertools.product(COMMANDS, TABLE)]


def test_the_table_is_whole() -> None:
    assert set(TABLE) == set(itertools.product(Stage, Stage))
    assert set(transitions.STEPS) == set(COMMANDS)


@pytest.mark.parametrize(("command", "before", "after"), CELLS)
def test_each_cell(command: str, before: Stage, after: Stage) -> None:
    reasons = transitions.check(command, before, after, ref="churn@1")
    if command in TABLE[before, after]:
        assert reasons == []
        return
    (reason,) = reasons
    assert isinstance(reason, TransitionForbidden)
    assert (reason.status, reason.clause) == (3, "RP-9")
    assert reason.hint


@pytest.mark.parametrize(("command", "before", "after"), CELLS)
def test_the_hint_is_the_command_that_takes_the_step(command: str, before: Stage, after: Stage) -> None:
    reasons = transitions.check(command, before, after, ref="churn@1")
    others = TABLE[before, after]
    if not reasons or not others:
        return
    words = shlex.split(reasons[0].hint or "")
    assert words[:2] == ["mreg", others[0]]
    if others[0] == "promote":
        assert words[2:5] == ["churn@1", "--to", after.value]
    elif others[0] == "rollback":
        assert words[2:5] == ["churn", "--to", "1"]
    else:
        assert words[2:4] == ["churn@1", "--reason"]


def test_from_experimental_to_production_the_hint_is_staging() -> None:
    (reason,) = transitions.check("promote", E, P, ref="churn@1")
    assert reason.hint == "mreg promote churn@1 --to staging"


def test_promote_does_not_archive() -> None:
    refusal = transitions.not_by_promote("churn@1")
    assert isinstance(refusal, WrongCommand)
    assert (refusal.status, refusal.hint) == (2, "mreg archive churn@1 --reason TEXT")
