"""Status 3: the policy refuses."""

from __future__ import annotations

from manual_registry.core.errors.base import RegistryError


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
    """A pipeline or a lead promotes in this risk class, or only a lead does this, and there is none."""

    code = "MR-P021"


class ApprovalRejected(PolicyRefusal):
    """The lead said no."""

    code = "MR-P022"


class NeverInProduction(PolicyRefusal):
    """A rollback goes to a version that was in production."""

    code = "MR-P024"


class DelegationScope(PolicyRefusal):
    """A delegate approves what no delegation covers: another model, another day, or none was granted."""

    code = "MR-P060"


class ExceptionUnfit(PolicyRefusal):
    """An exception for what is no failed gate of the version, or that lacks a root cause."""

    code = "MR-P061"


class ExceptionEnded(PolicyRefusal):
    """A gate that failed was let through for a time, and the time is over."""

    code = "MR-P062"


class RetentionShort(PolicyRefusal):
    """A high-risk registry keeps everything for ten years at least (AI Act Art. 18)."""

    code = "MR-P063"


class RegistryClosed(PolicyRefusal):
    """A closed register takes nothing new; it goes on elsewhere."""

    code = "MR-P080"


class GateWeaker(PolicyRefusal):
    """A gate report held against less than the policy asks."""

    code = "MR-P040"


class FilesInPlace(PolicyRefusal):
    """The files of the version lie outside the registry, where they were adopted."""

    code = "MR-P070"


class BaselineIncomplete(PolicyRefusal):
    """A version that was adopted lacks what its risk class asks of a registration."""

    code = "MR-P071"
