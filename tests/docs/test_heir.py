"""What README.txt tells the heir to type works with standard tools alone, and finds what it says it finds."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from blake3 import blake3

from manual_registry.adapters.templates import render
from manual_registry.core.allowed_signers import AllowedSigner
from manual_registry.core.allowed_signers import render as render_signers
from manual_registry.core.canonical import dump, sha256_hex
from manual_registry.core.errors import Json
from manual_registry.core.ledger import Draft, Event, file_name, seal
from manual_registry.core.manifest import FileEntry, manifest_bytes
from manual_registry.core.sshkeys import parse_public_key
from manual_registry.core.times import parse_time

WHEN = "2026-11-24T08:00:00.000Z"
LEAD = "ada@example.org"
TOOLS = ["sha256sum", "b3sum", "ssh-keygen"]

pytestmark = pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason=f"needs {', '.join(TOOLS)}")


def _commands() -> dict[str, str]:
    """Return heading -> shell text for the numbered checks of README.txt, blocks joined."""
    text = render("README.txt.j2", system="s", risk="high", registry_id="0" * 32, created=WHEN, closed=None)
    checks = text.split("HOW TO CHECK IT", 1)[1].split("HOW TO READ IT", 1)[0]
    parts = re.split(r"(?m)^\d\. (The \w+): .*\n", checks)
    blocks = {}
    for heading, body in zip(parts[1::2], parts[2::2], strict=True):
        blocks[heading] = "\n".join(line[4:] for line in body.split("\n") if line.startswith("    "))
    return blocks


CHECKS = _commands()
SHELLS = [shell for shell in ("sh", "bash", "zsh") if shutil.which(shell)]


def _run(check: str, root: Path, shell: str = "sh") -> str:
    done = subprocess.run(
        [shell, "-c", CHECKS[check]], cwd=root, capture_output=True, text=True, check=False, timeout=60
    )
    return done.stdout + done.stderr


class _Ledger:
    def __init__(self, root: Path) -> None:
        self.directory, self.events = root / "ledger", list[Event]()
        self.directory.mkdir()

    def add(self, kind: str, subject: dict[str, str], data: dict[str, object]) -> Event:
        prev = self.events[-1].hash if self.events else None
        draft = Draft(type=kind, subject=subject, data=data)
        event = seal(draft, seq=len(self.events) + 1, prev=prev, at=WHEN, actor=LEAD)
        (self.directory / file_name(event.seq)).write_bytes(event.raw)
        self.events.append(event)
        return event


def _store(directory: Path, files: dict[str, bytes]) -> tuple[str, str]:
    """Lay a version's files out; return (sha256, blake3) of the whole."""
    entries = []
    for path, content in files.items():
        target = directory / "artefact" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        digest = blake3(content).hexdigest()
        entries.append(FileEntry(path=path, size=len(content), sha256=sha256_hex(content), blake3=digest))
    sums = {"SHA256SUMS": manifest_bytes(sorted(entries, key=lambda one: one.path.encode()), "sha256")}
    sums["B3SUMS"] = manifest_bytes(sorted(entries, key=lambda one: one.path.encode()), "blake3")
    for name, data in sums.items():
        (directory / name).write_bytes(data)
    if len(entries) == 1:
        return str(entries[0].sha256), str(entries[0].blake3)
    return sha256_hex(sums["SHA256SUMS"]), blake3(sums["B3SUMS"]).hexdigest()


def _bag(directory: Path) -> None:
    (directory / "bagit.txt").write_text("BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n", encoding="utf-8")
    payload = sorted(path for path in (directory / "data").rglob("*") if path.is_file())
    _manifest(directory, "manifest-sha256.txt", payload)
    blake = [f"{blake3(path.read_bytes()).hexdigest()}  {path.relative_to(directory)}\n" for path in payload]
    (directory / "B3SUMS").write_text("".join(blake), encoding="utf-8")
    tags = ("B3SUMS", "bagit.txt", "manifest-sha256.txt")
    _manifest(directory, "tagmanifest-sha256.txt", [directory / name for name in tags])


def _manifest(directory: Path, name: str, files: list[Path]) -> None:
    lines = [f"{sha256_hex(path.read_bytes())}  {path.relative_to(directory)}\n" for path in files]
    (directory / name).write_text("".join(lines), encoding="utf-8")


