"""allowed_signers: what is rendered is what ssh-keygen accepts, for the keys, namespaces and times named."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from manual_registry.core.allowed_signers import (
    AllowedSigner,
    foreign_lines,
    format_time,
    missing_lines,
    parse,
    render,
)
from manual_registry.core.errors import AllowedSignersDiffers, BadName
from manual_registry.core.sshkeys import PublicKey, parse_public_key
from manual_registry.core.sshsig import CI_PROMOTE, REGISTRY_CONTROL, STAGE_APPROVAL, armour, signed_blob

KEYGEN = shutil.which("ssh-keygen") or ""
SINCE = datetime(2026, 11, 24, 8, 0, 0, 400_000, tzinfo=UTC)
UNTIL = SINCE + timedelta(days=30)


def private(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))


def public(number: int) -> PublicKey:
    line = private(number).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return parse_public_key(line.decode())


LEAD = AllowedSigner(
    principal="ada@example.org",
    namespaces=(STAGE_APPROVAL, REGISTRY_CONTROL),
    valid_after=SINCE,
    key=public(1),
)
REVOKED = AllowedSigner(
    principal="bob@example.org",
    namespaces=(STAGE_APPROVAL,),
    valid_after=SINCE,
    valid_before=UNTIL,
    key=public(2),
)
PIPELINE = AllowedSigner(principal="release", namespaces=(CI_PROMOTE,), valid_after=SINCE, key=public(3))
ALL = (LEAD, REVOKED, PIPELINE)


def whole_seconds(signer: AllowedSigner) -> AllowedSigner:
    before = signer.valid_before
    return AllowedSigner(
        principal=signer.principal,
        namespaces=signer.namespaces,
        valid_after=signer.valid_after.replace(microsecond=0),
        valid_before=before.replace(microsecond=0) if before else None,
        key=signer.key,
    )


def test_the_form_of_a_line() -> None:
    assert REVOKED.line() == (
        'bob@example.org namespaces="stage-approval@manual-registry",valid-after="20261124080000Z",'
        f'valid-before="20261224080000Z" {public(2).line()}'
    )
    text = render(ALL)
    assert text.startswith("# Rendered from the ledger")
    assert text.endswith("\n") and "\r" not in text
    assert render(()).count("\n") == render(()).count("#")


def test_round_trip() -> None:
    assert parse(render(ALL)) == tuple(whole_seconds(signer) for signer in ALL)
    assert render(parse(render(ALL))) == render(ALL)


@settings(deadline=None)
@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
    st.none() | st.timedeltas(timedelta(seconds=2), timedelta(days=3650)),
)
def test_round_trip_at_any_time(after: datetime, span: timedelta | None) -> None:
    before = None if span is None else after + span
    signer = AllowedSigner(
        principal="a@b", namespaces=(CI_PROMOTE,), valid_after=after, valid_before=before, key=public(1)
    )
    assert parse(render([signer])) == (whole_seconds(signer),)


def test_times_are_utc() -> None:
    assert format_time(datetime(2026, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))) == "20251231233000Z"


@pytest.mark.parametrize("principal", ["*", "a*@b", "!a@b", "a,b@c", 'a"b', "# a", "a b", "", "a@b@c", "ä@b"])
def test_a_pattern_is_no_principal(principal: str) -> None:
    with pytest.raises(BadName):
        render([AllowedSigner(principal=principal, namespaces=(CI_PROMOTE,), valid_after=SINCE, key=public(1))])


@pytest.mark.parametrize("namespaces", [(), ("*",), ("a,b@c",), ('x@y"',), ("file",)])
def test_a_pattern_is_no_namespace(namespaces: tuple[str, ...]) -> None:
    with pytest.raises(BadName):
        render([AllowedSigner(principal="a@b", namespaces=namespaces, valid_after=SINCE, key=public(1))])


@pytest.mark.parametrize(
    "line",
    [
        f"mallory@example.org {public(9).line()}",
        f'* namespaces="stage-approval@manual-registry" {public(9).line()}',
        f'a@b namespaces="x@y",valid-after="20261124080000" {public(9).line()}',
        f'a@b namespaces="x@y",valid-after="20261324080000Z" {public(9).line()}',
        f'a@b namespaces="x@y",cert-authority,valid-after="20261124080000Z" {public(9).line()}',
        'a@b namespaces="x@y",valid-after="20261124080000Z" ssh-ed25519 AAAA',
        LEAD.line() + "\r",
        "total garbage",
    ],
)
def test_foreign_lines_are_located(line: str) -> None:
    text = render(ALL) + line + "\n"
    number = text.count("\n")
    assert foreign_lines(text, ALL) == ((number, line),)
    with pytest.raises(AllowedSignersDiffers) as caught:
        parse(text)
    assert caught.value.location == f"allowed_signers:{number}"


def test_doubled_and_missing_lines() -> None:
    assert foreign_lines(render(ALL), ALL) == ()
    assert missing_lines(render(ALL), ALL) == ()
    assert len(foreign_lines(render(ALL) + LEAD.line() + "\n", ALL)) == 1
    assert missing_lines(render(ALL[:2]), ALL) == (PIPELINE.line(),)
    assert foreign_lines("# another comment\n\n" + LEAD.line(), ALL) == ()


# -- ssh-keygen -------------------------------------------------------------------------------------------


def auditor(folder: Path, signer: AllowedSigner, number: int, namespace: str, at: datetime) -> bool:
    """Run the auditor's command over a signature made with key ``number``."""
    raw = private(number).sign(signed_blob(b"statement\n", namespace=namespace))
    text = armour(public(number), namespace=namespace, algorithm="ssh-ed25519", signature=raw)
    (folder / "x.sig").write_text(text)
    command: list[str | Path] = [
        KEYGEN,
        "-Y",
        "verify",
        "-f",
        folder / "allowed_signers",
        "-I",
        signer.principal,
        "-n",
        namespace,
    ]
    command += [f"-Overify-time={format_time(at)}", "-s", folder / "x.sig"]
    done = subprocess.run(command, input=b"statement\n", check=False, capture_output=True, env={"TZ": "Asia/Tokyo"})
    return done.returncode == 0


