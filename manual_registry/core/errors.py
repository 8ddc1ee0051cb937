"""Every refusal of the tool: one class, one code, one exit status.

Rules held here: the root is :class:`RegistryError`; each concrete class owns its ``code`` (``MR-…``) and its
``status`` (docs: README, "Exit status"); a message says what is wrong and where, ``hint`` what to type next.
Deciding which error applies is left to the modules that raise it.

>>> EventMissing("event 3 is missing", location="ledger/000000000003.json").status
4
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, TypeAlias

Json: TypeAlias = "None | bool | int | float | str | list[Json] | dict[str, Json]"

#: Which exit status wins when several causes meet (design: usage first, a missing signature last).
STATUS_ORDER: tuple[int, ...] = (2, 7, 5, 4, 6, 3, 8, 9, 1, 130)


class RegistryError(Exception):
    """The root of every error that the tool raises on purpose."""

    code: ClassVar[str] = "MR-E000"
    status: ClassVar[int] = 1

    def __init__(
        self,
        message: str,
        *,
        clause: str | None = None,
        hint: str | None = None,
        location: str | None = None,
        details: Mapping[str, Json] | None = None,
    ) -> None:
        """Keep the facts.

        ``clause`` is a clause of archive_policy.md (``RP-n``) or an article of law; ``hint`` a command to type;
        ``location`` a path below the root, or a field; ``details`` more facts for ``--json``.
        """
        super().__init__(message)
        self.message = message
        self.clause = clause
        self.hint = hint
        self.location = location
        self.details: dict[str, Json] = dict(details or {})

    @property
    def reasons(self) -> tuple[RegistryError, ...]:
        """The single causes, most pressing first; a plain error is its own only cause."""
        return (self,)

    @property
    def exit_status(self) -> int:
        """The process exit status that this error stands for."""
        return self.status


class Refused(RegistryError):
    """Several causes at once; takes code and status of the most pressing one."""

    code = "MR-E001"

    def __init__(self, causes: Iterable[RegistryError], *, message: str | None = None) -> None:
        """Order ``causes`` (at least one) by :data:`STATUS_ORDER`, keeping their own order within a status."""
        flat = [single for cause in causes for single in cause.reasons]
        if not flat:
            raise ValueError("a refusal needs a cause")
        ordered = tuple(sorted(flat, key=lambda cause: STATUS_ORDER.index(cause.status)))
        first = ordered[0]
        super().__init__(
            message or first.message,
            clause=first.clause,
            hint=first.hint,
            location=first.location,
            details=first.details,
        )
        self._reasons = ordered

    @property
    def reasons(self) -> tuple[RegistryError, ...]:
        return self._reasons

    @property
    def exit_status(self) -> int:
        return self._reasons[0].status


def raise_for(causes: Iterable[RegistryError], *, message: str | None = None) -> None:
    """Raise nothing for no cause, the cause itself for one, :class:`Refused` for several."""
    found = [single for cause in causes for single in cause.reasons]
    if len(found) == 1:
        raise found[0]
    if found:
        raise Refused(found, message=message)


# -- 2: usage ---------------------------------------------------------------------------------------------


class UsageError(RegistryError):
    """The command line does not fit the command."""

    code, status = "MR-U001", 2


class NoRegistry(RegistryError):
    """No registry root was found from here."""

    code, status = "MR-U002", 2


class WrongCommand(RegistryError):
    """Another command does this."""

    code, status = "MR-U003", 2


class RiskMissing(RegistryError):
    """`init` was not told the risk class and there is no terminal to ask on."""

    code, status = "MR-U004", 2


# -- 7: input invalid -------------------------------------------------------------------------------------


class InvalidInput(RegistryError):
    """The root of everything that was handed in and cannot be taken."""

    code, status = "MR-I000", 7


class BadName(InvalidInput):
    """A model name, version, alias or tag outside its grammar."""

    code = "MR-I001"


class NoNextVersion(InvalidInput):
    """`next` cannot count up a version without digits."""

    code = "MR-I002"


class ArtefactMissing(InvalidInput):
    """The path to register does not exist."""

    code = "MR-I003"


class ArtefactSymlink(InvalidInput):
    """A symbolic link in what is to be registered."""

    code = "MR-I004"


class ArtefactSpecial(InvalidInput):
    """A socket, device or fifo in what is to be registered."""

    code = "MR-I005"


class BadPath(InvalidInput):
    """A file name that other systems cannot keep: control characters, backslash, percent, reserved, not NFC."""

    code = "MR-I006"


class PathEscapes(InvalidInput):
    """An absolute path or `..` where a path inside something was asked."""

    code = "MR-I007"


class PathCollision(InvalidInput):
    """Two names that differ by letter case only."""

    code = "MR-I008"


class EmptyDirectory(InvalidInput):
    """A directory without files in what is to be registered."""

    code = "MR-I009"


class CommitUnknown(InvalidInput):
    """The commit is not in the repository, or its short form fits none or several."""

    code = "MR-I010"


class NotARepository(InvalidInput):
    """The directory named by --repo is not a git repository."""

    code = "MR-I011"


class BadReference(InvalidInput):
    """A training-data reference outside the grammar."""

    code = "MR-I012"


class ReferenceUnresolved(InvalidInput):
    """A `dvc:` or `git:` path that its commit does not have."""

    code = "MR-I013"


class MetadataUnreadable(InvalidInput):
    """A metadata, card or report file that does not parse."""

    code = "MR-I014"


class MetadataUnknownKey(InvalidInput):
    """A key that the format does not have."""

    code = "MR-I015"


class MetadataType(InvalidInput):
    """A value of the wrong kind."""

    code = "MR-I016"


class MetricNotFinite(InvalidInput):
    """A metric that is NaN or infinite."""

    code = "MR-I017"


class GateClaim(InvalidInput):
    """A gate report that claims what its numbers do not bear out."""

    code = "MR-I018"


class GateModelMismatch(InvalidInput):
    """A gate report about another model file."""

    code = "MR-I019"


class DateInFuture(InvalidInput):
    """A date that has not come yet."""

    code = "MR-I020"


class DateOrder(InvalidInput):
    """Two dates in an order that cannot be."""

    code = "MR-I021"


class BadTime(InvalidInput):
    """A text that is not a date or time."""

    code = "MR-I022"


class BadEmail(InvalidInput):
    """An e-mail address outside the grammar."""

    code = "MR-I023"


class BadKey(InvalidInput):
    """A public or private key that cannot be used."""

    code = "MR-I024"


class BadConfig(InvalidInput):
    """registry.toml does not parse or holds what it may not."""

    code = "MR-I025"


class FormatTooNew(InvalidInput):
    """The registry, or one of its events, is newer than this tool."""

    code = "MR-I026"


class BadExpression(InvalidInput):
    """A search expression that does not parse."""

    code = "MR-I027"


class BadSignatureFile(InvalidInput):
    """A file that is not an SSH signature."""

    code = "MR-I028"


class StatementUnknown(InvalidInput):
    """A signed statement that this registry never issued."""

    code = "MR-I029"


class FieldMissing(InvalidInput):
    """The risk class asks for a field that is not there."""

    code = "MR-I030"


class ReasonMissing(InvalidInput):
    """The command needs a reason."""

    code = "MR-I031"


class SourceChanged(InvalidInput):
    """The source changed while it was being copied."""

    code = "MR-I032"


class BadValue(InvalidInput):
    """A value that cannot be kept (surrogates, too long, not text)."""

    code = "MR-I033"


class BadDigest(InvalidInput):
    """A text that is not a content hash."""

    code = "MR-I034"


class BadAnchor(InvalidInput):
    """An anchor that cannot be read."""

    code = "MR-I035"


class FilesystemUnsuited(InvalidInput):
    """A source that cannot be read as it is (permission, I/O error)."""

    code = "MR-I036"


# -- 5: not found -----------------------------------------------------------------------------------------


class NotFound(RegistryError):
    """The root of everything that was looked for and is not there."""

    code, status = "MR-N000", 5


class VersionUnknown(NotFound):
    """No such version."""

    code = "MR-N001"


class ModelUnknown(NotFound):
    """No such model."""

    code = "MR-N002"


class NothingInProduction(NotFound):
    """No version of the model was in production (then)."""

    code = "MR-N003"


class ApprovalUnknown(NotFound):
    """No such approval request."""

    code = "MR-N004"


class ContentUnknown(NotFound):
    """No version has this content."""

    code = "MR-N005"


class ApproverUnknown(NotFound):
    """No such approver."""

    code = "MR-N006"


class PipelineUnknown(NotFound):
    """No such pipeline."""

    code = "MR-N007"


class AliasUnknown(NotFound):
    """No such alias."""

    code = "MR-N008"


class FileUnknown(NotFound):
    """A file that was named on the command line is not there."""

    code = "MR-N009"


class DeploymentUnknown(NotFound):
    """No open deployment there."""

    code = "MR-N010"


# -- 4: integrity -----------------------------------------------------------------------------------------


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


# -- 6: conflict ------------------------------------------------------------------------------------------


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
    """Several versions fit."""

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


# -- 3: refused by policy ---------------------------------------------------------------------------------


class PolicyRefusal(RegistryError):
    """The root of everything that the policy forbids."""

    code, status = "MR-P000", 3


class DeletionRefused(PolicyRefusal):
    """Nothing is ever deleted."""

    code = "MR-P001"


class TransitionForbidden(PolicyRefusal):
    """The transition table has no such step."""

    code = "MR-P002"


class GateMissing(PolicyRefusal):
    """A gate of the policy has no report."""

    code = "MR-P003"


class GateFailed(PolicyRefusal):
    """A gate did not pass at the policy's threshold."""

    code = "MR-P004"


