"""Private keys: where they are found and how they sign; the core verifies.

Rules held here: a signature leaves this module only after it has been verified with the public key that was
asked for; a passphrase is asked by ssh-keygen on the terminal, or by the caller's function, and never without
a terminal; nothing of a private key is written, logged or put into an error. The order in which keys are
looked for stands at :func:`signer_for`.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from manual_registry.adapters.keyfiles import (
    TRIES,
    AskPassphrase,
    FileSigner,
    generate_ed25519,
    inspect_private,
    public_path,
    read_key_file,
    refuse_other,
    verified,
    write_error,
)
from manual_registry.core.errors import BadKey, RegistryError, SigningFailed, ToolMissing
from manual_registry.core.sshkeys import PublicKey, parse_public_key
from manual_registry.ports import Signer

__all__ = [
    "AskPassphrase",
    "FileSigner",
    "SshKeygenSigner",
    "agent_holds",
    "generate_ed25519",
    "load_public",
    "signer_for",
    "signer_for_text",
]

_UNATTENDED_SECONDS: Final = 120  # an agent may ask its owner to confirm
#: What ssh-keygen says (in the C locale) of a passphrase that does not fit.
_MISTYPED: Final = b"incorrect passphrase"


def load_public(path: Path) -> PublicKey:
    """Read a .pub file; raises ``FileUnknown``, ``FilesystemUnsuited``, ``BadKey`` (a private key, too)."""
    try:
        return parse_public_key(read_key_file(path).decode("utf-8-sig"), where=str(path))
    except UnicodeDecodeError:
        raise BadKey(f"{path}: not a text file; hand in the .pub file", location=str(path)) from None


def signer_for(
    key: Path | None, public_key: PublicKey, *, terminal: bool, passphrase: AskPassphrase | None = None
) -> Signer:
    """Find something that can sign for ``public_key``.

    With ``key`` (a private key file; its .pub file is understood too): the file itself when it has no
    passphrase; else ssh-agent, ssh-keygen asking on the terminal, or ``passphrase``. Without: ssh-agent, then
    the private key in ~/.ssh whose .pub file holds ``public_key``. ``terminal`` says that a person sits
    there.

    Raises ``BadKey`` when ``key`` is another key, ``SigningFailed`` with what to do when nothing can sign.
    """
    if key is not None:
        return _for_file(key, public_key, terminal=terminal, passphrase=passphrase)
    if agent_holds(public_key):
        return SshKeygenSigner(public_key, None, terminal=terminal)
    found = _in_home(public_key)
    if found is not None:
        return _for_file(found, public_key, terminal=terminal, passphrase=passphrase)
    raise SigningFailed(
        f"no private key for {public_key.fingerprint}: ssh-agent and ~/.ssh do not hold it; use --key FILE",
        location="key",
        hint="ssh-add KEYFILE",
    )


def signer_for_text(text: str, public_key: PublicKey, *, named: str) -> Signer:
    """Sign for ``public_key`` with a private key that is handed over as text, as CI systems keep secrets.

    ``named`` stands for it in messages. Raises ``BadKey`` when it is another key, ``SigningFailed`` when it has a
    passphrase or is damaged.
    """
    # A secret that was pasted into a web form: line ends of Windows, and none at the end.
    data, path = text.replace("\r\n", "\n").strip().encode("utf-8", "replace") + b"\n", Path(named)
    found = inspect_private(data, path)
    if found.encrypted:
        raise SigningFailed(f"{named}: the private key has a passphrase and nobody is there to type it", location="key")
    if found.public is not None:
        refuse_other(found.public, public_key, path)
    return FileSigner(public_key, path, data=data)


class SshKeygenSigner:
    """Signs through ``ssh-keygen -Y sign``: with ssh-agent, or a file whose passphrase it asks itself."""

    def __init__(self, public_key: PublicKey, key: Path | None, *, terminal: bool) -> None:
        """Sign as ``public_key``; ``key`` None: ssh-agent; without ``terminal`` nothing ever prompts."""
        self._public, self._key, self._terminal = public_key, key, terminal
        self.warnings: tuple[str, ...] = ()

    @property
    def public_key(self) -> str:
        """The public key, ``type base64``."""
        return self._public.line()

    def sign(self, message: bytes, *, namespace: str) -> str:
        """Return the armoured SSHSIG; raises ``ToolMissing``, ``BadKey`` or ``SigningFailed``."""
        if self._key is not None:
            text = self._run(self._key, message, namespace)
        else:
            text = self._run_with_agent(message, namespace)
        return verified(text, message, namespace, self._public)

    def _run_with_agent(self, message: bytes, namespace: str) -> str:
        """Name the agent's key by a file with its public half, since ssh-keygen asks for a file."""
        try:
            with tempfile.TemporaryDirectory(prefix="manual-registry-") as folder:
                public = Path(folder) / "key.pub"
                public.write_text(f"{self._public.line()}\n")
                return self._run(public, message, namespace)
        except OSError as error:
            raise write_error(Path(tempfile.gettempdir()), error) from error

    def _run(self, key: Path, message: bytes, namespace: str) -> str:
        """Sign; on a terminal a person who mistypes the passphrase is asked again, as by ssh."""
        program = shutil.which("ssh-keygen")
        if program is None:
            raise ToolMissing("ssh-keygen is not installed; this key cannot sign without it", hint="--key FILE")
        for _ in range(TRIES if self._terminal else 1):
            done = self._once(program, key, message, namespace)
            if done.returncode == 0:
                return done.stdout.decode("ascii", "replace")
            if _MISTYPED not in (done.stderr or b""):
                break
        raise self._failure(done.stderr or b"")

    def _once(self, program: str, key: Path, message: bytes, namespace: str) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                [program, "-Y", "sign", "-n", namespace, "-f", str(key)],
                input=message,  # so that no file appears beside the registry; passphrases come from /dev/tty
                stdout=subprocess.PIPE,
                # Of a FIDO key it says there when to touch it.
                stderr=None if self._terminal and self._public.fido else subprocess.PIPE,
                check=False,
                env=_environment(self._terminal),
                start_new_session=not self._terminal,  # no controlling terminal, hence no prompt
                timeout=None if self._terminal else _UNATTENDED_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise SigningFailed(f"ssh-keygen did not sign within {_UNATTENDED_SECONDS} s", location="key") from None
        except OSError as error:
            raise SigningFailed(f"ssh-keygen cannot be run: {error.strerror}", location="key") from error

    def _failure(self, stderr: bytes) -> SigningFailed:
        lines = [line.strip() for line in stderr.decode("utf-8", "replace").split("\n")]
        said = "; ".join(line for line in lines if line and not line.startswith(("@", "Signing data")))
        what = "ssh-agent" if self._key is None else str(self._key)
        hint = f"chmod 600 {shlex.quote(what)}" if "too open" in said else _ssh_add(self._key)
        return SigningFailed(
            f"ssh-keygen did not sign with {what}: {said or 'no reason given'}", location="key", hint=hint
        )


