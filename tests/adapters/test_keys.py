"""Private keys: found in the order promised, no prompt without a terminal, checked against ssh-keygen."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519

import manual_registry
from manual_registry.adapters import keyfiles, keys
from manual_registry.adapters.keys import (
    FileSigner,
    SshKeygenSigner,
    generate_ed25519,
    load_public,
    signer_for,
)
from manual_registry.core import sshsig
from manual_registry.core.errors import (
    BadKey,
    DestinationTaken,
    FilesystemUnsuited,
    FileUnknown,
    SigningFailed,
    StorageFailed,
    ToolMissing,
)
from manual_registry.core.sshkeys import PublicKey, parse_public_key

KEYGEN = shutil.which("ssh-keygen") or ""
needs_keygen = pytest.mark.skipif(not KEYGEN, reason="ssh-keygen is not installed")
NS = sshsig.STAGE_APPROVAL
MESSAGE = b'{"_type":"https://in-toto.io/Statement/v1"}\n'
KINDS = [
    ["ed25519"],
    ["ecdsa", "-b", "256"],
    ["ecdsa", "-b", "384"],
    ["ecdsa", "-b", "521"],
    ["rsa", "-b", "3072"],
]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without keys and a machine without an agent."""
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return tmp_path / "home"


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A real ssh-agent; yields its socket."""
    with tempfile.TemporaryDirectory(prefix="mr-") as folder:  # a socket's path must be short
        socket = f"{folder}/s"
        process = subprocess.Popen(
            ["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while not Path(socket).exists():
            assert process.poll() is None
        monkeypatch.setenv("SSH_AUTH_SOCK", socket)
        yield socket
        process.send_signal(signal.SIGTERM)
        process.wait()


@pytest.fixture
def no_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without OpenSSH."""
    monkeypatch.setattr(shutil, "which", lambda name: None)


def keygen_key(path: Path, kind: list[str], *, passphrase: str = "", pem: bool = False) -> PublicKey:
    command: list[str | Path] = [
        KEYGEN,
        "-q",
        "-t",
        *kind,
        "-N",
        passphrase,
        "-C",
        "",
        *(["-m", "PEM"] if pem else []),
        "-f",
        path,
    ]
    subprocess.run(command, check=True)
    return load_public(path.with_name(f"{path.name}.pub"))


def keygen_verifies(folder: Path, key: PublicKey, text: str) -> bool:
    (folder / "allowed").write_text(f'ada@example.org namespaces="{NS}" {key.line()}\n')
    (folder / "message.sig").write_text(text)
    command: list[str | Path] = [
        KEYGEN,
        "-Y",
        "verify",
        "-f",
        folder / "allowed",
        "-I",
        "ada@example.org",
        "-n",
        NS,
    ]
    done = subprocess.run([*command, "-s", folder / "message.sig"], input=MESSAGE, check=False, capture_output=True)
    return done.returncode == 0


def never(prompt: str) -> str:
    raise AssertionError(f"asked: {prompt}")


# -- public keys ------------------------------------------------------------------------------------------


def test_load_public(tmp_path: Path) -> None:
    key = generate_ed25519(tmp_path / "key", "ada@example.org")
    assert load_public(tmp_path / "key.pub") == key
    text = (tmp_path / "key.pub").read_bytes()
    (tmp_path / "dos.pub").write_bytes(b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"))
    assert load_public(tmp_path / "dos.pub").comment == "ada@example.org"


def test_load_public_refusals(tmp_path: Path) -> None:
    generate_ed25519(tmp_path / "key", "")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "big").write_bytes(b"x" * 100_000)
    with pytest.raises(FileUnknown):
        load_public(tmp_path / "nowhere.pub")
    with pytest.raises(FilesystemUnsuited):
        load_public(tmp_path)
    with pytest.raises(BadKey, match="not a text file"):
        load_public(tmp_path / "binary")
    with pytest.raises(BadKey, match="more than"):
        load_public(tmp_path / "big")
    with pytest.raises(BadKey, match="private key, which nobody but you") as caught:
        load_public(tmp_path / "key")
    assert "b3BlbnNzaC1rZXk" not in str(caught.value)


# -- making keys ------------------------------------------------------------------------------------------


def test_generate(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        key = generate_ed25519(tmp_path / "key", "Ada Lovelace <ada@example.org>")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "key.pub").stat().st_mode) == 0o644
    assert (tmp_path / "key.pub").read_text() == f"{key.line()} Ada Lovelace <ada@example.org>\n"


