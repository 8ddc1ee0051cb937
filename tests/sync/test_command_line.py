"""`mreg sync` as it is typed: what a lead reads who fills something in wrong, and hostile files beside a clock."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sheets import edit, table
from world import LEAD, LEAD2, World

HOSTILE = Path(__file__).parents[1] / "adapters" / "hostile"
#: One of each kind; the slow test takes all.
SOME = (
    "MR-V012_bomb", "MR-V013_larger_than_said", "MR-V014_laughs", "MR-V015_nested", "MR-V017_far_corner",
    "MR-V020_encrypted",
)  # fmt: skip


def book(world: World) -> Path:
    """Return the workbook."""
    return world.root / "registry.xlsx"


def day(days: int) -> str:
    """Return the date so many days from now."""
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%d")


def test_a_lead_reads_in_the_row_what_is_wrong(tmp_path: Path) -> None:
    world = World(tmp_path / "world")
    world.register("1")
    world.as_(LEAD).register("churn", "2", world.artefact("2"), metadata=world.metadata())
    asked = world.as_().approval_request("churn@1", to="staging").id or ""
    own = world.as_().approval_request("churn@2", to="staging").id or ""
    entry: dict[str, Any] = {"Decision": "approved", "Approver": LEAD, "Approval date": day(0)}

    def synced(row: str, **changes: str) -> str:
        filled = entry | {name.replace("_", " "): value for name, value in changes.items()}
        edit(book(world), {("Approvals", row, name): value for name, value in filled.items()})
        done = world.cli("--json", "sync", actor=LEAD)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
        document = json.loads(done.stdout)
        shown = table(book(world), "Approvals")[row]
        assert [line["row"] for line in document["problems"]] == [row]
        assert document["problems"][0]["message"] in shown["Check"] or shown["Check"].startswith("! ")
        assert {name: shown[name] for name in filled} == filled, "what she typed stands as she typed it"
        assert shown["Status"] == "requested"
        edit(book(world), {("Approvals", row, name): None for name in filled})
        return str(shown["Check"])

    assert "'jonas@example.org' is not in the roster" in synced(asked, Approver="jonas@example.org")
    assert "before the request" in synced(asked, Approval_date=day(-9))
    assert "has not come yet" in synced(asked, Approval_date=day(9))
    assert "registered churn@2 and cannot approve it" in synced(own)
    edit(book(world), {("Approvals", own, name): value for name, value in (entry | {"Approver": LEAD2}).items()})
    done = world.cli("sync", actor=LEAD)
    assert "NOT yet signed" in table(book(world), "Approvals")[own]["Check"]
    assert "filled" in done.stdout


# -- hostile files ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A small registry whose workbook is replaced again and again."""
    return World(tmp_path_factory.mktemp("victim") / "w", risk="minimal", leads=(), pipelines=())


def limits() -> None:
    """Let nothing take the machine down: five seconds of CPU, two gigabytes of addresses."""
    resource.setrlimit(resource.RLIMIT_CPU, (5, 5))
    resource.setrlimit(resource.RLIMIT_AS, (2 * 2**30,) * 2)


def measured(world: World, *words: str) -> tuple[int, str, float, float]:
    """Run a command; return status, what it said, CPU seconds and the most memory in MB."""
    line = [sys.executable, "-m", "manual_registry", "--actor", "a@example.org", "--json", *words]
    with (world.place / "said").open("w+b") as said:
        process = subprocess.Popen(
            line,
            cwd=world.root,
            stdout=said,
            stderr=subprocess.STDOUT,
            preexec_fn=limits,  # noqa: PLW1509 - no thread here
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read().decode()
    return process.returncode, text, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def refused_in_time(world: World, names: tuple[str, ...]) -> None:
    """Each is refused with its code, leaves the file as it is, and takes less than 1 s and 100 MB beyond nothing."""
    good = book(world).read_bytes()
    try:
        measured(world, "sync")
        book(world).unlink()
        world.as_().reset_view()
        (world.root / "registry.toml").touch()
        _, _, usual_cpu, usual_memory = measured(world, "verify", "--quick")
        for name in names:
            shutil.copyfile(HOSTILE / f"{name}.xlsx", book(world))
            before = book(world).read_bytes()
            status, text, cpu, memory = measured(world, "sync")
            assert "Traceback" not in text, (name, text)
            assert status == 4, (name, status, text)
            assert json.loads(text)["error"]["code"] == name.partition("_")[0]
            assert book(world).read_bytes() == before
            assert cpu - usual_cpu < 1, (name, cpu, usual_cpu)
            assert memory - usual_memory < 100, (name, memory, usual_memory)
    finally:
        book(world).write_bytes(good)


def test_hostile_files_are_refused_within_a_second_and_100_mb(victim: World) -> None:
    refused_in_time(victim, SOME)


@pytest.mark.slow
def test_every_hostile_file_is(victim: World) -> None:
    names = sorted(path.stem for path in HOSTILE.glob("*.xlsx"))
    refused_in_time(victim, tuple(name for name in names if not name.startswith("MR-V019")))  # of other headings
