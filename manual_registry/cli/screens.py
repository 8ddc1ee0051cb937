"""What people see of a registry, an approval to sign, the policy: functions from a document to lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from manual_registry.cli.output import clean
from manual_registry.cli.tables import cell_text, fields, heading, moment, pad, plain_table, stage_text, table, width
from manual_registry.core.wording import continues_text

#: Columns of `list`: heading, field of the document.
LIST_COLUMNS: tuple[tuple[str, str], ...] = (
    ("Model", "model"),
    ("Version", "version"),
    ("Stage", "stage"),
    ("Trained", "training_date"),
    ("Metrics", "metrics"),
    ("Approver", "approver"),
    ("Deployed", "deployment_date"),
    ("BLAKE3", "blake3"),
)


def version_table(versions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the versions as a table, hashes shortened to twelve characters."""
    if not versions:
        return ["no versions"]
    return table([name for name, _ in LIST_COLUMNS], (_version_row(version) for version in versions))


def _version_row(version: Mapping[str, Any]) -> list[object]:
    return [_list_cell(field, version.get(field)) for _, field in LIST_COLUMNS]


def _list_cell(field: str, value: object) -> object:
    if field == "blake3" and value:
        return str(value).removeprefix("blake3:")[:12]
    if field.endswith("_date") and value:
        return str(value)[:10]
    return value