@needs_keygen
def test_generated_key_is_one_for_ssh_keygen(tmp_path: Path) -> None:
    key = generate_ed25519(tmp_path / "key", "ada")
    told = subprocess.run([KEYGEN, "-y", "-f", tmp_path / "key"], check=True, capture_output=True, text=True).stdout
    assert parse_public_key(told) == key
    text = SshKeygenSigner(key, tmp_path / "key", terminal=False).sign(MESSAGE, namespace=NS)
    assert keygen_verifies(tmp_path, key, text)


def test_generate_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    (tmp_path / "b.pub").write_text("mine")
    for name in ("a", "b"):
        with pytest.raises(DestinationTaken):
            generate_ed25519(tmp_path / name, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b.pub", "home"]
    with pytest.raises(StorageFailed):
        generate_ed25519(tmp_path / "nowhere" / "key", "")
    with pytest.raises(BadKey):
        generate_ed25519(tmp_path / "c", "two\nlines")


# -- key files without passphrase -------------------------------------------------------------------------


@needs_keygen
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pem", [False, True])
def test_file_signer_for_every_kind(kind: list[str], pem: bool, tmp_path: Path) -> None:
    if pem and kind == ["ed25519"]:
        pytest.skip("ssh-keygen writes Ed25519 in its own form only")
    key = keygen_key(tmp_path / "key", kind, pem=pem)
    signer = signer_for(tmp_path / "key", key, terminal=True, passphrase=never)
    assert isinstance(signer, FileSigner)
    assert signer.public_key == key.line()
    text = signer.sign(MESSAGE, namespace=NS)
    assert sshsig.verify(MESSAGE, text, namespace=NS) == key
    assert keygen_verifies(tmp_path, key, text)


@needs_keygen
@pytest.mark.parametrize("kind", KINDS)
def test_keygen_signer_for_every_kind(kind: list[str], tmp_path: Path) -> None:
    key = keygen_key(tmp_path / "key", kind)
    text = SshKeygenSigner(key, tmp_path / "key", terminal=False).sign(MESSAGE, namespace=NS)
    assert keygen_verifies(tmp_path, key, text)


@needs_keygen
def test_rsa_2048_is_refused_before_it_signs(tmp_path: Path) -> None:
    subprocess.run([KEYGEN, "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", tmp_path / "weak"], check=True)
    with pytest.raises(BadKey, match="2048 bits; at least 3072"):
        load_public(tmp_path / "weak.pub")
    with pytest.raises(BadKey, match="2048 bits"):
        signer_for(tmp_path / "weak", generate_ed25519(tmp_path / "key", ""), terminal=False)


def test_pkcs8_and_public_file_and_process_substitution(tmp_path: Path) -> None:
    key = generate_ed25519(tmp_path / "key", "")
    private = form.load_ssh_private_key((tmp_path / "key").read_bytes(), None)
    pkcs8 = private.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    (tmp_path / "pkcs8").write_bytes(pkcs8)
    for path in (tmp_path / "pkcs8", tmp_path / "key.pub"):
        assert sshsig.verify(MESSAGE, signer_for(path, key, terminal=False).sign(MESSAGE, namespace=NS), namespace=NS)


def test_another_key_is_told_with_both_fingerprints(tmp_path: Path) -> None:
    mine, other = generate_ed25519(tmp_path / "mine", ""), generate_ed25519(tmp_path / "other", "")
    for name in ("other", "other.pub"):
        with pytest.raises(BadKey) as caught:
            signer_for(tmp_path / name, mine, terminal=False)
        assert caught.value.details == {"found": other.fingerprint, "wanted": mine.fingerprint}
    with pytest.raises(BadKey):
        FileSigner(mine, tmp_path / "other").sign(MESSAGE, namespace=NS)


def test_a_file_that_others_can_read_is_told(tmp_path: Path) -> None:
    key = generate_ed25519(tmp_path / "key", "")
    assert FileSigner(key, tmp_path / "key").warnings == ()
    (tmp_path / "key").chmod(0o640)
    signer = signer_for(tmp_path / "key", key, terminal=False)
    assert isinstance(signer, FileSigner)
    assert "0640" in signer.warnings[0] and "chmod 600" in signer.warnings[0]
    assert signer.sign(MESSAGE, namespace=NS)


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (
            b"-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n",
            BadKey,
            "cut off",
        ),
        (
            b"-----BEGIN OPENSSH PRIVATE KEY-----\n\xff\xff\n-----END OPENSSH PRIVATE KEY-----\n",
            BadKey,
            "base64",
        ),
        (b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n", SigningFailed, "damaged"),
        (b"PuTTY-User-Key-File-3: ssh-ed25519\nc2VjcmV0\n", BadKey, "PuTTY"),
        (b"c2VjcmV0\n", BadKey, "no OpenSSH public key"),
        (b"", BadKey, "empty"),
    ],
    ids=["openssh-short", "openssh-base64", "pem", "putty", "text", "empty"],
)
def test_damaged_files(content: bytes, error: type[BadKey | SigningFailed], says: str, tmp_path: Path) -> None:
    key = generate_ed25519(tmp_path / "key", "")
    (tmp_path / "bad").write_bytes(content)
    with pytest.raises(error, match=says) as caught:
        signer_for(tmp_path / "bad", key, terminal=False)
    assert "c2VjcmV0" not in f"{caught.value.message}{caught.value.hint}"


