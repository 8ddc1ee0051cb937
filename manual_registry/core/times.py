"""Instants: RFC 3339, UTC, milliseconds, ``Z``; in that form the text sorts as the time does."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

from manual_registry.core.errors import BadTime

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
#: RFC 3339; seconds and offset may be left out. Other spellings of ISO 8601 (20261124, 2026-W47) are easily misread.
_TIME = re.compile(_DATE.pattern + r"[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:[0-9]{2})?")


def stamp(moment: datetime) -> str:
    """Return ``moment`` (aware) as ``2026-11-24T08:00:00.000Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def parse_time(text: str, *, where: str = "time") -> datetime:
    """Parse RFC 3339 (no offset: UTC) or a bare date (its first instant); raises :class:`BadTime`."""
    try:
        if _DATE.fullmatch(text):
            return datetime.combine(date.fromisoformat(text), time(0), tzinfo=UTC)
        if not _TIME.fullmatch(text.upper()):
            raise ValueError
        moment = datetime.fromisoformat(text.upper())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadTime(
            f"{where}: {text!r} is not a date or time; write 2026-11-24 or 2026-11-24T08:00:00Z", location=where
        ) from None


def is_date(text: str) -> bool:
    """Tell whether ``text`` is a bare date."""
    return bool(_DATE.fullmatch(text))


def day_after(moment: datetime) -> datetime:
    """Return the same time on the next day (the last instant there is, at the end of the year 9999)."""
    try:
        return moment + timedelta(days=1)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def normal_stamp(text: str, *, where: str = "time") -> str:
    """Keep a bare date as it is, bring everything else into the one form of :func:`stamp`."""
    if _DATE.fullmatch(text):
        parse_time(text, where=where)
        return text
    return stamp(parse_time(text, where=where))
