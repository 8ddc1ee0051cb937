"""Time from outside: `anchor --tsa`, `verify --tsa-roots`, and authorities that misbehave."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

pytest.importorskip("rfc3161_client", reason="the extra [tsa] is not installed")

from authority import OPENSSL, Authority
from world import LEAD, LEAD2, World

from manual_registry.adapters import timestamping
from manual_registry.core.errors import RegistryError
from manual_registry.core.results import Verification

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed")


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def url(honest: Authority) -> Iterator[str]:
    with honest.serving() as address:
        yield address


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path / "world", risk="minimal", leads=(), pipelines=())
    found.as_().register("churn", "1", found.artefact("1"))
    return found


def codes(outcome: Verification) -> list[str]:
    return [one.code for one in outcome.findings if one.severity.value == "error"]


def told(outcome: Verification) -> str:
    return "\n".join(one.message for one in outcome.findings)


def test_a_token_is_kept_and_judged_again(world: World, honest: Authority, url: str, tmp_path: Path) -> None:
    line = tmp_path / "anchor.txt"
    done = world.cli("anchor", "--tsa", url, "--tsa-roots", str(honest.roots), "-o", str(line))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("ledger 3 sha256:")
    assert line.read_text().startswith("manual-registry anchor registry=")
    assert " 2:sha256:" in line.read_text()
    event = json.loads(world.ledger(3).read_bytes())
    assert (event["type"], event["data"]["seq"], event["data"]["authority"]) == ("ledger.anchored", 2, "CN=Test Time")
    assert base64.b64decode(event["data"]["token"]) == (tmp_path / "anchor.txt.tsr").read_bytes()
    judged = world.as_().verify(tsa_roots=honest.roots, anchor=str(line))
    assert judged.ok
    assert judged.checked["timestamps"] == 1
    assert told(judged).count("existed at") == 2  # the token in the ledger, and the one beside the line
    unjudged = world.as_().verify()
    assert unjudged.ok
    assert "were not judged" in told(unjudged)
    assert "existed at" in world.cli("history").stdout


def test_the_auditor_checks_it_with_openssl_alone(world: World, honest: Authority, url: str, tmp_path: Path) -> None:
    _, _, token = world.as_().anchor_with(url, tsa_roots=honest.roots)
    (tmp_path / "token.tsr").write_bytes(token)
    command = [
        "openssl",
        "ts",
        "-verify",
        "-data",
        str(world.ledger(2)),
        "-in",
        "token.tsr",
        "-CAfile",
        str(honest.roots),
    ]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0


def test_json(world: World, honest: Authority, url: str) -> None:
    done = world.cli("anchor", "--tsa", url, "--json")
    document = json.loads(done.stdout)
    assert (document["schema"], document["changed"], document["events"]) == ("manual-registry/anchor/1", True, [3])
    assert document["ledger"]["seq"] == 3
    assert "was not judged" in document["warnings"][0]
    assert json.loads(world.cli("anchor", "--json").stdout).keys() == {"schema", "line"}


def refused(world: World, address: str, roots: Path | None) -> RegistryError:
    before = world.as_().head
    with pytest.raises(RegistryError) as problem:
        world.as_().anchor_with(address, tsa_roots=roots)
    assert world.as_().head == before
    return problem.value


def test_an_authority_that_is_not_there(world: World, honest: Authority) -> None:
    for address in ("http://127.0.0.1:9/", "https://127.0.0.1:9/"):
        assert refused(world, address, honest.roots).exit_status == 8
    for address in ("file:///etc/passwd", "ftp://example.org/", "example.org"):
        assert refused(world, address, honest.roots).exit_status == 2


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b""),
        (404, b"x"),
        (302, b""),
        (200, b""),
        (200, b"<html>"),
        (200, bytes(1 << 17)),
        (200, b"0\x050\x03\x02\x01\x02"),
    ],
)
def test_an_authority_that_answers_something_else(world: World, tmp_path: Path, status: int, body: bytes) -> None:
    odd = Authority(tmp_path / "odd", answer=lambda _: (status, body))
    with odd.serving() as address:
        problem = refused(world, address, odd.roots)
    assert (problem.code, problem.exit_status) == ("MR-X020", 8)


def test_answers_that_do_not_hold(world: World, honest: Authority, url: str, tmp_path: Path) -> None:
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    def asked(data: bytes) -> bytes:
        return honest.reply(TimestampRequestBuilder(data=data, hash_algorithm=HashAlgorithm.SHA256).build().as_bytes())

    over_something_else, old = asked(b"something else"), asked(world.ledger(2).read_bytes())
    odd = Authority(tmp_path / "odd")
    for name, reply in (("something else", over_something_else), ("nonce", old)):
        odd.answer = lambda _, reply=reply: (200, reply)  # type: ignore[misc]
        with odd.serving() as address:
            problem = refused(world, address, honest.roots)
        assert (problem.code, problem.exit_status) == ("MR-S020", 4), name
        assert name in problem.message
    odd.answer = None
    with odd.serving() as address:
        problem = refused(world, address, honest.roots)  # another authority than the one that is trusted
        assert (problem.code, "leads to none of the roots" in problem.message) == ("MR-S020", True)
    flipped = bytearray(old)
    flipped[-3] ^= 1  # in the signature
    with pytest.raises(RegistryError, match=r"does not hold: its signature is broken$"):
        timestamping.judge(bytes(flipped), world.ledger(2).read_bytes(), timestamping.load_roots(honest.roots))


def test_a_certificate_that_had_expired_when_it_signed(world: World, tmp_path: Path) -> None:
    expired = Authority(tmp_path / "expired", since=60, days=30)
    with expired.serving() as address:
        problem = refused(world, address, expired.roots)
    assert (problem.code, problem.message.endswith("no longer valid at the time that it states")) == ("MR-S020", True)


def test_roots_that_are_none(world: World, url: str, tmp_path: Path) -> None:
    (tmp_path / "roots.pem").write_text("nothing")
    for path in (tmp_path / "roots.pem", tmp_path / "missing.pem", tmp_path):
        assert refused(world, url, path).exit_status == 7
    with pytest.raises(RegistryError):
        world.as_().anchor_with(url)
        world.as_().verify(tsa_roots=tmp_path / "missing.pem")


def test_roots_that_are_none_are_told_also_when_there_is_no_time_stamp(world: World, tmp_path: Path) -> None:
    done = world.cli("verify", "--tsa-roots", str(tmp_path / "missing.pem"))
    assert (done.returncode, "missing.pem cannot be read" in done.stderr) == (7, True)


def test_tokens_of_another_authority_are_found(world: World, honest: Authority, tmp_path: Path) -> None:
    """Somebody who can write the folder puts a token of their own authority there."""
    mine = Authority(tmp_path / "mine")
    with mine.serving() as address:
        world.as_().anchor_with(address)
    assert codes(world.as_().verify(tsa_roots=mine.roots)) == []
    outcome = world.as_().verify(tsa_roots=honest.roots)
    assert codes(outcome) == ["MR-S020"]
    assert "000000000003.json" in next(one.location for one in outcome.findings if one.code == "MR-S020")


def test_a_ledger_that_was_written_anew_no_longer_fits(
    world: World, honest: Authority, url: str, tmp_path: Path
) -> None:
    line = tmp_path / "anchor.txt"
    world.cli("anchor", "--tsa", url, "-o", str(line))
    copy = World(tmp_path / "other", risk="minimal", leads=(), pipelines=())
    copy.as_().register("churn", "1", copy.artefact("1"))
    token = json.loads(world.ledger(3).read_bytes())["data"]
    from manual_registry.core import events as kinds
    from manual_registry.core.decide import decide
    from manual_registry.core.folding import fold
    from manual_registry.core.ledger import Draft, seal

    events = copy.as_()._work.load().events
    state = fold(events)

    def reasons(**changes: object) -> list[str]:
        data = {**token, "hash": state.head_hash, **changes}
        draft = Draft(type=kinds.ANCHORED, subject={}, data=data)
        event = seal(draft, seq=3, prev=state.head_hash, at=world.as_()._work.now(), actor="a@example.org")
        return [one.code for one in decide(state, event)]

    assert reasons() == ["MR-S020"]  # a token of the other ledger, over other bytes
    assert reasons(hash=token["hash"]) == ["MR-L007"]
    assert reasons(token="!") == ["MR-L002"]
    assert reasons(token="") == ["MR-L002"]
    shutil.rmtree(world.root / "ledger")
    shutil.copytree(copy.root / "ledger", world.root / "ledger")
    outcome = world.as_().verify(anchor=str(line), tsa_roots=honest.roots)
    assert {"MR-L007"} <= set(codes(outcome))


@pytest.mark.parametrize("days", [-2, 2])
def test_a_clock_that_differs_from_the_authority_is_told(world: World, url: str, days: int) -> None:
    world.later(days=days)
    if days > 0:
        world.as_().note("churn@1", "from the future")
    problem = refused(world, url, None)
    assert (problem.code, problem.exit_status) == ("MR-P020", 3)


def test_a_clock_set_back_after_a_time_stamp_is_found(world: World, honest: Authority, url: str) -> None:
    world.as_().anchor_with(url, tsa_roots=honest.roots)
    world.later(days=-3)
    world.as_().note("churn@1", "dated back")
    outcome = world.as_().verify(tsa_roots=honest.roots)
    found = [one for one in outcome.findings if one.code == "MR-L009"]
    assert any("CN=Test Time saw event 2 as the last one" in one.message for one in found), found


def test_answers_with_changed_bytes_never_raise_anything_else(honest: Authority) -> None:
    import random

    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    data, source = b"data", random.Random(5)
    query = TimestampRequestBuilder(data=data, hash_algorithm=HashAlgorithm.SHA256).build().as_bytes()
    good, roots = honest.reply(query), timestamping.load_roots(honest.roots)
    assert timestamping.judge(good, data, roots).rooted
    for _ in range(400):
        changed = bytearray(good)
        for _ in range(source.randint(1, 4)):
            changed[source.randrange(len(changed))] = source.randrange(256)
        try:
            timestamping.judge(
                bytes(changed[: source.choice([len(changed), source.randrange(len(changed))])]), data, roots
            )
        except RegistryError as problem:
            assert problem.code == "MR-S020"
            assert "ErrorStack" not in problem.message  # our words, not a library's


def test_a_time_stamp_shows_that_signatures_are_older_than_a_theft(tmp_path: Path, honest: Authority, url: str) -> None:
    world = World(tmp_path / "world", pipelines=())
    world.register("1")
    world.approve("churn@1", "staging")
    world.as_().anchor_with(url, tsa_roots=honest.roots)
    stolen = datetime.now(UTC)
    sign = {"as_": LEAD2, "key": world.key(LEAD2)}
    world.as_(LEAD2).approver_revoke(LEAD, reason="stolen", compromised_since=stolen.isoformat(), **sign)
    assert codes(world.as_().verify()) == ["MR-S030"]
    assert codes(world.as_().verify(tsa_roots=honest.roots)) == []
