"""`init` that was stopped half-way, names that are taken, addresses that are no directories; the id of a registry."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from life_line import call, tree

from manual_registry.adapters import files
from manual_registry.adapters.keys import generate_ed25519
from manual_registry.adapters.ledger_files import LedgerFiles
from manual_registry.core.errors import NameTaken, UsageError
from manual_registry.core.results import Severity
from manual_registry.registry import Registry, views


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours catches it."""


def begin(place: Path, **changes: Any) -> Any:
    """Run the same `init`."""
    wanted: dict[str, Any] = {"risk": "limited", "system": "a system", "leads": [("Ada <a@example.org>", lead(place))]}
    return Registry.init(place / "registry", actor="a@example.org", **{**wanted, **changes})


def lead(place: Path) -> Path:
    """Return the public key of the lead."""
    if not (place / "key").exists():
        generate_ed25519(place / "key", "a@example.org")
    return place / "key.pub"


@pytest.fixture(autouse=True, scope="module")
def _loaded(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Load every module first: what is imported later would keep the steps that stop."""
    begin(tmp_path_factory.mktemp("loaded"))


def killed_at(number: int, monkeypatch: pytest.MonkeyPatch, *, text: bool = False) -> None:
    """Let `init` be killed before its ``number``-th step (counted from 0); ``text``: before its ``number``-th file."""
    left = [number]

    def stop(kept: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return kept(*args, **kwargs)

        return step

    monkeypatch.setattr(files, "write_atomic", stop(files.write_atomic))
    if text:
        return
    monkeypatch.setattr(files, "make_directory", stop(files.make_directory))
    monkeypatch.setattr(LedgerFiles, "append", stop(LedgerFiles.append))
    monkeypatch.setattr(views, "publish", stop(views.publish))


@pytest.mark.parametrize("number", range(20))
def test_the_same_init_goes_on_after_a_kill(tmp_path: Path, number: int) -> None:
    """At each of the directories, the first event, each file of the root but registry.toml."""
    with pytest.MonkeyPatch.context() as patch:
        killed_at(number, patch)
        with contextlib.suppress(Killed):
            begin(tmp_path)
    if (tmp_path / "registry" / "registry.toml").exists():
        assert number > 10  # seven directories, an event, three files
        return
    root = tmp_path / "registry"
    left = {path: path.read_bytes() for path in root.glob("ledger/*.json")}
    done = begin(tmp_path)
    assert done.changed
    assert {path: path.read_bytes() for path in left} == left  # a first event is never written anew
    registry = Registry.open(root, actor="a@example.org")
    outcome = registry.verify()
    assert [one for one in outcome.findings if one.severity is not Severity.INFO and one.code != "MR-F002"] == []
    assert registry.status()["registry_id"] == done.id


def test_another_init_is_told_how_the_first_one_goes_on(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        killed_at(1, patch, text=True)
        with pytest.raises(Killed):
            begin(tmp_path)
    root = tmp_path / "registry"
    before = tree(root)
    with pytest.raises(NameTaken, match="stopped half-way") as refused:
        begin(tmp_path, risk="high")
    assert "policy, risk differ" in refused.value.message
    words = f"mreg init {root} --risk limited --system 'a system' --lead 'Ada <a@example.org>' --lead-key KEY.pub"
    assert refused.value.hint == words
    assert tree(root) == before
    again = call("init", root, "--risk", "high", "--json", cwd=tmp_path)
    assert (again.status, again.codes) == (6, ["MR-C004"])


@pytest.mark.parametrize(
    "name", ["models/churn/1", "approvals/x.json", "archive/old.zip", "README.txt", "ledger/notes.txt", "registry.xlsx"]
)
def test_what_no_init_left_is_not_taken_for_its_own(tmp_path: Path, name: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        killed_at(0, patch, text=True)
        with pytest.raises(Killed):
            begin(tmp_path)
    root = tmp_path / "registry"
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text("mine", encoding="utf-8")
    before = tree(root)
    with pytest.raises(NameTaken, match="nothing was touched"):
        begin(tmp_path)
    assert tree(root) == before


def test_a_link_in_our_names_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "registry" / "models").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NameTaken):
        begin(tmp_path)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_init_where_a_registry_is_names_the_command_that_shows_it(tmp_path: Path) -> None:
    begin(tmp_path)
    done = call("init", tmp_path / "registry", "--risk", "limited", "--json", cwd=tmp_path)
    assert (done.status, done.codes, done.hint) == (6, ["MR-C004"], f"mreg --registry {tmp_path / 'registry'} status")


@pytest.mark.parametrize(
    "address", ["s3://bucket/prefix", "s3:/bucket", "https://example.org/registry", "file:///tmp/x"]
)
def test_an_address_makes_no_folder_of_that_name(tmp_path: Path, address: str) -> None:
    for words in (("init", address, "--risk", "minimal"), ("--registry", address, "list")):
        done = call(*words, "--json", cwd=tmp_path)
        assert done.status == 2, words
        assert "not known yet" in done.error["message"]
    with pytest.raises(UsageError):
        Registry.init(address, risk="minimal", actor="a@example.org")
    assert list(tmp_path.glob("s3*")) == []


def test_two_registries_never_share_an_id(tmp_path: Path) -> None:
    """Same people, same system, same millisecond."""
    moment = datetime(2026, 11, 24, tzinfo=UTC)
    ids = set()
    for _ in range(3):
        ids.add(begin(tmp_path, clock=lambda: moment).id)
        shutil.move(tmp_path / "registry", tmp_path / f"registry-{len(ids)}")
    assert len(ids) == 3


def test_init_without_a_risk_class_names_the_folder_again(tmp_path: Path) -> None:
    done = call("init", "my registry", "--json", cwd=tmp_path)
    assert (done.status, done.hint) == (2, "mreg init 'my registry' --risk minimal")
    assert call("init", "--json", cwd=tmp_path).hint == "mreg init --risk minimal"
