"""`close` through the command line: what is asked first, what a closed register refuses, what it goes on doing (RP-22)."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from adopt_team import usual
from life_line import Copied, events_in, here, result_of, tree
from sheets import cell, cell_at, edit, opened, type_row
from world import LEAD, LEAD2, SME, World, gate

from manual_registry.adapters.keys import generate_ed25519
from manual_registry.core.errors import RegistryClosed
from manual_registry.core.statements import CONTROL_NAMESPACE

PLACE = "https://mlflow.example.org"
CLOSE = ("close", "--successor", PLACE, "--reason", "moved to MLflow")
Words = Callable[[World], tuple[str | Path, ...]]


def signing(world: World, who: str = LEAD) -> tuple[str | Path, ...]:
    """The options that sign as ``who``."""
    return ("--as", who, "--key", world.key(who))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pytest.MonkeyPatch]:
    """A machine of the module's own: its memory, and no git repository around."""
    place = tmp_path_factory.mktemp("machine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MANUAL_REGISTRY_STATE", str(place / "state"))
        patch.setenv("MANUAL_REGISTRY_CACHE", str(place / "cache"))
        patch.setenv("GIT_CEILING_DIRECTORIES", str(place.parent))
        patch.chdir(place)
        yield patch


@pytest.fixture(scope="module")
def closed(machine: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A closed registry: 1 in production and deployed, 2 archived and not moved, 3 experimental, an open request."""
    del machine
    world = World(tmp_path_factory.mktemp("closed"))
    world.to_production("0")
    world.to_production("1")
    world.register("3")
    generate_ed25519(world.key("new"), "new")
    registry = world.as_()
    registry.deploy("churn@1", environment="production")
    registry.alias_set("churn", "champion", "1")
    registry.approval_request("churn@3", to="staging")
    (world.place / "extra.json").write_text(json.dumps(gate("fairness", value=0.95)))
    world.as_(LEAD).close(PLACE, reason="moved to MLflow", as_=LEAD, key=world.key(LEAD))
    return world


@pytest.fixture
def copy(closed: World, tmp_path: Path) -> World:
    """A copy of it, to write in."""
    shutil.copytree(closed.place, tmp_path / "copy")
    return Copied(tmp_path / "copy")


def _policy(world: World) -> tuple[str | Path, ...]:
    config = world.root / "registry.toml"
    config.write_text(config.read_text().replace("approval_hours = 48", "approval_hours = 24"))
    return ("policy", "sign", *signing(world))


def _sheet(world: World) -> tuple[str | Path, ...]:
    return ("adopt", usual(world.place / "team").sheet)


_CI = ("--pipeline", "ci", "--pipeline-key")

#: Every writing command that a closed register refuses.
REFUSED: dict[str, Words] = {
    "register": lambda w: ("register", "churn", "9", w.artefact("9"), "--metadata", w.metadata()),
    "register next": lambda w: ("register", "churn", "next", w.artefact("9"), "--metadata", w.metadata()),
    "register without anything": lambda w: ("register", "new", "1", w.place / "nowhere"),
    "attach": lambda w: ("attach", "churn@3", "--gates", w.place / "extra.json"),
    "tag": lambda w: ("tag", "churn@1", "team=risk"),
    "alias set": lambda w: ("alias", "set", "churn", "best", "1"),
    "alias remove": lambda w: ("alias", "remove", "churn", "champion"),
    "promote": lambda w: ("promote", "churn@3", "--to", "staging", "--reason", "r"),
    "promote with a key": lambda w: ("promote", "churn@3", "--to", "production", *_CI, w.key("ci")),
    "rollback": lambda w: ("rollback", "churn", "--to", "0", "--reason", "r", *_CI, w.key("ci")),
    "deploy": lambda w: ("deploy", "churn@1", "--environment", "edge"),
    "unarchive": lambda w: ("unarchive", "churn@0", "--reason", "r"),
    "approval request": lambda w: ("approval", "request", "churn@3", "--to", "staging"),
    "approval sign": lambda w: ("approval", "sign", lapsed(w), *signing(w)),
    "approval statement": lambda w: ("approval", "statement", lapsed(w), "--as", LEAD, "-o", w.place / "s.json"),
    "approval withdraw": lambda w: ("approval", "withdraw", lapsed(w)),
    "approver add": lambda w: (
        "approver", "add", "New <new@example.org>", "--role", "technical-sme", "--public-key", w.public("new"), *signing(w)
    ),
    "approver add by request": lambda w: (
        "approver", "add", "New <new@example.org>", "--role", "technical-sme", "--public-key", w.public("new")
    ),
    "approver delegate": lambda w: (
        "approver", "delegate", "new@example.org", "--models", "*", "--from", "2026-01-01", "--until", "2026-12-31",
        "--reason", "r", *signing(w)
    ),
    "approver recover": lambda w: (
        "approver", "recover", "New <new@example.org>", "--public-key", w.public("new"), "--key", w.key(LEAD)
    ),
    "exception grant": lambda w: (
        "exception", "grant", "churn@3", "--gate", "fairness", "--severity", "low", "--justification", "j", "--controls",
        "c", "--expires", "2036-01-01", "--remediation", "r", "--remediation-date", "2036-01-01", *signing(w)
    ),
    "pipeline add": lambda w: ("pipeline", "add", "new", "--public-key", w.public("new"), *signing(w)),
    "policy sign": _policy,
    "adopt": _sheet,
    "export mlflow": lambda w: ("export", "mlflow", "--tracking-uri", "http://127.0.0.1:9"),
}  # fmt: skip


def lapsed(world: World) -> str:
    """Return the id of the request that lapsed."""
    return next(one["id"] for one in world.as_().approval_list() if one["status"] == "lapsed")


@pytest.mark.parametrize("name", REFUSED)
def test_whatever_begins_something_is_refused_before_anything_is_done(
    closed: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, config = REFUSED[name](closed), closed.root / "registry.toml"
    before = tree(closed.root), sorted(closed.place.rglob("*.mapping.toml"))
    try:
        monkeypatch.setattr("manual_registry.adapters.keys.signer_for", _nobody_is_asked)
        done = here(closed)(*words, "--json")
        assert (done.status, done.codes) == (3, ["MR-P080"]), (done.out, done.err)
        assert PLACE in done.error["message"]
        assert done.error["clause"] == "RP-22"
        assert (tree(closed.root), sorted(closed.place.rglob("*.mapping.toml"))) == before
    finally:
        config.write_text(config.read_text().replace("approval_hours = 24", "approval_hours = 48"))


def _nobody_is_asked(*_: object, **__: object) -> None:
    raise AssertionError("a key was asked for")


SIGNED = [name for name, words in REFUSED.items() if name.startswith(("approver", "pipeline", "policy", "exception"))]


@pytest.mark.parametrize("name", [*SIGNED, "approval sign"])
def test_no_lead_reads_a_summary_or_is_asked_for_a_yes_first(
    closed: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal and without one; also where no key is named, which a closed register does not ask for."""
    words, config = [str(one) for one in REFUSED[name](closed)], closed.root / "registry.toml"
    monkeypatch.setattr("manual_registry.adapters.keys.signer_for", _nobody_is_asked)
    monkeypatch.setattr("click.confirm", _nobody_is_asked)
    try:
        for terminal in (False, True):
            for module in ("ask", "session"):
                monkeypatch.setattr(f"manual_registry.cli.{module}.interactive", lambda terminal=terminal: terminal)
            for given in (words, words[: -2 if "--key" in words and name != "approver recover" else None]):
                done = here(closed)(*given)
                assert (done.status, done.codes, done.out) == (3, ["MR-P080"], ""), (given, done.err)
                first = next(
                    one for one in done.err.splitlines() if not one.startswith("warning: registry.toml differs")
                )
                assert first.startswith("error MR-P080")
                assert PLACE in first
    finally:
        config.write_text(config.read_text().replace("approval_hours = 24", "approval_hours = 48"))


def test_what_stands_already_needs_no_yes(closed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manual_registry.adapters.keys.signer_for", _nobody_is_asked)
    for words in (
        ("pipeline", "add", "ci", "--public-key", closed.public("ci")),
        ("approver", "add", f"Lead 1 <{LEAD2}>", "--role", "ai-governance-lead", "--public-key", closed.public(LEAD2)),
        ("policy", "sign"),
    ):
        done = here(closed)(*words, *signing(closed))
        assert (done.status, "nothing changed" in done.out, "Sign" in done.err) == (0, True, False), done.err


def test_what_reads_goes_on(closed: World, tmp_path: Path) -> None:
    run = here(closed)
    before = tree(closed.root)
    status = run("status").out.splitlines()
    assert status[0].startswith("CLOSED since 20")
    assert status[1] == f"successor: {PLACE}"
    document = run("status", "--json").document
    assert (document["closed"]["successor"], document["closed"]["by"]) == (PLACE, LEAD)
    assert document["closed"].keys() == {"at", "successor", "reason", "by", "event", "doubted_since"}
    assert document["pending"] == []
    for words in (
        ("list",), ("show", "churn@1"), ("search", "metrics.auc>0"), ("compare", "churn@0", "churn@1"), ("history",),
        ("trace", "churn"), ("fetch", "churn@1", tmp_path / "out"), ("card", "churn@1"), ("anchor",), ("approval", "list"),
        ("approver", "list"), ("policy", "show"), ("export", "csv", "-o", tmp_path / "r.csv"), ("approval", "show", lapsed(closed)),
    ):  # fmt: skip
        done = run(*words)
        assert done.status == 0, (words, done.err)
    verified = run("verify", "--json").document
    assert sorted(one["code"] for one in verified["findings"]) == ["MR-F001", "MR-F002", "MR-F063"]
    assert tree(closed.root) == before
    made = run("init", tmp_path / "next", "--risk", "high", "--continues", closed.root, "--json", cwd=tmp_path)
    assert made.status == 0, made.err
    assert run("--registry", tmp_path / "next", "status", "--json").document["closed"] is None


def test_what_looks_after_the_records_goes_on(copy: World) -> None:
    run = here(copy)
    for command, words in (
        ("note", ("note", "churn@1", "seen")),
        ("archive", ("archive", "--pending")),
        ("deploy", ("deploy", "churn@1", "--environment", "production", "--end")),
        ("archive", ("archive", "churn@3", "--reason", "never used")),
        ("pipeline-revoke", ("pipeline", "revoke", "ci", "--reason", "moved", *signing(copy))),
    ):
        result_of(run(*words, "--json"), copy.root, command)
    wanted = run("archive", "churn@1", "--reason", "moved", "--json")
    assert (wanted.status, wanted.codes) == (9, ["MR-W001"])
    name = result_of(
        run("approval", "request", "churn@1", "--to", "archived", "--json"), copy.root, "approval-request"
    )["id"]
    result_of(run("approval", "sign", name, *signing(copy), "--json"), copy.root, "approval-sign")
    result_of(run("archive", "churn@1", "--reason", "moved", "--json"), copy.root, "archive")
    asked = run("approver", "revoke", LEAD2, "--reason", "left", "--json").document["id"]
    assert run("approval", "sign", asked, *signing(copy)).status == 0
    assert run("verify", "--record", "--json").status == 0
    assert run("reset-view").status == 0
    seen = run("trace", "churn@1", "--json")
    assert (seen.status, seen.document["stage"]) == (0, "archived")


def test_again_is_nothing_and_otherwise_a_conflict(closed: World) -> None:
    run = here(closed)
    before = tree(closed.root)
    for more in ((), signing(closed)):
        result_of(run(*CLOSE, *more, "--json"), closed.root, "close", changed=False, events=[], id="registry")
    assert "nothing changed" in run(*CLOSE).out
    for words in (
        ("close", "--successor", "elsewhere", "--reason", "moved to MLflow"),
        ("close", "--successor", PLACE, "--reason", "another"),
    ):
        for more in ((), signing(closed)):
            done = run(*words, *more, "--json")
            assert (done.status, done.codes) == (6, ["MR-C080"])
            assert PLACE in done.error["message"]
    assert tree(closed.root) == before


def test_two_leads_who_close_it_alike_at_once_both_have_what_they_wanted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one looked, and said yes, before the first one's event was there."""
    again = world.as_(LEAD2)
    first, load = world.as_(LEAD), again._work.load
    seen: list[object] = []

    def late() -> object:
        seen.append(load())
        if len(seen) == 1:
            first.close(PLACE, reason="moved to MLflow", as_=LEAD, key=world.key(LEAD))
        return seen[-1]

    monkeypatch.setattr(again._work, "load", late)
    done = again.close(PLACE, reason="moved to MLflow", as_=LEAD2, key=world.key(LEAD2))
    assert (done.changed, done.ledger[0]) == (False, events_in(world.root))


def test_an_import_is_refused_before_the_server_is_asked(closed: World) -> None:
    with pytest.raises(RegistryClosed):
        closed.as_().import_mlflow("http://127.0.0.1:9")


def test_the_same_version_again_is_nothing_to_do(closed: World) -> None:
    words = ("register", "churn", "3", closed.artefact("3"), "--metadata", closed.metadata(), "--json")
    result_of(here(closed)(*words), closed.root, "register", changed=False)


# -- closing ----------------------------------------------------------------------------------------------


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An open registry with one version."""
    made = World(tmp_path)
    made.register()
    return made


def test_a_lead_closes_and_reads_what_it_means(world: World) -> None:
    run, name = here(world), world.as_().approval_request("churn@1", to="staging").id
    done = run("close", "--successor", "https://bob:secret@mlflow.example.org/", "--reason", "moved", *signing(world))
    assert done.status == 0, done.err
    assert f"closed; the register goes on at {PLACE}/" in done.out
    assert f"1 open request lapses with it: {name}" in done.err
    assert "user, password and what looks like a token or key in --successor are left out" in done.err
    assert "secret" not in done.out + done.err
    assert not [path for path in world.root.rglob("*") if path.is_file() and b"secret" in path.read_bytes()]


def test_a_request_is_opened_and_signed(world: World) -> None:
    run = here(world)
    asked = result_of(run(*CLOSE, "--json"), world.root, "close")
    name = asked["id"]
    assert asked["waiting_for"]
    assert run(*CLOSE, "--json").document["id"] == name  # not a second one
    (row,) = [one for one in run("approval", "list", "--json").document["approvals"] if one["id"] == name]
    assert (row["kind"], row["status"]) == ("closing", "requested")
    shown = run("approval", "show", name)
    assert PLACE in shown.out
    assert world.as_().status()["closed"] is None
    assert run("approval", "statement", name, "--as", LEAD, "-o", world.place / "s.json").status == 0
    done = run("approval", "sign", name, *signing(world))
    assert done.status == 0
    assert f"closed; the register goes on at {PLACE}" in done.out
    assert "next: mreg anchor" in done.out
    assert world.as_().status()["closed"]["successor"] == PLACE
    assert (world.root / "README.txt").read_text().count(f"CLOSED on {world.clock():%Y-%m-%d}; successor: {PLACE}") == 1


@pytest.mark.parametrize("way", ["import", "inbox"])
def test_a_signature_from_elsewhere_that_closes_says_so(world: World, way: str) -> None:
    run = here(world)
    name = run(*CLOSE, "--json").document["id"]
    statement = world.place / f"{name}.json"
    assert run("approval", "statement", name, "--as", LEAD, "-o", statement).status == 0
    subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-f", world.key(LEAD), "-n", CONTROL_NAMESPACE, statement], check=True
    )
    signature = Path(f"{statement}.sig")
    told = f"closed; the register goes on at {PLACE}"
    if way == "import":
        shutil.copytree(world.place, world.place.with_name("json"))
        there = here(Copied(world.place.with_name("json")))
        document = there("approval", "import", name, "--signature", signature, "--json").document
        assert (document["changed"], document["next"]) == (True, "mreg anchor")
        done = run("approval", "import", name, "--signature", signature)
        assert told in done.out
        assert "next: mreg anchor" in done.out
        assert run("approval", "import", name, "--signature", signature, "--json").document["changed"] is False
        return
    inbox = world.root / "approvals" / ".inbox"
    inbox.mkdir(parents=True, exist_ok=True)
    shutil.copy(signature, inbox)
    done = run("tag", "churn@1", "team=risk")
    assert (done.status, done.codes) == (3, ["MR-P080"])
    assert told in done.err


def test_a_request_is_refused_or_withdrawn(world: World) -> None:
    run = here(world)
    first = run(*CLOSE, "--json").document["id"]
    assert run("approval", "sign", first, *signing(world), "--reject", "--comment", "not yet").status == 0
    second = run(*CLOSE, "--json").document["id"]
    assert run("approval", "withdraw", second).status == 0
    assert (second != first, world.as_().status()["closed"]) == (True, None)
    world.register("2")


def test_what_speaks_against_it_is_told_before_anybody_is_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run = here(world)
    monkeypatch.setattr("manual_registry.adapters.keys.signer_for", _nobody_is_asked)
    head = events_in(world.root)
    for words, status, code in (
        (("close", "--successor", "", "--reason", "r"), 7, "MR-I"),
        (("close", "--successor", "a\nb", "--reason", "r"), 7, "MR-I"),
        (("close", "--successor", PLACE, "--reason", " "), 7, "MR-I"),
        ((*CLOSE[:3], "--reason", "r", "--as", SME, "--key", world.key(SME)), 3, "MR-P018"),
        ((*CLOSE[:3], "--reason", "r", "--key", world.key(LEAD)), 2, "MR-U"),
    ):
        done = run(*words, "--json")
        assert done.status == status, (words, done.err)
        assert done.codes[0].startswith(code)
    assert events_in(world.root) == head


def test_a_register_without_leads_says_how_to_enrol_one(tmp_path: Path) -> None:
    world = World(tmp_path, risk="minimal", leads=(), pipelines=())
    done = here(world)(*CLOSE, "--json")
    assert (done.status, done.codes) == (3, ["MR-P021"])
    assert "mreg approver add" in done.hint


def test_the_address_of_a_page_is_kept_whole(world: World) -> None:
    page = "https://mlflow.example.org/?o=7#/models/churn"
    done = here(world)("close", "--successor", page + "?token=hush", "--reason", "moved", *signing(world))
    assert (done.status, "hush" in done.out + done.err) == (0, False)
    assert f"closed; the register goes on at {page}\n" in done.out
    assert f"successor: {page}\n" in here(world)("status").out
    assert f"successor: {page}\n" in (world.root / "README.txt").read_text()
    with opened(shutil.copy(world.root / "registry.xlsx", world.place / "look.xlsx")) as book:
        assert str(book["Models"].cell(1, 1).value).endswith(f"successor: {page}")
        assert str(book["Read me"].cell(1, 2).value).endswith(page)
        assert not any(cell.hyperlink for row in book["Read me"].rows for cell in row)


# -- doubted, and left by everybody -----------------------------------------------------------------------


def test_an_end_that_a_thief_signed_is_doubted_wherever_it_is_told(copy: World, tmp_path: Path) -> None:
    run = here(copy)
    since = json.loads(copy.ledger(1).read_bytes())["at"]
    words = ("approver", "revoke", LEAD, "--reason", "key stolen", "--compromised-since", since)
    assert run(*words, *signing(copy, LEAD2)).status == 0
    doubt = f"IN DOUBT (its key was compromised since {since[:10]}); successor: {PLACE}"
    assert doubt in (copy.root / "README.txt").read_text()
    assert not list(copy.root.glob("README.*.set-aside.txt"))
    with opened(shutil.copy(copy.root / "registry.xlsx", copy.place / "look.xlsx")) as book:
        assert doubt in str(book["Models"].cell(1, 1).value)
    seen = run("status", "--json").document
    assert seen["closed"]["doubted_since"] == since
    assert seen["next"][0].endswith(f"--continues {copy.root}")
    assert "IN DOUBT" in run("status").out.splitlines()[2]
    refused = run("tag", "churn@1", "a=b", "--json")
    assert (refused.status, refused.codes) == (3, ["MR-P080"])
    assert "in doubt; ask its leads, who go on with init --continues" in refused.error["message"]
    verified = run("verify", "--json")
    assert verified.status == 4
    told = [one["message"] for one in verified.document["findings"] if one["code"] == "MR-F063"]
    assert doubt in told[0]
    serious = [one["message"] for one in verified.document["findings"] if "the end of this register" in one["message"]]
    assert "--continues" in serious[0]
    made = run("init", tmp_path / "next", "--risk", "high", "--lead", f"Lead <{LEAD2}>", "--lead-key",
               copy.public(LEAD2), "--continues", copy.root, "--json", cwd=tmp_path)  # fmt: skip
    assert made.status == 0, made.err
    assert run("--registry", tmp_path / "next", "status", "--json").document["closed"] is None


def test_the_last_lead_goes_and_is_told_what_nobody_signs_any_more(copy: World) -> None:
    run = here(copy)
    run("approver", "revoke", LEAD2, "--reason", "left", *signing(copy))
    asked = run("approver", "revoke", LEAD, "--reason", "left", "--json")
    told = f"{LEAD} is the last lead of a closed register: no revocation can be signed here any more, and churn@1 stays"
    assert asked.document["warnings"][0].startswith(told)
    assert told in run("approval", "show", asked.document["id"]).out.replace("\n", " ")
    done = run("approver", "revoke", LEAD, "--reason", "left", *signing(copy))
    assert (done.status, done.err.count("is the last lead")) == (0, 1), done.err
    assert done.err.index("is the last lead") < done.err.index("left") + 400
    run("deploy", "churn@1", "--environment", "production", "--end")
    wanted = run("archive", "churn@1", "--reason", "moved", "--json")
    assert (wanted.status, wanted.codes) == (9, ["MR-W001"])
    for words in (("approver", "revoke", SME, "--reason", "r", *signing(copy)), ("verify",), ("note", "churn@1", "n")):
        assert run(*words).status in (0, 3, 5), words
    assert run("verify").status == 0


# -- what people see --------------------------------------------------------------------------------------


def test_workbook_and_read_me_say_it(copy: World) -> None:
    line = f"CLOSED on {copy.clock():%Y-%m-%d}; successor: {PLACE}"
    for again in (False, True):
        with opened(shutil.copy(copy.root / "registry.xlsx", copy.place / "look.xlsx")) as book:
            for name in ("Models", "Approvals", "Approvers", "History"):
                assert str(book[name].cell(1, 1).value).endswith(f" - {line}"), (name, again)
            assert book["Read me"].cell(1, 2).value == line
            assert any("Nothing new begins here" in str(row[1].value) for row in book["Read me"].rows)
        assert line in (copy.root / "README.txt").read_text(encoding="utf-8")
        here(copy)("reset-view")


def test_a_read_me_that_somebody_wrote_in_is_kept(world: World) -> None:
    path = world.root / "README.txt"
    path.write_text("ask Ada\n")
    done = here(world)(*CLOSE, *signing(world))
    (aside,) = world.root.glob("README.*.set-aside.txt")
    assert (done.status, aside.read_text()) == (0, "ask Ada\n")
    assert "README.txt was not as this tool renders it" in done.err
    assert PLACE in path.read_text()
    mine = path.read_text() + "and Ben\n"
    path.write_text(mine)
    here(world)("note", "churn@1", "seen")
    assert path.read_text() == mine  # it says where: whatever else stands there is theirs
    path.unlink()
    here(world)("note", "churn@1", "seen again")
    assert PLACE in path.read_text()


def test_sync_takes_a_note_and_tells_the_rest(copy: World) -> None:
    book = copy.root / "registry.xlsx"
    copy.as_().note("churn@1", "first")
    was = cell(book, "Models", "churn@1", "Notes")
    edit(book, {
        ("Models", "churn@1", "Notes"): f"{was}\nand a second one",
        ("Models", "churn@1", "Owner"): "somebody else",
        ("Models", "churn@3", "Notes"): "added where nothing stood",
        ("Models", "churn@3", "Stage"): "staging",
        ("Approvals", lapsed(copy), "Decision"): "approved",
    })  # fmt: skip
    whole = {"Model": "churn", "Version": "9", "Storage location": str(copy.artefact("9"))}
    complete, begun = type_row(book, whole), type_row(book, {"Model": "new"})
    head = events_in(copy.root)
    done = copy.as_(LEAD).sync(from_=copy.place)
    told = [one.message for one in done.outcome.problems]
    assert len([one for one in told if "this register was closed on" in one and PLACE in one]) == 5, told
    assert {one.row for one in done.outcome.accepted} == {"churn@1", "churn@3"}
    assert events_in(copy.root) == head + 3  # two notes, and what was put back
    assert cell(book, "Models", "churn@1", "Owner") == "team"
    assert cell(book, "Models", "churn@3", "Stage") == "experimental"
    assert "second one" in cell(book, "Models", "churn@1", "Notes")
    for row in (complete, begun):
        assert "this register was closed on" in str(cell_at(book, row, "Check")), row
    assert list(copy.root.glob("*.set-aside*"))
    edit(book, {("Models", "churn@1", "Notes"): "rewritten", ("Models", "churn@3", "Stage"): "archived"})
    again = copy.as_(LEAD).sync()
    assert [one.row for one in again.outcome.requested] == ["churn@3"]
    assert any("Notes" in one.message or one.column == "Notes" for one in again.outcome.problems)
    assert "second one" in cell(book, "Models", "churn@1", "Notes")
    assert [one for one in copy.as_().verify().findings if one.severity.value == "error"] == []


def test_what_people_wrote_and_nobody_read_is_told_before_the_end(world: World) -> None:
    run, book = here(world), world.root / "registry.xlsx"
    asked = run(*CLOSE, "--json").document
    assert not [one for one in asked["warnings"] if "in the workbook" in one]
    edit(book, {("Models", "churn@1", "Owner"): "somebody", ("Models", "churn@1", "Notes"): "mine"})
    type_row(book, {"Model": "churn", "Version": "9"})
    told = "3 edits wait in the workbook (mreg sync takes them in; afterwards it takes notes only)"
    assert told in " ".join(run("approval", "show", asked["id"]).out.split())
    done = run(*CLOSE, *signing(world))
    assert (done.status, done.err.count(told)) == (0, 1)
    assert "mreg sync takes notes, keeps a copy and puts the rest right" in done.err
    assert "in the workbook" not in run(*CLOSE, *signing(world)).err


def test_a_command_killed_between_event_and_view_is_caught_up(copy: World, closed: World) -> None:
    del closed
    (copy.root / "README.txt").unlink()
    assert here(copy)("note", "churn@1", "seen").status == 0
    assert PLACE in (copy.root / "README.txt").read_text()


def test_killed_before_the_views_the_same_again_tells_it_everywhere(copy: World) -> None:
    readme, book = copy.root / "README.txt", copy.root / "registry.xlsx"
    readme.write_text(readme.read_text().partition("  closed ")[0] + "\n")
    book.unlink()
    result_of(here(copy)(*CLOSE, *signing(copy), "--json"), copy.root, "close", changed=False)
    assert "CLOSED on" in readme.read_text()
    assert book.is_file()