def test_a_private_key_of_another_sort(tmp_path: Path) -> None:
    key = generate_ed25519(tmp_path / "key", "")
    private = x25519.X25519PrivateKey.generate()
    pem = private.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    (tmp_path / "x25519").write_bytes(pem)
    with pytest.raises(BadKey, match="SSH does not know"):
        signer_for(tmp_path / "x25519", key, terminal=False)


# -- passphrases ------------------------------------------------------------------------------------------


def locked_key(path: Path, form_: str) -> PublicKey:
    """Write an encrypted key without ssh-keygen and without a .pub file."""
    private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    private = ed25519.Ed25519PrivateKey.generate()
    kind = form.PrivateFormat.OpenSSH if form_ == "openssh" else form.PrivateFormat.PKCS8
    path.write_bytes(private.private_bytes(form.Encoding.PEM, kind, form.BestAvailableEncryption(b"word")))
    path.chmod(0o600)
    line = private.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH)
    return parse_public_key(line.decode())


@pytest.mark.parametrize("form_", ["openssh", "pkcs8"])
def test_passphrase_without_ssh_keygen(form_: str, tmp_path: Path, no_tools: None) -> None:
    key = locked_key(tmp_path / "key", form_)
    said = iter(["wrong", "word"])
    signer = signer_for(tmp_path / "key", key, terminal=True, passphrase=lambda prompt: next(said))
    text = signer.sign(MESSAGE, namespace=NS)
    assert sshsig.verify(MESSAGE, text, namespace=NS) == key
    assert signer.sign(MESSAGE, namespace=NS) == text, "asked once only"


@pytest.mark.parametrize("words", [[""], ["a", "b", "c"]])
def test_passphrase_given_up(words: list[str], tmp_path: Path, no_tools: None) -> None:
    key = locked_key(tmp_path / "key", "openssh")
    left = iter(words)
    signer = signer_for(tmp_path / "key", key, terminal=True, passphrase=lambda prompt: next(left))
    with pytest.raises(SigningFailed, match="stays locked"):
        signer.sign(MESSAGE, namespace=NS)
    assert list(left) == []


def test_a_locked_key_of_another_is_told_before_it_asks(tmp_path: Path) -> None:
    locked_key(tmp_path / "key", "openssh")
    with pytest.raises(BadKey):
        signer_for(tmp_path / "key", generate_ed25519(tmp_path / "mine", ""), terminal=True, passphrase=never)


def test_a_locked_key_without_anybody_there(tmp_path: Path) -> None:
    key = locked_key(tmp_path / "key", "openssh")
    with pytest.raises(SigningFailed, match="nobody is there") as caught:
        signer_for(tmp_path / "key", key, terminal=False)
    assert caught.value.hint == f"ssh-add {tmp_path / 'key'}"