def agent_holds(public_key: PublicKey) -> bool:
    """Tell whether ssh-agent is there and holds the private half of ``public_key``."""
    program = shutil.which("ssh-add")
    if program is None or shutil.which("ssh-keygen") is None or not os.environ.get("SSH_AUTH_SOCK"):
        return False
    try:
        done = subprocess.run([program, "-L"], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return False
    wanted = public_key.line().encode("ascii").split()
    return any(line.split()[:2] == wanted for line in done.stdout.splitlines())


# -- finding a key ----------------------------------------------------------------------------------------


def _for_file(path: Path, public_key: PublicKey, *, terminal: bool, passphrase: AskPassphrase | None) -> Signer:
    data = read_key_file(path)
    if b"PRIVATE KEY" not in data and b"PuTTY" not in data:
        return _for_public_file(path, public_key, terminal=terminal, passphrase=passphrase)
    found = inspect_private(data, path)
    if found.public is not None:
        refuse_other(found.public, public_key, path)
    if public_key.fido:  # the file holds a handle only: ssh-keygen asks the token
        return SshKeygenSigner(public_key, path, terminal=terminal)
    if not found.encrypted:
        return FileSigner(public_key, path)
    if agent_holds(public_key):
        return SshKeygenSigner(public_key, None, terminal=terminal)
    if terminal and shutil.which("ssh-keygen") and (found.openssh or public_path(path).is_file()):
        return SshKeygenSigner(public_key, path, terminal=True)
    if passphrase is not None:
        return FileSigner(public_key, path, passphrase=passphrase)
    raise SigningFailed(
        f"{path}: the private key has a passphrase and nobody is there to type it; let ssh-agent hold it",
        location="key",
        hint=_ssh_add(path),
    )


def _for_public_file(path: Path, public_key: PublicKey, *, terminal: bool, passphrase: AskPassphrase | None) -> Signer:
    """Understand ``--key id_ed25519.pub``: the private key lies beside it or in ssh-agent."""
    refuse_other(load_public(path), public_key, path)
    beside = path.with_suffix("")
    if path.suffix == ".pub" and beside.is_file():
        return _for_file(beside, public_key, terminal=terminal, passphrase=passphrase)
    if agent_holds(public_key):
        return SshKeygenSigner(public_key, None, terminal=terminal)
    raise SigningFailed(
        f"{path}: a public key, whose private key is neither beside it nor in ssh-agent",
        location="key",
        hint="ssh-add KEYFILE",
    )


def _in_home(public_key: PublicKey) -> Path | None:
    """Return the private key in ~/.ssh that lies beside a .pub file with ``public_key``."""
    with contextlib.suppress(OSError, RuntimeError):  # no home, or one that cannot be read: nothing found there
        for pub in sorted((Path.home() / ".ssh").glob("*.pub")):
            private = pub.with_suffix("")
            with contextlib.suppress(RegistryError):
                if private.is_file() and load_public(pub) == public_key:
                    return private
    return None


# -- files and processes ----------------------------------------------------------------------------------


def _ssh_add(path: Path | None) -> str:
    return f"ssh-add {shlex.quote(str(path)) if path else 'KEYFILE'}"


def _environment(terminal: bool) -> Mapping[str, str]:
    """Give ssh-keygen plain messages, and no way to open a window where no person sits."""
    environment = {**os.environ, "LC_ALL": "C"}
    if not terminal:
        environment["SSH_ASKPASS_REQUIRE"] = "never"
        environment.pop("DISPLAY", None)
        environment.pop("SSH_ASKPASS", None)
    return environment
