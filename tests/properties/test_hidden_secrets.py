"""Whatever an endpoint's secrets are: no byte of them is in anything that is printed or published."""

import io
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.doubles.clock import HandClock

from hookstream.adapters.ed25519 import signer
from hookstream.adapters.kafka.tables.log import TableRecord
from hookstream.adapters.kafka.tables.writer import TableChange
from hookstream.adapters.keyring import read_ring
from hookstream.adapters.system import random_bytes
from hookstream.core.delivery.address import scrub
from hookstream.core.matching.directory import asks_for
from hookstream.core.model.record import OutgoingRecord
from hookstream.core.model.subscription import (
    Basic,
    Bearer,
    ClientAuth,
    Endpoint,
    Grant,
    MutualTls,
    OAuth2,
    Partner,
    Secret,
    Subscription,
)
from hookstream.core.model.subscription_status import Live
from hookstream.core.planning.changes import Plan
from hookstream.core.planning.declared import (
    Declared,
    DeclaredSecret,
    DeclaredSubscription,
    SigningKey,
)
from hookstream.core.planning.plan import Current, PlanMeans, PlanOptions, plan
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.plan_view import shown_plan
from hookstream.entry.admin.subscriptions import (
    SubscriptionFacts,
    shown_fields,
    subscription_document,
)
from hookstream.entry.admin.tables import StateReader, TablesSession
from hookstream.entry.cli.definitions import plan_document, show_plan
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.terminal import Terminal
from hookstream.pipeline.ports import Post
from hookstream.pipeline.request_parts import PreparedRequests
from hookstream.settings import Settings

RING = json.dumps({"active": "k1", "keys": {"k1": b64encode(bytes(32)).decode()}}).encode()
KEYS = read_ring(RING, "test", random_bytes)
_SIXTEEN = st.text("0123456789abcdef", min_size=16, max_size=16)
MATERIAL = _SIXTEEN.map("hush-{}".format).map(str.encode)
PLAIN = _SIXTEEN.map("plain-{}".format)
"""What rows have unencrypted, and nothing shows: paths of URLs, and values of headers."""
SECRETS = st.builds(Secret, st.sampled_from(["env:A", "env:B", "file:c"]), MATERIAL)
ACME = Partner("acme", "Acme", Grant(("*",), ("*",)))
MEANS = PlanMeans(
    new_key=lambda _: SigningKey(bytes(32)),
    scrub=scrub,
    pattern_problems=lambda _: (),
    template_problems=lambda _: (),
    asks_for=asks_for,
    now=0,
    takes_effect=0,
    prune_share=1.0,
    certificate_end=lambda _: 0,
)
ENDPOINTS = st.builds(
    Endpoint,
    PLAIN.map("https://partner.example/{}".format),
    st.just(()),
    st.lists(st.tuples(st.just("x-plain"), PLAIN), max_size=1).map(tuple),
    credentials=st.none()
    | st.builds(Bearer, SECRETS)
    | st.builds(Basic, st.just("kim"), SECRETS)
    | st.builds(
        OAuth2,
        PLAIN.map("https://login.example/?key={}".format),
        st.just("client"),
        SECRETS,
        client_auth=st.sampled_from(ClientAuth),
    ),
    url_secret=st.none(),
    secret_headers=st.lists(st.tuples(st.just("x-key"), SECRETS), max_size=1).map(tuple),
    mtls=st.none() | st.builds(MutualTls, SECRETS, SECRETS),
    ca=st.none() | SECRETS,
    template_secrets=st.lists(st.tuples(st.just("key"), SECRETS), max_size=1).map(tuple),
)
SECRET_URLS = st.builds(
    lambda endpoint, secret: replace(
        endpoint,
        url="https://hooks.example/",
        url_secret=replace(secret, value=b"https://hooks.example/" + secret.value),
    ),
    ENDPOINTS,
    SECRETS,
)


class Written:
    """A table writer that keeps what it is given."""

    def __init__(self) -> None:
        topics = Settings().topics_names
        self.snapshot: dict[str, dict[str, TableRecord]] = {name: {} for name in topics.tables}
        self.records: list[TableChange | OutgoingRecord] = []

    def broker_now(self) -> int:
        return 0

    def write(self, rows: Sequence[TableChange], also: Sequence[OutgoingRecord]) -> None:
        self.records += [*rows, *also]


def planned(endpoint: Endpoint, key: bytes, current: Mapping[str, Subscription]) -> Plan:
    row = Subscription("orders", "acme", endpoint, ("*",), active_from=0)
    declared = Declared((ACME,), (DeclaredSubscription(row, (DeclaredSecret("env:S", key),)),))
    return plan(declared, Current({}, dict(current)), PlanOptions(), MEANS)


def everything_shown(made: Plan, subscription: Subscription) -> str:
    """Return all that commands print of a plan and its subscription, and all that is written."""
    out = io.StringIO()
    show_plan(Terminal(file=out, width=200), shown_plan(made))
    writer = Written()
    session = TablesSession(
        Settings(), StateReader(Settings().topics_names, KEYS), writer, HandClock()
    )
    ChangeWriter(session, KEYS).write(made.writes)
    document = subscription_document(SubscriptionFacts(subscription, Live(subscription, ACME)), 0)
    prepared = PreparedRequests(signer).of(subscription, 0)
    headers = prepared.headers.of("msg_1", 0, b"", attempt=1, trigger="initial")
    post = Post("orders", prepared.url, headers, b"", 1_000, prepared.tls, prepared.token)
    shown = [
        json_line(plan_document(shown_plan(made))).decode(),
        json_line(document).decode(),
        json_line(shown_fields(subscription)).decode(),
        *map(repr, (made, subscription, prepared, post)),
        *(repr(each.value) for each in writer.records if isinstance(each, OutgoingRecord)),
    ]
    return "\n".join([out.getvalue(), *shown])


@settings(max_examples=40)
@given(
    endpoints=st.lists(ENDPOINTS | SECRET_URLS, min_size=2, max_size=2),
    keys=st.lists(MATERIAL.map(lambda each: each * 2), min_size=2, max_size=2),
)
def test_no_byte_of_a_secret_is_shown(endpoints: list[Endpoint], keys: list[bytes]) -> None:
    """A plan's text, its JSON, what lists and shows a subscription, operations events, and every repr."""
    current: dict[str, Subscription] = {}
    for endpoint, key in zip(endpoints, keys, strict=True):
        made = planned(endpoint, key, current)
        subscription = Subscription("orders", "acme", endpoint, ("*",), active_from=0)
        text = everything_shown(made, subscription)
        assert "hush-" not in text
        assert "plain-" not in text
        for _, secret in endpoint.named_secrets():
            for form in (secret.value, b64encode(secret.value).rstrip(b"=")):
                assert form.decode() not in text
        current = {"orders": subscription}


@settings(max_examples=40)
@given(endpoint=ENDPOINTS | SECRET_URLS, key=MATERIAL.map(lambda each: each * 2))
def test_no_byte_of_a_secret_is_in_a_row_unencrypted(endpoint: Endpoint, key: bytes) -> None:
    writer = Written()
    session = TablesSession(
        Settings(), StateReader(Settings().topics_names, KEYS), writer, HandClock()
    )
    ChangeWriter(session, KEYS).write(planned(endpoint, key, {}).writes)
    written = b"".join(each.value or b"" for each in writer.records)
    for material in (key, *(secret.value for _, secret in endpoint.named_secrets())):
        assert material not in written
        assert b64encode(material).rstrip(b"=") not in written
