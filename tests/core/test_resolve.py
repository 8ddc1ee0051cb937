"""REF: the order of the contract, and several matches are never a guess (design 3.2)."""

from __future__ import annotations

import pytest
from chains import Chain
from histories import histories
from hypothesis import HealthCheck, given, settings

from manual_registry.core import errors
from manual_registry.core.folding import fold
from manual_registry.core.resolve import StateLookup, is_symbolic, resolve


@pytest.fixture(name="chain")
def _chain() -> Chain:
    chain = Chain()
    chain.to_production("1.0A")
    chain.to_staging("2")
    chain.register("3")
    chain.alias("champion", "2")
    chain.register("2", "fraud")
    return chain


@pytest.mark.parametrize(("ref", "version"), [
    ("churn@1.0A", "1.0A"), ("churn@1.0a", "1.0A"), ("churn@production", "1.0A"), ("churn@Production", "1.0A"),
    ("churn@staging", "2"), ("churn@experimental", "3"), ("churn@none", "3"), ("churn@champion", "2"),
    ("churn@latest", "3"),
])  # fmt: skip
def test_model_at_something(chain: Chain, ref: str, version: str) -> None:
    assert resolve(StateLookup(chain.state), ref) == ("churn", version)


def test_hashes_and_identifiers(chain: Chain) -> None:
    lookup, record = StateLookup(chain.state), chain.record("2")
    for ref in (
        record.composite_id, f"blake3:{record.blake3}", f"sha256:{record.sha256}", f"blake3:{record.blake3[:12]}",
        f"SHA256:{record.sha256[:12].upper()}",
    ):  # fmt: skip
        assert resolve(lookup, ref) == ("churn", "2")


@pytest.mark.parametrize(("ref", "kind", "status"), [
    ("churn@9", errors.VersionUnknown, 5), ("churn@", errors.VersionUnknown, 5),
    ("churn@Champion", errors.VersionUnknown, 5),
    ("churn@archived", errors.VersionUnknown, 5), ("fraud@production", errors.NothingInProduction, 5),
    ("nothing@1", errors.ModelUnknown, 5), ("@1", errors.ModelUnknown, 5), ("Churn@2", errors.ModelUnknown, 5),
    ("blake3:" + "0" * 12, errors.ContentUnknown, 5), ("blake3:" + "0" * 11, errors.BadDigest, 7),
    ("sha256:xyz", errors.BadDigest, 7), ("churn@1+code.x", errors.BadReference, 7),
    ("churn@9+code.none.data.none.model.abababababab.config.none", errors.VersionUnknown, 5),
])  # fmt: skip
def test_what_names_nothing(chain: Chain, ref: str, kind: type[errors.RegistryError], status: int) -> None:
    with pytest.raises(kind) as refusal:
        resolve(StateLookup(chain.state), ref)
    assert refusal.value.status == status
    assert refusal.value.hint or status == 7 or refusal.value.location


def test_several_matches_are_listed(chain: Chain) -> None:
    chain.register("4")
    with pytest.raises(errors.Ambiguous) as refusal:
        resolve(StateLookup(chain.state), "churn@experimental")
    assert (refusal.value.status, refusal.value.details["matches"]) == (6, ["churn@3", "churn@4"])
    artefact = chain.record("3").data["artefact"]
    chain.register("5", artefact=artefact)
    with pytest.raises(errors.Ambiguous):
        resolve(StateLookup(chain.state), f"blake3:{artefact['blake3']}")


def test_a_version_wins_over_an_alias_that_a_hand_made_event_gave_it(chain: Chain) -> None:
    chain.force("alias.set", chain.of("3"), {"alias": "2"})
    chain.force("alias.set", chain.of("3"), {"alias": "production"})
    lookup = StateLookup(chain.state)
    assert resolve(lookup, "churn@2") == ("churn", "2")
    assert resolve(lookup, "churn@production") == ("churn", "1.0A")


@pytest.mark.parametrize(
    "ref", ["churn@1", "@", "blake3:x", "SHA256:x", "a@1+code.none.data.none.model.ab.config.none", "x+code.y"]
)
def test_symbolic(ref: str) -> None:
    assert is_symbolic(ref)


@pytest.mark.parametrize(
    "ref", ["churn", "model.bin", "./churn@1", "/mnt/share@home/model.bin", "a/b+code.c", "./sha256:x", ""]
)
def test_paths_are_not(ref: str) -> None:
    assert not is_symbolic(ref)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories())
def test_every_version_is_found_by_each_of_its_own_names(chain: Chain) -> None:
    state = fold(chain.events)
    lookup = StateLookup(state)
    for name, record in state.versions.items():
        for ref in (
            record.ref,
            record.ref.swapcase().replace(record.model.swapcase(), record.model),
            record.composite_id,
        ):
            assert resolve(lookup, ref) == name
    for model in state.models.values():
        for alias, version in model.aliases.items():
            assert resolve(lookup, f"{model.name}@{alias}") == (model.name, version)
        assert resolve(lookup, f"{model.name}@latest") == (model.name, model.versions[-1])
        if model.production:
            assert resolve(lookup, f"{model.name}@production") == (model.name, model.production)
