"""Names, stages, digests and paths: what is let in, and with which refusal the rest is not."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manual_registry.core import values
from manual_registry.core.errors import (
    BadDigest,
    BadEmail,
    BadName,
    BadPath,
    PathEscapes,
    RegistryError,
    ReservedVersion,
    UsageError,
)
from manual_registry.core.values import Digest, Role, Stage

RESERVED = ["con", "nul", "aux", "prn", "com1", "lpt9", "con.v1", "com0"]


@pytest.mark.parametrize("name", ["a", "0", "churn", "credit-risk.v2_x", "a" * 100, "9.9"])
def test_model_names(name: str) -> None:
    assert values.model_name(name) == name


@pytest.mark.parametrize("name", [
    "", "A", "churn ", ".a", "-a", "_a", "a.", "a" * 101, "a/b", "a@b", "a b", "\u00e4", "a\n", "x+code.y", *RESERVED,
])  # fmt: skip
def test_bad_model_names(name: str) -> None:
    with pytest.raises(BadName) as refusal:
        values.model_name(name)
    assert refusal.value.location == "model"


@pytest.mark.parametrize("name", ["1", "1.0.0", "2026-11-24", "v1+build.7", "A_b-c", "x" * 64, "nothing", "latest1"])
def test_versions(name: str) -> None:
    assert values.version_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".1", "+1", "1.", "x" * 65, "1/2", "1 2", "1@2", "1+code.2", "1\n", *RESERVED, "NUL"]
)
def test_bad_versions(name: str) -> None:
    with pytest.raises(BadName):
        values.version_name(name)


@pytest.mark.parametrize("word", ["latest", "next", "auto", "none", *Stage])
def test_words_that_mean_something_else_are_no_versions(word: str) -> None:
    for spelt in (word, word.upper(), word.capitalize()):
        with pytest.raises(ReservedVersion):
            values.version_name(spelt)


@pytest.mark.parametrize(("text", "address"), [
    ("a@b.org", "a@b.org"), (" Ada.L+x%y_z@Example.ORG ", "ada.l+x%y_z@example.org"),
])  # fmt: skip
def test_emails_are_lowered(text: str, address: str) -> None:
    assert values.email(text) == address
    assert values.email(values.email(text)) == address


@pytest.mark.parametrize(
    "text",
    ["", "a", "a@", "@b", "a@b c", "a*@b", "a,b@c", "!a@b", "a@b@c", "\u00e4@b.org", "a\n@b", "a" * 250 + "@b.org"],
)
def test_patterns_and_worse_are_no_emails(text: str) -> None:
    with pytest.raises(BadEmail):
        values.email(text)


def test_a_person_is_a_name_and_an_address() -> None:
    assert values.person("  Ada Lovelace <Ada@Example.org> ", where="lead") == ("Ada Lovelace", "ada@example.org")
    for text in ("ada@example.org", "<ada@example.org>", "Ada <ada>", "Ada ada@example.org", "A <a@b.org> x", ""):
        with pytest.raises(BadEmail):
            values.person(text, where="lead")
    with pytest.raises(BadName):
        values.person("A\x1b[2J <a@b.org>", where="lead")


def test_stages_are_read_in_any_case_and_none_is_experimental() -> None:
    assert values.stage("Production") is Stage.PRODUCTION
    assert values.stage("NONE") is Stage.EXPERIMENTAL
    with pytest.raises(UsageError):
        values.stage("live")


def test_digests_print_their_algorithm() -> None:
    found = values.digest_prefix("SHA256:" + "AB" * 6)
    assert found == Digest(algorithm="sha256", value="ab" * 6)
    assert str(found) == "sha256:abababababab"
    assert values.digest_prefix("blake3:" + "0" * 64).value == "0" * 64
    for text in (
        "blake3:" + "a" * 11,
        "sha256:" + "a" * 65,
        "md5:" + "a" * 32,
        "a" * 64,
        "sha256:" + "g" * 12,
        "sha256: " + "a" * 12,
    ):
        with pytest.raises(BadDigest):
            values.digest_prefix(text)


@given(st.text(st.characters(), max_size=30))
def test_lines_have_no_control_characters(text: str) -> None:
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in text):
        with pytest.raises(BadName):
            values.line_text(text, where="x")
    else:
        assert values.line_text(text, where="x") == text


def test_free_text_has_lines_and_an_end() -> None:
    assert values.free_text("a\n\tb", where="note") == "a\n\tb"
    assert values.free_text("x" * 32_767, where="note")
    for text in ("a\x00", "a\r\n", "\x1b[0m", "x" * 32_768, "\ud800"):
        with pytest.raises(BadName):
            values.free_text(text, where="note")


@pytest.mark.parametrize("path", ["a", "a/b.c", "\u00fc/\u00df", "a b", ".hidden", "x" * 200])
def test_paths_that_travel(path: str) -> None:
    values.check_artefact_path(path)


@pytest.mark.parametrize(("path", "kind"), [
    ("/etc/passwd", PathEscapes), ("../x", PathEscapes), ("a/../b", PathEscapes), ("c:/x", PathEscapes),
    ("C:x", PathEscapes),
    ("", BadPath), ("a//b", BadPath), ("a/./b", BadPath), ("a/", BadPath), ("a\\b", BadPath), ("100%", BadPath),
    ("a\nb", BadPath), ("u\u0308", BadPath), ("con", BadPath), ("a/NUL.txt", BadPath), ("a.", BadPath), ("a ", BadPath),
    ("a\udc80", BadPath), ("com\u00b9", BadPath),
])  # fmt: skip
def test_paths_that_do_not(path: str, kind: type[RegistryError]) -> None:
    with pytest.raises(kind) as refusal:
        values.check_artefact_path(path)
    assert refusal.value.location == path


@pytest.mark.parametrize("text", ["champion", "a.b-c_d", "X", "x" * 100])
def test_labels(text: str) -> None:
    assert values.label(text, where="alias") == text


@pytest.mark.parametrize("text", ["", "a b", "-a", "a=b", "x" * 101, "\u00e4", "a\n"])
def test_bad_labels(text: str) -> None:
    with pytest.raises(BadName):
        values.label(text, where="alias")


def test_roles_are_those_of_the_contract() -> None:
    found: list[Any] = [role.value for role in Role]
    assert found == ["ai-governance-lead", "technical-sme", "delegate"]


TURNING = [chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))]
UNSEEN = ["\u061c", "\u200b", "\u200e", "\u200f", "\u2028", "\u2029", "\u2060", "\ufeff"]


@pytest.mark.parametrize("char", [*TURNING, *UNSEEN, "\x1b", "\n", "\x85"])
def test_what_identifies_holds_nothing_that_is_not_seen_or_turns_the_text_around(char: str) -> None:
    with pytest.raises(BadName, match=f"U\\+{ord(char):04X}"):
        values.line_text(f"Ada {char}Lovelace", where="name")


@pytest.mark.parametrize("text", [
    "Şule Öztürk", "עדה לאבלייס", "أدا لوفلايس", "ادا لاولیس\u200c", "ক\u200dখ", "Zoë O’Neil–Müller", "李雷", "👩\u200d🔬",
])  # fmt: skip
def test_names_of_all_scripts_are_taken(text: str) -> None:
    assert values.line_text(text, where="name") == text
    assert values.free_text(f"{text}\u200f\n\u200e{text}\t", where="note")


@pytest.mark.parametrize("char", [*TURNING, "\x00", "\x1b", "\r", "\x9b"])
def test_free_text_reads_as_it_is_signed(char: str) -> None:
    with pytest.raises(BadName, match=f"U\\+{ord(char):04X}"):
        values.free_text(f"approved{char}", where="comment")


def test_a_file_name_does_not_turn_around() -> None:
    with pytest.raises(BadPath, match="direction"):
        values.check_artefact_path("model\u202egnp.exe")
    values.check_artefact_path("דגם/דגם.bin")
