"""The policy in force as a value: what each risk class asks, and what a registry may set (clauses RP-4, RP-10 to RP-12).

What the risk class fixes (who signs, whether a pipeline is needed, which fields a registration needs at least) is not
a setting. What is a setting stands in the policy document, which ``init`` writes out in full and the ledger keeps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

from manual_registry.core.canonical import dump, encode, sha256_hex
from manual_registry.core.errors import BadConfig, Json, RegistryError
from manual_registry.core.gates import Direction, Threshold
from manual_registry.core.values import Risk, Role, Stage

#: Fields that a registration needs, by risk class (AI Act Annex IV 2; clause RP-16).
REGISTRATION_FLOOR: Final[Mapping[Risk, tuple[str, ...]]] = {
    Risk.HIGH: ("training_data", "code", "training_date", "pipeline_run", "hyperparameters", "metrics"),
    Risk.LIMITED: ("training_data", "code", "training_date", "metrics"),
    Risk.MINIMAL: (),
}
#: Gates that must have passed, by risk class (clause RP-12).
GATE_FLOOR: Final[Mapping[Risk, Mapping[Stage, tuple[str, ...]]]] = {
    Risk.HIGH: {
        Stage.STAGING: ("performance", "fairness", "security"),
        Stage.PRODUCTION: ("performance", "fairness", "security"),
    },
    Risk.LIMITED: {Stage.STAGING: ("performance",), Stage.PRODUCTION: ("performance",)},
    Risk.MINIMAL: {Stage.STAGING: (), Stage.PRODUCTION: ()},
}
LONGEST_APPROVAL: Final = 48
#: How many years a high-risk system's records are kept at least (AI Act Art. 18).
LEGAL_YEARS: Final = 10
_MEMBERS: Final = frozenset(
    {"approval_hours", "retention_years", "registration", "staging", "production", "thresholds"}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """A validated policy: hours an approval stays fresh, years of retention, gates per stage, thresholds per metric."""

    risk: Risk
    approval_hours: int
    retention_years: int
    required: tuple[str, ...]
    gates: Mapping[Stage, tuple[str, ...]]
    thresholds: Mapping[str, Threshold]
    document: Mapping[str, Json]

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of the canonical policy document; statements name the policy by it."""
        return policy_sha256(self.document)

    def signers(self, to: Stage) -> frozenset[Role]:
        """Return the roles whose signature counts for ``to`` (design 3.4)."""
        return frozenset({Role.LEAD, Role.SME}) if to is Stage.STAGING else frozenset({Role.LEAD})

    def needs_approval(self, to: Stage, *, has_lead: bool) -> bool:
        """Tell whether a step to ``to`` needs a signed approval in this risk class.

        ``archived`` means the archiving of a production version, which asks what production asks.
        """
        if to is Stage.STAGING:
            return self.risk is Risk.HIGH
        if to in (Stage.PRODUCTION, Stage.ARCHIVED):
            return self.risk is not Risk.MINIMAL or has_lead
        return False

    def needs_card(self, to: Stage) -> bool:
        """Tell whether a complete model card is needed for ``to``."""
        return to is Stage.PRODUCTION and self.risk is not Risk.MINIMAL

    def needs_environment(self, to: Stage) -> bool:
        """Tell whether an environment file is needed for ``to``."""
        return to is Stage.PRODUCTION and self.risk is Risk.HIGH

    def needs_pipeline(self, to: Stage) -> bool:
        """Tell whether only a pipeline may take the step (AI Act Art. 17; clause RP-11)."""
        return to is Stage.PRODUCTION and self.risk is Risk.HIGH

    def needs_pipeline_or_lead(self, to: Stage) -> bool:
        """Tell whether a pipeline or a lead, named as actor, must take the step."""
        return to is Stage.PRODUCTION and self.risk is Risk.LIMITED

    def needs_reason(self, before: Stage, to: Stage) -> bool:
        """Tell whether the step needs a reason in words."""
        return to is Stage.EXPERIMENTAL or (
            to is Stage.STAGING and before is Stage.EXPERIMENTAL and self.risk is Risk.LIMITED
        )