def event_lines(events: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one line per event of the ledger; summaries name the version already."""
    if not events:
        return ["no events"]
    types = max(width(clean(event["type"])) for event in events)
    return [
        f"{event['seq']:>6}  {moment(event['at'])}  {pad(clean(event['type']), types)}"
        f"  {clean(event['summary'])}  ({clean(event['actor'])})"
        for event in events
    ]


def compare_lines(document: Mapping[str, Any]) -> list[str]:
    """Return the differences as a table, then what is equal."""
    rows = [[row["field"], row["a"], row["b"]] for row in document["differences"]]
    lines = (
        table(["Field", str(document["a"]), str(document["b"])], rows, capitals=False) if rows else ["no differences"]
    )
    if document.get("same"):
        lines += ["", f"same: {cell_text(', '.join(map(str, document['same'])))}"]
    return lines


def _drill(last: Mapping[str, Any] | None) -> list[str]:
    """Return what came of the last retrieval drill."""
    if last is None:
        return []
    outcome = f"{len(last['failed'])} could NOT be had back" if last["failed"] else "all had back as registered"
    versions = f"{last['tried']} of {last['archived']} archived version{'' if last['archived'] == 1 else 's'}"
    return [f"last retrieval drill {clean(last['at'])[:10]}: {versions} tried, {outcome}"]


def status_lines(document: Mapping[str, Any]) -> list[str]:
    """Return what a person wants to know first, and only the parts that hold something."""
    counts = document["counts"]
    stages = ", ".join(f"{count} {stage_text(stage)}" for stage, count in counts.items() if count) or "no versions yet"
    lines = [
        *_closed(document.get("closed")),
        f"{heading(document['system'])}  ({clean(document['risk'])} risk)  {clean(document['root'])}",
        f"{_models(document.get('models'))}: {stages}",
    ]
    for name, title in (
        ("pending", "waiting for a signature"),
        ("overdue", "overdue"),
        ("pending_moves", "to be moved to the archive"),
    ):
        lines += _listed(title, document.get(name) or [])
    lines += _drill(document.get("last_drill"))
    if document.get("continues"):
        lines.append(f"continues {clean(continues_text(document['continues']))}")
    if document.get("view_behind"):
        lines.append("registry.xlsx is behind the ledger; the next writing command brings it up to date")
    lines += [f"next: {clean(command)}" for command in document.get("next") or []]
    ledger = document["ledger"]
    return [*lines, f"ledger {ledger['seq']} {clean(ledger['hash'])}"]


def _closed(closed: Mapping[str, Any] | None) -> list[str]:
    if not closed:
        return []
    since = f"CLOSED since {moment(closed['at'])} by {clean(closed['by'])}: {clean(closed['reason'])}"
    lines = [since, f"successor: {clean(closed['successor'])}"]
    if closed.get("doubted_since"):
        lines.append(f"IN DOUBT: the key that signed this was compromised since {moment(closed['doubted_since'])}")
    return [*lines, ""]


def _models(models: object) -> str:
    count = len(models) if isinstance(models, Sequence) and not isinstance(models, str) else models
    return f"{count} model" if count == 1 else f"{count} models"


def _listed(title: str, items: Sequence[object]) -> list[str]:
    return [f"{title}:", *(f"  {_phrase(item)}" for item in items)] if items else []


def _phrase(item: object) -> str:
    if isinstance(item, Mapping) and item.get("kind", "stage") != "stage":
        return clean(f"{item['id']} {_about(item)}  {item['status']}")
    if isinstance(item, Mapping) and "model" in item:
        about = f"{item['model']}@{item.get('version')}"
        target = f" to {item['to']}" if item.get("to") else ""
        rest = ", ".join(cell_text(item[key]) for key in ("status", "since", "due", "message") if item.get(key))
        return clean(f"{item.get('id') or ''} {about}{target}  {rest}".strip())
    return cell_text(item)


def approval_table(approvals: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the approvals as a table."""
    if not approvals:
        return ["no approvals"]
    rows = [
        [
            item["id"],
            _about(item),
            item["to"],
            item["status"],
            item["approver"],
            item["problems"],
        ]
        for item in approvals
    ]
    return table(["Id", "What", "To", "Status", "Approver", "Problems"], rows)


def _about(item: Mapping[str, Any]) -> str:
    """Say what an approval or request is about."""
    if item.get("what"):
        return str(item["what"])
    return f"{item['model']}@{item['version']}" if item.get("model") else f"{item['kind']} of what was adopted"


def review_lines(document: Mapping[str, Any]) -> list[str]:
    """Return the screen that a person reads before signing: what changes, on what evidence."""
    review = document.get("review") or {}
    if document.get("kind", "stage") != "stage":
        return _request_lines(document, review)
    lines = [heading(f"Approval {document['id']}: {document['model']}@{document['version']}")]
    change = f"{review.get('from')} -> {review.get('to')}"
    facts = {
        "change": change + (f", replaces {review['replaces']}" if review.get("replaces") else ""),
        "ratifies": _rollback_text(review.get("rollback")),
        "registered by": review.get("registered_by"),
        "registered at": moment(review["registered_at"]) if review.get("registered_at") else None,
        "blake3": review.get("blake3"),
        "content now": review.get("content"),
        "needs": review.get("needs"),
        "card": _card_text(review.get("card")),
        "limitations": review.get("limitations"),
        "environment": review.get("environment") or ("none recorded" if "environment" in review else None),
    }
    lines += fields({name: value for name, value in facts.items() if value}, indent=2)
    lines += [f"  MISSING  {clean(told)}" for told in review.get("missing") or []]
    lines += _metric_lines(review.get("metrics") or [])
    if review.get("gates"):
        lines += ["  gates", *_gate_lines(review["gates"])]
    for one in review.get("exceptions") or []:
        lines += _exception_lines(one)
    return lines


def _rollback_text(found: Mapping[str, Any] | None) -> str | None:
    """Say that what is asked has happened already, in a hurry, and why."""
    if found is None:
        return None
    who = f"{found['actor']} (pipeline {found['pipeline']})" if found.get("pipeline") else str(found["actor"])
    return f"the ROLLBACK of event {found['event']} by {who} at {moment(found['at'])}, because: {found['reason']}"


def _exception_lines(one: Mapping[str, Any]) -> list[str]:
    """Tell an exception in full: whoever signs on it has read it."""
    ends = f"until {one['expires']}" if one["in_force"] else f"ENDED on {one['expires']}"
    facts = {
        "severity": one["severity"],
        "justification": one["justification"],
        "controls": one["controls"],
        "root cause": one["root_cause"],
        "remediation": f"{one['remediation']} (by {one['remediation_date']})",
        "granted by": one["granted_by"],
    }
    lines = [f"  exception {clean(one['id'])}: the {clean(one['gate'])} gate is let through {clean(ends)}"]
    return lines + fields({name: value for name, value in facts.items() if value}, indent=4)


def _request_lines(document: Mapping[str, Any], review: Mapping[str, Any]) -> list[str]:
    """Return the screen of a change that a lead is asked to sign: every member of it."""
    if document.get("kind") == "baseline":
        from manual_registry.cli.adoption_text import baseline_lines

        return baseline_lines(document)
    lines = [heading(f"Request {document['id']}: {clean(_about(document))}")]
    facts = {**(review.get("details") or {}), "needs": review.get("needs")}
    lines += fields({name.replace("_", " "): value for name, value in facts.items() if value is not None}, indent=2)
    if review.get("differences") is not None:
        lines += [f"  {line}" for line in policy_difference_lines(review)]
    return lines


def _card_text(card: Mapping[str, Any] | None) -> str | None:
    if card is None:
        return None
    return "complete" if card["complete"] else f"NOT complete: {', '.join(card['missing'])}"


def _metric_lines(metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    if not metrics:
        return []
    names = ("name", "value", "production", "difference")
    rows = [[cell_text(metric.get(name)) for name in names] for metric in metrics]
    return [f"  {line}" for line in plain_table(["metric", "this version", "in production", "difference"], rows)]


def _gate_lines(gates: Sequence[Mapping[str, Any]]) -> list[str]:
    lines: list[str] = []
    for gate in gates:
        verdict = "passed" if gate.get("passed") else "NOT passed"
        verdict += f", let through by {gate['exception']}" if gate.get("exception") else ""
        metrics = "; ".join(_gate_metric(metric) for metric in gate.get("metrics") or [])
        lines.append(f"    {clean(gate.get('gate'))} {verdict}: {metrics}")
    return lines


def _gate_metric(metric: Mapping[str, Any]) -> str:
    """Return ``auc 0.75 (0.72 to 0.78), asked >= 0.7``."""
    ends = [cell_text(metric[end]) if metric.get(end) is not None else "?" for end in ("lower", "upper")]
    interval = f" ({' to '.join(ends)})" if ends != ["?", "?"] else ""
    sign = ">=" if metric.get("direction") == "higher" else "<="
    needed = metric.get("asked", metric.get("threshold"))
    asked = f", asked {sign} {cell_text(needed)}" if needed is not None else ""
    return f"{clean(metric.get('name'))} {cell_text(metric.get('value'))}{interval}{asked}"


def approval_lines(document: Mapping[str, Any]) -> list[str]:
    """Return one approval: the review, where it stands, how an auditor checks it, what to type next."""
    facts = {
        name: document.get(name)
        for name in ("status", "approver", "requested_by", "requested_at", "problems")
        if document.get(name)
    }
    lines = [*review_lines(document), *fields(facts, indent=2)]
    if document.get("issued"):
        lines.append(f"  statements issued: {len(document['issued'])}")
    if document.get("auditor_command"):
        lines += [
            "",
            "an auditor checks it, from the registry's root, with:",
            f"  {clean(document['auditor_command'])}",
        ]
    if document.get("next"):
        lines += ["", f"next: {clean(document['next'])}"]
    return lines


def policy_difference_lines(document: Mapping[str, Any]) -> list[str]:
    """Return how registry.toml differs from the policy in force, weaker settings marked."""
    rows = [
        [
            item["setting"],
            cell_text(item["in_force"]),
            cell_text(item["file"]),
            "WEAKER" if item.get("weaker") else "",
        ]
        for item in document.get("differences") or []
    ]
    if not rows:
        return ["registry.toml says the same as the policy in force"]
    return plain_table(["setting", "in force", "registry.toml", ""], rows)


def policy_lines(document: Mapping[str, Any]) -> list[str]:
    """Return the policy in force, since when, by whom, and what registry.toml says otherwise."""
    since = document.get("since") or {}
    signed = document.get("signed_by") or "the registry's creation"
    lines = [
        f"policy in force since event {since.get('seq')} ({moment(since.get('at'))}), by {clean(signed)}",
        "",
    ]
    lines += fields(document["in_force"], indent=2)
    if document.get("differs"):
        lines += ["", "registry.toml differs; it counts once a lead has signed it (mreg policy sign):"]
        lines += [f"  {line}" for line in policy_difference_lines(document)]
    return lines
