"""Status 9: a person's signature is the only thing missing."""

from __future__ import annotations

from manual_registry.core.errors.base import RegistryError


class ApprovalWanted(RegistryError):
    """The approver's signature is the only thing missing."""

    code, status = "MR-W001", 9


class BaselineUnconfirmed(RegistryError):
    """No lead has confirmed yet what an adopted sheet stated."""

    code, status = "MR-W070", 9


class NotSigned(RegistryError):
    """The person said no when asked for the signature: it waits as before."""

    code, status = "MR-W002", 9
