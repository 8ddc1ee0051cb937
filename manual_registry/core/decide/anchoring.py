"""May this time-stamp token stand in the ledger?"""

from __future__ import annotations

import base64
import binascii
from datetime import timedelta
from typing import Final

from manual_registry.core.errors import ClockRefused, EventUnreadable, HeadUnknown, RegistryError, TimestampFinding
from manual_registry.core.ledger import Event
from manual_registry.core.state import State
from manual_registry.core.times import parse_time, stamp
from manual_registry.core.values import line_text

#: Longer answers of an authority are none: a token with its certificates has a few thousand bytes.
LARGEST_TOKEN: Final = 1 << 16
#: By so much an authority's clock and ours may differ.
SLACK: Final = timedelta(minutes=5)


def anchored(state: State, event: Event) -> list[RegistryError]:
    """Decide a token: it is over an event that stands, and its time fits the events around it (clauses RP-13, RP-19).

    Whether its signature holds depends on whose certificates one trusts: that is judged before it is written, and again
    by `verify`, against roots from outside.
    """
    data = event.data
    line_text(data["authority"], where="authority")
    if not data["authority"].strip():
        return [EventUnreadable("a time-stamp of no authority")]
    if state.hashes.get(data["seq"]) != data["hash"]:
        told = f"the time-stamp is over event {data['seq']} with another hash than this ledger has"
        return [HeadUnknown(told, location="anchor", clause="RP-13", hint="mreg verify")]
    token = read_token(data["token"])
    if token is None:
        return [EventUnreadable("a time-stamp token that is none")]
    if bytes.fromhex(data["hash"].removeprefix("sha256:")) not in token:
        return [TimestampFinding("the time-stamp token is over something else", location="token", clause="RP-13")]
    return time_reasons(state, event)


def read_token(text: str) -> bytes | None:
    """Return the bytes of a token, None for what is no base64 in one piece or too long."""
    try:
        token = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    whole = base64.b64encode(token).decode() == text
    return token if whole and 0 < len(token) <= LARGEST_TOKEN else None


def time_reasons(state: State, event: Event) -> list[RegistryError]:
    """Return why the time of a token cannot be: before what it is over was written, or after it was added."""
    data = event.data
    moment = parse_time(data["time"])
    if stamp(moment) != data["time"]:
        return [EventUnreadable("the time of a time-stamp is not UTC with milliseconds and Z")]
    written, added = parse_time(state.times[data["seq"]]), parse_time(event.at)
    if moment < written - SLACK:
        told = f"the authority's clock said {data['time']}, but event {data['seq']} is dated {state.times[data['seq']]}"
        return [ClockRefused(f"{told}: this machine's clock was ahead", location="time", clause="RP-19")]
    if moment > added + SLACK:
        told = f"the authority's clock said {data['time']}, this machine's {event.at}: set it right"
        return [ClockRefused(told, location="time", clause="RP-19")]
    return []