@needs_keygen
def test_ssh_keygen_never_prompts_without_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = keygen_key(tmp_path / "key", ["ed25519"], passphrase="word")
    asked = tmp_path / "asked"
    (tmp_path / "askpass").write_text(f"#!/bin/sh\ntouch {asked}\necho word\n")
    (tmp_path / "askpass").chmod(0o700)
    for name, value in (
        ("SSH_ASKPASS", str(tmp_path / "askpass")),
        ("SSH_ASKPASS_REQUIRE", "force"),
        ("DISPLAY", ":0"),
    ):
        monkeypatch.setenv(name, value)
    with pytest.raises(SigningFailed):
        SshKeygenSigner(key, tmp_path / "key", terminal=False).sign(MESSAGE, namespace=NS)
    assert not asked.exists()
    assert keygen_verifies(
        tmp_path, key, SshKeygenSigner(key, tmp_path / "key", terminal=True).sign(MESSAGE, namespace=NS)
    ), "on a terminal a person's own SSH_ASKPASS counts"


SCRIPT = """
    import sys
    from pathlib import Path
    from manual_registry.adapters.keys import load_public, signer_for
    path = Path(sys.argv[1])
    public = load_public(path.with_name(path.name + ".pub"))
    signer = signer_for(path, public, terminal=sys.argv[2] == "terminal")
    text = signer.sign(Path(sys.argv[4]).read_bytes(), namespace="stage-approval@manual-registry")
    Path(sys.argv[3]).write_text(text)
"""


@needs_keygen
@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")  # forkpty, 3.12
@pytest.mark.parametrize("terminal", [True, False])
def test_passphrase_on_a_real_terminal(terminal: bool, tmp_path: Path) -> None:
    pexpect = pytest.importorskip("pexpect")
    key = keygen_key(tmp_path / "key", ["ed25519"], passphrase="word")
    (tmp_path / "script.py").write_text(textwrap.dedent(SCRIPT))
    (tmp_path / "message").write_bytes(MESSAGE)
    arguments = ["script.py", "key", "terminal" if terminal else "no", "message.out", "message"]
    root = str(Path(manual_registry.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "LC_ALL": "C"}
    child = pexpect.spawn(sys.executable, arguments, cwd=str(tmp_path), env=environment, encoding="utf-8", timeout=20)
    if terminal:
        for typed in ("mistyped", "word"):
            child.expect("passphrase")
            child.sendline(typed)
        child.expect(pexpect.EOF)
        assert keygen_verifies(tmp_path, key, (tmp_path / "message.out").read_text())
    else:
        child.expect("nobody is there")
        child.expect(pexpect.EOF)
    child.close()
    assert (child.exitstatus == 0) is terminal


@needs_keygen
def test_ssh_keygen_asks_again_three_times_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = keygen_key(tmp_path / "key", ["ed25519"], passphrase="word")
    (tmp_path / "askpass").write_text(f"#!/bin/sh\necho asked >> {tmp_path / 'asked'}\necho wrong\n")
    (tmp_path / "askpass").chmod(0o700)
    for name, value in (("SSH_ASKPASS", str(tmp_path / "askpass")), ("SSH_ASKPASS_REQUIRE", "force")):
        monkeypatch.setenv(name, value)
    with pytest.raises(SigningFailed, match="incorrect passphrase") as caught:
        SshKeygenSigner(key, tmp_path / "key", terminal=True).sign(MESSAGE, namespace=NS)
    assert caught.value.hint == f"ssh-add {tmp_path / 'key'}"
    assert (tmp_path / "asked").read_text() == "asked\n" * 3


# -- ssh-agent --------------------------------------------------------------------------------------------


def ssh_add(path: Path) -> None:
    subprocess.run(["ssh-add", "-q", path], check=True)


@needs_keygen
@pytest.mark.parametrize("kind", KINDS)
def test_agent(kind: list[str], tmp_path: Path, agent: str) -> None:
    key = keygen_key(tmp_path / "key", kind)
    other = generate_ed25519(tmp_path / "other", "")
    ssh_add(tmp_path / "other")
    ssh_add(tmp_path / "key")
    (tmp_path / "key").unlink()
    for given in (None, tmp_path / "key.pub"):
        signer = signer_for(given, key, terminal=False)
        assert isinstance(signer, SshKeygenSigner)
        assert keygen_verifies(tmp_path, key, signer.sign(MESSAGE, namespace=NS))
    assert keys.agent_holds(other)


@needs_keygen
def test_agent_spares_the_passphrase(tmp_path: Path, agent: str) -> None:
    key = keygen_key(tmp_path / "key", ["ed25519"])
    ssh_add(tmp_path / "key")
    subprocess.run([KEYGEN, "-q", "-p", "-P", "", "-N", "word", "-f", tmp_path / "key"], check=True)
    signer = signer_for(tmp_path / "key", key, terminal=False, passphrase=never)
    assert keygen_verifies(tmp_path, key, signer.sign(MESSAGE, namespace=NS))


@needs_keygen
def test_agent_that_lost_the_key(tmp_path: Path, agent: str) -> None:
    key = generate_ed25519(tmp_path / "key", "")
    ssh_add(tmp_path / "key")
    signer = signer_for(None, key, terminal=False)
    subprocess.run(["ssh-add", "-q", "-D"], check=True)
    with pytest.raises(SigningFailed, match="ssh-agent") as caught:
        signer.sign(MESSAGE, namespace=NS)
    assert caught.value.hint == "ssh-add KEYFILE"


def test_agent_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "gone"))
    assert not keys.agent_holds(generate_ed25519(tmp_path / "key", ""))


