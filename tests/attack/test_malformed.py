"""Malformed events, in a chain that is right: every reader and writer says so, and nobody sees a traceback."""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attacker import CI, LEAD, LEAD2, Scene, gate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutate import mutated
from provider import Provider
from world import World

from manual_registry.adapters.keys import generate_ed25519
from manual_registry.core import events as kinds
from manual_registry.core.audit import audit_ledger
from manual_registry.core.canonical import dump
from manual_registry.core.decide import decide
from manual_registry.core.errors import EventUnreadable, FormatTooNew, RegistryError
from manual_registry.core.folding import apply
from manual_registry.core.ledger import chain, file_name, hash_of, parse_event
from manual_registry.core.links import Trace
from manual_registry.core.results import Severity
from manual_registry.core.state import State
from manual_registry.core.times import stamp
from manual_registry.core.trusted import refuse_forged, trusted_fold

#: Those of adoption, recovery and handing over need a registry of their own kind; the end would end this one.
ELSEWHERE = {kinds.ADOPTED, "version.taken-in", "export.recorded", kinds.RECOVERED, kinds.CLOSED}
TYPES = {name for name in kinds.EVENT_TYPES if not name.startswith("baseline.")} - ELSEWHERE
#: Events that only `sync` writes; they are made by hand here.
SYNCED = {kinds.EDITED: {"field": "owner", "value": "x", "was": "team"}, kinds.FILLED: None}
PUT_BACK = {"sheet": "Models", "row": "churn@5", "column": "Model", "sha256": "ab" * 32}