@pytest.mark.skipif(not KEYGEN, reason="ssh-keygen is not installed")
def test_ssh_keygen_agrees(tmp_path: Path) -> None:
    (tmp_path / "allowed_signers").write_text(render(ALL))
    second = timedelta(seconds=1)
    for namespace in (STAGE_APPROVAL, REGISTRY_CONTROL):
        assert auditor(tmp_path, LEAD, 1, namespace, SINCE)
        assert auditor(tmp_path, LEAD, 1, namespace, SINCE + timedelta(days=3000))
        assert not auditor(tmp_path, LEAD, 1, namespace, SINCE - second)
    assert not auditor(tmp_path, LEAD, 1, CI_PROMOTE, SINCE)
    assert not auditor(tmp_path, LEAD, 2, STAGE_APPROVAL, SINCE), "the key of another"
    assert auditor(tmp_path, REVOKED, 2, STAGE_APPROVAL, UNTIL)
    assert not auditor(tmp_path, REVOKED, 2, STAGE_APPROVAL, UNTIL + second)
    assert auditor(tmp_path, PIPELINE, 3, CI_PROMOTE, SINCE)
    assert not auditor(tmp_path, PIPELINE, 3, STAGE_APPROVAL, SINCE)


@pytest.mark.skipif(not KEYGEN, reason="ssh-keygen is not installed")
def test_revoked_in_its_first_second_spoils_nobody_elses_line(tmp_path: Path) -> None:
    """ssh-keygen gives up on the whole file where valid-before is not after valid-after."""
    short = AllowedSigner(
        principal="bob@example.org",
        namespaces=(STAGE_APPROVAL,),
        valid_after=SINCE,
        valid_before=SINCE,
        key=public(2),
    )
    (tmp_path / "allowed_signers").write_text(render((short, LEAD)))
    assert auditor(tmp_path, LEAD, 1, STAGE_APPROVAL, SINCE)
    assert auditor(tmp_path, short, 2, STAGE_APPROVAL, SINCE)
    assert not auditor(tmp_path, short, 2, STAGE_APPROVAL, SINCE + timedelta(seconds=2))
