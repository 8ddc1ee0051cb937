"""When two addresses are one server: what can be told without asking anybody.

Rules held here: the spelling of an address is kept as it was given, and compared without it: case of scheme and host, the
scheme's own port, slashes at the end, the three ways to say this machine. No name is looked up.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit, urlunsplit

_PORTS: Final = {"http": 80, "https": 443}
_LOOPBACK: Final = "127.0.0.1"


def same_server(address: str) -> str:
    """Return what two addresses of one server have in common; text that is no http or https address stays as it is."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return address
    if parts.scheme not in _PORTS or not host:
        return address
    name = _host(host)
    netloc = name if port in (None, _PORTS[parts.scheme]) else f"{name}:{port}"
    return urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), parts.query, parts.fragment))


def lies_in(place: str, address: str) -> bool:
    """Tell whether ``place`` is a page of the server at ``address``, or that server."""
    server, there = same_server(address), same_server(place)
    return there == server or there.startswith((f"{server}/", f"{server}#", f"{server}?"))


def _host(host: str) -> str:
    if host == "localhost":
        return _LOOPBACK
    if ":" not in host:
        return host
    from ipaddress import ip_address  # noqa: PLC0415 - every command folds; few addresses are of this kind

    try:
        found = ip_address(host)
    except ValueError:
        return f"[{host}]"
    return _LOOPBACK if found.is_loopback else f"[{found.compressed}]"
