"""What a typed row may name: only what lies below the root or --from, and nothing that holds a private key."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sheets import cell_at, counts, messages, type_row
from world import World

from manual_registry.adapters.confined import allowed_path
from manual_registry.core.errors import NotFound, PathEscapes

SECRET = b"-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0IHNlY3JldA==\n-----END OPENSSH PRIVATE KEY-----\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A root, a directory to import from, and a home with a key beside them."""
    for name in ("root/incoming", "from/sub", "home/.ssh"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "home" / ".ssh" / "id_ed25519").write_bytes(SECRET)
    (tmp_path / "home" / "plain.bin").write_bytes(b"outside")
    (tmp_path / "root" / "incoming" / "m.bin").write_bytes(b"inside")
    (tmp_path / "from" / "sub" / "m.bin").write_bytes(b"inside too")
    return tmp_path


def allowed(place: Path, typed: str) -> Path:
    """Ask with root and --from."""
    return allowed_path([place / "from", place / "root"], typed, where="Storage location")


def test_what_lies_below_is_allowed(place: Path) -> None:
    inside = place / "root" / "incoming" / "m.bin"
    for typed in ("incoming/m.bin", "./incoming//m.bin", "incoming\\m.bin", str(inside), "incoming/../incoming/m.bin"):
        assert allowed(place, typed) == inside
    assert allowed(place, "incoming") == place / "root" / "incoming"
    assert allowed(place, "sub/m.bin") == place / "from" / "sub" / "m.bin"


OUTSIDE = (
    "../home/plain.bin", "incoming/../../home/plain.bin", "{home}/.ssh/id_ed25519", "{home}/plain.bin",
    "~/.ssh/id_ed25519", "$HOME/.ssh/id_ed25519", "%USERPROFILE%\\.ssh\\id_ed25519", "..\\home\\plain.bin",
    "/etc/passwd", "/ETC/PASSWD", "//server/share/m.bin", "\\\\server\\share\\m.bin", "\\/server/share", "/\\server/x",
    "\\\\?\\C:\\x", "\\\\.\\pipe\\x", "file:///etc/passwd", "FILE:/etc/passwd", "https://example.org/m.bin",
    "HtTpS://example.org/m.bin", "s3://bucket/m.bin", "C:\\Users\\x\\m.bin", "C:/x", ".", "", "..", "/", "root/..",
    "incoming/m.bin\x00.txt", "incoming/m\n.bin", "x" * 5000, "incoming/" + "y" * 300, "incoming/m.bin/", "ud\ud800x",
    "incoming/../.ssh", "INCOMING/M.BIN", "/proc/self/environ", "/dev/zero", "incoming/m.bin/..", "../root/../home",
)  # fmt: skip


@pytest.mark.parametrize("typed", OUTSIDE)
def test_nothing_else_is(place: Path, typed: str) -> None:
    name = typed.format(home=place / "home")
    if name in ("incoming/m.bin/",):
        assert allowed(place, name) == place / "root" / "incoming" / "m.bin"
        return
    if name == "incoming/m.bin/..":
        assert allowed(place, name) == place / "root" / "incoming"
        return
    with pytest.raises(PathEscapes):
        allowed(place, name)


def test_links_are_not_followed_wherever_they_stand(place: Path) -> None:
    root = place / "root"
    (root / "link.bin").symlink_to(place / "home" / "plain.bin")
    (root / "dir").symlink_to(place / "home")
    (root / "inner").symlink_to(root / "incoming")
    (root / "loop").symlink_to("loop")
    (root / "dangling").symlink_to(place / "nowhere")
    for typed in (
        "link.bin",
        "dir/plain.bin",
        "dir/.ssh/id_ed25519",
        "inner/m.bin",
        "loop",
        "loop/x",
        "dangling",
        "dir",
    ):
        with pytest.raises(PathEscapes):
            allowed(place, typed)


def test_the_root_itself_may_be_reached_by_a_link(place: Path) -> None:
    (place / "way").symlink_to(place / "root")
    assert allowed_path([place / "way"], "incoming/m.bin", where="x") == place / "root" / "incoming" / "m.bin"


def test_fifos_and_devices_are_not_opened(place: Path) -> None:
    os.mkfifo(place / "root" / "pipe")
    with pytest.raises(PathEscapes):
        allowed(place, "pipe")


def test_hidden_files_are_not_read(place: Path) -> None:
    (place / "root" / ".env").write_text("TOKEN=1", encoding="utf-8")
    (place / "root" / ".git").mkdir()
    (place / "root" / ".git" / "config").write_text("x", encoding="utf-8")
    for typed in (".env", ".git/config", "incoming/../.env"):
        with pytest.raises(PathEscapes, match="hidden"):
            allowed(place, typed)


