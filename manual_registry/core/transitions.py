"""The transition table (clause RP-9): which stage may follow which, and by which command."""

from __future__ import annotations

from manual_registry.core.errors import RegistryError, TransitionForbidden, WrongCommand
from manual_registry.core.values import Stage

#: command -> the steps that it may take.
STEPS: dict[str, frozenset[tuple[Stage, Stage]]] = {
    "promote": frozenset(
        {
            (Stage.EXPERIMENTAL, Stage.STAGING),
            (Stage.STAGING, Stage.PRODUCTION),
            (Stage.STAGING, Stage.EXPERIMENTAL),
        }
    ),
    "archive": frozenset(
        {
            (Stage.EXPERIMENTAL, Stage.ARCHIVED),
            (Stage.STAGING, Stage.ARCHIVED),
            (Stage.PRODUCTION, Stage.ARCHIVED),
        }
    ),
    "unarchive": frozenset({(Stage.ARCHIVED, Stage.STAGING)}),
    "rollback": frozenset({(Stage.ARCHIVED, Stage.PRODUCTION)}),
}


def check(command: str, before: Stage, after: Stage, *, ref: str, was_production: bool = True) -> list[RegistryError]:
    """Return nothing when ``command`` may take the step, else the one refusal with the command that would help.

    ``was_production`` False: a rollback to this version would be refused as well, so it is not what helps.
    """
    if (before, after) in STEPS[command]:
        return []
    helps = next((name for name, steps in STEPS.items() if name != command and (before, after) in steps), None)
    return [
        TransitionForbidden(
            f"{ref}: {before} to {after} is not a step of {command}",
            clause="RP-9",
            hint=_hint(helps if was_production or helps != "rollback" else "unarchive", before, after, ref),
        )
    ]


def _hint(helps: str | None, before: Stage, after: Stage, ref: str) -> str:
    if helps == "rollback":
        model, _, version = ref.partition("@")
        return f"mreg rollback {model} --to {version} --reason TEXT --pipeline NAME --pipeline-key FILE"
    if helps == "promote":
        return f"mreg promote {ref} --to {after}"
    if helps is not None:
        return f"mreg {helps} {ref} --reason TEXT"
    if before is Stage.EXPERIMENTAL and after is Stage.PRODUCTION:
        return f"mreg promote {ref} --to staging"
    return f"mreg show {ref}"


def not_by_promote(ref: str) -> WrongCommand:
    """The refusal of ``promote --to archived``."""
    return WrongCommand(
        f"{ref}: promote does not archive; archive does", clause="RP-6", hint=f"mreg archive {ref} --reason TEXT"
    )
