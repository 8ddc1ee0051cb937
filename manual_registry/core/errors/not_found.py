"""Status 5: what was asked for is not there."""

from __future__ import annotations

from manual_registry.core.errors.base import RegistryError


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


class RunUnknown(NotFound):
    """No such run in MLflow."""

    code = "MR-N070"


class NothingExported(NotFound):
    """A server that holds nothing of this registry, and to which no export is known: there is nothing to compare."""

    code = "MR-N071"
