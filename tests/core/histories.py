"""Random histories of a registry, every event of them legal: what the laws of fold, index and view are tried on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from chains import CI, DELEGATE, LEAD, LEAD2, SME, SME2, Chain, evidence, gate, key, registration
from hypothesis import strategies as st

from manual_registry.core import events as kinds
from manual_registry.core.approvals import is_open
from manual_registry.core.controls import baseline_details
from manual_registry.core.decide.places import next_bag
from manual_registry.core.state import Request, VersionState
from manual_registry.core.times import stamp
from manual_registry.core.transitions import STEPS
from manual_registry.core.values import Role, Stage

T = TypeVar("T")
MODELS = ("churn", "fraud")


class Player:
    """Plays one move after the other on a chain; a move that is not legal just now is passed over."""

    def __init__(self, chain: Chain) -> None:
        """Begin on ``chain``."""
        self.chain = chain
        self.played: list[str] = []
        self._numbers = (0, 0)

    def play(self, move: Callable[[Player], bool | None], first: int, second: int) -> None:
        """Play ``move`` with two numbers that choose."""
        self._numbers = (first, second)
        if move(self):
            self.played.append(move.__name__)

    def one(self, found: Sequence[T], which: int = 0) -> T | None:
        """Choose one of ``found``; None when there is none."""
        return found[self._numbers[which] % len(found)] if found else None

    def record(self) -> VersionState | None:
        """Choose a version; half the time the one that was registered last."""
        found = list(self.chain.state.versions.values())
        return self.one([*found, *found[-1:] * len(found)])

    def go(self, kind: str, subject: Mapping[str, Any], data: Mapping[str, Any], *, actor: str = SME) -> bool:
        """Write the event if it is legal."""
        if self.chain.reasons(kind, subject, data, actor=actor):
            return False
        self.chain.force(kind, subject, data, actor=actor)
        return True


def subject_of(record: VersionState | Request) -> dict[str, str]:
    """Return the subject that names a version."""
    return {"model": record.model, "version": record.version}


def register(player: Player) -> bool:
    model = player.one(MODELS, 1) or ""
    count = len(player.chain.state.versions)
    version = f"{count}.0" if count % 3 else f"V{count}"
    none = {} if count % 2 else {"environment": None, "owner": None}
    actor = player.one((SME, SME, LEAD2)) or SME
    return player.go(
        kinds.REGISTERED, {"model": model, "version": version}, registration(model, version, **none), actor=actor
    )


def adopt(player: Player) -> bool:
    model, stage = player.one(MODELS, 1) or "", player.one(tuple(Stage)) or Stage.STAGING
    version = f"old-{len(player.chain.state.versions)}"
    place = {"source": "old.xlsx", "sha256": "ab" * 32, "sheet": "Models", "row": 4, "kept": "adopted/old.xlsx"}
    stated = {**place, "stage": stage.value, "stated": {"notes": "old"}}
    if len(player.chain.state.versions) % 2:
        stated["location"] = f"../old/{version}"
    data = {**registration(model, version, code=None), "baseline": stated}
    return player.go(kinds.ADOPTED, {"model": model, "version": version}, data)


def take_in(player: Player) -> bool:
    found = [one for one in player.chain.state.versions.values() if one.location]
    record = player.one(found)
    if record is None:
        return False
    return player.go(kinds.TAKEN_IN, subject_of(record), {"location": record.location, "observed": record.blake3})


def open_baseline(player: Player) -> bool:
    state = player.chain.state
    named = {(one["model"], one["version"]) for found in state.baselines.values() for one in found.versions}
    versions = [
        {"model": one.model, "version": one.version, "blake3": one.blake3, "stage": one.adopted["stage"]}
        for name, one in state.versions.items()
        if one.adopted and name not in named
    ]
    data = {"source": "old.xlsx", "sha256": "ab" * 32, "versions": versions}
    return bool(versions) and player.go(kinds.BASELINE_OPENED, {}, data)


def confirm_baseline(player: Player) -> bool:
    state = player.chain.state
    waiting = player.one([one for one in state.baselines.values() if one.signed_seq is None])
    if waiting is None or LEAD not in state.approvers:
        return False
    control = player.chain.control("baseline.confirm", baseline_details(state, waiting.id))
    return player.go(kinds.BASELINE_SIGNED, {}, {"id": waiting.id, "control": control}, actor=LEAD)


def attach(player: Player) -> bool:
    record = player.record()
    if record is None:
        return False
    report = evidence("gates", f"later-{player.chain.state.head_seq}.json")
    data = player.chain.attachment(evidence=[report], gates=[gate("performance", report)])
    if player.one((True, False), 1) and record.environment is None:
        packages = evidence("environment", "later.txt")
        data |= {
            "evidence": [report, packages],
            "environment": {"path": packages["path"], "sha256": packages["sha256"]},
        }
    if record.value("owner") is None:
        data["fields"] = {"owner": "somebody"}
    return player.go(kinds.ATTACHED, subject_of(record), data)


def ask(player: Player) -> bool:
    record = player.record()
    steps = [
        after.value
        for before, after in sorted(STEPS["promote"] | STEPS["archive"])
        if record and before.value == record.stage
    ]
    to = player.one(steps, 1)
    if record is None or to is None:
        return False
    production = player.chain.state.production(record.model)
    replaces = production.version if production and to == "production" else None
    return player.go(
        kinds.REQUESTED, subject_of(record), {"kind": "stage", "from": record.stage, "to": to, "replaces": replaces}
    )


def _open(player: Player) -> Request | None:
    return player.one([one for one in player.chain.state.requests.values() if is_open(one)])


def issue(player: Player) -> bool:
    request, who = _open(player), player.one(sorted(player.chain.state.approvers), 1)
    if request is None or who is None:
        return False
    statement = player.chain.statement(request, who)
    return player.go(kinds.ISSUED, subject_of(request), {"id": request.id, "statement": statement})


def sign(player: Player) -> bool:
    request, who = _open(player), player.one(sorted(player.chain.state.approvers), 1)
    if request is None or who is None:
        return False
    return player.go(kinds.SIGNED, subject_of(request), player.chain.signature(request.id, who), actor=who)


def reject(player: Player) -> bool:
    request, who = _open(player), player.one(sorted(player.chain.state.approvers), 1)
    if request is None or who is None:
        return False
    data = player.chain.signature(request.id, who, decision="rejected", comment="not yet")
    return player.go(kinds.SIGNED, subject_of(request), data, actor=who)


def withdraw(player: Player) -> bool:
    request = _open(player)
    return request is not None and player.go(kinds.WITHDRAWN, subject_of(request), {"id": request.id})


def _signed(player: Player, record: VersionState, to: str) -> str | None:
    found = [player.chain.state.requests[name] for name in record.requests]
    return next((one.id for one in reversed(found) if one.to == to and one.status == "signed"), None)


def _step(player: Player, record: VersionState, to: str, approval: str | None, pipeline: str | None) -> dict[str, Any]:
    """A promotion with the pipeline's signature, or with a token of its CI job."""
    known = player.chain.state.pipelines.get(pipeline or "")
    tokens = known is not None and known.oidc is not None
    data = player.chain.step(record.version, to, approval, pipeline=None if tokens else pipeline, model=record.model)
    token = player.chain.provider().token(player.chain.now)
    return {**data, "promotion": {"pipeline": pipeline, "token": token}} if tokens else data


