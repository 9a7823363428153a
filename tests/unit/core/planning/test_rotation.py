"""A generated secret is rotated as documented: one line more, and later one line less."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.model.subscription import SigningSecret
from hookstream.core.planning.declared import UNNAMED, DeclaredSecret, SigningKey
from hookstream.core.planning.rotation import rotated

GENERATE = DeclaredSecret(UNNAMED, None)


class Life:
    """A subscription's secrets over the revisions in which a file was applied."""

    def __init__(self) -> None:
        self.secrets: tuple[SigningSecret, ...] = ()
        self.revision = 0
        self._keys = self._fresh()

    def apply(self, *declared: DeclaredSecret) -> list[str]:
        """Apply a file and return the names of what was made."""
        self.revision += 1
        self.secrets, made = rotated(
            declared,
            self.secrets,
            self.revision,
            lambda scheme: SigningKey(next(self._keys), scheme),
            opened=True,
        )
        return [secret.id for secret in made]

    @property
    def names(self) -> list[str]:
        return [secret.id for secret in self.secrets]

    @property
    def keys(self) -> list[bytes]:
        return [secret.key for secret in self.secrets]

    def _fresh(self) -> Iterator[bytes]:
        number = 0
        while True:
            number += 1
            yield number.to_bytes(24, "big")


def named(name: str) -> DeclaredSecret:
    return DeclaredSecret(name, None)


def given_key(name: str, key: bytes) -> DeclaredSecret:
    return DeclaredSecret(name, key)


def test_a_leaked_secret_is_gone_after_the_documented_rotation() -> None:
    life = Life()
    life.apply(GENERATE)
    (leaked,) = life.keys
    life.apply(GENERATE, GENERATE)
    new, old = life.keys
    assert (old, new != leaked, life.names) == (leaked, True, ["generated-r2", "generated"])
    life.apply(GENERATE)
    assert (life.keys, life.names) == ([new], ["generated-r2"])


def test_a_second_rotation_is_as_good_as_the_first() -> None:
    life = Life()
    for lines in (1, 2, 1, 2, 1):
        life.apply(*[GENERATE] * lines)
    assert life.names == ["generated-r4"]


def test_applying_again_makes_nothing() -> None:
    life = Life()
    life.apply(GENERATE, GENERATE)
    before = life.secrets
    assert (life.apply(GENERATE, GENERATE), life.secrets) == ([], before)


def test_an_abandoned_rotation_names_the_secret_that_stays() -> None:
    life = Life()
    life.apply(GENERATE)
    life.apply(GENERATE, GENERATE)
    life.apply(named("generated"))
    assert life.names == ["generated"]


def test_a_secret_that_a_file_names_is_made_once_under_that_name() -> None:
    life = Life()
    life.apply(named("spring"))
    assert life.apply(named("autumn"), named("spring")) == ["autumn"]
    assert (life.apply(named("autumn")), life.names) == ([], ["autumn"])


def test_a_secret_that_a_file_once_named_is_kept_when_it_no_longer_does() -> None:
    life = Life()
    life.apply(named("spring"))
    assert (life.apply(GENERATE), life.names) == ([], ["spring"])


def test_secrets_that_were_named_by_position_are_rotated_by_their_age() -> None:
    """The previous release wrote a rotation as the old one first, and the new one after it."""
    life = Life()
    life.secrets = (SigningSecret("generated", b"old"), SigningSecret("generated-2", b"new"))
    life.revision = 6
    life.apply(GENERATE)
    assert life.keys == [b"new"]


def test_a_given_secret_keeps_its_place_beside_generated_ones() -> None:
    life = Life()
    life.apply(given_key("env:A", b"a"), GENERATE)
    life.apply(GENERATE, given_key("env:A", b"b"), GENERATE)
    assert life.names == ["generated-r2", "env:A", "generated"]
    assert life.keys[1] == b"b"


def test_without_a_key_ring_a_secret_of_the_same_name_counts_as_unchanged() -> None:
    secrets = (SigningSecret("env:A", b"sealed"),)
    kept, made = rotated(
        [given_key("env:A", b"a")], secrets, 2, lambda _: SigningKey(b""), opened=False
    )
    assert (kept, made) == (secrets, ())


lines = st.lists(
    st.sampled_from([GENERATE, GENERATE, named("spring"), given_key("env:A", b"a")]),
    min_size=1,
    max_size=4,
).filter(lambda each: len({*each}) + max(0, each.count(GENERATE) - 1) == len(each))


@given(applied=st.lists(lines, min_size=1, max_size=8))
def test_over_any_files_names_are_unique_a_key_keeps_its_name_and_the_oldest_goes(
    applied: Sequence[list[DeclaredSecret]],
) -> None:
    life = Life()
    name_of: dict[bytes, str] = {}
    for declared in applied:
        before = life.secrets
        life.apply(*declared)
        assert len(life.names) == len(declared) == len(set(life.names))
        for secret in life.secrets:
            assert name_of.setdefault(secret.key, secret.id) == secret.id
        again = life.secrets
        assert (life.apply(*declared), life.secrets) == ([], again)
        pool = [each for each in before if each.id.startswith("generated")]
        kept = [each for each in pool if each in life.secrets]
        assert kept == pool[: len(kept)]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_on_creation_names_are_those_that_the_previous_release_looks_for(count: int) -> None:
    """It finds the keys that it needs, should it apply the file meanwhile."""
    life = Life()
    life.apply(*[GENERATE] * count)
    assert set(life.names) == {"generated", *(f"generated-{n}" for n in range(2, count + 1))}