def policy_sha256(document: Mapping[str, Json]) -> str:
    """Return the hex SHA-256 of the canonical line of a policy document."""
    return sha256_hex(dump(dict(document)))


def default_document(risk: Risk) -> dict[str, Json]:
    """Return the policy that ``init`` writes, every setting there."""
    floor = GATE_FLOOR[risk]
    return {
        "approval_hours": LONGEST_APPROVAL,
        "retention_years": 10,
        "registration": {"required": list(REGISTRATION_FLOOR[risk])},
        "staging": {"gates": list(floor[Stage.STAGING])},
        "production": {"gates": list(floor[Stage.PRODUCTION])},
        "thresholds": {},
    }


def policy_from(document: Mapping[str, Any], risk: Risk) -> Policy:
    """Validate a policy document; raises :class:`BadConfig` (all problems in one sentence each, joined).

    What the risk class asks is the floor: gates and fields may be added, none left out.
    """
    problems = [f"policy.{name} is not a setting" for name in sorted(document.keys() - _MEMBERS)]
    hours = _whole(document, "approval_hours", LONGEST_APPROVAL, 1, LONGEST_APPROVAL, problems)
    years = _whole(document, "retention_years", 10, 1, 1000, problems)
    required = _names(document, "registration", "required", REGISTRATION_FLOOR[risk], problems)
    gates = {
        stage: _names(document, stage.value, "gates", GATE_FLOOR[risk][stage], problems)
        for stage in (Stage.STAGING, Stage.PRODUCTION)
    }
    thresholds = _thresholds(document.get("thresholds", {}), problems)
    unknown = sorted(set(required) - set(REGISTRATION_FLOOR[Risk.HIGH]) - _EXTRA_FIELDS)
    problems += [f"policy.registration.required: {name!r} is no field of a registration" for name in unknown]
    if problems:
        raise BadConfig("; ".join(problems), location="registry.toml")
    normal: dict[str, Json] = {
        "approval_hours": hours,
        "retention_years": years,
        "registration": {"required": list(required)},
        "staging": {"gates": list(gates[Stage.STAGING])},
        "production": {"gates": list(gates[Stage.PRODUCTION])},
        "thresholds": {
            name: {"threshold": item.value, "direction": item.direction.value} for name, item in thresholds.items()
        },
    }
    return Policy(
        risk=risk,
        approval_hours=hours,
        retention_years=years,
        required=required,
        gates=gates,
        thresholds=thresholds,
        document=normal,
    )


_EXTRA_FIELDS = {"config", "prompt", "environment", "card", "owner", "origin", "description"}


def _whole(document: Mapping[str, Any], name: str, default: int, low: int, high: int, problems: list[str]) -> int:
    value = document.get(name, default)
    if type(value) is not int or not low <= value <= high:
        problems.append(f"policy.{name} must be a whole number from {low} to {high}, not {value!r}")
        return default
    return value


def _names(
    document: Mapping[str, Any], table: str, member: str, floor: tuple[str, ...], problems: list[str]
) -> tuple[str, ...]:
    found = document.get(table, {member: list(floor)})
    if not isinstance(found, Mapping) or found.keys() - {member}:
        problems.append(f"policy.{table} holds {member} and nothing else")
        return floor
    names = found.get(member, list(floor))
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        problems.append(f"policy.{table}.{member} must be a list of names")
        return floor
    missing = [name for name in floor if name not in names]
    if missing:
        problems.append(f"policy.{table}.{member}: this risk class asks for {', '.join(missing)} too")
    return tuple(dict.fromkeys(names))


def _thresholds(found: Any, problems: list[str]) -> dict[str, Threshold]:
    if not isinstance(found, Mapping):
        problems.append("policy.thresholds must be a table of metric = number")
        return {}
    result: dict[str, Threshold] = {}
    for name, value in found.items():
        table = value if isinstance(value, Mapping) else {"threshold": value}
        number, direction = table.get("threshold"), table.get("direction", "higher")
        if not _finite(number) or direction not in ("higher", "lower") or table.keys() - {"threshold", "direction"}:
            problems.append(f'policy.thresholds.{name}: write 0.8, or {{threshold = 0.1, direction = "lower"}}')
            continue
        result[name] = Threshold(value=float(number), direction=Direction(direction))
    return result


