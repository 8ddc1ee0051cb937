"""What to do about a finding of `verify`: one sentence for each code, a command in it where one helps.

A finding that has a hint of its own keeps it. Nothing here mends by itself: what stands in the ledger is never changed,
and what was changed beside it is looked at before it is put back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from manual_registry.core import errors

_BACKUP: Final = "keep the folder as it is for whoever looks into it, and restore ledger/ from a backup"
_LOOK: Final = "find out who wrote it and why; a lead revokes the key or address with mreg approver revoke"

REMEDIES: Final[Mapping[str, str]] = {
    errors.LedgerEmpty.code: "restore ledger/ from a backup",
    errors.EventUnreadable.code: _BACKUP,
    errors.EventMissing.code: _BACKUP,
    errors.ChainBroken.code: _BACKUP,
    errors.EventDoubled.code: "keep both files safe; the signatures and anchors tell which one is the registry's",
    errors.LedgerForeign.code: "move the file out of ledger/",
    errors.HeadUnknown.code: "restore the longer ledger/ from a backup, or from the machine that wrote last",
    errors.EventIllegal.code: _LOOK,
    errors.ClockBackwards.code: "set the clock of the machine that wrote it; mreg history shows who that was",
    errors.ArtefactChanged.code: "keep the changed file aside and restore the registered one from a backup or bag",
    errors.ArtefactAdded.code: "move the file out; evidence is added with mreg attach REF",
    errors.ArtefactGone.code: "restore it from a backup, or copy it back from its bag with mreg fetch REF DEST",
    errors.BagInvalid.code: "restore the bag from a backup",
    errors.StorageUnexpected.code: "look at it and move it out of the registry",
    errors.SignatureFinding.code: _LOOK,
    errors.SignatureStranger.code: _LOOK,
    errors.SignatureDoubtful.code: (
        "give verify an anchor or --tsa-roots from before; else revoke whom that key enrolled (and enrol them with a new"
        " key), and promote a version that another lead approves"
    ),
    errors.TimestampFinding.code: "restore the token from a backup, or take a new one with mreg anchor",
    errors.ApprovalCopyDiffers.code: "move the file away; the next writing command renders it from the ledger",
    errors.AllowedSignersDiffers.code: "look at the line; the next writing command renders the file from the ledger",
    errors.WorkbookEdited.code: "mreg sync puts it back and keeps the workbook as it was beside it",
    errors.WorkbookUnreadable.code: "mreg reset-view writes it anew and keeps the old file",
    errors.PolicyDiffers.code: "mreg policy show, then mreg policy sign --as EMAIL, or undo the edit",
    errors.BadConfig.code: "mend that line of registry.toml",
    errors.ApprovalWanted.code: "mreg approval list --pending, then mreg approval sign ID --as EMAIL",
    errors.FormatTooNew.code: "pip install -U manual-registry",
    "MR-V003": "mreg reset-view",
    "MR-V004": "mreg reset-view",
    "MR-V005": "mreg sync",
    "MR-V006": "mreg sync",
    "MR-V007": "mreg sync --workbook COPY",
    "MR-V008": "mreg sync",
    "MR-V009": "move it to a sheet of your own; mreg reset-view writes the workbook anew and keeps this one whole",
    "MR-F001": "mreg archive --pending",
    "MR-F003": "mend the ledger first, then mreg verify",
    "MR-F005": "mreg approval list --pending",
    "MR-F071": "mreg verify says whether it still is so; put right what it finds, then mreg drill",
    "MR-F072": "mreg drill",
    "MR-F007": "compare it with the one that mreg init writes in an empty folder, and copy that",
}


def remedy(code: str) -> str | None:
    """Return what to do about findings of that code; None: nothing is to be done."""
    return REMEDIES.get(code)
