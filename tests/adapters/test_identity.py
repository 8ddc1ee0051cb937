"""Where identity tokens come from, and pipeline keys that come as text."""

from __future__ import annotations

from pathlib import Path

import pytest
from provider import Provider, github

from manual_registry.adapters import identity
from manual_registry.adapters.keys import generate_ed25519, signer_for_text
from manual_registry.core.errors import (
    BadEnrolment,
    BadKey,
    FileUnknown,
    MetadataUnreadable,
    SigningFailed,
    TokenUnavailable,
)
from manual_registry.core.oidc import read_token
from manual_registry.core.sshsig import verify

AUDIENCE = "manual-registry:0123 & more"


def test_github_is_asked_with_the_audience() -> None:
    with github(Provider(audience=AUDIENCE)) as (environ, asked):
        assert identity.can_request(environ)
        token = read_token(identity.request_token(environ, AUDIENCE))
    assert token is not None and token.claims["aud"] == AUDIENCE
    assert asked == [AUDIENCE]


def test_what_is_no_job_of_github_is_not_asked() -> None:
    with github(Provider(audience=AUDIENCE)) as (environ, asked):
        for name in ("GITHUB_ACTIONS", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"):
            assert not identity.can_request({key: value for key, value in environ.items() if key != name})
    assert asked == []


def test_a_refusal_is_told_without_the_credential() -> None:
    with github(Provider(audience=AUDIENCE)) as (environ, asked), pytest.raises(TokenUnavailable) as refusal:
        identity.request_token({**environ, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "SECRET"}, AUDIENCE)
    assert "it answered 401" in refusal.value.message
    assert "SECRET" not in str(vars(refusal.value))
    assert len(asked) == 1


def test_a_server_that_fails_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(identity.time, "sleep", slept.append)
    with github(Provider(audience=AUDIENCE), status=503) as (environ, asked), pytest.raises(TokenUnavailable):
        identity.request_token(environ, AUDIENCE)
    assert len(asked) == 3
    assert slept == [1, 2]


def test_no_redirect_takes_the_credential_elsewhere() -> None:
    with github(Provider(audience=AUDIENCE), status=302) as (environ, asked), pytest.raises(TokenUnavailable):
        identity.request_token(environ, AUDIENCE)
    assert len(asked) == 1


@pytest.mark.parametrize("address", ["http://evil.example/token", "file:///etc/passwd", "ftp://127.0.0.1/x", "x"])
def test_the_credential_goes_over_https_only(address: str) -> None:
    environ = {
        "GITHUB_ACTIONS": "true",
        "ACTIONS_ID_TOKEN_REQUEST_URL": address,
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "SECRET",
    }
    with pytest.raises(TokenUnavailable, match="no https"):
        identity.request_token(environ, AUDIENCE)


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity.time, "sleep", lambda _: None)
    with github(Provider(audience=AUDIENCE)) as (environ, _):
        gone = environ
    with pytest.raises(TokenUnavailable, match="refused"):
        identity.request_token(gone, AUDIENCE)


def test_token_files(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("  ey.J.x\n", encoding="ascii")
    assert identity.token_from_file(file) == "ey.J.x"
    with pytest.raises(FileUnknown):
        identity.token_from_file(tmp_path / "none")
    for content in (b"", b" \n", b"\xff\xfe", b"x" * 20_000):
        file.write_bytes(content)
        with pytest.raises(MetadataUnreadable):
            identity.token_from_file(file)
    with pytest.raises(MetadataUnreadable):
        identity.token_from_file(tmp_path)


def test_enrolment_files(tmp_path: Path) -> None:
    file = tmp_path / "anything.txt"
    file.write_text('issuer = "a"\n[claims]\nday = 2026-01-02\n', encoding="utf-8")
    assert identity.load_enrolment(file) == {"issuer": "a", "claims": {"day": "2026-01-02"}}
    file.write_text("", encoding="utf-8")
    with pytest.raises(BadEnrolment):
        identity.load_enrolment(file)
    file.write_text('{"keys": [], "keys": []}', encoding="utf-8")
    with pytest.raises(MetadataUnreadable, match="twice") as caught:
        identity.load_key_set(file)
    assert caught.value.location == "anything.txt"  # as it is called, whatever it is read as


# -- keys as text -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["as it is", "without end", "windows", "spaces around"])
def test_a_key_as_text_signs(tmp_path: Path, form: str) -> None:
    public = generate_ed25519(tmp_path / "ci", "ci")
    text = (tmp_path / "ci").read_text(encoding="ascii")
    text = {
        "as it is": text,
        "without end": text.rstrip(),
        "windows": text.replace("\n", "\r\n"),
        "spaces around": f"\n  {text}\n\n",
    }[form]
    signer = signer_for_text(text, public, named="SECRET_VARIABLE")
    assert verify(b"x", signer.sign(b"x", namespace="n@x"), namespace="n@x") == public


def test_a_key_as_text_that_cannot_sign_is_never_shown(tmp_path: Path) -> None:
    public = generate_ed25519(tmp_path / "ci", "ci")
    generate_ed25519(tmp_path / "other", "other")
    other = (tmp_path / "other").read_text(encoding="ascii")
    secret = other.splitlines()[2]
    for text in (other, other.replace("A", "B", 3), other[:200], "-----BEGIN OPENSSH PRIVATE KEY-----\nü"):
        with pytest.raises((BadKey, SigningFailed)) as refusal:
            signer_for_text(text, public, named="SECRET_VARIABLE").sign(b"x", namespace="n@x")
        assert secret not in str(vars(refusal.value))
        assert "SECRET_VARIABLE" in refusal.value.message
