"""Status 8: an optional part, a server or the storage is missing or refuses."""

from __future__ import annotations

from manual_registry.core.errors.base import RegistryError


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


class TimestampUnavailable(Unavailable):
    """The time-stamping authority is not there, refuses, or answered with something else."""

    code = "MR-X020"


class TokenUnavailable(Unavailable):
    """The CI system did not give the identity token that it was asked for."""

    code = "MR-X015"


class ServerDown(Unavailable):
    """An MLflow server that does not answer, or not as one."""

    code = "MR-X040"


class WrongCredentials(Unavailable):
    """An MLflow server that does not let us in."""

    code = "MR-X041"


class ServerTooOld(Unavailable):
    """An MLflow server from before logged models."""

    code = "MR-X042"


class ServerRefused(Unavailable):
    """An MLflow server that refused a request."""

    code = "MR-X043"


class LocalArtefacts(Unavailable):
    """An MLflow server that names a directory of its own machine as the place of its artefacts."""

    code = "MR-X044"


class StoreUnavailable(ServerRefused):
    """The store where an MLflow server keeps its files (S3, say): it does not answer, or does not let us in."""

    code = "MR-X045"