class _Signer:
    """Somebody with a real key, signing with real ssh-keygen."""

    def __init__(self, tmp: Path, principal: str) -> None:
        self.principal, self.key = principal, tmp / principal
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True)

    def line(self, *namespaces: str) -> AllowedSigner:
        public = Path(f"{self.key}.pub").read_text(encoding="utf-8").split()
        return AllowedSigner(
            principal=self.principal,
            namespaces=tuple(f"{name}@manual-registry" for name in namespaces),
            valid_after=parse_time(WHEN),
            key=parse_public_key(" ".join(public[:2])),
        )

    def sign(self, copy: Path, namespace: str, who: str, seen: Event, issued_at: str = WHEN) -> None:
        """Leave a statement and its signature at ``copy``, as the tool does under approvals/."""
        predicate: dict[str, Json] = {
            who: self.principal,
            "comment": 'so says "approver":"eve@example.org"',
            "issued_at": issued_at,
            "ledger": {"seq": seen.seq, "hash": seen.hash},
        }
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(dump({"subject": [], "predicate": predicate}))
        name = f"{namespace}@manual-registry"
        subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", str(self.key), "-n", name, str(copy)], check=True)


def _sign_everything(root: Path, tmp: Path, seen: Event) -> None:
    lead, pipeline = _Signer(tmp, LEAD), _Signer(tmp, "ci")
    signers = [lead.line("stage-approval", "registry-control"), pipeline.line("ci-promote")]
    (root / "allowed_signers").write_text(render_signers(signers), encoding="utf-8")
    lead.sign(root / "approvals/chat/1/A3.json", "stage-approval", "approver", seen)
    pipeline.sign(root / "approvals/chat/1/P4.json", "ci-promote", "pipeline", seen)
    # A first lead who enrols with their own key signs before they stand in the roster.
    before = "2026-11-24T07:59:30.000Z"
    lead.sign(root / "approvals/.control/C3.json", "registry-control", "signer", seen, issued_at=before)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory version, a single-file version "data" in a bag, and something signed of each kind."""
    root = tmp_path / "regístry of ours"
    root.mkdir()
    ledger = _Ledger(root)
    ledger.add("registry.created", {}, {"system": "s"})
    files = {"weights.bin": b"\x00" * 99, "sub dir/größe.json": b"{}", "empty": b""}
    whole = _store(root / "models" / "chat" / "1", files)
    for model, version, (sha256, blake) in [
        ("chat", "1", whole),
        ("churn", "data", _store(root / "archive" / "churn" / "data" / "data", {"m.pkl": b"m"})),
    ]:
        seen = ledger.add(
            "version.registered",
            {"model": model, "version": version},
            {"artefact": {"sha256": sha256, "blake3": blake}},
        )
    _bag(root / "archive" / "churn" / "data")
    shutil.copytree(root / "archive" / "churn" / "data", root / "archive" / "churn" / "data~2")
    _sign_everything(root, tmp_path, seen)
    return root


@pytest.mark.parametrize("shell", SHELLS)
def test_a_whole_registry_passes_every_check(root: Path, shell: str) -> None:
    head = f'"sha256:{sha256_hex((root / "ledger" / file_name(3)).read_bytes())}"'
    assert _run("The ledger", root, shell).splitlines()[0] == f"last event checked: 3 {head}"
    assert _run("The files", root, shell) == "files checked\n"
    assert _run("The archive", root, shell) == "archive checked\n"
    signed = _run("The signatures", root, shell)
    for namespace, who in [("stage-approval", LEAD), ("ci-promote", "ci"), ("registry-control", LEAD)]:
        assert f'Good "{namespace}@manual-registry" signature for {who}' in signed
    assert "BAD" not in signed
    assert "ANOTHER" not in signed


@pytest.fixture(scope="module")
def demo_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The registry of the demo: what the tool really leaves behind."""
    from manual_registry import demo

    directory = tmp_path_factory.mktemp("heir") / "demo"
    demo.run(directory, report=lambda _line: None)
    return directory / "registry"


@pytest.mark.parametrize("check", CHECKS)
def test_what_the_tool_leaves_behind_passes(demo_root: Path, check: str) -> None:
    said = _run(check, demo_root)
    lines = [line for line in said.splitlines() if not line.startswith("Good ")]
    assert all("checked" in line or "  ledger/0" in line for line in lines), said
    signatures = list((demo_root / "approvals").rglob("*.sig"))
    assert said.count("Good ") == (len(signatures) if check == "The signatures" else 0)


