"""Status 7: what was handed in cannot be taken as it is."""

from __future__ import annotations

from manual_registry.core.errors.base import RegistryError


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


class BadPredictions(InvalidInput):
    """A predictions table that cannot be judged."""

    code = "MR-I050"


class BadTimestamp(InvalidInput):
    """A time-stamp token, or certificates of a time-stamping authority, that cannot be read or do not hold."""

    code = "MR-I051"


class BadEnrolment(InvalidInput):
    """An OIDC enrolment of a pipeline, or a key set in it, that cannot be used."""

    code = "MR-I045"


class MappingOpen(InvalidInput):
    """A team's spreadsheet that cannot be read without a person's answers."""

    code = "MR-I060"


class BadTrackingAddress(InvalidInput):
    """A tracking address that cannot be used: of no server, or of no store of MLflow's."""

    code = "MR-I070"


class ModelSourceUnfit(InvalidInput):
    """Files of a model in MLflow that cannot be taken: where they lie, what they are called, how many they are."""

    code = "MR-I071"


class RunUnfit(InvalidInput):
    """A run of MLflow's that cannot be registered: deleted, not ended, or without a model."""

    code = "MR-I075"
