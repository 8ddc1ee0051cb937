"""Training-data references and composite identifiers: grammar, spelling, round trips."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manual_registry.core.errors import BadReference
from manual_registry.core.references import (
    ReferenceKind,
    composite_id,
    data_content_hash,
    mlflow_reference,
    own_hash,
    parse_composite,
    parse_reference,
    without_credentials,
    without_secrets,
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LAKE = "ab" * 32


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (f"dvc:{COMMIT}:data/train.csv", f"dvc:{COMMIT}:data/train.csv"),
        (f" dvc:{COMMIT.upper()}:./data//train.csv/ ", f"dvc:{COMMIT}:data/train.csv"),
        ("DVC:0123:Daten/größe.csv", "dvc:0123:Daten/größe.csv"),
        (f"git:{COMMIT}:a:b", f"git:{COMMIT}:a:b"),
        (f"lakefs://my-repo/{LAKE}/data/x", f"lakefs://my-repo/{LAKE}/data/x"),
        ("delta:s3://bucket/table@v12", "delta:s3://bucket/table@v12"),
        ("delta:/mnt/a@v1@v2", "delta:/mnt/a@v1@v2"),
        (f"sha256:{'AB' * 32}", f"sha256:{'ab' * 32}"),
        ("mlflow:train@2981c147", "mlflow:train@2981c147"),
        ("MLflow:my train, set@v2@29%", "mlflow:my%20train%2C%20set%40v2@29%25"),
        ("mlflow:größe%20%C3%BC@a/b:c", "mlflow:größe%20ü@a/b:c"),
    ],
)
def test_every_form_has_one_spelling(text: str, canonical: str) -> None:
    reference = parse_reference(text)
    assert reference.text == canonical
    assert parse_reference(canonical) == reference


@pytest.mark.parametrize(
    "text",
    [
        "",
        "data.csv",
        "s3://bucket/data.csv",
        "dvc:data.csv",
        "dvc:main:data.csv",
        "dvc:abc:data.csv",
        f"dvc:{COMMIT}:",
        f"dvc:{COMMIT}:.",
        f"dvc:{COMMIT}:/etc/passwd",
        f"dvc:{COMMIT}:../x",
        f"git:{COMMIT}:a/../../x",
        f"git:{COMMIT}:a\nb",
        f"git:{'0' * 65}:a",
        "lakefs://repo/main/data",
        f"lakefs:repo/{LAKE}/data",
        f"lakefs://repo/{LAKE[:20]}/data",
        "delta:table",
        "delta:table@v",
        "delta:table@v01",
        "delta:table@latest",
        "delta:https://user:secret@host/table@v1",
        "sha256:abcd",
        f"md5:{'ab' * 16}",
        "mlflow:train",
        "mlflow:train@",
        "mlflow:@2981c147",
        "mlflow:tra\nin@2981c147",
        "mlflow:%ff@2981c147",
    ],
)
def test_everything_else_is_refused_at_its_place(text: str) -> None:
    with pytest.raises(BadReference) as caught:
        parse_reference(text, where="--data")
    assert caught.value.location == "--data"
    assert "secret" not in str(caught.value) or "secret" in text


def test_a_branch_is_refused_with_the_command_that_gives_its_commit() -> None:
    with pytest.raises(BadReference) as caught:
        parse_reference("git:main:data.csv")
    assert caught.value.hint == "git rev-parse main"


def test_a_short_commit_is_completed() -> None:
    short = parse_reference("dvc:0123:data.csv")
    assert not short.is_full
    full = short.at(COMMIT)
    assert full.is_full
    assert full.text == f"dvc:{COMMIT}:data.csv"
    assert parse_reference(full.text) == full


def test_hashes_that_references_carry_by_themselves() -> None:
    lake = parse_reference(f"lakefs://repo/{LAKE}/data")
    delta = parse_reference("delta:größe@v3")
    assert own_hash(lake) == hashlib.sha256(lake.text.encode()).hexdigest()
    assert own_hash(delta) == hashlib.sha256("delta:größe@v3".encode()).hexdigest()
    assert own_hash(parse_reference(f"sha256:{'cd' * 32}")) == "cd" * 32
    assert own_hash(parse_reference("mlflow:a b@c")) == hashlib.sha256(b"mlflow:a%20b@c").hexdigest()
    assert own_hash(parse_reference(f"git:{COMMIT}:x")) is None
    assert parse_reference("delta:t@v3").kind is ReferenceKind.DELTA


def test_the_data_hash_of_none_one_and_several() -> None:
    assert data_content_hash([]) is None
    assert data_content_hash([("dvc:a:b", "ff.dir")]) == "ff.dir"
    assert data_content_hash([("dvc:a:b", "ff"), ("dvc:a:b", "ff")]) == "ff"
    several = data_content_hash([("git:b", "2"), ("dvc:a", "1")])
    assert several == hashlib.sha256(b"dvc:a\ngit:b").hexdigest()
    assert data_content_hash([("dvc:a", "1"), ("git:b", "2")]) == several


def test_composite_identifiers_as_the_contract_spells_them() -> None:
    text = composite_id(
        model="churn",
        version="1.10+rc.1",
        commit=COMMIT,
        data_hash="FF" * 16,
        blake3="ab" * 32,
        config_sha256="cd" * 32,
        prompt_sha256="ef" * 32,
    )
    assert text == (
        "churn@1.10+rc.1+code.0123456789ab.data.ffffffffffff.model.abababababab.config.cdcdcdcdcdcd.prompt.efefefefefef"
    )
    assert parse_composite(text).version == "1.10+rc.1"
    bare = composite_id(model="churn", version="1", commit=None, data_hash=None, blake3="ab" * 32)
    assert bare == "churn@1+code.none.data.none.model.abababababab.config.none"
    assert parse_composite(bare).prompt is None


@pytest.mark.parametrize(
    "text", ["churn@1", "churn@1+code.none", "churn@1+code.none.data.none.model.x.config.y.z", "+code."]
)
def test_what_is_no_composite_identifier(text: str) -> None:
    with pytest.raises(BadReference):
        parse_composite(text)


_hex = st.text("0123456789abcdef", min_size=12, max_size=64)


@given(
    model=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True),
    version=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,20}", fullmatch=True).filter(
        lambda text: "+code." not in text
    ),
    commit=st.none() | _hex,
    data=st.none() | _hex,
    blake3=_hex,
    config=st.none() | _hex,
    prompt=st.none() | _hex,
)
def test_composite_identifiers_come_back(
    model: str,
    version: str,
    commit: str | None,
    data: str | None,
    blake3: str,
    config: str | None,
    prompt: str | None,
) -> None:
    text = composite_id(
        model=model,
        version=version,
        commit=commit,
        data_hash=data,
        blake3=blake3,
        config_sha256=config,
        prompt_sha256=prompt,
    )
    parsed = parse_composite(text)
    assert str(parsed) == text
    assert (parsed.model, parsed.version, parsed.blake3) == (model, version, blake3[:12])
    assert parsed.code == (commit or "none")[:12]
    assert (parsed.prompt is None) == (prompt is None)


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_a_data_set_of_mlflows_comes_back_from_its_reference(name: str, digest: str) -> None:
    reference = parse_reference(mlflow_reference(name, digest))
    assert (reference.path, reference.digest) == (name, digest)
    assert reference.text == mlflow_reference(name, digest)
    assert not set(" ,;\n\t\x00") & set(reference.text)


@given(st.text(max_size=40), st.sampled_from(["dvc:", "git:", "lakefs://", "delta:", "sha256:", "mlflow:", ""]))
def test_a_reference_parses_to_itself_or_is_refused(text: str, scheme: str) -> None:
    try:
        reference = parse_reference(scheme + text)
    except BadReference:
        return
    assert parse_reference(reference.text) == reference


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://user:token@github.com/a/b.git?x=1#y", "https://github.com/a/b.git"),
        ("https://token@host:8443/a", "https://host:8443/a"),
        ("git@github.com:a/b.git", "git@github.com:a/b.git"),
        ("ssh://git@host:22/a", "ssh://git@host:22/a"),
        ("ssh://git:pw@host/a", "ssh://git@host/a"),
        ("s3://bucket/path", "s3://bucket/path"),
        ("/local/path", "/local/path"),
        ("https://user:p@[bad/a", "https://[bad/a"),
    ],
)
def test_addresses_lose_their_credentials(url: str, clean: str) -> None:
    assert without_credentials(url) == clean


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://mlflow.example.org/#/models/churn", "https://mlflow.example.org/#/models/churn"),
        ("https://h/?o=12&web=1#mlflow/models", "https://h/?o=12&web=1#mlflow/models"),
        ("https://ada:pw@h/a?b=1&token=x;X-Amz-Signature=y#z", "https://h/a?b=1#z"),
        ("https://h/a?sig=x", "https://h/a"),
        ("https://h/#access_token=x&page=2", "https://h/#page=2"),
        ("https://h/#/a?Api%4Bey=x", "https://h/#/a"),
        ("https://h/?eyJhbGciOi", "https://h/"),
        ("https://h/?o=" + "x" * 65, "https://h/"),
        ("https://ada:p/w#?d@h/a", "https://h/a"),
        ("https://[::1]:5000/a@b", "https://[::1]:5000/a@b"),
        ("ssh://git@h/a.git", "ssh://git@h/a.git"),
        ("git@h:a.git", "git@h:a.git"),
        ("h/a?password=x&o=1", "h/a?o=1"),
        ("https://h/a;jsessionid=x;v=1/b&token=y", "https://h/a;v=1/b"),
        ("the folder (new?) #2", "the folder (new?) #2"),
    ],
)
def test_an_address_that_everybody_reads_holds_no_secret(address: str, shown: str) -> None:
    assert without_secrets(address) == shown


_PARTS = st.lists(
    st.sampled_from(["h", "a", "1", ":", "/", "?", "#", "&", ";", "=", "@", "%3D", "token=s3cret", "://"])
)


@given(_PARTS)
def test_what_is_shown_once_is_shown_again(parts: list[str]) -> None:
    shown = without_secrets("https://" + "".join(parts))
    assert without_secrets(shown) == shown