@pytest.mark.parametrize(
    "content",
    [
        SECRET,
        b"\n-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n",
        b"-----BEGIN PRIVATE KEY-----\n",
        b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n",
        b"PuTTY-User-Key-File-3: ssh-ed25519\n",
        b"# created\nAGE-SECRET-KEY-1QQQ",
    ],
)
def test_a_private_key_is_refused_wherever_it_lies(place: Path, content: bytes) -> None:
    folder = place / "root" / "incoming" / "tree" / "deep"
    folder.mkdir(parents=True)
    (folder / "weights.bin").write_bytes(content)
    for typed in ("incoming/tree/deep/weights.bin", "incoming/tree"):
        with pytest.raises(PathEscapes, match="private key"):
            allowed(place, typed)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(
            [
                "..",
                ".",
                "home",
                "incoming",
                "m.bin",
                ".ssh",
                "id_ed25519",
                "dir",
                "plain.bin",
                "/",
                "\\",
                "//",
                "~",
                "root",
            ]
        ),
        max_size=8,
    ).map("/".join)
)
@example("dir/../../home/plain.bin")
def test_no_name_leads_out(place: Path, typed: str) -> None:
    link = place / "root" / "dir"
    if not link.is_symlink():
        link.symlink_to(place / "home")
    try:
        found = allowed(place, typed)
    except PathEscapes:
        return
    assert found == found.resolve()
    assert found.is_relative_to(place / "root") or found.is_relative_to(place / "from")
    assert (found.read_bytes() if found.is_file() else b"") != b"outside"


# -- by sync ------------------------------------------------------------------------------------------------


def typed(world: World, path: str, **more: Any) -> int:
    """Type a row that names ``path``."""
    return type_row(world.root / "registry.xlsx", {"Model": "churn", "Version": "4", "Storage location": path, **more})


@pytest.mark.parametrize("name", ["absolute", "up", "link"])
def test_a_key_of_whoever_runs_sync_does_not_get_into_the_registry(small: World, name: str) -> None:
    home = small.place / "home"
    (home / ".ssh").mkdir(parents=True)
    key = home / ".ssh" / "id_ed25519"
    key.write_bytes(SECRET)
    (small.root / "link").symlink_to(home)
    paths = {"absolute": str(key), "up": "../home/.ssh/id_ed25519", "link": "link/.ssh/id_ed25519"}
    at = typed(small, paths[name])
    done = small.as_().sync()
    assert counts(done) == {"problems": 1}
    assert cell_at(small.root / "registry.xlsx", at, "Check").startswith("! ")
    files = [path for path in small.root.rglob("*") if path.is_file() and not path.is_symlink()]
    assert not any(b"c2VjcmV0" in path.read_bytes() for path in files)
    key.unlink()
    assert messages(small.as_().sync(), "problems") == messages(done, "problems"), "no word tells whether it is there"


@pytest.mark.parametrize("member", ["environment", "config", "prompt", "card", "gates"])
@pytest.mark.parametrize("how", ["absolute", "up", "link"])
def test_nor_does_one_that_the_metadata_file_names(small: World, member: str, how: str) -> None:
    home = small.place / "home"
    home.mkdir()
    (home / "secret.txt").write_bytes(b"TOKEN=hunter2")
    folder = small.root / "incoming"
    folder.mkdir()
    (folder / "m.bin").write_bytes(b"x")
    (folder / "link").symlink_to(home)
    name = {"absolute": str(home / "secret.txt"), "up": "../../home/secret.txt", "link": "link/secret.txt"}[how]
    (folder / "m.bin.metadata.yaml").write_text(
        json.dumps({member: [name] if member == "gates" else name}), encoding="utf-8"
    )
    typed(small, "incoming/m.bin")
    done = small.as_().sync()
    assert counts(done) == {"problems": 1}
    assert "metadata file" in messages(done, "problems")
    files = [path for path in small.root.rglob("*") if path.is_file() and not path.is_symlink()]
    assert not any(b"hunter2" in path.read_bytes() for path in files)


def test_a_metadata_file_that_is_a_link_is_not_read(small: World) -> None:
    (small.place / "secret.yaml").write_text("owner: hunter2\n", encoding="utf-8")
    folder = small.root / "incoming"
    folder.mkdir()
    (folder / "m.bin").write_bytes(b"x")
    (folder / "m.bin.metadata.yaml").symlink_to(small.place / "secret.yaml")
    typed(small, "incoming/m.bin")
    assert counts(small.as_().sync()) == {"problems": 1}
    assert len(small.as_().list()) == 3


def test_a_link_inside_a_directory_is_refused(small: World) -> None:
    (small.place / "secret").write_bytes(b"hunter2")
    folder = small.root / "incoming"
    folder.mkdir()
    (folder / "inside").symlink_to(small.place / "secret")
    typed(small, "incoming")
    assert counts(small.as_().sync()) == {"problems": 1}
    assert len(small.as_().list()) == 3


def test_from_names_one_more_directory(small: World) -> None:
    source = small.place / "drop"
    source.mkdir()
    (source / "m.bin").write_bytes(b"x")
    (source / "m.bin.metadata.yaml").write_text("environment: env.txt\nowner: dropped\n", encoding="utf-8")
    (source / "env.txt").write_text("numpy", encoding="utf-8")
    at = typed(small, "m.bin")
    assert "mreg sync --from" not in cell_at(small.root / "registry.xlsx", at, "Storage location")
    assert counts(small.as_().sync()) == {"problems": 1}
    assert counts(small.as_().sync(from_=source)) == {"registered": 1}
    assert small.as_().show("churn@4")["owner"] == "dropped"


def test_from_must_be_a_directory(small: World) -> None:
    with pytest.raises(NotFound):
        small.as_().sync(from_=small.place / "nowhere")
    done = small.cli("sync", "--from", str(small.place / "nowhere"))
    assert done.returncode == 5