class CardIncomplete(PolicyRefusal):
    """The model card lacks a part."""

    code = "MR-P005"


class EnvironmentMissing(PolicyRefusal):
    """No environment file."""

    code = "MR-P006"


class PipelineMissing(PolicyRefusal):
    """No pipeline identity: only CI promotes high-risk models to production."""

    code = "MR-P007"


class PipelineBad(PolicyRefusal):
    """A pipeline signature that does not hold."""

    code = "MR-P008"


class SelfApproval(PolicyRefusal):
    """The approver registered the version."""

    code = "MR-P009"


class ApprovalStale(PolicyRefusal):
    """The approval is older than the policy allows."""

    code = "MR-P010"


class ApprovalOutdated(PolicyRefusal):
    """A field of the approved statement is not true any more."""

    code = "MR-P011"


class ApproverUnfit(PolicyRefusal):
    """The approver's role does not suffice, or the approver is not active."""

    code = "MR-P012"


class ApprovalBad(PolicyRefusal):
    """An approval signature that does not hold."""

    code = "MR-P013"


class PolicyDiffers(PolicyRefusal):
    """registry.toml differs from the policy in force."""

    code = "MR-P014"


class DeployNotProduction(PolicyRefusal):
    """Only the production version is deployed to production."""

    code = "MR-P015"


