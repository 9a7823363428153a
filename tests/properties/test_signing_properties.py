import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from hookstream.core.delivery.signing import RequestHeaders

KEYS = st.binary(min_size=24, max_size=64)
BODIES = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


def now_s() -> int:
    return int(dt.datetime.now(tz=dt.UTC).timestamp())  # noqa: TID251 - the library reads the clock


@given(st.lists(KEYS, min_size=1, max_size=3, unique=True), BODIES, st.data())
def test_an_independent_receiver_accepts_every_request_under_each_live_secret(
    keys: list[bytes], body: str, data: st.DataObject
) -> None:
    known = data.draw(st.sampled_from(keys))
    sent = dict(
        RequestHeaders(keys).of("msg_1", now_s(), body.encode(), attempt=1, trigger="initial")
    )

    assert Webhook(known).verify(body, sent, json_parse=False) is None


# HMAC fills a key up with zeros: keys that differ in those alone are one key to it.
@given(
    st.lists(KEYS, min_size=2, max_size=2, unique_by=lambda key: key.rstrip(b"\0")),
    BODIES,
)
def test_an_independent_receiver_refuses_another_secret(keys: list[bytes], body: str) -> None:
    key, other = keys
    sent = dict(RequestHeaders([key]).of("msg_1", now_s(), body.encode(), attempt=1, trigger="x"))

    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(body, sent, json_parse=False)


@given(KEYS, st.lists(BODIES, min_size=2, max_size=2, unique=True))
def test_an_independent_receiver_refuses_another_body(key: bytes, bodies: list[str]) -> None:
    body, other = bodies
    sent = dict(RequestHeaders([key]).of("msg_1", now_s(), body.encode(), attempt=1, trigger="x"))

    with pytest.raises(WebhookVerificationError):
        Webhook(key).verify(other, sent, json_parse=False)
