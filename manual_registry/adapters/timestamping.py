"""Time from outside: asks a time-stamping authority (RFC 3161), and judges its answers against roots that a person names.

Rules held here: what is stamped is an event file, byte for byte, so that ``openssl ts -verify -data FILE`` checks a token
without this tool; an answer counts when it is granted, is over those bytes, carries our nonce, and is signed by a
certificate for time-stamping that leads to a root and was valid at the token's own time. Not looked at: revocation lists.
Roots from inside the registry would prove nothing: who can write there could put their own.
"""

from __future__ import annotations

import hashlib
import http.client
import ssl
import urllib.error
import urllib.request
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from manual_registry.core.decide.anchoring import LARGEST_TOKEN
from manual_registry.core.errors import BadTimestamp, TimestampFinding, TimestampUnavailable, ToolMissing, UsageError
from manual_registry.core.times import stamp

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

HINT: Final = "pip install 'manual-registry[tsa]'"
#: How a fault inside of the library's Rust part comes out: no Exception, and by no other name.
_PANIC: Final = "PanicException"
#: Seconds that an authority may take.
PATIENCE: Final = 20.0
_QUERY: Final = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Stamped:
    """A token that was judged: its bytes (the whole answer), its time (UTC, as our stamps) and who signed it.

    ``rooted`` is False where no roots were given: then nobody knows whose signature it is.
    """

    token: bytes
    time: str
    authority: str
    rooted: bool


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An authority answers itself; what sends us elsewhere is not it."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing."""


def load_roots(path: Path) -> list[Certificate]:
    """Read certificates (PEM, one or several) that answers must lead to; raises :class:`BadTimestamp`."""
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as problem:
        raise BadTimestamp(f"{path} cannot be read: {problem.strerror}", location="--tsa-roots") from None
    except ValueError:
        raise BadTimestamp(f"{path} holds no certificates in PEM", location="--tsa-roots") from None
    return found


def ask(url: str, data: bytes, roots: Sequence[Certificate]) -> Stamped:
    """Have ``data`` stamped by the authority at ``url`` (http or https).

    Raises :class:`TimestampUnavailable` where nothing usable comes back, :class:`TimestampFinding` for an answer that
    does not hold, :class:`ToolMissing` without the extra.
    """
    client = _client()
    request = client.TimestampRequestBuilder(data=data, hash_algorithm=client.HashAlgorithm.SHA256).build()
    answer = _post(url, request.as_bytes())
    response = _decoded(answer)
    if response is None:
        raise TimestampUnavailable(f"{url} answered with something that is no time-stamp", location=url)
    if response.status not in (0, 1):
        said = "; ".join(response.status_string) or f"status {response.status}"
        raise TimestampUnavailable(f"{url} refused: {said[:200]}", location=url)
    return judge(answer, data, roots, nonce=request.nonce)


