"""Status 2: the command line itself is wrong."""

from __future__ import annotations

from manual_registry.core.errors.base import RegistryError


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
