"""Status 6: something differs from what stands, or is ambiguous."""

from __future__ import annotations

from manual_registry.core.errors.base import RegistryError


class Conflict(RegistryError):
    """The root of everything that differs from what stands, or is ambiguous."""

    code, status = "MR-C000", 6


class VersionTaken(Conflict):
    """The version exists with other content or metadata."""

    code = "MR-C001"


class VersionCaseTaken(Conflict):
    """The version exists in other letter case."""

    code = "MR-C002"


class Ambiguous(Conflict):
    """Several versions fit, or several models of a run."""

    code = "MR-C003"


class NameTaken(Conflict):
    """`init` or `demo` found something of that name."""

    code = "MR-C004"


class FieldFilled(Conflict):
    """`attach` fills empty fields only."""

    code = "MR-C005"


class KeyTaken(Conflict):
    """One key belongs to one identity and one kind, ever."""

    code = "MR-C006"


class IdentityTaken(Conflict):
    """The approver or pipeline stands already with another key or role."""

    code = "MR-C007"


class ApprovalClosed(Conflict):
    """The approval is not open any more."""

    code = "MR-C008"


class DestinationTaken(Conflict):
    """The place to write to holds something."""

    code = "MR-C009"


class SeveralInTime(Conflict):
    """More than one version was in production in that time."""

    code = "MR-C010"


class ReservedVersion(Conflict):
    """A version that is a stage name, an alias of its model, `latest`, `next` or `auto`."""

    code = "MR-C011"


class LostRace(Conflict):
    """Other writers were faster again and again."""

    code = "MR-C012"


class WorkbookForeign(Conflict):
    """A workbook that another registry has written."""

    code = "MR-C013"


class ForeignTarget(Conflict):
    """An experiment or registered model in MLflow that this registry did not make."""

    code = "MR-C040"


class ExportedAhead(Conflict):
    """MLflow says that it was exported through an event that this registry does not have."""

    code = "MR-C041"


class ExportUnfinished(Conflict):
    """MLflow holds a version half: an export of it was interrupted, or is running."""

    code = "MR-C042"


class AlreadyClosed(Conflict):
    """The register was closed already, with another successor or reason."""

    code = "MR-C080"