# -- no key named -----------------------------------------------------------------------------------------


def test_key_in_home(home: Path, tmp_path: Path) -> None:
    generate_ed25519(home / ".ssh" / "id_ed25519", "")
    (home / ".ssh" / "broken.pub").write_text("nonsense")
    (home / ".ssh" / "work.pub.pub").mkdir()
    key = generate_ed25519(home / ".ssh" / "work", "")
    signer = signer_for(None, key, terminal=False)
    assert sshsig.verify(MESSAGE, signer.sign(MESSAGE, namespace=NS), namespace=NS) == key


def test_no_key_anywhere(tmp_path: Path) -> None:
    key = generate_ed25519(tmp_path / "key", "")
    with pytest.raises(SigningFailed) as caught:
        signer_for(None, key, terminal=True, passphrase=never)
    assert key.fingerprint in caught.value.message and "--key" in caught.value.message
    assert caught.value.exit_status == 8


def test_public_file_without_its_private_key(tmp_path: Path) -> None:
    key = generate_ed25519(tmp_path / "key", "")
    (tmp_path / "key").unlink()
    with pytest.raises(SigningFailed, match="neither beside it nor in ssh-agent"):
        signer_for(tmp_path / "key.pub", key, terminal=True)


# -- key holders that misbehave ---------------------------------------------------------------------------


def test_ssh_keygen_missing(tmp_path: Path, no_tools: None) -> None:
    with pytest.raises(ToolMissing):
        SshKeygenSigner(generate_ed25519(tmp_path / "key", ""), None, terminal=False).sign(MESSAGE, namespace=NS)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo garbage", "does not hold"),
        ("echo 'unknown option -- Y' >&2; exit 1", "unknown option -- Y"),
        ("exit 3", "no reason given"),
        ("sleep 5", "within 0.3 s"),
    ],
)
def test_ssh_keygen_misbehaves(script: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ssh-keygen").write_text(f"#!/bin/sh\ncat >/dev/null\n{script}\n")
    (tmp_path / "bin" / "ssh-keygen").chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(keys, "_UNATTENDED_SECONDS", 0.3)
    key = generate_ed25519(tmp_path / "key", "")
    with pytest.raises(SigningFailed, match=says):
        SshKeygenSigner(key, tmp_path / "key", terminal=False).sign(MESSAGE, namespace=NS)


@needs_keygen
def test_ssh_keygen_signs_with_another_key(tmp_path: Path) -> None:
    mine = generate_ed25519(tmp_path / "mine", "")
    generate_ed25519(tmp_path / "other", "")
    with pytest.raises(BadKey, match="the key SHA256:"):
        SshKeygenSigner(mine, tmp_path / "other", terminal=False).sign(MESSAGE, namespace=NS)


@needs_keygen
def test_ssh_keygen_tells_why(tmp_path: Path) -> None:
    key = keygen_key(tmp_path / "key", ["ed25519"])
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(SigningFailed, match="Permissions 0644 for") as caught:
        SshKeygenSigner(key, tmp_path / "key", terminal=False).sign(MESSAGE, namespace=NS)
    assert caught.value.hint == f"chmod 600 {tmp_path / 'key'}"
    assert "\n" not in caught.value.message and "@" not in caught.value.message


def test_private_parts_do_not_leak_into_repr(tmp_path: Path) -> None:
    key = generate_ed25519(tmp_path / "key", "")
    signer = FileSigner(key, tmp_path / "key")
    signer.sign(MESSAGE, namespace=NS)
    assert "PRIVATE" not in repr(signer)
    assert keyfiles.inspect_private((tmp_path / "key").read_bytes(), tmp_path / "key").public == key