def thresholds_from(found: Any, *, where: str) -> dict[str, Threshold]:
    """Read a table of thresholds as ``[policy.thresholds]`` has it; raises :class:`BadConfig` with every problem."""
    problems: list[str] = []
    thresholds = _thresholds(found, problems)
    if problems:
        raise BadConfig("; ".join(problems), location=where)
    return thresholds


def _finite(number: Any) -> TypeGuard[float]:
    try:
        return type(number) in (int, float) and math.isfinite(number)
    except OverflowError:  # an integer of hundreds of digits
        return False


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One setting that differs between the policy in force and registry.toml; ``weaker`` ones must stand out."""

    setting: str
    in_force: Json
    file: Json
    weaker: bool


def differences(in_force: Mapping[str, Any], file: Mapping[str, Any]) -> tuple[Setting, ...]:
    """Compare two flat-or-nested documents (policy, system, risk, placed_on_market) setting by setting."""
    old, new = _flat(in_force), _flat(file)
    return tuple(
        Setting(setting=name, in_force=old.get(name), file=new.get(name), weaker=_weaker(name, old, new))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    )


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Json]:
    flat: dict[str, Json] = {}
    for name, value in document.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = encode(value)
    return flat


def _weaker(name: str, old: Mapping[str, Json], new: Mapping[str, Json]) -> bool:
    before, after = old.get(name), new.get(name)
    if name.startswith(_THRESHOLDS):
        return _threshold_weaker(name, old, new)
    if isinstance(before, list) and isinstance(after, list):
        return any(item not in after for item in before)
    if name.endswith("retention_years"):
        return after is None or after < before  # type: ignore[operator]
    if name.endswith("approval_hours"):
        return after is None or after > before  # type: ignore[operator]
    if name == "risk":
        order = [risk.value for risk in Risk]
        return after in order and before in order and order.index(after) > order.index(before)
    # The date may be stated later; an earlier one, or none after all, ends the retention sooner or leaves it open.
    return name == "placed_on_market" and before is not None and (after is None or after < before)  # type: ignore[operator]


_THRESHOLDS: Final = "policy.thresholds."


def _threshold_weaker(name: str, old: Mapping[str, Json], new: Mapping[str, Json]) -> bool:
    """Tell whether a threshold asks less than before, or is gone, or turned round; a new one asks more.

    Unless it is one of ``gate.metric`` that takes the place of a stricter one of ``metric`` in that gate.
    """
    metric, member = name.removeprefix(_THRESHOLDS).rsplit(".", 1)
    standing, before = metric, old.get(name)
    if before is None:
        standing = metric.partition(".")[2]
        before = old.get(f"{_THRESHOLDS}{standing}.{member}")
    after = new.get(name)
    if after is None or before is None:
        return after is None
    if member == "direction":
        return after != before
    lower_is_better = old.get(f"{_THRESHOLDS}{standing}.direction") == "lower"
    return (after > before) if lower_is_better else (after < before)  # type: ignore[operator]


def retention_until(placed_on_market: str | None, years: int) -> str | None:
    """Return the day on which retention ends (clause RP-4, AI Act Art. 18); None: no end is known."""
    if placed_on_market is None:
        return None
    year, month, day = placed_on_market[:10].split("-")
    # 29 February has no anniversary in most years: the next day then, never a day early.
    target = int(year) + years
    leap = target % 4 == 0 and (target % 100 != 0 or target % 400 == 0)
    return f"{target:04d}-03-01" if (month, day) == ("02", "29") and not leap else f"{target:04d}-{month}-{day}"


def system_refusals(risk: str) -> list[RegistryError]:
    """Return a refusal unless ``risk`` is a risk class."""
    try:
        Risk(risk)
    except ValueError:
        return [BadConfig(f"risk {risk!r}: one of {', '.join(Risk)}", location="registry.toml")]
    return []
