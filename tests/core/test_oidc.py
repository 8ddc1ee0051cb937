"""Identity tokens and key sets in the core: which are taken, and each way in which one is not."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from provider import GITHUB, GITLAB, Provider, assembled, b64, ec_key, ed_key, jwk, rsa_key

from manual_registry.core.errors import BadEnrolment, ToolMissing
from manual_registry.core.jwks import pinned_keys, public_key
from manual_registry.core.oidc import enrolment, enrolment_reasons, read_token, token_reasons

REGISTRY = "0123456789abcdef0123456789abcdef"
AUDIENCE = f"manual-registry:{REGISTRY}"
NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


def provider(**options: Any) -> Provider:
    return Provider(audience=AUDIENCE, **options)


def enrolled(one: Provider, **changes: Any) -> dict[str, Any]:
    found, _ = enrolment({**one.enrolment(), **changes}, one.key_set())
    return found


def against(one: Provider, token: str, *, later: timedelta = timedelta(0), **options: Any) -> list[str]:
    found = options.pop("oidc", None) or enrolled(one)
    given: dict[str, Any] = {"at": NOW + later, "head_at": NOW, "used": {}, **options}
    return token_reasons(found, token, **given)


# -- good ones --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("issuer", [GITHUB, GITLAB])
@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("RS256", rsa_key),
        ("RS512", rsa_key),
        ("PS384", rsa_key),
        ("ES256", ec_key),
        ("ES384", lambda: ec.derive_private_key(77, ec.SECP384R1())),
        ("EdDSA", ed_key),
    ],
)
def test_a_good_token_is_taken(issuer: str, algorithm: str, key: Callable[[], Any]) -> None:
    one = provider(issuer=issuer, algorithm=algorithm, private=key())
    assert enrolment_reasons(enrolled(one), REGISTRY) == []
    assert against(one, one.token(NOW)) == []


def test_what_another_library_signs_is_taken() -> None:
    import jwt

    one = provider()
    claims = one.claims(NOW, aud=[AUDIENCE], ref_protected=True)
    pem = one.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    assert against(one, jwt.encode(claims, pem, algorithm="ES256", headers={"kid": "k1", "x5t": "abc"})) == []


def test_a_key_set_of_one_key_without_kid() -> None:
    one = provider()
    keys = {"keys": [jwk(one.private, None)]}
    found, _ = enrolment(one.enrolment(), keys)
    assert against(one, one.token(NOW, header={"kid": None}), oidc=found) == []
    assert against(one, one.token(NOW, header={"kid": "other"}), oidc=found) != []


def test_it_is_judged_at_its_time_for_ever() -> None:
    one = provider()
    assert against(one, one.token(NOW)) == []  # and it is long past


# -- bad ones ---------------------------------------------------------------------------------------------

HOUR = 3600
SECOND = int(NOW.timestamp())


def public_pem(private: Any) -> bytes:
    return private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def doubled(one: Provider) -> str:
    claims = json.dumps(one.claims(NOW))[:-1] + ', "repository_id": "7001"}'
    return assembled({"alg": "ES256", "kid": "k1"}, claims.encode(), one.private, "ES256")


def doubled_header(one: Provider) -> str:
    return assembled(b'{"alg":"none","alg":"ES256","kid":"k1"}', one.claims(NOW), one.private, "ES256")


def unspelled(one: Provider) -> str:
    """The same signature in another spelling: the unused bits of the last character."""
    text = one.token(NOW)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + letters[letters.index(text[-1]) ^ 1]


BAD: dict[str, tuple[Callable[[Provider], str], str]] = {
    "alg none": (lambda one: one.token(NOW, header={"alg": "none"}, key=None), "algorithm 'none'"),
    "alg None": (lambda one: one.token(NOW, header={"alg": "None"}, key=None), "algorithm 'None'"),
    "no alg": (lambda one: one.token(NOW, header={"alg": None}), "algorithm absent"),
    "alg is a list": (lambda one: one.token(NOW, header={"alg": ["ES256"]}), "algorithm"),
    "HS256 with the public key": (
        lambda one: one.token(NOW, header={"alg": "HS256"}, key=public_pem(one.private)),
        "algorithm 'HS256'",
    ),
    "HS256 with the key set": (
        lambda one: one.token(NOW, header={"alg": "HS256"}, key=json.dumps(one.key_set()).encode()),
        "algorithm 'HS256'",
    ),
    "another algorithm of the key": (lambda one: one.token(NOW, header={"alg": "ES384"}), "algorithm 'ES384'"),
    "another key": (lambda one: one.token(NOW, key=ec_key("another")), "signature is not by the pinned key k1"),
    "no signature": (lambda one: one.token(NOW).rpartition(".")[0] + ".", "signature is not"),
    "another kid": (lambda one: one.token(NOW, header={"kid": "k2"}), "no pinned key has the token's kid 'k2'"),
    "no kid, or any": (
        lambda one: one.token(NOW, header={"kid": None, "jwk": jwk(ec_key("x"))}, key=ec_key("x")),
        "signature is not",
    ),
    "kid is a path": (lambda one: one.token(NOW, header={"kid": "../../k1"}), "no pinned key"),
    "kid is a list": (lambda one: one.token(NOW, header={"kid": ["k1"]}), "no pinned key"),
    "crit": (lambda one: one.token(NOW, header={"crit": ["exp"]}), "crit"),
    "crit of what it has": (lambda one: one.token(NOW, header={"crit": ["b64"], "b64": True}), "crit"),
    "another type": (lambda one: one.token(NOW, header={"typ": "secevent+jwt"}), "of type"),
    "keys of its own": (
        lambda one: one.token(
            NOW,
            key=ec_key("x"),
            header={"jwk": jwk(ec_key("x")), "jku": "https://evil.example/jwks", "x5u": "https://evil.example/x"},
        ),
        "signature is not",
    ),
    "wrong audience": (lambda one: one.token(NOW, aud="manual-registry:" + "f" * 32), "aud is"),
    "audience and more": (lambda one: one.token(NOW, aud=[AUDIENCE, "another"]), "aud is"),
    "audience with more": (lambda one: one.token(NOW, aud=AUDIENCE + "/x"), "aud is"),
    "no audience": (lambda one: one.token(NOW, aud=None), "aud is absent"),
    "wrong issuer": (lambda one: one.token(NOW, iss=GITLAB), "iss is"),
    "issuer with more": (lambda one: one.token(NOW, iss=GITHUB + "/"), "iss is"),
    "issuer is a list": (lambda one: one.token(NOW, iss=[GITHUB]), "iss is"),
    "wrong repository": (lambda one: one.token(NOW, repository_id="7002"), "repository_id is '7002', pinned is '7001'"),
    "repository is a list": (lambda one: one.token(NOW, repository_id=["7001"]), "repository_id is"),
    "no environment": (lambda one: one.token(NOW, environment=None), "environment is absent"),
    "another branch": (lambda one: one.token(NOW, ref="refs/heads/mine"), "ref is 'refs/heads/mine'"),
    "branch not protected": (lambda one: one.token(NOW, ref_protected="false"), "ref_protected is 'false'"),
    "expired": (lambda one: one.token(NOW - timedelta(hours=1)), "expired at 2026-03-01 07:05:00 UTC"),
    "expires now": (lambda one: one.token(NOW, exp=SECOND), "expired"),
    "not yet valid": (
        lambda one: one.token(NOW, nbf=SECOND + HOUR, exp=SECOND + 2 * HOUR),
        "valid from 2026-03-01 09:00:00",
    ),
    "from the future": (lambda one: one.token(NOW, iat=SECOND + HOUR, exp=SECOND + 2 * HOUR), "valid from"),
    "never expires": (lambda one: one.token(NOW, exp=None), "until when"),
    "exp is text": (lambda one: one.token(NOW, exp=str(SECOND + HOUR)), "until when"),
    "exp is true": (lambda one: one.token(NOW, exp=True), "until when"),
    "exp is infinite": (
        lambda one: assembled(
            {"alg": "ES256", "kid": "k1"},
            json.dumps({**one.claims(NOW), "exp": 0}).replace('"exp": 0', '"exp": 1e400').encode(),
            one.private,
            "ES256",
        ),
        "until when",
    ),
    "issued when": (lambda one: one.token(NOW, iat=None), "issued"),
    "nbf is text": (lambda one: one.token(NOW, nbf="now"), "issued"),
    "jti is a number": (lambda one: one.token(NOW, jti=7), "jti"),
    "a claim twice": (doubled, "no JWT"),
    "a header twice": (doubled_header, "no JWT"),
    "not in its one spelling": (unspelled, "no JWT"),
    "padded": (lambda one: one.token(NOW) + "==", "no JWT"),
    "claims are a list": (lambda one: assembled({"alg": "ES256", "kid": "k1"}, b"[1]", one.private, "ES256"), "no JWT"),
    "claims are no JSON": (lambda one: assembled({"alg": "ES256", "kid": "k1"}, b"{", one.private, "ES256"), "no JWT"),
    "nested": (lambda one: assembled({"alg": "ES256", "kid": "k1"}, b"[" * 9000, one.private, "ES256"), "no JWT"),
    "huge": (lambda one: one.token(NOW, filler="x" * 20_000), "at most 16,384"),
    "two parts": (lambda one: one.token(NOW).rpartition(".")[0], "no JWT"),
    "five parts": (lambda one: one.token(NOW) + ".e30.e30", "no JWT"),
    "empty": (lambda one: "", "no JWT"),
    "letters": (lambda one: "ä.ö.ü", "no JWT"),
    "line feed": (lambda one: one.token(NOW) + "\n", "no JWT"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_token_is_refused_and_why(name: str) -> None:
    make, why = BAD[name]
    one = provider()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reasons = against(one, make(one))
    assert any(why in reason for reason in reasons), reasons


def test_all_that_is_wrong_with_its_claims_is_told_at_once() -> None:
    one = provider()
    reasons = against(one, one.token(NOW - timedelta(hours=1), repository_id="1", environment="test", aud="x"))
    assert [reason.split()[2] for reason in reasons] == ["aud", "repository_id", "environment", "expired"][
        : len(reasons)
    ]
    assert len(reasons) == 4


def test_it_is_used_once() -> None:
    one = provider()
    text = one.token(NOW)
    token = read_token(text)
    assert token is not None
    assert len(token.ids) == 2
    used = dict.fromkeys(token.ids, 12)
    assert against(one, text, used=used) == ["the token was used in event 12 already; each is good for one promotion"]
    again = one.token(NOW, jti=token.claims["jti"], run_id="100")  # another text, the same jti
    assert against(one, again, used=used) != []
    assert against(one, one.token(NOW), used=used) == []


def test_without_jti_what_is_signed_is_used_once_whatever_the_signature() -> None:
    one = provider()
    first, second = (
        assembled({"alg": "ES256", "kid": "k1"}, {**one.claims(NOW, jti=None)}, one.private, "ES256") for _ in "12"
    )
    assert first != second  # ECDSA signs differently each time
    token = read_token(first)
    assert token is not None and len(token.ids) == 1
    assert against(one, second, used=dict.fromkeys(token.ids, 3)) != []


def test_a_clock_set_back_does_not_make_an_expired_token_young() -> None:
    one = provider()
    text = one.token(NOW)
    late = NOW + timedelta(minutes=6)
    assert against(one, text, later=timedelta(minutes=4), head_at=late) != []
    assert against(one, text, later=timedelta(minutes=4), head_at=None) == []


def test_without_the_library_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "jwt", None)
    one = provider()
    with pytest.raises(ToolMissing, match="PyJWT") as refusal:
        against(one, one.token(NOW))
    assert (refusal.value.exit_status, refusal.value.hint) == (8, 'pip install "PyJWT>=2.13"')


# -- key sets ---------------------------------------------------------------------------------------------


def test_keys_for_other_things_are_left_out_and_told() -> None:
    good = jwk(rsa_key(), "good", use="sig", alg="RS256", x5c=["MII…"], x5t="abc")
    other = [jwk(ec_key(), "curve"), jwk(rsa_key("two"), "locked", use="enc"), {"kid": "odd", "kty": "AKP", "pub": "x"}]
    kept, told = pinned_keys({"keys": [good, *other]}, ["RS256"])
    assert kept == [{name: good[name] for name in ("kty", "kid", "alg", "n", "e")}]
    assert [sentence.split()[1] for sentence in told] == ["curve", "locked", "odd"]


KEY_SETS: dict[str, tuple[Callable[[], Any], str]] = {
    "no set": (lambda: [jwk(ec_key())], "a key set is"),
    "empty": (lambda: {"keys": []}, "at least one key"),
    "nothing usable": (lambda: {"keys": [jwk(ed_key())]}, "0 usable keys"),
    "RSA 1024": (lambda: {"keys": [jwk(rsa_key("small", 1024))]}, "an RSA key of 1024 bits"),
    "private": (lambda: {"keys": [jwk(ec_key(), d="AAAA")]}, "is a private key"),
    "shared secret": (lambda: {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}, "shared secret"),
    "two with one kid": (lambda: {"keys": [jwk(ec_key()), jwk(ec_key("two"))]}, "one kid"),
    "two without kid": (lambda: {"keys": [jwk(ec_key(), None), jwk(ec_key("two"))]}, "needs a kid"),
    "not on the curve": (lambda: {"keys": [{**jwk(ec_key()), "y": b64(bytes(32))}]}, "point"),
    "short coordinate": (lambda: {"keys": [{**jwk(ec_key()), "x": b64(bytes(31))}]}, "32 bytes"),
    "even modulus": (lambda: {"keys": [{**jwk(rsa_key()), "n": b64(b"\xff" * 255 + b"\xfe")}]}, "no RSA key"),
    "exponent one": (lambda: {"keys": [{**jwk(rsa_key()), "e": "AQ"}]}, "no RSA key"),
    "leading zero": (lambda: {"keys": [{**jwk(rsa_key()), "e": b64(b"\0\1\0\1")}]}, "one spelling"),
    "a number as a number": (lambda: {"keys": [{**jwk(rsa_key()), "e": 65537}]}, "not made of texts"),
    "padded": (lambda: {"keys": [{**jwk(ec_key()), "x": jwk(ec_key())["x"] + "="}]}, "base64url"),
    "kid of several lines": (lambda: {"keys": [jwk(ec_key(), "a\nb")]}, "kid"),
    "kid is a list": (lambda: {"keys": [jwk(ec_key(), ["a"])]}, "not made of texts"),  # type: ignore[arg-type]
    "key_ops is null": (lambda: {"keys": [jwk(ec_key(), key_ops=None)]}, "0 usable keys"),
    "kty is a list": (lambda: {"keys": [{**jwk(ec_key()), "kty": ["EC"]}]}, "0 usable keys"),
    "key is a text": (lambda: {"keys": ["k1"]}, "no JSON object"),
    "too many": (lambda: {"keys": [jwk(ec_key(str(n)), str(n)) for n in range(33)]}, "33 usable keys"),
}


@pytest.mark.parametrize("name", KEY_SETS)
def test_a_bad_key_set_is_refused(name: str) -> None:
    make, why = KEY_SETS[name]
    with pytest.raises(BadEnrolment, match=why):
        pinned_keys(make(), ["ES256", "RS256"])


def test_a_small_ed25519_point_is_no_key() -> None:
    with pytest.raises(BadEnrolment, match="anybody"):
        public_key({"kty": "OKP", "crv": "Ed25519", "x": b64((1).to_bytes(32, "little"))})


# -- enrolments -------------------------------------------------------------------------------------------


def test_numbers_and_booleans_are_kept_as_the_text_that_tokens_have() -> None:
    found = enrolled(provider(), claims={"repository_id": 7001, "ref_protected": True, "environment": "production"})
    assert found["claims"] == {"repository_id": "7001", "ref_protected": "true", "environment": "production"}
    assert against(provider(), provider().token(NOW), oidc=found) == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"algorithms": ["none"]}, "algorithms"),
        ({"algorithms": ["HS256"]}, "algorithms"),
        ({"algorithms": []}, "algorithms"),
        ({"algorithms": "ES256"}, "algorithms"),
        ({"algorithms": [{}]}, "algorithms"),
        ({"claims": ["repository_id"]}, "claims is a table"),
        ({"claims": {"repository_id": ["1"]}}, "claim repository_id"),
        ({"issuer": 7}, "issuer"),
        ({"audience": ["x"]}, "audience"),
        ({"jwks_uri": "https://example.org"}, "jwks_uri is not known"),
    ],
)
def test_an_enrolment_file_that_cannot_be_taken(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(BadEnrolment, match=why):
        enrolled(provider(), **changes)


def test_an_enrolment_file_that_lacks_something() -> None:
    with pytest.raises(BadEnrolment, match="audience, claims missing"):
        enrolment({"issuer": GITHUB, "algorithms": ["ES256"]}, provider().key_set())


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"issuer": "http://token.example.org"}, "https://"),
        ({"issuer": GITHUB + "\n"}, "https://"),
        ({"audience": "manual-registry"}, "does not name this registry"),
        ({"audience": f" {AUDIENCE}"}, "does not name this registry"),
        ({"claims": {"environment": "production"}}, "pin no repository_id"),
        ({"claims": {}}, "pin no repository_id"),
        ({"claims": {"repository_id": "", "sub": "x"}}, "cannot be pinned"),
        ({"claims": {"repository_id": "1", "aud": "x"}}, "cannot be pinned"),
        ({"algorithms": ["ES256", "ES256"]}, "each once"),
    ],
)
def test_an_enrolment_that_pins_too_little(changes: dict[str, Any], why: str) -> None:
    found = enrolled(provider()) | changes
    assert any(why in reason.message for reason in enrolment_reasons(found, REGISTRY))


def test_a_pipeline_that_any_branch_can_be_is_told() -> None:
    _, told = enrolment({**provider().enrolment(), "claims": {"repository_id": "7001"}}, provider().key_set())
    assert told == ["neither environment nor ref_protected is pinned: any branch of the repository can promote"]
