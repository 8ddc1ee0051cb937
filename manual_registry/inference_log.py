"""The composite version identifier on every log record: each line says which version answered.

Rules held here: the identifier is read once, when the service starts, and never while a request is served; a
record that carries one already keeps it (a service with several models passes its own by ``extra=``). The
identifier identifies, it never authorises. ``trace <identifier>`` leads from such a line back to code, data
and approval.

A formatter that writes JSON lines with the field ``composite_version`` needs the standard library only::

    class JsonLines(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return json.dumps({
                "time": datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds"),
                "level": record.levelname,
                "message": record.getMessage(),
                "composite_version": getattr(record, "composite_version", None),
                "request_id": getattr(record, "request_id", None),
            })

    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    handler.addFilter(CompositeVersionFilter.from_registry(Path("/srv/registry"), "credit-risk@production"))
    logging.getLogger("inference").addHandler(handler)
"""

from __future__ import annotations

import logging
from pathlib import Path

from manual_registry.core.references import parse_composite

#: The field of the log record, and of the JSON line.
FIELD = "composite_version"


class CompositeVersionFilter(logging.Filter):
    """Put the composite version identifier on every record as ``composite_version``; let every record pass.

    Add it to a handler and it marks whatever reaches that handler; add it to a logger and it marks what is
    logged through that very logger (records of child loggers pass a parent's handlers, never its filters).

    >>> model = "credit-risk@1.1.0+code.3f2a9c0b1d4e.data.none.model.9a8b7c6d5e4f.config.none"
    >>> record = logging.makeLogRecord({"msg": "scored"})
    >>> CompositeVersionFilter(model).filter(record), record.composite_version == model
    (True, True)
    """

    def __init__(self, composite_id: str) -> None:
        """Keep ``composite_id``; raises :class:`BadReference` for a text that is no such identifier."""
        super().__init__()
        self.composite_id = str(parse_composite(composite_id))

    @classmethod
    def from_registry(cls, path: Path | None, ref: str) -> CompositeVersionFilter:
        """Look ``ref`` (a file, a hash, ``model@production``, …) up in the registry at ``path``, once.

        ``path`` None: ``$MANUAL_REGISTRY``, else the nearest parent directory that is a registry. Raises what
        ``Registry.open`` and ``Registry.show`` raise: no registry there, no such version, several that fit.
        """
        from manual_registry import Registry  # noqa: PLC0415 - only this way of starting needs it

        return cls(str(Registry.open(path).show(ref)["composite_id"]))

    def filter(self, record: logging.LogRecord) -> bool:
        """Mark ``record`` unless it is marked already; always True."""
        if not hasattr(record, FIELD):
            setattr(record, FIELD, self.composite_id)
        return True


def bind(logger: logging.Logger, composite_id: str) -> CompositeVersionFilter:
    """Mark what is logged through ``logger`` with ``composite_id``; bound again, the new identifier counts.

    For a service that loads a new version without a restart. Returns the filter (``logger.removeFilter``
    unbinds). Raises :class:`BadReference` for a text that is no composite version identifier; the old one
    then stays.
    """
    new = CompositeVersionFilter(composite_id)
    old = [present for present in logger.filters if isinstance(present, CompositeVersionFilter)]
    logger.addFilter(new)
    for present in old:
        logger.removeFilter(present)
    return new
