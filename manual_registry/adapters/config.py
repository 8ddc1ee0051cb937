"""registry.toml: what a person may set (design 3.1, 3.4).

System, risk, placed-on-market date and ``[policy]`` stand here to be read and edited; what counts is what the ledger has
put in force. ``[workbook]`` counts at once.

Rules held here: what a person typed wrongly stops no reader. A setting that a lead would have to sign, and that could
not be signed as it stands, is kept as :attr:`Config.problem`: nothing is promoted, nothing signed. What leaves open
where the workbook lies is :attr:`Config.unusable`: nothing is written.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from manual_registry.adapters.workbook_place import DEFAULT, place_problem
from manual_registry.core.errors import BadConfig, FormatTooNew, Json, RegistryError
from manual_registry.core.policy import policy_from, system_refusals
from manual_registry.core.times import normal_stamp
from manual_registry.core.values import Risk

FILE = "registry.toml"
FORMAT = 1
_TABLES = {"policy", "workbook", "storage"}
#: An hour: a file that never comes to rest would never be written.
_LONGEST_QUIET = 3600
_MEMBERS = {"format", "system", "risk", "placed_on_market", *_TABLES}


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """The parsed file. ``policy`` is the full document; ``workbook`` the path as written.

    ``quiet_seconds``: how long the workbook must have been quiet before the view is written; None: it does not say.
    ``problem``: why system, risk, date or policy cannot be taken (they are empty then); ``unusable``: why the file as a
    whole, or ``[workbook]``, cannot (``workbook`` is the default then, unless it could be read).
    """

    system: str
    risk: str
    placed_on_market: str | None
    policy: Mapping[str, Json]
    workbook: str
    quiet_seconds: float | None = None
    problem: RegistryError | None = None
    unusable: RegistryError | None = None

    @property
    def wrong(self) -> RegistryError | None:
        """Why the file does not say what could be compared with the policy in force; None: it does."""
        return self.problem or self.unusable

    def governed(self) -> dict[str, Json]:
        """Return what must be equal to the policy in force; raises :class:`BadConfig` where it cannot be taken."""
        if self.wrong is not None:
            raise self.wrong
        return {
            "system": self.system,
            "risk": self.risk,
            "placed_on_market": self.placed_on_market,
            "policy": dict(self.policy),
        }


def load(root: Path) -> Config:
    """Read ``root``/registry.toml; a mistake in it stands in the result.

    Raises :class:`FormatTooNew`, and what reading a file raises.
    """
    path = root / FILE
    try:
        raw = path.read_bytes()
    except OSError:
        from manual_registry.adapters.files import source_errors

        with source_errors(path):
            raise
    try:
        document = tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        mend = f"open {path} and mend that line"
        return _unusable(BadConfig(f"{FILE} does not parse: {problem}", location=FILE, hint=mend))
    return _at_its_place(root, _config(document))


def _at_its_place(root: Path, found: Config) -> Config:
    """Refuse a ``[workbook] path`` at which a workbook would be written over something else."""
    why = place_problem(root, found.workbook)
    if why is None:
        return found
    told = f"{FILE}: workbook.path {found.workbook!r} {why}"
    mend = f"name a place of its own that ends in .xlsx, such as path = {_text(_WORKBOOK)}"
    return _unusable(BadConfig(told, location=FILE, hint=mend))


_WORKBOOK = DEFAULT


def _unusable(problem: RegistryError, workbook: str = _WORKBOOK) -> Config:
    return Config(system="", risk="", placed_on_market=None, policy={}, workbook=workbook, unusable=problem)


def _config(document: dict[str, Any]) -> Config:
    """Take what the file says; the workbook first, which every writer needs."""
    _refuse_newer(document)
    workbook: Any = document.get("workbook", {})
    if not isinstance(workbook, dict) or not isinstance(workbook.get("path", ""), str):
        return _unusable(BadConfig(f"{FILE}: [workbook] must be a table, workbook.path a text", location=FILE))
    path = workbook.get("path") or _WORKBOOK
    try:
        unknown = sorted(document.keys() - _MEMBERS)
        if unknown:
            raise BadConfig(f"{FILE}: {', '.join(unknown)} is not known here", location=FILE)
        quiet = _quiet(workbook)
    except BadConfig as problem:
        return _unusable(problem, path)
    try:
        return replace(_governed(document), workbook=path, quiet_seconds=quiet)
    except RegistryError as problem:
        return replace(_unusable(problem, path), quiet_seconds=quiet, problem=problem, unusable=None)


def _refuse_newer(document: dict[str, Any]) -> None:
    version = document.get("format", FORMAT)
    if isinstance(version, int) and version > FORMAT:
        raise FormatTooNew(
            f"{FILE} has format {version}; this tool knows {FORMAT}",
            location=FILE,
            hint="pip install -U manual-registry",
        )


def _governed(document: dict[str, Any]) -> Config:
    system, risk = document.get("system"), document.get("risk")
    if not isinstance(system, str) or not isinstance(risk, str):
        raise BadConfig(f"{FILE}: system and risk must be there, as text", location=FILE)
    problems = system_refusals(risk)
    if problems:
        raise problems[0]
    policy = document.get("policy", {})
    if not isinstance(policy, dict):
        raise BadConfig(f"{FILE}: [policy] must be a table", location=FILE)
    return Config(
        system=system,
        risk=risk,
        placed_on_market=_placed(document.get("placed_on_market")),
        policy=policy_from(policy, Risk(risk)).document,
        workbook=_WORKBOOK,
    )


def _quiet(workbook: dict[str, Any]) -> float | None:
    """Read ``[workbook] quiet_seconds``; other members than it and ``path`` are typing errors."""
    unknown = sorted(workbook.keys() - {"path", "quiet_seconds"})
    if unknown:
        raise BadConfig(f"{FILE}: workbook.{', workbook.'.join(unknown)} is not known here", location=FILE)
    found = workbook.get("quiet_seconds")
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= _LONGEST_QUIET:
        raise BadConfig(
            f"{FILE}: workbook.quiet_seconds must be a number of seconds from 0 to {_LONGEST_QUIET}", location=FILE
        )
    return float(found)


def _placed(value: Any) -> str | None:
    if value is None or value == "":
        return None
    try:
        return normal_stamp(str(value), where="placed_on_market")[:10]
    except RegistryError as problem:
        raise BadConfig(f"{FILE}: {problem.message}", location=FILE) from None


def render(*, system: str, risk: Risk, placed_on_market: str | None, policy: Mapping[str, Any]) -> str:
    """Return the text of a new registry.toml, every setting visible; ``policy`` is a whole document."""
    placed = (
        f"placed_on_market = {_text(placed_on_market)}" if placed_on_market else '# placed_on_market = "2026-01-31"'
    )
    lines = [
        "# The settings of this registry. System, risk, placed_on_market and [policy] count as the ledger has put them in",
        "# force; after an edit a lead signs them with: mreg policy sign --as EMAIL",
        f"format = {FORMAT}",
        f"system = {_text(system)}",
        f"risk = {_text(risk.value)}",
        f"{placed}  # retention runs ten years from this day (RP-4); not set: no end",
        "",
        "[policy]",
        f"approval_hours = {policy['approval_hours']}  # a signed approval is good for so long, 48 at most (RP-10)",
        f"retention_years = {policy['retention_years']}  # AI Act Art. 18 asks for ten",
        "",
        "[policy.registration]",
        f"required = {_list(policy['registration']['required'])}  # {risk} risk asks for at least these (RP-16)",
        "",
        "[policy.staging]",
        f"gates = {_list(policy['staging']['gates'])}",
        "",
        "[policy.production]",
        f"gates = {_list(policy['production']['gates'])}",
        "",
        '# metric = number, or metric = {threshold = 0.1, direction = "lower"}. A metric without one is held to the',
        "# threshold of its own report.",
        "[policy.thresholds]",
        *(
            f"{_text(name)} = {{threshold = {one['threshold']!r}, direction = {_text(one['direction'])}}}"
            for name, one in policy["thresholds"].items()
        ),
        "",
        "[workbook]",
        'path = "registry.xlsx"  # may lie elsewhere, in a synced folder say',
        "# quiet_seconds = 30  # the view is written only when the file has been quiet for so long (0 in this folder)",
        "",
    ]
    return "\n".join(lines)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _list(values: list[str]) -> str:
    return "[" + ", ".join(_text(value) for value in values) + "]"