def judge(answer: bytes, data: bytes, roots: Sequence[Certificate], *, nonce: int | None = None) -> Stamped:
    """Judge an answer over ``data``; without ``roots`` only what it is over, and its nonce.

    Raises :class:`TimestampFinding`, with the reason; :class:`ToolMissing` without the extra.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd certificates, which hold or do not
        try:
            return _judged(answer, data, roots, nonce)
        except _faults():
            raise _bad("it does not follow its format") from None
        except BaseException as problem:
            if type(problem).__name__ != _PANIC:
                raise
            raise _bad("it does not follow its format") from None


def _judged(answer: bytes, data: bytes, roots: Sequence[Certificate], nonce: int | None) -> Stamped:
    response = _decoded(answer)
    if response is None:
        raise _bad("it is no time-stamp")
    info = response.tst_info
    if info.message_imprint.message != hashlib.sha256(data).digest():
        raise _bad("it is over something else")
    if nonce is not None and info.nonce != nonce:
        raise _bad("it answers another question (the nonce differs): it may be an old one, played again")
    moment = info.gen_time
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    authority = _signer(response)
    if roots:
        _rooted(response, data, roots)
    return Stamped(token=answer, time=stamp(moment), authority=authority, rooted=bool(roots))


def _rooted(response: Any, data: bytes, roots: Sequence[Certificate]) -> None:
    client = _client()
    builder = client.VerifierBuilder()
    for root in dict.fromkeys(roots):
        builder = builder.add_root_certificate(root)
    try:
        builder.build().verify_message(response, data)
    except client.VerificationError as problem:
        raise _bad(_in_words(str(problem))) from None


#: What the library and OpenSSL say of a token that does not hold -> what it means here. The first that fits counts.
_WORDS: Final = (
    ("certificate has expired", "its certificate was no longer valid at the time that it states"),
    ("certificate is not yet valid", "its certificate was not valid yet at the time that it states"),
    ("not GRANTED", "the authority changed what it was asked for"),
    ("EKU", "it is signed by a certificate that is not for time-stamping"),
    ("unsuitable certificate purpose", "it is signed by a certificate that is not for time-stamping"),
    ("certificate verify error", "its certificate leads to none of the roots that were named"),
    ("signer certificate not found", "it is signed by a certificate that it does not carry"),
    ("leaf certificate", "it is signed by a certificate that it does not carry"),
    ("Certificates neither found", "it carries no certificate"),
    ("signature failure", "its signature is broken"),
    ("digest failure", "its signature is over something else"),
)


def _in_words(said: str) -> str:
    """Say in words of ours why the library takes a token for wrong."""
    found = (words for mark, words in _WORDS if mark in said)
    return next(found, "its signature does not lead to the roots that were named")


def _faults() -> tuple[type[Exception], ...]:
    """Return what the libraries raise for bytes that are not what they should be."""
    from cryptography import exceptions, x509

    odd = (x509.InvalidVersion, x509.DuplicateExtension, x509.ExtensionNotFound, x509.UnsupportedGeneralNameType)
    return (ValueError, TypeError, AttributeError, LookupError, exceptions.UnsupportedAlgorithm, *odd)


def _signer(response: Any) -> str:
    """Return the name of the certificate that signed, as the answer carries it."""
    from cryptography import x509

    signers = list(response.signed_data.signer_infos)
    if len(signers) != 1:
        raise _bad(f"it carries {len(signers)} signatures")
    known = (signers[0].issuer, signers[0].serial_number)
    certificates = [x509.load_der_x509_certificate(raw) for raw in response.signed_data.certificates]
    found = [one for one in certificates if (one.issuer, one.serial_number) == known]
    if len(found) > 1:  # the name of one, the signature of the other
        raise _bad("it carries two certificates with one number")
    return _line(found[0].subject.rfc4514_string() if found else f"a certificate of {known[0].rfc4514_string()}")


def _line(text: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in text)[:300] or "nameless"


def _bad(reason: str) -> TimestampFinding:
    return TimestampFinding(f"the time-stamp does not hold: {reason}", location="token", clause="RP-13")


def _client() -> Any:
    try:
        import rfc3161_client
    except ImportError:
        raise ToolMissing("time-stamps need rfc3161-client", hint=HINT) from None
    return rfc3161_client


def _decoded(answer: bytes) -> Any | None:
    """Parse an answer; None for what is none.

    The certificates in it are a SET, whose members DER wants sorted. OpenSSL, and so many an authority, does not sort
    them, and the library refuses that; no signature covers their order, so they are put right for its parser alone.
    """
    client = _client()
    for form in (bytes, _with_sorted_certificates):
        try:
            return client.decode_timestamp_response(form(answer))
        except (ValueError, TypeError, IndexError):
            continue
        except BaseException as problem:
            if type(problem).__name__ != _PANIC:
                raise
    return None


def _with_sorted_certificates(answer: bytes) -> bytes:
    """Return ``answer`` with the members of SignedData.certificates sorted; ValueError where there are none."""
    _, start, end = _element(answer, 0)  # TimeStampResp: status, token
    content = _inside(answer, start, end)[1]  # ContentInfo: type, [0] SignedData
    wrapped = _inside(answer, *content[1:])[1]
    signed = _inside(answer, *wrapped[1:])[0]
    found = next((one for one in _inside(answer, *signed[1:]) if one[0] == _CERTIFICATES), None)
    if found is None:
        raise ValueError("no certificates")
    members, at = [], found[1]
    while at < found[2]:
        _, _, after = _element(answer, at)
        members.append(answer[at:after])
        at = after
    return answer[: found[1]] + b"".join(sorted(members)) + answer[found[2] :]


_CERTIFICATES: Final = 0xA0


def _inside(data: bytes, start: int, end: int) -> list[tuple[int, int, int]]:
    """Return (tag, start, end) of the contents of each element between ``start`` and ``end``."""
    found = []
    while start < end:
        found.append(_element(data, start))
        start = found[-1][2]
    return found


def _element(data: bytes, at: int) -> tuple[int, int, int]:
    """Return (tag, start, end) of the contents of the DER element at ``at``."""
    tag, length, at = data[at], data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length, at = int.from_bytes(data[at : at + count], "big"), at + count
    if at + length > len(data):
        raise ValueError("an element that is cut off")
    return tag, at, at + length


def _post(url: str, query: bytes) -> bytes:
    if not url.lower().startswith(("http://", "https://")):
        raise UsageError(f"{url!r}: write the authority's address with http:// or https://")
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.HTTPSHandler(context=ssl.create_default_context()))
    try:
        with opener.open(urllib.request.Request(url, data=query, headers=_QUERY), timeout=PATIENCE) as reply:  # noqa: S310
            answer: bytes = reply.read(LARGEST_TOKEN + 1)
    except urllib.error.HTTPError as problem:
        problem.close()
        raise TimestampUnavailable(f"{url} answered {problem.code} {problem.reason}", location=url) from None
    except (OSError, http.client.HTTPException, ValueError) as problem:
        reason = getattr(problem, "reason", None) or problem
        raise TimestampUnavailable(f"{url} cannot be reached: {reason}", location=url) from None
    if len(answer) > LARGEST_TOKEN:
        raise TimestampUnavailable(f"{url} answered with more than {LARGEST_TOKEN} bytes", location=url)
    return answer
