"""The tag by which an export says how its read-back went, when it is looked at again: is it what the export wrote?

Rules held here: only what the ledger says of that export judges it; a tag of an export that was not recorded has its form.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from manual_registry.core.handover.mapping import VERIFIED
from manual_registry.core.handover.through import Edit, through

if TYPE_CHECKING:
    from collections.abc import Mapping

    from manual_registry.core.records import Exported

_FORM: Final = re.compile(r"(ok|\d+ mismatches) sha256:([0-9a-f]{64})( .*)?")


def edited(tags: Mapping[str, str], before: Exported, model: str, version: str) -> Edit | None:
    """Return what somebody made of the tag of a version; None: nothing, or it cannot be told.

    ``tags`` are the model version's, ``before`` what was recorded of exports to that server.
    """
    said = tags.get(VERIFIED)
    form = _FORM.fullmatch(str(said))
    mark, recorded = before.marks.get((model, version)), before.versions.get((model, version))
    known = mark is not None and recorded is not None and (through(tags) or 0) <= mark[0]
    if said is None and not known:
        return None
    expected = f"ok sha256:{recorded[1]}" if recorded is not None and known else "ok or mismatches, and a sha256"
    if form is None:
        return Edit(VERIFIED, expected, said)
    wrong = form[1] == "ok" and recorded is not None and form[2] != recorded[1]
    # A check that was recorded since may have found otherwise than the export did.
    clean = not before.doubtful(model, version) and (before.checked_at or "") < before.at
    return Edit(VERIFIED, expected, said) if known and (wrong or (form[1] != "ok" and clean)) else None
