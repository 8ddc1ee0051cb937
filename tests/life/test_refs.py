"""REF: order of resolution, ambiguity, paths and folders, composite ids, hashes; `trace --at` (design 3.2)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from life_line import Done, call, tree
from world import World

#: The ledger of :func:`times`: version 1 from the 2nd, 2 from the 5th, 1 again from the 7th to the 9th.
DAY = "2026-05-{:02d}T{:02d}:00:00Z"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A registry of minimal risk, read only: files, folders, equal contents, stages, aliases."""
    here = tmp_path_factory.mktemp("refs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MANUAL_REGISTRY_STATE", str(here / "state"))
        patch.setenv("MANUAL_REGISTRY_CACHE", str(here / "cache"))
        patch.chdir(here)
        world = World(here, risk="minimal", leads=(), pipelines=())
        work = world.as_()
        for version in ("1", "2", "v3"):
            work.register("churn", version, world.artefact(version))
        work.register("fraud", "1", world.artefact("f", b"twin"))
        work.register("fraud", "2", world.artefact("g", b"twin"))
        work.register(
            "folder", "1", folder(here / "folder-1", {"weights.bin": b"w1", "tokens/vocabulary.txt": b"words"})
        )
        work.register(
            "folder", "2", folder(here / "folder-2", {"weights.bin": b"w2", "tokens/vocabulary.txt": b"words"})
        )
        work.register("folder", "3", folder(here / "folder-3", {"weights.bin": b"w3"}))
        work.archive("folder@3", reason="old")
        for ref in ("churn@1", "churn@2"):
            work.promote(ref, to="staging")
        work.promote("churn@2", to="production")
        work.alias_set("churn", "champion", "1")
        yield world


def folder(path: Path, files: dict[str, bytes]) -> Path:
    """Write a folder."""
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def shown(world: World, ref: str | Path, cwd: Path | None = None) -> str:
    """Resolve through show; returns model@version."""
    done = call("show", ref, "--json", cwd=cwd or world.root)
    assert done.status == 0, done.err
    return f"{done.document['model']}@{done.document['version']}"


def failed(world: World, ref: str | Path, cwd: Path | None = None) -> Done:
    """Resolve through show; it must fail and say so in JSON."""
    done = call("show", ref, "--json", cwd=cwd or world.root)
    assert done.status != 0
    assert done.error
    return done


# -- names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ref", "wanted"),
    [
        ("churn@1", "churn@1"),
        ("churn@v3", "churn@v3"),
        ("churn@V3", "churn@v3"),  # versions are unique without regard to case
        ("churn@staging", "churn@1"),
        ("churn@production", "churn@2"),
        ("churn@experimental", "churn@v3"),
        ("churn@none", "churn@v3"),
        ("churn@champion", "churn@1"),
        ("churn@latest", "churn@v3"),
        ("folder@archived", "folder@3"),
    ],
)
def test_version_then_stage_then_alias_then_latest(place: World, ref: str, wanted: str) -> None:
    assert shown(place, ref) == wanted


@pytest.mark.parametrize(
    ("ref", "status", "code"),
    [
        ("churn@9", 5, "MR-N001"),
        ("churn@", 5, "MR-N001"),
        ("churn@archived", 5, "MR-N001"),
        ("fraud@production", 5, "MR-N003"),
        ("nobody@1", 5, "MR-N002"),
        ("fraud@experimental", 6, "MR-C003"),
        ("churn", 5, "MR-N001"),  # a bare model is for trace and history
        ("no/such/path", 5, "MR-N001"),
        ("blake3:0123456789ab", 5, "MR-N005"),
        ("sha256:0123456789ab", 5, "MR-N005"),
        ("blake3:0123", 7, "MR-I034"),
        ("sha256:xyz", 7, "MR-I034"),
        ("churn@1+code.none.data.none.model.aaaaaaaaaaaa.config.none", 5, "MR-N001"),
        ("churn@1+code.rubbish", 7, ""),
    ],
)
def test_what_fits_nothing_or_several(place: World, ref: str, status: int, code: str) -> None:
    done = failed(place, ref)
    assert done.status == status
    if code:
        assert done.codes == [code]