def promote(player: Player) -> bool:
    record = player.record()
    steps = [after.value for before, after in sorted(STEPS["promote"]) if record and before.value == record.stage]
    to = player.one(steps, 1)
    if record is None or to is None:
        return False
    pipelines = [name for name, one in player.chain.state.pipelines.items() if one.revoked_seq is None]
    approval = _signed(player, record, to)
    data = _step(player, record, to, approval, player.one(pipelines))
    return player.go(kinds.PROMOTED, subject_of(record), data, actor=CI)


def advance(player: Player) -> bool:
    """Ask, sign and promote in one move, so that high risk gets anywhere."""
    record = player.record()
    to = {"experimental": "staging", "staging": "production"}.get(record.stage) if record else None
    if record is None or to is None:
        return False
    state = player.chain.state
    if state.policy.needs_approval(Stage(to), has_lead=state.has_lead):
        production = state.production(record.model)
        replaces = production.version if production and to == "production" else None
        data = {"kind": "stage", "from": record.stage, "to": to, "replaces": replaces}
        asked = player.go(kinds.REQUESTED, subject_of(record), data)
        fit = [one.email for one in state.active_leads() if one.email not in record.registrants]
        if fit and asked:
            player.go(
                kinds.SIGNED, subject_of(record), player.chain.signature(record.requests[-1], fit[0]), actor=fit[0]
            )
    approval = _signed(player, record, to)
    pipelines = [name for name, one in state.pipelines.items() if one.revoked_seq is None]
    data = _step(player, record, to, approval, player.one(pipelines))
    return player.go(kinds.PROMOTED, subject_of(record), data, actor=LEAD)