class OpenDeployment(PolicyRefusal):
    """The version is deployed still."""

    code = "MR-P016"


class ArchivedVersion(PolicyRefusal):
    """An archived version takes no such change."""

    code = "MR-P017"


class ControlRefused(PolicyRefusal):
    """A change of roster, pipelines or policy without an active lead's signature."""

    code = "MR-P018"


class LastLead(PolicyRefusal):
    """The last active lead cannot be revoked."""

    code = "MR-P019"


class ClockRefused(PolicyRefusal):
    """The clock stands before the ledger's last event."""

    code = "MR-P020"


class LeadNeeded(PolicyRefusal):
    """A pipeline or a lead promotes in this risk class."""

    code = "MR-P021"


class ApprovalRejected(PolicyRefusal):
    """The lead said no."""

    code = "MR-P022"


class NeverInProduction(PolicyRefusal):
    """A rollback goes to a version that was in production."""

    code = "MR-P024"


# -- 9: waits for a person --------------------------------------------------------------------------------


class ApprovalWanted(RegistryError):
    """The approver's signature is the only thing missing."""

    code, status = "MR-W001", 9


# -- 8: an optional part, a server or the storage is missing or refuses -----------------------------------


class Unavailable(RegistryError):
    """The root of everything outside that is missing or refuses."""

    code, status = "MR-X000", 8


class DiskFull(Unavailable):
    """No room left on the device."""

    code = "MR-X001"


class StorageReadOnly(Unavailable):
    """The storage cannot be written."""

    code = "MR-X002"


class StorageFailed(Unavailable):
    """The storage answered with an error."""

    code = "MR-X003"


class ToolMissing(Unavailable):
    """An optional part is not installed."""

    code = "MR-X004"


class Busy(Unavailable):
    """Another writer holds the registry and does not let go."""

    code = "MR-X005"


class SigningFailed(Unavailable):
    """The key holder (agent, ssh-keygen, token) did not sign."""

    code = "MR-X006"