def test_several_matches_are_listed_and_never_guessed(place: World) -> None:
    done = failed(place, "fraud@experimental")
    assert done.error["details"]["matches"] == ["fraud@1", "fraud@2"]
    assert all(name in done.error["message"] for name in ("fraud@1", "fraud@2"))
    blake3 = call("show", "fraud@1", "--json", cwd=place.root).document["blake3"]
    for ref in (f"blake3:{blake3}", place.place / "model-f.bin"):
        done = failed(place, ref)
        assert (done.status, done.codes, done.error["details"]["matches"]) == (6, ["MR-C003"], ["fraud@1", "fraud@2"])
    before = tree(place.root)
    assert call("note", f"blake3:{blake3[:12]}", "hm", cwd=place.root).status == 6
    assert tree(place.root) == before


def test_the_composite_identifier_and_hashes(place: World) -> None:
    document = call("show", "churn@1", "--json", cwd=place.root).document
    assert shown(place, document["composite_id"]) == "churn@1"
    for algorithm in ("blake3", "sha256"):
        whole = document[algorithm]
        for text in (f"{algorithm}:{whole}", f"{algorithm}:{whole[:12]}", f"{algorithm.upper()}:{whole[:20].upper()}"):
            assert shown(place, text) == "churn@1"
        assert failed(place, f"{algorithm}:{whole[:11]}").status == 7


# -- paths ------------------------------------------------------------------------------------------------


def test_a_file_anywhere_is_hashed_and_looked_up(place: World, tmp_path: Path) -> None:
    copy = tmp_path / "deployed" / "whatever.dat"
    copy.parent.mkdir()
    shutil.copy(place.place / "model-1.bin", copy)
    assert shown(place, copy) == "churn@1"
    assert call("show", "whatever.dat", "--registry", place.root, "--json", cwd=copy.parent).document["version"] == "1"
    assert call("trace", "whatever.dat", "--registry", place.root, "--json", cwd=copy.parent).document["version"] == "1"
    named = tmp_path / "folder@1" / "x@y.bin"
    named.parent.mkdir()
    shutil.copy(copy, named)
    assert shown(place, f"{named}") == "churn@1"  # no name of a model has a slash: this is a path
    link = tmp_path / "current"
    link.symlink_to(copy)
    assert shown(place, link) == "churn@1"
    copy.write_bytes(b"something else")
    done = failed(place, copy)
    assert (done.status, done.codes) == (5, ["MR-N005"])


def test_history_takes_a_path_a_model_and_a_ref(place: World, tmp_path: Path) -> None:
    shutil.copy(place.place / "model-1.bin", tmp_path / "model.bin")
    of_path = call("history", "model.bin", "--registry", place.root, "--json", cwd=tmp_path).document
    of_ref = call("history", "churn@1", "--json", cwd=place.root).document
    of_model = call("history", "churn", "--json", cwd=place.root).document
    everything = call("history", "--json", cwd=place.root).document
    assert of_path == of_ref
    assert of_ref["schema"] == "manual-registry/history/1"
    types = [row["type"] for row in of_ref["events"]]
    assert types == ["version.registered", "version.promoted", "alias.set"]
    assert {row["version"] for row in of_model["events"]} == {"1", "2", "v3"}
    assert [row["seq"] for row in everything["events"]] == list(range(1, len(everything["events"]) + 1))
    assert call("history", "nobody", "--json", cwd=place.root).codes == ["MR-N002"]


def test_a_folder_fits_as_a_whole(place: World, tmp_path: Path) -> None:
    for version in ("1", "2", "3"):  # 3 lies in the archive
        copy = tmp_path / version
        shutil.copytree(place.place / f"folder-{version}", copy)
        (copy / ".DS_Store").write_bytes(b"left out")
        assert shown(place, copy) == f"folder@{version}"


