"""BagIt 1.0 (RFC 8493): writes the tag files of a bag and checks a whole bag.

Rules held here: the payload is manifested in SHA-256, twice over in BLAKE3 (B3SUMS, a tag file, readable by
``b3sum -c``); tagmanifest-sha256.txt covers every tag file; a path's LF, CR and percent sign are encoded in
manifests; a bag holds no links, no fetch.txt, and no file that its manifests do not name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from manual_registry.adapters import tree
from manual_registry.adapters.files import write_new
from manual_registry.core.errors import ArtefactChanged, BagInvalid
from manual_registry.core.manifest import FileEntry, by_path, manifest_bytes, parse_manifest
from manual_registry.ports import Progress

DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
PAYLOAD_MANIFEST = "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
_NEEDED = ("bagit.txt", "bag-info.txt", PAYLOAD_MANIFEST, TAG_MANIFEST, "B3SUMS")
_LINE = re.compile(r"([0-9A-Fa-f]{64})[ \t]+([^\r\n]+)")
_CODES = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_BACK = {code: char for char, code in _CODES.items()}


def encode_path(path: str) -> str:
    """Encode a manifest path (RFC 8493, 2.1.3): only LF, CR and the percent sign."""
    return re.sub(r"[%\r\n]", lambda match: _CODES[match[0]], path)


def decode_path(text: str) -> str:
    """Give back the path of :func:`encode_path`; ``decode_path(encode_path(p)) == p``."""
    return re.sub(r"%(25|0[DdAa])", lambda match: _BACK[match[0].upper()], text)


def manifest(hashes: Mapping[str, str]) -> bytes:
    """Return a BagIt manifest of ``{path: hex}``."""
    return b"".join(f"{hashes[path]}  {encode_path(path)}\n".encode() for path in sorted(hashes, key=by_path))


def bag_info(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Return bag-info.txt; a value of several lines is continued by indented lines."""
    lines = (f"{label}: " + "\n  ".join(filter(None, map(str.strip, value.splitlines()))) for label, value in pairs)
    return "".join(line.rstrip() + "\n" for line in lines).encode()


def payload_oxum(payload: Sequence[FileEntry]) -> str:
    """Return ``<bytes>.<files>``."""
    return f"{sum(entry.size for entry in payload)}.{len(payload)}"


def write_tags(bag: Path, payload: Sequence[FileEntry], info: Iterable[tuple[str, str]]) -> None:
    """Write every tag file of ``bag``, whose ``data/`` holds ``payload`` (paths begin with ``data/``).

    ``OSError`` passes through.
    """
    pairs = [*info, ("Payload-Oxum", payload_oxum(payload))]
    tags = {
        "bagit.txt": DECLARATION,
        "bag-info.txt": bag_info(pairs),
        PAYLOAD_MANIFEST: manifest({entry.path: entry.sha256 or "" for entry in payload}),
        "B3SUMS": manifest_bytes(payload, "blake3"),
    }
    for name, data in tags.items():
        write_new(bag / name, data)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in tags.items()}
    write_new(bag / TAG_MANIFEST, manifest(hashes))


def validate(bag: Path, *, both: bool = True, progress: Progress | None = None) -> list[BagInvalid]:
    """Check a bag whole; return every problem, located relative to the bag; none means valid.

    ``both=False`` re-hashes the payload by BLAKE3 against B3SUMS only (tag files always by SHA-256). Reads
    only.
    """
    missing = [name for name in _NEEDED if not (bag / name).is_file() or (bag / name).is_symlink()]
    if missing:
        return [_problem(name, "is missing") for name in missing]
    found = tree.survey(bag, sha256=both, progress=progress)
    problems = [_problem(error.location or "", error.message) for error in found.problems]
    files = {entry.path: entry for entry in found.files}
    tags: dict[str, bytes] = {name: (bag / name).read_bytes() for name in _NEEDED}
    if tags["bagit.txt"] != DECLARATION:
        problems.append(_problem("bagit.txt", "does not declare BagIt 1.0 in UTF-8"))
    payload = {path: entry for path, entry in files.items() if path.startswith("data/")}
    problems += _check_oxum(tags["bag-info.txt"], list(payload.values()))
    problems += _check_payload(tags, payload, both)
    problems += _check_tags(bag, tags, files)
    return problems


