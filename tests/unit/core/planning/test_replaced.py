"""A rotation gives the old secret an end, and files need not change for it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from hookstream.core.model.instant import HOUR, MINUTE, Millis
from hookstream.core.model.subscription import (
    Endpoint,
    SigningScheme,
    SigningSecret,
    Subscription,
    SubscriptionState,
)
from hookstream.core.planning.declared import UNNAMED, DeclaredSecret, SigningKey
from hookstream.core.planning.rotation import Replaced, problems, replaced, rotated
from hookstream.errors import InputRefused

NOW: Millis = 1_764_072_000_000
AT = NOW + 2_000
V1, V1A = SigningScheme
ANY = DeclaredSecret(UNNAMED, None)
PUBLIC = DeclaredSecret(UNNAMED, None, V1A)
OLD = SigningSecret("generated", b"old")
GIVEN = SigningSecret("env:ORDERS", b"given")


def new_key(scheme: SigningScheme) -> SigningKey:
    return SigningKey(b"new", scheme, "whpk_new" if scheme is V1A else None)


def signed_by(*secrets: SigningSecret) -> Subscription:
    endpoint = Endpoint("https://acme.example/h", secrets)
    return Subscription("orders", "acme", endpoint, ("order.generated",), 0, revision=6)


def rotate(
    *secrets: SigningSecret, overlap: Millis = HOUR, scheme: SigningScheme | None = None
) -> Replaced:
    return replaced(signed_by(*secrets), NOW, AT, overlap, scheme, new_key)


def until(secret: SigningSecret, end: Millis) -> SigningSecret:
    return replace(secret, expires_at=end)


def v1a(name: str) -> SigningSecret:
    return SigningSecret(name, b"seed", V1A, public_key="whpk_old")


def planned(
    declared: Sequence[DeclaredSecret], present: Sequence[SigningSecret]
) -> tuple[SigningSecret, ...]:
    secrets, made = rotated(declared, present, 8, new_key, opened=True)
    assert [*problems(declared, present, secrets)] == []
    assert [each for each in made if each not in secrets] == []
    return secrets


def refused(declared: DeclaredSecret, *present: SigningSecret) -> str:
    [why] = problems([declared], present, ())
    return why


def test_the_new_secret_signs_first_and_the_old_one_until_the_overlap_ends() -> None:
    done = rotate(OLD)
    new = SigningSecret("generated-r7", b"new", since=AT)
    assert done.subscription.endpoint.secrets == (new, until(OLD, AT + HOUR))
    assert (done.subscription.revision, done.new, done.gone) == (7, new, ())


def test_without_an_overlap_the_old_secrets_are_gone_at_once() -> None:
    leaked = until(SigningSecret("generated-r3", b"leaked"), NOW + HOUR)
    done = rotate(OLD, leaked, overlap=0)
    assert done.subscription.endpoint.secrets == (done.new,)
    assert done.gone == (OLD, leaked)


def test_a_shorter_overlap_shortens_those_that_run_and_a_longer_one_does_not_extend_them() -> None:
    soon = until(SigningSecret("generated-r3", b"soon"), AT + MINUTE)
    late = until(SigningSecret("generated-r2", b"late"), AT + 5 * HOUR)
    assert rotate(OLD, soon, late).ending == (
        until(OLD, AT + HOUR),
        soon,
        until(late, AT + HOUR),
    )


def test_what_has_ended_is_dropped_by_the_rotation() -> None:
    ended = until(SigningSecret("generated-r3", b"ended"), NOW)
    assert ended not in rotate(OLD, ended).subscription.endpoint.secrets


def test_a_key_is_replaced_by_one_of_its_scheme_unless_another_is_asked_for() -> None:
    assert rotate(v1a("generated")).new == SigningSecret(
        "generated-r7", b"new", V1A, public_key="whpk_new", since=AT
    )
    assert rotate(v1a("generated"), scheme=V1).new == SigningSecret(
        "generated-r7", b"new", since=AT
    )
    assert rotate(OLD, scheme=V1A).new.scheme is V1A


def test_of_two_schemes_one_is_rotated_in_its_place_and_the_other_stays() -> None:
    ending = until(v1a("generated-r2"), AT + 5 * HOUR)
    done = rotate(v1a("generated-r3"), OLD, ending, scheme=V1)
    assert done.subscription.endpoint.secrets == (
        v1a("generated-r3"),
        done.new,
        until(OLD, AT + HOUR),
        ending,
    )


@pytest.mark.parametrize(
    ("secrets", "why"),
    [
        ([GIVEN], r"\{env: ORDERS\} comes from a definition file: list the new one before it"),
        ([OLD, GIVEN], r"\{env: ORDERS\} comes from a definition file"),
        ([SigningSecret("spring", b"")], r"names the signing secret \{generate: spring\}"),
        ([SigningSecret("generated-r5", b""), OLD], "several lasting signing secrets"),
        ([v1a("generated-r5"), OLD], "say with --scheme which"),
        ([], "has no signing secret"),
        (
            [OLD, *(until(SigningSecret(f"generated-r{n}", b""), AT + HOUR) for n in (2, 3, 4))],
            r"5 signing secrets would be live, and 4 are the most.* or with --overlap 0s",
        ),
    ],
)
def test_a_rotation_that_cannot_be_is_refused_with_the_remedy(
    secrets: list[SigningSecret], why: str
) -> None:
    with pytest.raises(InputRefused, match=why):
        rotate(*secrets)


def test_a_deleted_subscription_is_not_rotated() -> None:
    gone = replace(signed_by(), state=SubscriptionState.DELETED)
    with pytest.raises(InputRefused, match="'orders' is deleted"):
        replaced(gone, NOW, AT, 0, None, new_key)


@pytest.mark.parametrize(
    ("file", "before", "scheme"),
    [
        ([ANY], [OLD], None),
        ([ANY], [OLD], V1A),
        ([ANY], [v1a("generated")], None),
        ([PUBLIC], [v1a("generated")], None),
        ([PUBLIC, ANY], [v1a("generated-r2"), OLD], V1),
        ([PUBLIC, ANY], [v1a("generated-r2"), OLD], V1A),
        ([ANY, PUBLIC], [OLD, v1a("generated-r2")], V1A),
        ([ANY, ANY], [v1a("generated-r2"), OLD], V1),
    ],
)
def test_a_file_plans_no_change_after_a_rotation(
    file: list[DeclaredSecret], before: list[SigningSecret], scheme: SigningScheme | None
) -> None:
    after = rotate(*before, scheme=scheme).subscription.endpoint.secrets
    lasting = tuple(each for each in after if each.expires_at is None)
    assert planned(file, after) == after
    assert planned(file, lasting) == lasting


def test_a_line_more_during_an_overlap_signs_first_and_leaves_what_ends() -> None:
    after = rotate(OLD).subscription.endpoint.secrets
    new = SigningSecret("generated-r8", b"new")
    assert planned([ANY, ANY], after) == (new, *after)
    assert planned([ANY], (new, *after)) == (new, after[1])


def test_a_move_to_the_other_scheme_is_two_steps_of_a_file() -> None:
    both = planned([PUBLIC, ANY], [OLD])
    assert [each.scheme for each in both] == [V1A, V1]
    assert planned([PUBLIC], both) == both[:1]


def test_a_file_cannot_revive_the_name_of_a_secret_that_was_replaced() -> None:
    """Another key of that name could not be told from the one that leaked."""
    old = DeclaredSecret("generated", None)
    during = rotate(OLD).subscription.endpoint.secrets
    assert "was replaced" in refused(old, *during)
    assert "was replaced" in refused(old, during[0])
    assert [*problems([old], (), ())] == []
    assert [*problems([old], [GIVEN], ())] == []


def test_a_named_secret_keeps_its_scheme() -> None:
    spring = DeclaredSecret("spring", None, V1A)
    assert "keeps its scheme" in refused(spring, SigningSecret("spring", b""))
    assert [*problems([spring], [v1a("spring")], ())] == []


def test_more_lines_than_secrets_may_be_live_wait_for_an_overlap() -> None:
    ending = [until(SigningSecret(f"generated-r{n}", b""), AT + HOUR) for n in (2, 3, 4)]
    [why] = problems([ANY, ANY], [OLD], [OLD, OLD, *ending])
    assert "5 signing secrets would be live, and 4 are the most" in why