def test_names_that_no_artefact_has_do_not_keep_a_deployed_folder_from_being_looked_up(
    place: World, tmp_path: Path
) -> None:
    """What runs somewhere is not registered: logs with a percent sign, links, fifos, empty folders, names of any kind."""
    deployed = folder(
        tmp_path / "deployed", {"serve 100%.log": b"log", "a\\b": b"x", "CON": b"y", "Log": b"1", "log": b"2"}
    )
    shutil.copytree(place.place / "folder-2", deployed / "model")
    (deployed / "empty").mkdir()
    (deployed / "gone").symlink_to("nowhere")
    os.mkfifo(deployed / "pipe")
    done = call("show", deployed, "--json", cwd=place.root)
    assert (done.status, done.document["model"], done.document["version"]) == (0, "folder", "2")
    strange = folder(tmp_path / "strange%", {"50%.bin": b"nobody's"})
    nothing = failed(place, strange)
    assert (nothing.status, nothing.codes) == (5, ["MR-N005"])
    assert failed(place, strange / "50%.bin").status == 5
    shutil.copy(place.place / "model-1.bin", tmp_path / "100%.bin")
    assert shown(place, tmp_path / "100%.bin") == "churn@1"
    bare = tmp_path / "bare"
    bare.mkdir()
    assert failed(place, bare).status == 5


def test_a_folder_that_fits_none_is_compared_file_by_file(place: World, tmp_path: Path) -> None:
    more = folder(tmp_path / "more", {"serve.log": b"log"})
    shutil.copytree(place.place / "folder-2", more / "model")
    done = call("show", more, "--json", cwd=place.root)
    assert done.document["version"] == "2"  # all of its files are there; of version 1 only the vocabulary is
    assert "2 of the 2 file(s) of folder@2 are in it, among 3" in done.err

    single = folder(tmp_path / "single", {"app.py": b"code"})
    shutil.copy(place.place / "model-1.bin", single / "model.bin")
    assert shown(place, single) == "churn@1"

    changed = folder(tmp_path / "changed", {"weights.bin": b"w3", "added.txt": b"new"})
    assert shown(place, changed) == "folder@3"  # from the manifest in its bag

    traced = call("trace", more, "--json", cwd=place.root)
    assert traced.document["version"] == "2"
    assert "as a whole is no version" in traced.err


def test_a_folder_whose_files_fit_several_versions_is_a_conflict(place: World, tmp_path: Path) -> None:
    shared = folder(tmp_path / "shared", {"vocabulary.txt": b"words", "weights.bin": b"other"})
    done = failed(place, shared)
    assert (done.status, done.codes) == (6, ["MR-C003"])
    assert done.error["details"]["matches"] == ["vocabulary.txt: folder@1", "vocabulary.txt: folder@2"]
    both = folder(tmp_path / "both", {"a/weights.bin": b"w1", "b/weights.bin": b"w2", "vocabulary.txt": b"words"})
    assert failed(place, both).status == 6
    nothing = failed(place, folder(tmp_path / "nothing", {"weights.bin": b"other"}))
    assert (nothing.status, nothing.codes) == (5, ["MR-N005"])


def test_a_manifest_that_someone_changed_fits_nothing(place: World, tmp_path: Path) -> None:
    root = tmp_path / "registry"
    shutil.copytree(place.root, root)
    sums = root / "models/folder/1/B3SUMS"
    sums.chmod(0o644)
    strange = folder(tmp_path / "strange", {"weights.bin": b"not ours", "notes.txt": b"n"})
    import blake3

    sums.write_text(f"{blake3.blake3(b'not ours').hexdigest()}  weights.bin\n")
    done = call("show", strange, "--json", cwd=root)
    assert (done.status, done.codes) == (5, ["MR-N005"])


# -- trace MODEL and --at ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def times(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A ledger whose production changed on known days."""
    here = tmp_path_factory.mktemp("times")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MANUAL_REGISTRY_STATE", str(here / "state"))
        patch.setenv("MANUAL_REGISTRY_CACHE", str(here / "cache"))
        patch.chdir(here)
        world = World(here, risk="minimal", leads=(), pipelines=(), now=datetime(2026, 5, 1, tzinfo=UTC))
        work = world.as_()
        for version in ("1", "2"):
            work.register("churn", version, world.artefact(version))
            work.promote(f"churn@{version}", to="staging")
        steps: tuple[tuple[int, int, Callable[[], object]], ...] = (
            (2, 9, lambda: work.promote("churn@1", to="production")),
            (5, 12, lambda: work.promote("churn@2", to="production")),
            (7, 8, lambda: work.rollback("churn", to="1", reason="incident")),
            (9, 18, lambda: work.archive("churn@1", reason="end")),
        )
        for day, hour, step in steps:
            world.now = datetime(2026, 5, day, hour, tzinfo=UTC)
            step()
        world.now = None
        yield world


