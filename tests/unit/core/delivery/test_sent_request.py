"""The request of a past attempt is shown as it was sent, as far as that is known, and without a secret."""

from dataclasses import replace

from hookstream.core.delivery.sent_request import (
    NOT_SHOWN,
    AttemptMade,
    SentHeader,
    Source,
    SubscriptionToday,
    sent_request,
)
from hookstream.core.delivery.signing import request_headers

MADE = AttemptMade(
    webhook_id="msg_a",
    at=1_700_000_000_999,
    attempt=2,
    trigger="retry",
    replay=None,
    host="crm.example",
    body_bytes=310,
    in_batch=False,
)
TODAY = SubscriptionToday(
    "crm.example",
    "application/json",
    ("x-team", "x-key"),
    has_credentials=True,
    secrets=("env:A", "generated"),
)


def values(made: AttemptMade, today: SubscriptionToday | None = TODAY) -> dict[str, str]:
    return {each.name: each.value for each in sent_request(made, today).headers}


def test_what_the_audit_record_says_stands_as_it_was_sent() -> None:
    assert sent_request(MADE, TODAY).headers == (
        SentHeader("host", "crm.example", Source.AUDIT),
        SentHeader("webhook-id", "msg_a", Source.AUDIT),
        SentHeader("webhook-timestamp", "1700000000", Source.AUDIT),
        SentHeader(
            "webhook-signature", "(signed with the secrets env:A, generated)", Source.TODAY
        ),
        SentHeader("hookstream-attempt", "2", Source.AUDIT),
        SentHeader("hookstream-trigger", "retry", Source.AUDIT),
        SentHeader("content-type", "application/json", Source.TODAY),
        SentHeader("user-agent", "(hookstream/ and the release that sent it)", Source.NOTHING),
        SentHeader("x-team", NOT_SHOWN, Source.TODAY),
        SentHeader("x-key", NOT_SHOWN, Source.TODAY),
        SentHeader("authorization", NOT_SHOWN, Source.TODAY),
        SentHeader("content-length", "310", Source.AUDIT),
    )


def test_the_names_and_their_order_are_those_of_real_requests() -> None:
    real = request_headers((b"k" * 24,), (("x-team", "a"), ("x-key", "b")))
    sent = real.of("msg_a", 1_700_000_000, b"", attempt=2, trigger="retry", replay="replay-1")
    shown = sent_request(replace(MADE, replay="replay-1"), replace(TODAY, has_credentials=False))
    assert [each.name for each in shown.headers[1:-1]] == [name for name, _ in sent]


def test_of_a_batch_the_attempt_of_one_member_is_no_header() -> None:
    found = values(replace(MADE, webhook_id="msgb_1", in_batch=True))
    assert found["webhook-id"] == "msgb_1"
    assert not {"hookstream-attempt", "hookstream-trigger"} & found.keys()
    assert found["content-length"] == "(of the whole batch; 310 bytes are this delivery's)"


def test_what_only_a_subscription_says_is_not_known_without_it() -> None:
    found = values(MADE, None)
    assert found["content-type"] == "(not known)"
    assert found["webhook-signature"] == "(signed; by which secret is not known)"
    assert "x-team" not in found


def test_a_header_that_a_subscription_may_not_set_is_not_shown_as_sent() -> None:
    assert "webhook-other" not in values(MADE, replace(TODAY, header_names=("webhook-other",)))


def test_the_host_has_the_port_that_is_not_the_schemes_own() -> None:
    [host, *_] = sent_request(MADE, replace(TODAY, host="crm.example:8443")).headers
    assert host == SentHeader("host", "crm.example:8443", Source.TODAY)


def test_a_port_of_another_host_is_not_that_of_the_request() -> None:
    for today in (None, replace(TODAY, host="new.example:8443")):
        [host, *_] = sent_request(MADE, today).headers
        assert host == SentHeader("host", "crm.example (its port is not stored)", Source.AUDIT)


def test_an_address_of_version_6_stands_in_brackets() -> None:
    made = replace(MADE, host="2001:db8::1")
    for sent in ("[2001:db8::1]", "[2001:db8::1]:8443"):
        [host, *_] = sent_request(made, replace(TODAY, host=sent)).headers
        assert host == SentHeader("host", sent, Source.TODAY)