def enrol_by_tokens(player: Player) -> bool:
    by, name = _lead(player), player.one(("github", "github-2"), 1)
    if by is None or name is None:
        return False
    data = player.chain.token_pipeline_data(name, by=by)
    return player.go(kinds.PIPELINE_ADDED, {"pipeline": name}, data, actor=by)


def archive(player: Player) -> bool:
    record = player.record()
    if record is None:
        return False
    approval = _signed(player, record, "archived")
    return player.go(kinds.ARCHIVED, subject_of(record), player.chain.archival(record.version, approval, record.model))


def _archived(player: Player) -> VersionState | None:
    return player.one([one for one in player.chain.state.versions.values() if one.stage == "archived"])


def move(player: Player) -> bool:
    record = _archived(player)
    if record is None:
        return False
    data = {"bag": next_bag(record), "manifest": "1" * 64, "payload": "2" * 64}
    return player.go(kinds.MOVED, subject_of(record), data)


def unarchive(player: Player) -> bool:
    record = _archived(player)
    if record is None:
        return False
    return player.go(kinds.UNARCHIVED, subject_of(record), {"reason": "needed", "restored": record.bag is not None})


def roll_back(player: Player) -> bool:
    record = _archived(player)
    if record is None:
        return False
    pipelines = [name for name, one in player.chain.state.pipelines.items() if one.revoked_seq is None]
    own = [name for name in pipelines if player.chain.state.pipelines[name].key]
    data = player.chain.rollback(record.version, pipeline=player.one(own), model=record.model)
    return player.go(kinds.ROLLED_BACK, subject_of(record), data, actor=CI)


def deploy(player: Player) -> bool:
    record, environment = player.record(), player.one(("test", "production", "eu"), 1)
    if record is None:
        return False
    return player.go(
        kinds.DEPLOYED, subject_of(record), player.chain.deployment(record.version, environment or "", record.model)
    )


def end(player: Player) -> bool:
    found = [
        (one, opened.environment) for one in player.chain.state.versions.values() for opened in one.open_deployments()
    ]
    chosen = player.one(found)
    if chosen is None:
        return False
    record, environment = chosen
    return player.go(
        kinds.DEPLOYMENT_ENDED, subject_of(record), {"environment": environment, "at": stamp(player.chain.now)}
    )


def alias(player: Player) -> bool:
    record, name = player.record(), player.one(("champion", "Challenger", "old"), 1)
    return record is not None and player.go(kinds.ALIAS_SET, subject_of(record), {"alias": name})