@pytest.mark.parametrize(
    ("at", "version"),
    [
        (DAY.format(2, 9), "1"),
        ("2026-05-02T08:59:59.999Z", None),
        (DAY.format(5, 11), "1"),
        (DAY.format(5, 12), "2"),
        ("2026-05-05T12:00:00", "2"),  # without an offset: UTC
        ("2026-05-05T13:30:00+02:00", "1"),
        ("2026-05-05T14:30:00+02:00", "2"),
        (DAY.format(7, 8), "1"),
        (DAY.format(9, 18), None),
        ("2026-05-03", "1"),
        ("2026-05-02", "1"),  # one version only held that day, in the end
        ("2026-05-06", "2"),
        ("2026-05-09", "1"),
        ("2026-05-01", None),
        ("2026-05-10", None),
    ],
)
def test_trace_at_a_time(times: World, at: str, version: str | None) -> None:
    done = call("trace", "churn", "--at", at, "--json", cwd=times.root)
    if version is None:
        assert (done.status, done.codes) == (5, ["MR-N003"])
    else:
        assert done.document["version"] == version


def test_a_day_that_two_versions_held_is_a_conflict_with_the_intervals(times: World) -> None:
    for day, intervals in (
        ("2026-05-05", [("1", DAY.format(2, 9), DAY.format(5, 12)), ("2", DAY.format(5, 12), DAY.format(7, 8))]),
        ("2026-05-07", [("2", DAY.format(5, 12), DAY.format(7, 8)), ("1", DAY.format(7, 8), DAY.format(9, 18))]),
    ):
        done = call("trace", "churn", "--at", day, "--json", cwd=times.root)
        assert (done.status, done.codes) == (6, ["MR-C010"])
        told = [(one["version"], one["from"], one["to"]) for one in done.error["details"]["intervals"]]
        assert told == [(version, *(moment.replace("Z", ".000Z") for moment in stay)) for version, *stay in intervals]
        assert done.hint.startswith("mreg trace churn --at 2026-05-")
        again = call(*done.hint.split()[1:], "--json", cwd=times.root)  # the command that is printed helps
        assert again.document["version"] == intervals[0][0]


@pytest.mark.parametrize("words", [(), ("--no-hash",)])
def test_nothing_in_production_is_not_found(times: World, words: tuple[str, ...]) -> None:
    done = call("trace", "churn", *words, "--json", cwd=times.root)
    assert (done.status, done.codes) == (5, ["MR-N003"])
    done = call("trace", "nobody", *words, "--json", cwd=times.root)
    assert done.status == 5
    assert done.hint == "mreg list"


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("churn", "--at", "yesterday"), 7),
        (("churn", "--at", "2026-13-01"), 7),
        (("nobody", "--at", "2026-05-05"), 5),
        (("churn@1", "--at", "2026-05-05"), 2),  # a version was named: what should the time say?
        ((), 2),
    ],
)
def test_times_and_words_that_cannot_be_read(times: World, words: tuple[str, ...], status: int) -> None:
    assert call("trace", *words, "--json", cwd=times.root).status == status


def test_no_hash_and_the_whole_walk_find_the_same(place: World) -> None:
    for ref in ("churn", "churn@champion", "churn@latest", "churn@V3", "folder@3"):
        whole = call("trace", ref, "--json", cwd=place.root)
        quick = call("trace", ref, "--no-hash", "--json", cwd=place.root)
        assert (whole.status, quick.status) == (0, 0)
        for member in ("model", "version", "stage", "composite_id"):
            assert whole.document[member] == quick.document[member]
        status = {link["kind"]: link["status"] for link in quick.document["links"]}
        assert status["artefact"] == "recorded"


@pytest.mark.parametrize("ref", ["x" * 300, "x" * 5000, "a/" * 3000])
@pytest.mark.parametrize("command", ["trace", "show", "history", "fetch"])
def test_a_text_that_is_no_path_on_any_system_is_not_found(place: World, ref: str, command: str) -> None:
    words = (ref, str(place.place / "out")) if command == "fetch" else (ref,)
    done = call(command, *words, "--json", cwd=place.root)
    assert (done.status, done.out) == (5, "")


def test_nobody_knows_what_will_be_in_production(place: World) -> None:
    done = call("trace", "churn", "--at", "2999-01-01", "--json", cwd=place.root)
    assert (done.status, done.codes) == (7, ["MR-I020"])
