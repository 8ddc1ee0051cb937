"""The content hash and its manifest: round trips, refusals, agreement with sha256sum and b3sum."""

from __future__ import annotations

import hashlib

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from manual_registry.core import manifest
from manual_registry.core.errors import (
    ArtefactChanged,
    BadDigest,
    BadPath,
    EmptyDirectory,
    PathCollision,
    PathEscapes,
    Refused,
    RegistryError,
)
from manual_registry.core.manifest import Content, Difference, FileEntry, content

PART = st.text(st.sampled_from("abcdefz0189-_ äß日") | st.characters(categories=["Lo", "Nd"]), min_size=1, max_size=6)
PATHS = st.lists(st.lists(PART, min_size=1, max_size=3).map("/".join), max_size=8)


def entry(path: str, data: bytes = b"x") -> FileEntry:
    return FileEntry(
        path=path, size=len(data), blake3=blake3(data).hexdigest(), sha256=hashlib.sha256(data).hexdigest()
    )


def fit(paths: list[str]) -> list[str]:
    kept: list[str] = []
    for path in paths:
        if not manifest.path_problems([*kept, path]):
            kept.append(path)
    return kept


@given(PATHS)
def test_manifest_round_trip(paths: list[str]) -> None:
    entries = [entry(path, path.encode()) for path in fit(paths)]
    for algorithm in manifest.MANIFESTS:
        data = manifest.manifest_bytes(entries, algorithm)
        parsed = manifest.parse_manifest(data)
        assert parsed == {item.path: getattr(item, algorithm) for item in entries}
        assert manifest.render(parsed) == data
        assert list(parsed) == sorted(parsed, key=str.encode)


@given(PATHS)
def test_order_does_not_count(paths: list[str]) -> None:
    entries = [entry(path) for path in fit(paths)]
    if entries:
        assert content("directory", entries) == content("directory", entries[::-1])


@given(PATHS, PATHS)
def test_compare_laws(one: list[str], other: list[str]) -> None:
    left, right = [entry(path) for path in fit(one)], [entry(path) for path in fit(other)]
    assert manifest.compare(left, left) == ()
    forth = {(item.path, item.kind) for item in manifest.compare(left, right)}
    back = {(item.path, item.kind) for item in manifest.compare(right, left)}
    turned = {"added": "gone", "gone": "added", "changed": "changed"}
    assert {(path, turned[kind]) for path, kind in forth} == back


def test_one_file_has_its_own_hash() -> None:
    made = content("file", [entry("model.pkl", b"model")], name="model.pkl")
    assert made == Content(
        kind="file",
        name="model.pkl",
        files=(entry("model.pkl", b"model"),),
        size=5,
        blake3=blake3(b"model").hexdigest(),
        sha256=hashlib.sha256(b"model").hexdigest(),
    )


def test_directory_has_the_hash_of_its_manifest() -> None:
    made = content("directory", [entry("b"), entry("a/c", b"yy")])
    lines = f"{entry('a/c', b'yy').blake3}  a/c\n{entry('b').blake3}  b\n".encode()
    assert (made.blake3, made.size, made.name) == (blake3(lines).hexdigest(), 3, None)
    assert made.sha256 == hashlib.sha256(manifest.manifest_bytes(made.files, "sha256")).hexdigest()


def test_sha256_is_absent_when_it_was_not_computed() -> None:
    plain = FileEntry(path="a", size=1, blake3="0" * 64)
    assert content("directory", [plain]).sha256 is None
    with pytest.raises(BadDigest):
        manifest.manifest_bytes([plain], "sha256")


def test_sorted_by_utf8_bytes_not_by_utf16() -> None:
    paths = ["\U0001f600", "\uff5e", "z"]
    assert [item.path for item in content("directory", map(entry, paths)).files] == ["z", "\uff5e", "\U0001f600"]


@pytest.mark.parametrize(
    ("paths", "error"),
    [
        (["../x"], PathEscapes),
        (["/x"], PathEscapes),
        (["a/../b"], PathEscapes),
        (["C:x"], PathEscapes),
        (["a\tb"], BadPath),
        (["a\nb"], BadPath),
        (["a\\b"], BadPath),
        (["50%"], BadPath),
        (["e\u0301"], BadPath),
        (["nul.txt"], BadPath),
        (["\udcff"], BadPath),
        (["Model", "model"], PathCollision),
        (["A/x", "a/y"], PathCollision),
        (["a", "a"], PathCollision),
        (["a", "a/b"], PathCollision),
        ([], EmptyDirectory),
    ],
)
def test_refused_names(paths: list[str], error: type[RegistryError]) -> None:
    with pytest.raises(error) as caught:
        content("directory", map(entry, paths))
    str(caught.value.location).encode()
    caught.value.message.encode()


def test_all_names_told_at_once() -> None:
    with pytest.raises(Refused) as caught:
        content("directory", map(entry, ["50%", "ok", "Ok", "../x"]))
    assert {type(cause) for cause in caught.value.reasons} == {BadPath, PathCollision, PathEscapes}


def test_a_file_is_one_entry() -> None:
    with pytest.raises(BadPath):
        content("file", map(entry, "ab"))


@pytest.mark.parametrize("data", [b"x", b"00  a\n", b"\xff\n", b"0" * 64 + b" a\n", (b"0" * 64 + b"  a\n") * 2])
def test_what_is_no_manifest(data: bytes) -> None:
    with pytest.raises(ArtefactChanged) as caught:
        manifest.parse_manifest(data, where="models/m/1/SHA256SUMS")
    assert caught.value.location == "models/m/1/SHA256SUMS"


def test_compare_names_each_kind() -> None:
    expected = [entry("same"), entry("changed", b"1"), entry("gone")]
    found = [entry("same"), entry("changed", b"2"), entry("added")]
    assert manifest.compare(expected, found) == (
        Difference(path="added", kind="added"),
        Difference(path="changed", kind="changed"),
        Difference(path="gone", kind="gone"),
    )


def test_compare_without_hashes_looks_at_sizes() -> None:
    assert manifest.compare([entry("a", b"11")], [FileEntry(path="a", size=2)]) == ()
    assert manifest.compare([entry("a", b"11")], [FileEntry(path="a", size=3)])[0].kind == "changed"


def test_printable_is_fit_for_json() -> None:
    assert manifest.printable("a\udcff\n\u2028ä") == "a\\xff\\n\\u2028ä"