def alias_away(player: Player) -> bool:
    found = [(model.name, name) for model in player.chain.state.models.values() for name in model.aliases]
    chosen = player.one(found)
    return chosen is not None and player.go(kinds.ALIAS_REMOVED, {"model": chosen[0]}, {"alias": chosen[1]})


def tag(player: Player) -> bool:
    record = player.record()
    return record is not None and player.go(
        kinds.TAGGED, subject_of(record), {"tags": {"team": f"t{player.one(range(3), 1)}"}}
    )


def note(player: Player) -> bool:
    record = player.record()
    return record is not None and player.go(kinds.NOTED, subject_of(record), {"text": "seen\nby audit"})


def edit(player: Player) -> bool:
    record, field = player.record(), player.one(("owner", "notes"), 1)
    if record is None:
        return False
    was = record.owner if field == "owner" else record.notes_text
    value = player.one((None, "one", "two"))
    return player.go(kinds.EDITED, subject_of(record), {"field": field, "value": value, "was": was})


def fill(player: Player) -> bool:
    request, who = _open(player), player.one(sorted(player.chain.state.approvers), 1)
    if request is None or who is None:
        return False
    date = stamp(player.chain.now)[:10]
    data = {"id": request.id, "decision": "approved", "approver": who, "date": date, "comment": None}
    return player.go(kinds.FILLED, subject_of(request), data, actor=who)


def record_verification(player: Player) -> bool:
    return player.go(kinds.VERIFIED, {}, {"ok": True, "checked": {}, "findings": [], "scope": []})


def record_export(player: Player) -> bool:
    record = player.record()
    if record is None:
        return False
    versions = [{"model": record.model, "version": record.version, "number": "1", "digest": "ab" * 32}]
    data = {"target": "mlflow", "uri": "http://mlflow.example.org", "server": "3.1.0", "models": [record.model]}
    counted = {"through": player.chain.state.head_seq, "checked": 1, "mismatches": [], "count": 0}
    mark = {"model": record.model, "version": record.version, "through": counted["through"], "alias": None}
    marks = player.one(([], [mark, {**mark, "version": None, "alias": "production"}]))
    return player.go(kinds.EXPORTED, {}, {**data, **counted, "versions": versions, "action": "export", "marks": marks})


def drill(player: Player) -> bool:
    sample = player.one((None, 1, 2))
    data = player.chain.drill(sample)
    return bool(data["versions"]) and player.go(kinds.DRILLED, {}, data)


def time_stamp(player: Player) -> bool:
    return player.go(kinds.ANCHORED, {}, player.chain.anchor())


def _lead(player: Player) -> str | None:
    return player.one([one.email for one in player.chain.state.active_leads()])


def enrol(player: Player) -> bool:
    by, who = _lead(player), player.one((SME2, "lead3@example.org", "lead4@example.org"), 1)
    if by is None or who is None:
        return False
    role = Role.SME.value if who == SME2 else Role.LEAD.value
    return player.go(kinds.APPROVER_ADDED, {"approver": who}, player.chain.enrolment(who, role, by=by), actor=by)


def revoke(player: Player) -> bool:
    by, who = _lead(player), player.one(sorted(player.chain.state.approvers), 1)
    if by is None or who is None:
        return False
    data = {"reason": "left", "compromised_since": None}
    control = player.chain.control("approver.revoke", {"approver": who, **data}, by=by)
    return player.go(kinds.APPROVER_REVOKED, {"approver": who}, {**data, "control": control}, actor=by)


def delegate(player: Player) -> bool:
    by = _lead(player)
    if by is None:
        return False
    if DELEGATE not in player.chain.state.approvers:
        data = player.chain.enrolment(DELEGATE, Role.DELEGATE.value, by=by)
        return player.go(kinds.APPROVER_ADDED, {"approver": DELEGATE}, data, actor=by)
    data = player.chain.delegation(DELEGATE, by=by, models=player.one(("*", "churn"), 1))
    return player.go(kinds.DELEGATED, {"approver": DELEGATE}, data, actor=by)


