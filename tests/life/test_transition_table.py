"""The transition table cell by cell: exit status, code, and the command that would help (RP-9)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from life_line import Done, call, events_in, result_of, tree
from world import LEAD, SME, World

FORBIDDEN = "MR-P002"
#: Where a version of each of these models stands. "was" was in production once, "archived" never.
MODELS = ("experimental", "staging", "production", "archived", "was")
#: (model, command) -> what must come: exit status, code, beginning of the hint. Status 0: the stage that it is in then.
CELLS: dict[tuple[str, str], tuple[int, str, str]] = {
    ("experimental", "experimental"): (0, "same", ""),
    ("experimental", "staging"): (0, "staging", ""),
    ("experimental", "production"): (3, FORBIDDEN, "mreg promote experimental@1 --to staging"),
    ("experimental", "archived"): (2, "MR-U003", "mreg archive experimental@1 --reason TEXT"),
    ("experimental", "archive"): (0, "archived", ""),
    ("experimental", "unarchive"): (3, FORBIDDEN, "mreg promote experimental@1 --to staging"),
    ("experimental", "rollback"): (3, FORBIDDEN, "mreg promote experimental@1 --to staging"),
    ("staging", "experimental"): (0, "experimental", ""),
    ("staging", "staging"): (0, "same", ""),
    ("staging", "production"): (0, "production", ""),
    ("staging", "archived"): (2, "MR-U003", "mreg archive staging@1 --reason TEXT"),
    ("staging", "archive"): (0, "archived", ""),
    ("staging", "unarchive"): (3, FORBIDDEN, "mreg show staging@1"),
    ("staging", "rollback"): (3, FORBIDDEN, "mreg promote staging@1 --to production"),
    ("production", "experimental"): (3, FORBIDDEN, "mreg show production@1"),
    ("production", "staging"): (3, FORBIDDEN, "mreg show production@1"),
    ("production", "production"): (0, "same", ""),
    ("production", "archived"): (2, "MR-U003", "mreg archive production@1 --reason TEXT"),
    ("production", "archive"): (0, "archived", ""),
    ("production", "unarchive"): (3, FORBIDDEN, "mreg show production@1"),
    ("production", "rollback"): (0, "same", ""),
    ("archived", "experimental"): (3, FORBIDDEN, "mreg show archived@1"),
    ("archived", "staging"): (3, FORBIDDEN, "mreg unarchive archived@1 --reason TEXT"),
    ("archived", "production"): (3, FORBIDDEN, "mreg unarchive archived@1 --reason TEXT"),
    ("archived", "archived"): (2, "MR-U003", "mreg archive archived@1 --reason TEXT"),
    ("archived", "archive"): (0, "same", ""),
    ("archived", "unarchive"): (0, "staging", ""),
    ("archived", "rollback"): (3, "MR-P024", "mreg unarchive archived@1 --reason TEXT"),
    ("was", "experimental"): (3, FORBIDDEN, "mreg show was@1"),
    ("was", "staging"): (3, FORBIDDEN, "mreg unarchive was@1 --reason TEXT"),
    ("was", "production"): (3, FORBIDDEN, "mreg rollback was --to 1 --reason TEXT --pipeline NAME --pipeline-key FILE"),
    ("was", "archived"): (2, "MR-U003", "mreg archive was@1 --reason TEXT"),
    ("was", "archive"): (0, "same", ""),
    ("was", "unarchive"): (0, "staging", ""),
    ("was", "rollback"): (0, "production", ""),
}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A registry of minimal risk (nothing but the table speaks there) with a model in each row; to be copied."""
    place = tmp_path_factory.mktemp("table")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MANUAL_REGISTRY_STATE", str(place / "state"))
        patch.setenv("MANUAL_REGISTRY_CACHE", str(place / "cache"))
        world = World(place, risk="minimal", leads=(), pipelines=())
        for model in MODELS:
            world.as_().register(model, "1", world.artefact(model))
        for ref in ("staging@1", "production@1", "was@1"):
            world.promote(ref, "staging")
        for ref in ("production@1", "was@1"):
            world.promote(ref, "production")
        for ref in ("archived@1", "was@1"):
            world.as_().archive(ref, reason="old")
        yield world.root


def words_of(model: str, command: str) -> tuple[str, ...]:
    """The command line of a cell."""
    match command:
        case "archive" | "unarchive":
            return (command, f"{model}@1", "--reason", "because")
        case "rollback":
            return ("rollback", model, "--to", "1", "--reason", "because")
    return ("promote", f"{model}@1", "--to", command, "--reason", "because")


