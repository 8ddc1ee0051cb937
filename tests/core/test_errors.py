"""The errors: one class, one code, one status of the contract; each used; several causes in their order."""

from __future__ import annotations

import inspect
import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import manual_registry
from manual_registry.core import errors
from manual_registry.core.errors import Refused, RegistryError, raise_for

PACKAGE = Path(manual_registry.__file__).parent
CLASSES = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, RegistryError)]
ROOTS = [one for one in CLASSES if one.__subclasses__()]
CONCRETE = [one for one in CLASSES if not one.__subclasses__()]
#: The contract's order (design 3.2, exit status); 8, 1 and 130 stand where it is silent.
CONTRACT_ORDER = (2, 7, 5, 4, 6, 3, 9)
LETTERS = {2: "U", 7: "I", 5: "N", 4: "LASVT", 6: "C", 3: "P", 9: "W", 8: "X", 1: "E"}


def test_codes_are_unique_and_well_formed() -> None:
    codes = [one.code for one in CLASSES]
    assert sorted(set(codes)) == sorted(codes)
    assert all(re.fullmatch(r"MR-[A-Z][0-9]{3}", code) for code in codes)


def test_each_class_owns_its_code_and_says_what_it_means() -> None:
    for one in CLASSES:
        assert "code" in one.__dict__, one
        assert one.__doc__, one
        assert one.__doc__.strip().splitlines()[0].endswith((".", ")")), one


def test_statuses_are_those_of_the_contract_and_the_letter_tells_them() -> None:
    for one in CLASSES:
        assert one.status in LETTERS, one
        assert one.code[3] in LETTERS[one.status], one


def test_every_class_is_raised_or_caught_somewhere() -> None:
    source = "\n".join(
        path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE / "core" / "errors"
    )
    used = set(re.findall(r"\w+", source))
    assert [one.__name__ for one in CONCRETE if one.__name__ not in used] == []


def test_status_order_is_the_contract_order() -> None:
    assert tuple(status for status in errors.STATUS_ORDER if status in CONTRACT_ORDER) == CONTRACT_ORDER
    assert {one.status for one in CLASSES} <= set(errors.STATUS_ORDER)


PLAIN = [one for one in CLASSES if one is not Refused]


@given(st.lists(st.sampled_from(PLAIN), min_size=1, max_size=8))
def test_several_causes_stand_in_that_order_and_keep_their_own(classes: list[type[RegistryError]]) -> None:
    causes = [kind(f"cause {number}") for number, kind in enumerate(classes)]
    refusal = Refused(causes)
    assert sorted(refusal.reasons, key=causes.index) == causes
    ranks = [errors.STATUS_ORDER.index(one.status) for one in refusal.reasons]
    assert ranks == sorted(ranks)
    for before, after in itertools.pairwise(refusal.reasons):
        if before.status == after.status:
            assert causes.index(before) < causes.index(after)
    assert (
        refusal.exit_status
        == refusal.reasons[0].status
        == min(causes, key=lambda one: errors.STATUS_ORDER.index(one.status)).status
    )
    assert refusal.message == refusal.reasons[0].message


def test_a_refusal_inside_a_refusal_is_flattened() -> None:
    inner = Refused([errors.GateMissing("g"), errors.BadName("n")])
    outer = Refused([errors.ApprovalWanted("w"), inner], message="not yet")
    assert [one.code for one in outer.reasons] == ["MR-I001", "MR-P003", "MR-W001"]
    assert (outer.message, outer.exit_status) == ("not yet", 7)


def test_a_refusal_takes_the_facts_of_the_most_pressing_cause() -> None:
    pressing = errors.VersionUnknown("no", clause="RP-1", hint="mreg list", location="m@1", details={"a": 1})
    refusal = Refused([errors.GateMissing("g", hint="other"), pressing])
    assert (refusal.clause, refusal.hint, refusal.location, refusal.details) == ("RP-1", "mreg list", "m@1", {"a": 1})


def test_raise_for() -> None:
    raise_for([])
    with pytest.raises(errors.GateMissing) as alone:
        raise_for([errors.GateMissing("g")])
    assert alone.value.reasons == (alone.value,)
    with pytest.raises(Refused) as several:
        raise_for([errors.GateMissing("g"), errors.GateFailed("f")])
    assert len(several.value.reasons) == 2


def test_a_refusal_needs_a_cause() -> None:
    with pytest.raises(ValueError, match="cause"):
        Refused([])


def test_no_code_is_used_for_two_things() -> None:
    """Findings that are no errors have codes too: each stands in one place, where it is given its meaning."""
    places: dict[str, list[str]] = {}
    for path in sorted(set(PACKAGE.rglob("*.py")) - {PACKAGE / "core" / "remedies.py"}):  # which only names them
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for code in re.findall(r"[\"'](MR-[A-Z][0-9]{3})[\"']", line):
                places.setdefault(code, []).append(f"{path.relative_to(PACKAGE)}:{number}")
    assert {code: where for code, where in places.items() if len(where) > 1} == {}
    assert len(places) >= len(CLASSES)


def test_every_finding_says_what_to_do() -> None:
    """What `verify` makes findings of: errors about the record, and codes of its own."""
    from manual_registry.core.remedies import REMEDIES

    source = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    own = set(re.findall(r"[\"'](MR-[FV]00[0-9])[\"']", source))
    nothing_to_do = {"MR-F002", "MR-F004", "MR-F006"}  # a level, a consequence, a doubt
    assert own - REMEDIES.keys() - nothing_to_do == set()
    of_the_record = {one.code for one in CONCRETE if one.code[3] in "LS"}
    assert of_the_record - REMEDIES.keys() == set()
