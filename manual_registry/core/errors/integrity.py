"""Status 4: the record, a file or a signature is not what it must be."""

from __future__ import annotations

from manual_registry.core.errors.base import RegistryError


class IntegrityError(RegistryError):
    """The root of everything that is not as the ledger says."""

    code, status = "MR-L000", 4


class LedgerEmpty(IntegrityError):
    """The ledger has no first event."""

    code = "MR-L001"


class EventUnreadable(IntegrityError):
    """An event file that is not canonical JSON of the event form."""

    code = "MR-L002"


class EventMissing(IntegrityError):
    """A gap in the ledger."""

    code = "MR-L003"


class ChainBroken(IntegrityError):
    """An event whose `prev` is not the hash of the event before it."""

    code = "MR-L004"


class EventDoubled(IntegrityError):
    """Two files that claim one event number: a fork."""

    code = "MR-L005"


class LedgerForeign(IntegrityError):
    """A file in ledger/ that is no event."""

    code = "MR-L006"


class HeadUnknown(IntegrityError):
    """A signed statement, the workbook, an anchor or this machine's memory names a head that the ledger lacks."""

    code = "MR-L007"


class EventIllegal(IntegrityError):
    """An event that policy forbade at its own position."""

    code = "MR-L008"


class ClockBackwards(IntegrityError):
    """An event dated clearly before the one it follows."""

    code = "MR-L009"


class ArtefactFinding(IntegrityError):
    """The root of findings about stored files."""

    code = "MR-A000"


class ArtefactChanged(ArtefactFinding):
    """A stored file differs from its recorded hash."""

    code = "MR-A001"


class ArtefactAdded(ArtefactFinding):
    """A file that no event names."""

    code = "MR-A002"


class ArtefactGone(ArtefactFinding):
    """A recorded file is missing."""

    code = "MR-A003"


class BagInvalid(ArtefactFinding):
    """An archive bag that does not validate."""

    code = "MR-A004"


class StorageUnexpected(ArtefactFinding):
    """Something in models/ or archive/ that the ledger does not know."""

    code = "MR-A005"


class CopyDiffers(ArtefactFinding):
    """A copy that did not come out equal to its source."""

    code = "MR-A006"


class SignatureFinding(IntegrityError):
    """A signature that does not hold."""

    code = "MR-S001"


class SignatureStranger(IntegrityError):
    """A good signature by a key that the roster does not have."""

    code = "MR-S002"


class ApprovalCopyDiffers(IntegrityError):
    """A file under approvals/ that differs from the ledger."""

    code = "MR-S003"


class AllowedSignersDiffers(IntegrityError):
    """A line in allowed_signers that the ledger does not have."""

    code = "MR-S004"


class WorkbookEdited(IntegrityError):
    """A tool-owned cell of the workbook that someone changed."""

    code = "MR-V001"


class WorkbookUnreadable(IntegrityError):
    """The workbook cannot be read."""

    code = "MR-V002"


class SignatureDoubtful(IntegrityError):
    """A signature from the time in which, as its revocation says, somebody else may have had the key."""

    code = "MR-S030"


class TimestampFinding(IntegrityError):
    """A time-stamp token in the ledger that does not hold."""

    code = "MR-S020"