def test_the_table_is_whole() -> None:
    commands = ("experimental", "staging", "production", "archived", "archive", "unarchive", "rollback")
    assert set(CELLS) == {(model, command) for model in MODELS for command in commands}


@pytest.mark.parametrize(("model", "command"), list(CELLS))
def test_cell(table: Path, tmp_path: Path, model: str, command: str) -> None:
    status, wanted, hint = CELLS[model, command]
    root = tmp_path / "registry"
    shutil.copytree(table, root)
    before, words = tree(root), words_of(model, command)
    name = words[0]
    done = call(*words, "--json", cwd=root)
    assert done.status == status, (done.out, done.err)
    if status:
        assert (done.codes, done.hint) == ([wanted], hint)
        assert tree(root) == before
        as_text = call(*words, cwd=root)
        assert (as_text.status, as_text.out, as_text.codes, as_text.hint) == (status, "", [wanted], hint)
        return
    same = wanted == "same"
    stage = {"was": "archived"}.get(model, model) if same else wanted
    result_of(done, root, name, changed=not same, stage=stage, model=model, version="1")
    assert (tree(root) == before) is same
    assert call("show", f"{model}@1", "--json", cwd=root).document["stage"] == stage
    assert call("verify", "--json", cwd=root).document["ok"] is True


@pytest.mark.parametrize("actor", [SME, LEAD])
def test_promote_to_archived_is_usage_even_for_what_is_not_there(table: Path, actor: str) -> None:
    done = call("promote", "nobody@9", "--to", "archived", "--json", cwd=table, actor=actor)
    assert (done.status, done.codes, done.hint) == (2, ["MR-U003"], "mreg archive nobody@9 --reason TEXT")


def test_none_is_an_alias_of_experimental(table: Path, tmp_path: Path) -> None:
    root = tmp_path / "registry"
    shutil.copytree(table, root)
    result_of(
        call("promote", "staging@1", "--to", "none", "--reason", "r", "--json", cwd=root),
        root,
        "promote",
        stage="experimental",
    )


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (("promote", "staging@1", "--to", "experimental"), 7, "MR-I031"),
        (("promote", "staging@1", "--to", "experimental", "--reason", " "), 7, "MR-I031"),
        (("archive", "staging@1"), 7, "MR-I031"),
        (("archive", "staging@1", "--reason", ""), 7, "MR-I031"),
        (("unarchive", "was@1"), 7, "MR-I031"),
        (("rollback", "was", "--to", "1"), 2, "MR-U001"),
        (("rollback", "was", "--to", "1", "--reason", "  "), 7, "MR-I031"),
        (("promote", "staging@1"), 2, "MR-U001"),
        (("promote", "staging@1", "--to", "retired"), 2, "MR-U001"),
        (("archive",), 2, "MR-U001"),
        (("archive", "staging@1", "--pending"), 2, "MR-U001"),
        (("promote", "staging@9", "--to", "production"), 5, "MR-N001"),
        (("promote", "nobody@1", "--to", "production"), 5, "MR-N002"),
        (("rollback", "was", "--to", "9", "--reason", "r"), 5, "MR-N001"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_step_without_its_reason_or_its_words(table: Path, words: tuple[str, ...], status: int, code: str) -> None:
    before = events_in(table)
    done = call(*words, "--json", cwd=table)
    assert (done.status, done.codes) == (status, [code])
    assert events_in(table) == before


# -- requests follow the same table -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "to", "status"),
    [
        ("experimental", "staging", 0),
        ("experimental", "production", 3),
        ("experimental", "experimental", 3),
        ("experimental", "archived", 0),
        ("staging", "production", 0),
        ("staging", "staging", 3),
        ("staging", "experimental", 3),
        ("production", "archived", 0),
        ("production", "staging", 3),
        ("production", "production", 3),
        ("archived", "staging", 3),
        ("archived", "production", 3),
        ("archived", "archived", 3),
        ("was", "production", 3),
    ],
)
def test_an_approval_is_asked_for_a_step_of_the_table_only(
    table: Path, tmp_path: Path, model: str, to: str, status: int
) -> None:
    root = tmp_path / "registry"
    shutil.copytree(table, root)
    done: Done = call("approval", "request", f"{model}@1", "--to", to, "--json", cwd=root)
    assert done.status == status
    if status:
        assert done.codes == [FORBIDDEN]
        assert done.hint
    else:
        result_of(done, root, "approval-request", id=f"A{events_in(root)}")