def test_the_registry_holds_the_texts_filled_in(demo_root: Path) -> None:
    first = sha256_hex((demo_root / "ledger" / file_name(1)).read_bytes())[:32]
    for name in ("README.txt", "FORMAT.md"):
        text = (demo_root / name).read_text(encoding="utf-8")
        assert first in text
        assert "{{" not in text


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _own_ledger(root: Path) -> None:
    """Write the last event anew, so that the chain is whole and the signed head is not in it."""
    last = root / "ledger" / file_name(3)
    last.write_bytes(last.read_bytes().replace(LEAD.encode(), b"eve@example.org"))


def _another_signer(root: Path) -> None:
    signers = root / "allowed_signers"
    signers.write_text(signers.read_text(encoding="utf-8").replace(LEAD, "eve@example.org"), encoding="utf-8")


def _other_model(root: Path) -> None:
    """Replace files and lists together: they agree with each other, not with the ledger."""
    shutil.rmtree(root / "models" / "chat" / "1")
    _store(root / "models" / "chat" / "1", {"weights.bin": b"other", "b": b"x"})


DAMAGE: list[tuple[str, str, Callable[[Path], object]]] = [
    ("The ledger", "BROKEN: ledger/000000000002.json", lambda root: _flip(root / "ledger" / file_name(1))),
    ("The ledger", "MISSING: event 2", lambda root: (root / "ledger" / file_name(2)).unlink()),
    (
        "The files",
        "CHANGED: models/chat/1/artefact",
        lambda root: _flip(root / "models/chat/1/artefact/weights.bin"),
    ),
    (
        "The files",
        "ADDED OR GONE: models/chat/1",
        lambda root: (root / "models/chat/1/artefact/x").write_bytes(b""),
    ),
    (
        "The files",
        "ADDED OR GONE: models/chat/1",
        lambda root: (root / "models/chat/1/artefact/empty").unlink(),
    ),
    ("The files", "NOT WHAT WAS REGISTERED: models/chat/1", _other_model),
    (
        "The files",
        "CHANGED: archive/churn/data/data",
        lambda root: _flip(root / "archive/churn/data/data/artefact/m.pkl"),
    ),
    (
        "The files",
        "NOT WHAT WAS REGISTERED",
        lambda root: _store(root / "models" / "chat" / "9", {"m": b"m"}),
    ),
    (
        "The archive",
        "CHANGED: archive/churn/data~2/",
        lambda root: _flip(root / "archive/churn/data~2/bagit.txt"),
    ),
    (
        "The archive",
        "CHANGED: archive/churn/data/",
        lambda root: _flip(root / "archive/churn/data/data/B3SUMS"),
    ),
    (
        "The signatures",
        "BAD SIGNATURE: approvals/chat/1/A3",
        lambda root: _flip(root / "approvals/chat/1/A3.json"),
    ),
    (
        "The signatures",
        "BAD SIGNATURE: approvals/chat/1/P4",
        lambda root: _flip(root / "approvals/chat/1/P4.json"),
    ),
    ("The signatures", "BAD SIGNATURE: approvals/.control/C3", _another_signer),
    ("The signatures", "ANOTHER LEDGER: approvals/chat/1/A3", _own_ledger),
]


@pytest.mark.parametrize(
    ("check", "said", "damage"), DAMAGE, ids=[f"{said}-{n}" for n, (_, said, _) in enumerate(DAMAGE)]
)
def test_each_damage_is_found_and_located(root: Path, check: str, said: str, damage: Callable[[Path], object]) -> None:
    damage(root)
    assert said in _run(check, root)


def test_an_empty_registry_passes(tmp_path: Path) -> None:
    _Ledger(tmp_path).add("registry.created", {}, {"system": "s"})
    for directory in ("models", "archive", "approvals"):
        (tmp_path / directory).mkdir()
    for check, closing in [
        ("The files", "files"),
        ("The archive", "archive"),
        ("The signatures", "signatures"),
    ]:
        assert _run(check, tmp_path, "sh").startswith(f"{closing} checked\n")


def test_values_stand_in_the_texts() -> None:
    text = render(
        "README.txt.j2", system="Crédit & Co <x>", risk="limited", registry_id="ab" * 16, created=WHEN, closed=None
    )
    for value in ("Crédit & Co <x>", "limited", "ab" * 16, WHEN):
        assert value in text
    assert max(map(len, text.splitlines())) <= 120
