"""Commands that write the register for other programs: export csv, export mlflow."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from manual_registry.cli.ask import progress
from manual_registry.cli.boundary import end, stoppable
from manual_registry.cli.destination import check_destination
from manual_registry.cli.options import group, is_stdout, output_option
from manual_registry.cli.output import answer, clean, emit, head_line, out, out_bytes, write_file
from manual_registry.cli.session import Session, pass_session
from manual_registry.core.errors import IntegrityError

if TYPE_CHECKING:
    from manual_registry.registry.handover import Handover

#: So begins a field that names a part of a version as a whole: missing, there twice, or nobody's.
_PARTS = ("run", "logged model", "model version")
#: So many mismatches are shown to a person; --json has them all.
SHOWN = 40


@group("export", example="mreg export csv -o register.csv")
def export_command() -> None:
    """Write the register for other programs."""


@export_command.command("csv", example="mreg export csv -o register.csv")
@output_option(required=True)
@pass_session
def csv_command(session: Session, *, output: Path) -> None:
    """Write one line per version as CSV; no cell can act as a formula.

    FILE is written over only where it is an earlier export.
    """
    registry = session.open()
    data = registry.export_csv()
    if is_stdout(output):
        out_bytes(data)
        return
    check_destination(session, output, fresh=not _is_export(output, data))
    write_file(output, codecs.BOM_UTF8 + data)  # without the mark Excel and LibreOffice do not take it for UTF-8
    count = len(data.splitlines()) - 1
    if session.json:
        emit({"schema": "manual-registry/export-csv/1", "path": str(output), "versions": count})
    else:
        out(f"wrote {clean(output)}: {count} version{'' if count == 1 else 's'}")


def _is_export(path: Path, data: bytes) -> bool:
    """Tell whether a file begins with the columns that every export begins with."""
    first = b",".join(data.split(b",")[:6]) + b","
    try:
        with path.open("rb") as file:
            return file.read(len(first) + len(codecs.BOM_UTF8)).removeprefix(codecs.BOM_UTF8).startswith(first)
    except OSError:
        return False  # there is none, or it cannot be read: told where it is written


@export_command.command("mlflow", example="mreg export mlflow --tracking-uri http://127.0.0.1:5000 --dry-run")
@click.option("--tracking-uri", required=True, metavar="URI", help="The MLflow server, http or https.")
@click.option("--model", metavar="NAME", help="That model alone.")
@click.option("--dry-run", is_flag=True, help="Write nothing; say what would be, and what MLflow cuts or renames.")
@click.option("--verify-only", is_flag=True, help="Write nothing to MLflow; read and hash everything, and compare.")
@click.option("--record", is_flag=True, help="With --verify-only: keep the outcome in the ledger.")
@click.option(
    "--alias",
    type=click.Choice(["production", "champion"]),
    help="What MLflow calls the production version; at first production, then as the last export did.",
)
@pass_session
def mlflow_command(
    session: Session,
    *,
    tracking_uri: str,
    model: str | None,
    dry_run: bool,
    verify_only: bool,
    record: bool,
    alias: str | None,
) -> None:
    """Export to MLflow, and prove it.

    Whatever was written is read back, hashed and compared; again brings only what is new, and overwrites nothing that
    somebody changed in MLflow. Credentials come from MLflow's own environment variables.

    Exit status 4: something in MLflow is not as the register says.
    """
    registry = session.open()
    writes = not (dry_run or verify_only)
    stays = "what is in MLflow stays, and the same command goes on from it" if writes else "nothing was written"
    with stoppable(stays), progress("export") as bar:
        done = registry.export_mlflow(
            tracking_uri,
            model=model,
            dry_run=dry_run,
            verify_only=verify_only,
            record=record,
            alias=alias,
            progress=bar,
        )
    answer(session, done.document(), _lines(done))
    if done.head is not None and not session.json:
        out(head_line(done.head))
    if done.unrecorded is not None:
        end(session, done.unrecorded)
    if done.refusals:
        end(session, *(why for _, why in done.refusals))
    if done.mismatches:
        click.get_current_context().exit(IntegrityError.status)


def _lines(done: Handover) -> Iterator[str]:
    document = done.document()
    yield from (_object_line(one) for one in document.get("plan", ()))
    if any(one["values"] for one in document.get("plan", ())):
        yield "fields    --json names those of each object"
    for one in () if done.action == "dry-run" else document["exported"]:
        yield f"exported  {clean(one['model'])}@{clean(one['version'])}: version {one['number']} there"
    for one in done.outcomes:
        if one.number is None and (done.action == "export" or (done.action == "check" and one.unfit)):
            yield f"left out  {clean(one.model)}@{clean(one.version)}: {clean(one.reason)}"
    yield from _remark_lines(done)
    for mismatch in document["mismatches"][:SHOWN]:
        yield f"differs   {_difference(mismatch)}"
    if len(done.mismatches) > SHOWN:
        yield f"differs   and {len(done.mismatches) - SHOWN} more; --json lists them all"
    for model, why in done.refusals:
        yield f"refused   {clean(model)}: {why.code}"
    yield from _behind_lines(done)
    yield _sum(done)
    yield from _next_lines(done)


def _behind_lines(done: Handover) -> Iterator[str]:
    """Tell what the register alone has so far: no difference, and nothing that somebody did."""
    for one in done.behind[:SHOWN]:
        count = _count(one["values"], "value")
        yield f"behind    {_ref(one)}: {f'{count} as exported before' if one['there'] else 'not exported yet'}"
    if len(done.behind) > SHOWN:
        yield f"behind    and {len(done.behind) - SHOWN} more; --json lists them all"


def _next_lines(done: Handover) -> Iterator[str]:
    """Say what helps where something differs, or was not brought over."""
    command = f"mreg export mlflow --tracking-uri {clean(done.uri)}"
    if any(one.problem != "unfit" for one in done.mismatches):
        yield _mending(done)
    if any(one.problem == "unfit" for one in done.mismatches):
        yield "next: mreg verify"
    if done.behind and done.closed:
        yield "what is behind came before the register was closed, after its last export: no export brings it over any more"
    elif done.behind:
        yield f"next: {command}    (the register went on since the last export)"
    if done.closed and done.action == "dry-run" and any(one["new"] or one["values"] for one in done.plan):
        yield "the register is closed: no export writes any of this any more"
    if done.mismatches and done.action != "dry-run":
        yield f"next: {command} --verify-only"


def _mending(done: Handover) -> str:
    """Say how what differs is put right; nothing is to be deleted that no export would make anew."""
    if done.beyond:
        return (
            f"what is there was exported through event {done.beyond}, and this ledger ends before it: either this folder is an"
            " older copy of the registry (look with the newest, and change nothing there), or somebody edited that tag"
        )
    if done.closed:
        return "put right in MLflow what differs there, and delete nothing: a closed register makes nothing anew"
    return (
        "put right in MLflow what differs there; what its clients cannot put right is made anew once the model version,"
        " its logged model and its run are deleted there"
    )


def _remark_lines(done: Handover) -> Iterator[str]:
    """Tell what MLflow cuts, renames or refuses: all of it before anything is written, then of what was written."""
    written = {(one.model, one.version) for one in done.outcomes if one.requests}
    told = [
        one
        for one in done.remarks
        if done.action == "dry-run"
        or (one["model"], one["version"]) in written
        or (one["version"] is None and done.action == "export" and done.requests)
    ]
    for one in told if done.action == "dry-run" else told[:SHOWN]:
        yield f"{one['problem']:<9} {_ref(one)} {clean(one['place'])} {clean(one['name'])}: {clean(one['instead'])}"
    if done.action != "dry-run" and len(told) > SHOWN:
        yield f"cut       and {len(told) - SHOWN} more that MLflow cuts or renames; --json and --dry-run list them all"


def _object_line(one: dict[str, object]) -> str:
    word = (
        "would make"
        if one["new"]
        else f"would write {_count(one['values'], 'value')} of"
        if one["values"]
        else "stands"
    )
    return f"{word:<10} {clean(one['object'])} {clean(one['name'])}"


def _ref(one: dict[str, str | None]) -> str:
    return clean(f"{one['model']}@{one['version']}" if one["version"] else one["model"])


def _difference(one: dict[str, str | None]) -> str:
    whole = str(one["field"]).startswith(_PARTS) and "." not in str(one["place"])
    where = one["field"] if whole else f"{one['place']} {one['field']}"
    told = f"{_ref(one)} {where}: {one['problem']}"
    if one["problem"] == "doubled":
        told += ", there is another one of the same; delete one of the two in MLflow"
    elif one["problem"] == "changed":
        told += f", {one['found']!r} instead of {one['expected']!r}"
    elif one["found"] is not None:
        told += f", {one['found']}"
    return clean(told)


def _sum(done: Handover) -> str:
    there = sum(one.number is not None for one in done.outcomes)
    versions = _count(len(done.outcomes), "version")
    place = f"MLflow {clean(done.server)} at {clean(done.uri)}"
    if done.action == "dry-run":
        return f"{place}: nothing was written; {there} of {versions} there"
    told = _count(len(done.mismatches), "mismatch", "mismatches") if done.mismatches else "no mismatch"
    stood = f", {done.stood} stood already and not read (--verify-only reads all)" if done.stood else ""
    return (
        f"{place}: {there} of {versions} there, {_count(done.requests, 'write')}, {done.read} read back{stood}, {told}"
    )


def _count(number: object, word: str, several: str | None = None) -> str:
    """Return a number with its word, as in ``1 version`` and ``2 versions``."""
    return f"{number} {word if number == 1 else several or f'{word}s'}"