def let_through(player: Player) -> bool:
    """A later report of fairness fails; then it is let through."""
    record, by = player.record(), _lead(player)
    if record is None or by is None:
        return False
    latest = {one["gate"]: one for one in record.gates}.get("fairness")
    if latest is None or latest["passed"]:
        report = evidence("gates", f"bad-{player.chain.state.head_seq}.json")
        bad = gate("fairness", report, passed=False, metric={"lower": 0.5, "value": 0.55, "upper": 0.6})
        return player.go(kinds.ATTACHED, subject_of(record), player.chain.attachment(evidence=[report], gates=[bad]))
    data = player.chain.exception(record.version, model=record.model, by=by)
    return player.go(kinds.EXCEPTION_GRANTED, subject_of(record), data, actor=by)


def ask_a_lead(player: Player) -> bool:
    """Ask to enrol somebody, answer, refuse or withdraw it."""
    chain = player.chain
    waiting = [one for one in chain.state.controls.values() if one.status == "requested"]
    asked, by = player.one(waiting), _lead(player)
    if asked is None:
        data = {"name": "N", "role": Role.SME.value, "key": key(f"asked{chain.state.head_seq}").line}
        subject = {"approver": f"asked{chain.state.head_seq}@example.org"}
        return player.go(kinds.CONTROL_REQUESTED, {}, {"action": "approver.add", "subject": subject, "data": data})
    if by is None or player.one((True, False, False), 1):
        return player.go(kinds.CONTROL_WITHDRAWN, {}, {"id": asked.id})
    control = chain.answer(asked.id, by=by)
    return player.go(kinds.APPROVER_ADDED, asked.subject, {**asked.data, "control": control}, actor=by)


def change_policy(player: Player) -> bool:
    by = _lead(player)
    if by is None:
        return False
    document = {**player.chain.state.policy.document, "retention_years": 10 + (player.one(range(5), 1) or 0)}
    return player.go(kinds.POLICY_SIGNED, {}, player.chain.policy_data(by=by, policy=document), actor=by)


def close(player: Player) -> bool:
    """Close the register, seldom; what cannot be any more afterwards is passed over."""
    by = _lead(player)
    if by is None or player.one(range(5)) or player.chain.state.closed is not None:
        return False
    return player.go(kinds.CLOSED, {}, player.chain.closing(by=by), actor=by)


#: The frequent ones stand several times.
MOVES: tuple[Callable[[Player], bool | None], ...] = (
    register, register, register, adopt, open_baseline, confirm_baseline, take_in, attach, ask, issue, sign, sign, reject, withdraw, promote, advance, advance,
    advance,
    advance, archive, move, unarchive, roll_back, roll_back, deploy, deploy, end, alias, alias_away, tag, note,
    edit, fill, record_verification, record_export, drill, time_stamp, enrol, enrol_by_tokens, revoke, change_policy,
    delegate, delegate, let_through, let_through, ask_a_lead, ask_a_lead, close,
)  # fmt: skip


def played(risk: str, moves: Sequence[tuple[int, int, int]], *, leads: bool = True) -> Chain:
    """Return the chain after ``moves``."""
    chain = Chain(risk=risk, leads=(LEAD, LEAD2) if leads else ())
    player = Player(chain)
    for which, first, second in moves:
        player.play(MOVES[which % len(MOVES)], first, second)
    return chain


def histories(*, longest: int = 60) -> st.SearchStrategy[Chain]:
    """Chains of all three risk classes, with and without leads."""
    small = st.integers(0, 2**16)
    return st.builds(
        played,
        st.sampled_from(("high", "limited", "minimal")),
        st.lists(st.tuples(small, small, small), min_size=longest // 3, max_size=longest),
        leads=st.sampled_from((True, True, False)),
    )
