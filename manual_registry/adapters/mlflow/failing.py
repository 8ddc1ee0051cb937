"""Why a server does not answer, in words that say what to do; told by what MLflow's client and the network say."""

from __future__ import annotations

from typing import Final

#: What databases say of two that write the same at once.
AT_ONCE: Final = (
    "IntegrityError",
    "UNIQUE constraint",
    "duplicate key",
    "RESOURCE_ALREADY_EXISTS",
    "database is locked",
)

_CA: Final = "trust its authority with REQUESTS_CA_BUNDLE, or the certificate with MLFLOW_TRACKING_SERVER_CERT_PATH"
#: Signs in what was said, the first that is there counts.
_CAUSES: Final = (
    (("CERTIFICATE_VERIFY_FAILED", "certificate verify failed"), f"its certificate is not trusted here; {_CA}"),
    (("doesn't match", "is not valid for", "Hostname mismatch"), "its certificate is of another name"),
    (("WRONG_VERSION_NUMBER", "wrong version number", "record layer failure"), "no TLS is spoken there; try http://"),
    (("plain HTTP request was sent to HTTPS", "HTTP request to an HTTPS"), "TLS is spoken there; try https://"),
    (("SSLError", "SSL:"), "TLS could not be agreed on"),
    (
        ("Name or service not known", "NameResolutionError", "nodename nor servname", "name resolution"),
        "its name is not known here; look at the address",
    ),
    (("Connection refused",), "nobody listens there"),
    (("No route to host", "Network is unreachable"), "there is no way to it from here"),
    (("too many 500",), "it fails with 500 each time; its log says why"),
    (("too many 429",), "it has too many requests (429); repeat later"),
    (("too many 502", "too many 503", "too many 504"), "what stands before it says that it is away (502, 503 or 504)"),
    (("Exceeded 30 redirects",), "it sends on from one address to the next, without end"),
    (("timed out", "timeout", "Timeout"), "no answer came in time"),
    (("ProxyError", "Cannot connect to proxy"), "the proxy in HTTP_PROXY or HTTPS_PROXY does not let through"),
    (
        ("RemoteDisconnected", "Connection aborted", "Connection reset", "BadStatusLine"),
        "it closed the connection; where TLS is spoken there, try https://",
    ),
)


def of_text(text: str) -> str:
    """Return why, as far as ``text`` tells; "" where it does not."""
    return next((why for signs, why in _CAUSES if any(sign in text for sign in signs)), "")


def of_status(status: int) -> str:
    """Return what an HTTP status of a server that fails says."""
    words = {429: "it has too many requests (429); repeat later", 500: "it fails with 500; its log says why"}
    return words.get(status, f"it, or what stands before it, answers {status}")