@pytest.fixture(scope="module")
def rich(finished: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A copy that holds every type of event."""
    place = tmp_path_factory.mktemp("rich")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MANUAL_REGISTRY_STATE", str(place / "state"))
        patch.setenv("MANUAL_REGISTRY_CACHE", str(place / "cache"))
        patch.chdir(place)
        scene = Scene.copy(finished, place / "copy")
        _every_type(scene)
        yield scene


def time_stamp(scene: Scene) -> dict[str, Any]:
    """Make what a time-stamp over the head says; whose signature it has is nobody's question here."""
    digest = hash_of(scene.path(scene.head).read_bytes())
    token = base64.b64encode(b"token" + bytes.fromhex(digest.removeprefix("sha256:"))).decode()
    return {"seq": scene.head, "hash": digest, "time": stamp(scene.now), "authority": "CN=Time", "token": token}


def _promoted_with_a_token(scene: Scene) -> None:
    """The other way to be a pipeline: an enrolment without a key, a promotion without a signature of ours."""
    provider = Provider(audience=f"manual-registry:{scene.state(1).registry_id}")
    oidc, jwks, token = (scene.root.parent / name for name in ("oidc.toml", "jwks.json", "token"))
    oidc.write_text(provider.toml(), encoding="utf-8")
    jwks.write_bytes(dump(provider.key_set()))
    token.write_text(provider.token(scene.now), encoding="utf-8")
    scene.as_(LEAD).pipeline_add("github", oidc=oidc, jwks=jwks, as_=LEAD, key=scene.world.key(LEAD))
    scene.as_(CI).promote("churn@3", to="production", reason="x", oidc_token_file=token)


def _every_type(scene: Scene) -> None:
    me, keys = scene.as_(), scene.world.keys
    report = scene.root.parent / "report.json"
    report.write_bytes(dump(gate("robustness")))
    me.attach("churn@5", gates=[report], evidence=[scene.world.artefact("more")])
    me.tag("churn@5", {"team": "risk"})
    me.alias_set("churn", "best", "2")
    me.alias_remove("churn", "best")
    me.deploy("churn@3", environment="test")
    me.deploy("churn@3", environment="test", end=True)
    me.drill(sample=1)
    me.unarchive("churn@6", reason="needed again")
    asked = me.approval_request("churn@5", to="staging").id or ""
    scene.as_(LEAD).approval_statement(asked, as_=LEAD)
    me.approval_withdraw(asked)
    me.verify(record=True)
    _promoted_with_a_token(scene)
    scene.as_(CI).rollback("churn", to="1", reason="worse", pipeline="ci", pipeline_key=keys / "ci")
    open_one = f"A{scene.head}"
    sign: dict[str, Any] = {"as_": LEAD, "key": keys / LEAD}
    scene.as_(LEAD).pipeline_revoke("ci2", reason="old", **sign)
    path = scene.root / "registry.toml"
    scene.put(path, path.read_bytes().replace(b"approval_hours = 48", b"approval_hours = 24"))
    scene.as_(LEAD).policy_sign(**sign)
    _every_request(scene, sign)
    scene.forge(kinds.EDITED, {"model": "churn", "version": "5"}, SYNCED[kinds.EDITED] or {})
    entry = {"decision": "approved", "approver": LEAD2, "date": "2026-11-02", "comment": None}
    scene.forge(kinds.FILLED, {"model": "churn", "version": "1"}, {"id": open_one, **entry})
    scene.forge(kinds.ANCHORED, {}, time_stamp(scene))
    scene.forge(kinds.RESTORED, {}, {"workbook": "cd" * 32, "cells": [PUT_BACK], "count": 1})
    me.reset_view()


def _every_request(scene: Scene, sign: dict[str, Any]) -> None:
    """A delegate and a delegation, an exception, and requests: issued, answered, rejected, withdrawn."""
    me, lead = scene.as_(), scene.as_(LEAD)
    for name in ("delegate@example.org", "ci4"):
        if not scene.world.key(name).exists():
            generate_ed25519(scene.world.key(name), name)
    deputy: dict[str, Any] = {"role": "delegate", "public_key": scene.world.public("delegate@example.org")}
    asked = me.approver_add("Dee <delegate@example.org>", **deputy).id or ""
    lead.approval_statement(asked, as_=LEAD)
    lead.approval_sign(asked, **sign)
    scope = {"models": "churn", "from_": "2026-11-01", "until": "2026-12-31", "reason": "leave"}
    lead.approver_delegate("delegate@example.org", **scope, **sign)
    for end in ("reject", "withdraw"):
        asked = me.pipeline_add("ci4", public_key=scene.world.public("ci4")).id or ""
        if end == "reject":
            lead.approval_sign(asked, **sign, reject=True, comment="whose is it?")
        else:
            me.approval_withdraw(asked)
    report = scene.root.parent / "fairness.json"
    report.write_bytes(dump(gate("fairness", lower=0.1, value=0.2, passed=False)))
    me.attach("churn@5", gates=[report])
    words = dict.fromkeys(("severity", "justification", "controls", "remediation", "root_cause"), "words")
    dates = {"expires": "2026-12-31", "remediation_date": "2026-12-31"}
    lead.exception_grant("churn@5", gate="fairness", **words, **dates, **sign)


def test_the_rich_ledger_holds_every_type_and_is_good(rich: Scene) -> None:
    assert {one["type"] for one in rich.documents()} == TYPES
    assert rich.state().requests[ASKED].to == "production"
    assert rich.errors() == []


def relinked(scene: Scene, index: int, document: dict[str, Any]) -> dict[str, bytes]:
    """Put ``document`` in place ``index`` (from 0; the end: append it) and give all later ones a right chain."""
    raws = [scene.path(seq).read_bytes() for seq in range(1, scene.head + 1)]
    later = [document, *map(json.loads, raws[index + 1 :])]
    files = {file_name(seq): raw for seq, raw in enumerate(raws[:index], 1)}
    prev = hash_of(raws[index - 1]) if index else None
    for seq, one in enumerate(later, index + 1):
        files[file_name(seq)] = raw = dump({**one, "seq": seq, "prev": prev})
        prev = hash_of(raw)
    return files


@st.composite
def attacks(draw: st.DrawFn, scene: Scene) -> dict[str, bytes]:
    """Mutate one event where it stands, or append a mutated copy of one."""
    index = draw(st.integers(0, scene.head - 1))
    changed = draw(mutated(scene.document(index + 1)))
    return relinked(scene, index if draw(st.booleans()) else scene.head, changed)


def the_core_bears(files: dict[str, bytes]) -> None:
    """Audit, decide, fold: findings and RegistryErrors, nothing else."""
    audit = audit_ledger(sorted(files), files.__getitem__)
    try:
        events = list(chain(sorted(files.items())))
        state = State()
        for event in events:
            decide(state, event)
            apply(state, event)
        assert state.head_seq == len(files)
        trusted_fold(events)
        refuse_forged(events, "churn")
    except RegistryError as problem:
        assert any(one.severity is Severity.ERROR for one in audit.findings), problem


BUDGET = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@BUDGET
@given(data=st.data())
def test_the_core_bears_every_mutation_in_a_right_chain(rich: Scene, data: st.DataObject) -> None:
    the_core_bears(data.draw(attacks(rich)))


#: churn@3's approval to production.
ASKED = "A27"


def readers(scene: Scene) -> list[Callable[[], object]]:
    """Every reading command."""
    me = scene.as_()
    return [
        me.status,
        me.list,
        me.history,
        me.approval_list,
        me.approver_list,
        me.pipeline_list,
        me.policy_show,
        me.anchor,
        lambda: me.history("churn@2"),
        lambda: me.show("churn@2"),
        lambda: me.show("churn@5"),
        lambda: me.show("churn@6"),
        lambda: me.search("metrics.auc>0.5"),
        lambda: me.compare("churn@1", "churn@2"),
        lambda: me.card("churn@2"),
        lambda: me.approval_show(ASKED),
        lambda: me.fetch("churn@5", scene.root.parent / "fetched"),
        me.to_dataframe,
    ]


def walks(scene: Scene) -> list[Callable[[], Trace]]:
    """`trace` answers also where the ledger is damaged, and says what is broken."""
    me = scene.as_()
    return [
        lambda: me.trace("churn@1"),
        lambda: me.trace("churn@5"),
        lambda: me.trace("churn@2", hash=False),
    ]


def writers(scene: Scene) -> list[Callable[[], object]]:
    """Some writing commands of each kind."""
    keys = scene.world.keys
    return [
        lambda: scene.as_().note("churn@5", "a note"),
        lambda: scene.as_().tag("churn@5", {"a": "b"}),
        lambda: scene.as_().deploy("churn@5", environment="test"),
        lambda: scene.as_().approval_request("churn@4", to="production"),
        lambda: scene.as_(CI).promote("churn@3", to="production", reason="x", pipeline="ci", pipeline_key=keys / "ci"),
        lambda: scene.as_(CI).rollback("churn", to="2", reason="x", pipeline="ci", pipeline_key=keys / "ci"),
        lambda: scene.as_().archive("churn@5", reason="x"),
        lambda: scene.as_().archive_pending(),
        lambda: scene.as_().drill(),
        lambda: scene.as_().unarchive("churn@6", reason="x"),
        lambda: scene.as_(LEAD).pipeline_add("ci4", public_key=scene.world.public("spare"), as_=LEAD, key=keys / LEAD),
        lambda: scene.as_().reset_view(),
    ]


def the_facade_bears(rich: Scene, files: dict[str, bytes]) -> None:
    """`verify` has an outcome, everything else an answer or a RegistryError."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(rich.root, Path(folder) / "registry")
        scene = Scene(world=rich.world, root=Path(folder) / "registry", now=rich.now)
        for name, raw in files.items():
            if (scene.root / "ledger" / name).read_bytes() != raw if (scene.root / "ledger" / name).exists() else True:
                scene.put(scene.root / "ledger" / name, raw)
        try:
            outcome = scene.verify()
        except RegistryError as problem:
            pytest.fail(f"verify itself gave up: {problem!r}")
        assert outcome.findings
        for attempt in (*readers(scene), *walks(scene), *writers(scene)):
            try:
                attempt()
            except RegistryError as problem:
                assert problem.exit_status != 1, problem
        scene.verify()


@settings(BUDGET, max_examples=3)
@given(data=st.data())
def test_every_command_bears_every_mutation(rich: Scene, data: st.DataObject) -> None:
    the_facade_bears(rich, data.draw(attacks(rich)))


@pytest.mark.slow
@settings(BUDGET, max_examples=150)
@given(data=st.data())
def test_every_command_bears_many_more(rich: Scene, data: st.DataObject) -> None:
    the_facade_bears(rich, data.draw(attacks(rich)))


# -- files that are no events at all ----------------------------------------------------------------------

DEEP = b'{"actor":' + b"[" * 200_000


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b"{",
        DEEP,
        DEEP + b"]" * 200_000 + b"}",
        b"\xff\xfe{\x00}\x00",
        b"\xef\xbb\xbf{}",
        b"\x00" * 100,
        b'{"format":1}',
        b"NaN",
        b"1" * 5000,
        b'{"a":' + b"9" * 5000 + b"}",
        b"\x80\x81",
        b"\xed\xa0\x80",
    ],
)
def test_a_file_that_is_no_event(scene: Scene, raw: bytes) -> None:
    seq = scene.head + 1
    scene.put(scene.path(seq), raw)
    assert scene.errors() == [("MR-L002", f"ledger/{seq:012d}.json")]
    for attempt in (*readers(scene), *writers(scene)):
        with pytest.raises(EventUnreadable):
            attempt()
    assert all(walk().broken for walk in walks(scene))


def variant(scene: Scene, change: Callable[[str], str]) -> int:
    """Append a note whose text is changed as text, so that it need not be canonical JSON any more."""
    seq = scene.forge("version.noted", {"model": "churn", "version": "2"}, {"text": "HERE"})
    scene.put(scene.path(seq), change(scene.path(seq).read_text(encoding="utf-8")).encode("utf-8", "surrogatepass"))
    return seq


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('"HERE"', "NaN"),
        lambda text: text.replace('"HERE"', "Infinity"),
        lambda text: text.replace('"HERE"', '"\\ud800"'),
        lambda text: text.replace('"HERE"', '"\ud800"'),
        lambda text: text.replace('"HERE"', "[" * 500 + "]" * 500),
        lambda text: text.replace('"HERE"', '{"a":' * 400 + "1" + "}" * 400),
        lambda text: text.replace('"format":1', '"format":true'),
        lambda text: text.replace('"format":1', '"format":1.0'),
        lambda text: text.replace('"format":1', '"format":"1"'),
        lambda text: text.replace('"actor":"', '"actor":7,"x":"'),
        lambda text: text.replace('"type":"version.noted"', '"type":null'),
        lambda text: text.replace('"subject":{"model":"churn","version":"2"}', '"subject":[]'),
        lambda text: text[:-2],
        lambda text: text.replace("HERE", "\x07"),
    ],
)
def test_an_event_that_json_alone_would_let_pass(scene: Scene, change: Callable[[str], str]) -> None:
    seq = variant(scene, change)
    assert ("MR-L002", f"ledger/{seq:012d}.json") in scene.errors()
    with pytest.raises((EventUnreadable, FormatTooNew)):
        scene.as_().list()


def test_a_huge_event_is_none(scene: Scene) -> None:
    seq = scene.head + 1
    with scene.path(seq).open("wb") as file:
        file.truncate(3 << 30)  # sparse: three gigabytes of zeros
    assert scene.errors() == [("MR-L002", f"ledger/{seq:012d}.json")]


def test_every_member_missing_and_every_kind_of_value_wrong(rich: Scene) -> None:
    """The whole table, one by one: without the member, and with each other kind of value."""
    seen: set[str] = set()
    state = State()
    for event in rich.events():
        if event.type not in seen:
            seen.add(event.type)
            _every_member(rich.document(event.seq), state)
        apply(state, event)
    assert seen == TYPES


def _every_member(document: dict[str, Any], state: State) -> None:
    for part, member in [("subject", name) for name in document["subject"]] + [
        ("data", name) for name in document["data"]
    ]:
        value = document[part][member]
        for wrong in ("gone", None, 7, True, "text", [7], {"a": 7}):
            if type(wrong) is type(value) or wrong == value:
                continue
            inner = {name: one for name, one in document[part].items() if name != member}
            changed = {**document, part: inner if wrong == "gone" else {**inner, member: wrong}}
            reasons = decide(state, parse_event(dump(changed), location="x"))
            optional = wrong is None or (isinstance(wrong, str) and value is None) or isinstance(wrong, dict)
            assert reasons or optional, (document["type"], part, member, wrong)