def payload_hashes(bag: Path) -> dict[str, str]:
    """Return ``{path: sha256}`` of manifest-sha256.txt; raises :class:`BagInvalid`."""
    return _parse(PAYLOAD_MANIFEST, (bag / PAYLOAD_MANIFEST).read_bytes())


def read_info(data: bytes) -> dict[str, str]:
    """Return ``{label: value}`` of bag-info.txt (the last of a repeated label), lines joined by a space."""
    unfolded = re.sub(r"\r?\n[ \t]+", " ", data.decode("utf-8", "replace"))
    pairs = (line.partition(":") for line in unfolded.splitlines() if ":" in line)
    return {label.strip(): value.strip() for label, _, value in pairs}


def _check_oxum(info: bytes, payload: Sequence[FileEntry]) -> list[BagInvalid]:
    stated = read_info(info).get("Payload-Oxum")
    if stated is None or stated == payload_oxum(payload):
        return []
    return [_problem("bag-info.txt", f"Payload-Oxum says {stated}, the payload is {payload_oxum(payload)}")]


def _check_payload(tags: Mapping[str, bytes], payload: Mapping[str, FileEntry], both: bool) -> list[BagInvalid]:
    problems: list[BagInvalid] = []
    for name, algorithm in ((PAYLOAD_MANIFEST, "sha256"), ("B3SUMS", "blake3")):
        try:
            stated = _parse(name, tags[name]) if algorithm == "sha256" else parse_manifest(tags[name], where=name)
        except (BagInvalid, ArtefactChanged) as error:
            problems.append(_problem(name, error.message))
            continue
        problems += [_problem(path, f"is missing from {name}") for path in sorted(payload.keys() - stated.keys())]
        problems += [_problem(path, f"is gone; {name} names it") for path in sorted(stated.keys() - payload.keys())]
        if both or algorithm == "blake3":
            found = {path: getattr(entry, algorithm) for path, entry in payload.items()}
            changed = sorted(path for path in stated.keys() & found.keys() if stated[path] != found[path])
            problems += [_problem(path, f"differs from its hash in {name}") for path in changed]
    return problems


def _check_tags(bag: Path, tags: Mapping[str, bytes], files: Mapping[str, FileEntry]) -> list[BagInvalid]:
    try:
        stated = _parse(TAG_MANIFEST, tags[TAG_MANIFEST])
    except BagInvalid as error:
        return [error]
    present = {path for path in files if not path.startswith("data/")} - {TAG_MANIFEST}
    problems = [_problem(path, "is a file that no manifest names") for path in sorted(present - stated.keys())]
    problems += [_problem(path, f"is gone; {TAG_MANIFEST} names it") for path in sorted(stated.keys() - present)]
    for path in sorted(stated.keys() & present):
        data = tags[path] if path in tags else (bag / path).read_bytes()
        if hashlib.sha256(data).hexdigest() != stated[path]:
            problems.append(_problem(path, f"differs from its hash in {TAG_MANIFEST}"))
    return problems


def _parse(name: str, data: bytes) -> dict[str, str]:
    hashes: dict[str, str] = {}
    try:
        lines = data.decode("utf-8").split("\n")  # splitlines() would also split at U+2028 in a name
    except UnicodeDecodeError:
        raise _problem(name, "is not UTF-8 text") from None
    for number, line in enumerate(lines, 1):
        if not line and number == len(lines):
            break
        match = _LINE.fullmatch(line.removesuffix("\r"))
        path = decode_path(match[2]) if match else ""
        if not match or path in hashes or path.startswith(("/", "~")) or ".." in path.split("/"):
            raise _problem(name, f"line {number} is malformed, doubled or leads out of the bag")
        hashes[path] = match[1].lower()
    return hashes


def _problem(path: str, text: str) -> BagInvalid:
    return BagInvalid(f"{path}: {text}", location=path)
