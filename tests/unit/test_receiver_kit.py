"""A partner verifies either scheme, takes batches apart, and handles each event once."""

import base64
import contextlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import ROOT
from tests.doubles.schemas import printprice

from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.ed25519 import signer
from hookstream.core.avro.reader import read_schema
from hookstream.core.catalog.json_schema import standard_schema
from hookstream.core.delivery.signing import (
    Signer,
    request_headers,
    write_public_key,
    write_secret,
)
from hookstream.entry.admin.schema_documents import SchemaDocuments
from hookstream.errors import ConfigurationError, DependencyUnavailable, InputRefused
from hookstream.receiver import (
    BeingHandled,
    BodyRefused,
    BodySchema,
    Claimed,
    Member,
    MemoryStore,
    Reason,
    ReplayGuard,
    SeenIds,
    SeenStore,
    SqliteStore,
    VerificationFailed,
    Verified,
    members,
    verify,
)

PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
NOW = 1_614_265_330
BODY = b'{"test": 2432232314}'
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(NOW),
    "webhook-signature": (
        "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
    ),
}


# Verifying with a public key.


def test_the_published_vector_of_v1a_is_genuine() -> None:
    """Svix's own example."""
    assert verify(HEADERS, BODY, [PUBLIC], NOW).id == HEADERS["webhook-id"]


@pytest.mark.parametrize(
    "changed",
    [
        "v1a,",
        "v1a,%%%",
        "v1a,AAAA",
        HEADERS["webhook-signature"].replace("v1a,", "v1,"),
        HEADERS["webhook-signature"].replace("hnO3", "hnO4"),
    ],
)
def test_no_other_signature_is_by_the_key(changed: str) -> None:
    with pytest.raises(VerificationFailed) as caught:
        verify({**HEADERS, "webhook-signature": changed}, BODY, [PUBLIC], NOW)
    assert caught.value.reason is Reason.WRONG_SIGNATURE


@pytest.mark.parametrize("key", ["whpk_", "whpk_%", "whpk_AAAA", "whsk_" + "A" * 86])
def test_what_is_no_public_key_is_the_receivers_own_mistake(key: str) -> None:
    with pytest.raises(InputRefused):
        verify(HEADERS, BODY, [key], NOW)


def test_bytes_that_are_no_point_of_the_curve_verify_nothing() -> None:
    with pytest.raises(VerificationFailed):
        verify(HEADERS, BODY, [write_public_key(b"\xff" * 32)], NOW)


@given(st.binary(max_size=80), st.binary(min_size=32, max_size=32), st.sampled_from("ab"))
def test_a_request_of_both_schemes_is_genuine_under_either_secret(
    body: bytes, seed: bytes, order: str
) -> None:
    symmetric = b"k" * 24
    signers: list[Signer] = [symmetric, signer(seed)]
    signers = signers if order == "a" else signers[::-1]
    sent = dict(request_headers(signers).of("msg_1", NOW, body, attempt=1, trigger="initial"))
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key()

    entry = next(e for e in sent["webhook-signature"].split() if e.startswith("v1a,"))
    public.verify(base64.b64decode(entry[4:]), f"msg_1.{NOW}.".encode() + body)
    for secret in (write_secret(symmetric), write_public_key(public.public_bytes_raw())):
        assert verify(sent, body, [secret], NOW) == Verified("msg_1", NOW)


def test_a_public_key_without_its_library_says_what_to_install() -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from hookstream.receiver import verify\n"
        f"verify({HEADERS!r}, {BODY!r}, [{PUBLIC!r}], {NOW})"
    )
    command = [sys.executable, "-I", "-S", "-c", program, str(ROOT / "src")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own
    assert (
        "ConfigurationError: a public key (whpk_) needs the package cryptography" in ended.stderr
    )


# Taking bodies apart.


def standard(event_id: str, **more: str) -> dict[str, Any]:
    return {
        "type": "order.generated",
        "version": 1,
        "timestamp": "2026-11-24T08:15:30.250000Z",
        "id": event_id,
        "environment": "production",
        "entity_id": "job-1",
        **more,
    }


def cloudevent(event_id: str) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": "/production/order.generated",
        "type": "order.generated",
        "time": "2026-11-24T08:15:30.250000Z",
    }


REQUEST = Verified("msg_1", NOW)


@pytest.mark.parametrize("event", [standard, cloudevent])
def test_an_event_has_one_key_alone_and_in_any_batch(event: Callable[[str], object]) -> None:
    alone = members(REQUEST, json.dumps(event("7")).encode())
    batch = [event("6"), event("7")]
    whole: object = batch
    if event is standard:
        whole = {"type": "hookstream.batch", "events": batch}
    together = members(Verified("msgb_2", NOW), json.dumps(whole).encode())
    assert [each.key for each in together] == ["order.generated/6", "order.generated/7"]
    assert together[1:] == alone == [Member("order.generated/7", event("7"))]  # type: ignore[arg-type]


def test_a_body_of_a_shape_of_its_own_has_the_key_of_its_request() -> None:
    """Its `id` may be anything, such as that of the order that ten events are about."""
    [member] = members(REQUEST, b'{"type": "order", "id": "PP-4711"}')
    assert member.key == "msg_1"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"5", b"[5]", b'{"type": "hookstream.batch"}', b"\xff", b"[" * 100_000],
)
def test_a_body_that_holds_no_events_is_refused(body: bytes) -> None:
    with pytest.raises(BodyRefused):
        members(REQUEST, body)


def test_a_batch_that_failed_in_part_brings_only_the_rest_again() -> None:
    guard = SeenIds()
    handled: list[str] = []

    def receive(body: list[dict[str, Any]], *, broken: str = "") -> None:
        for member in members(REQUEST, json.dumps(body).encode()):
            with guard.handling(member.key, NOW) as first:
                if member.event["id"] == broken:
                    raise RuntimeError
                if first:
                    handled.append(member.event["id"])

    with contextlib.suppress(RuntimeError):
        receive([cloudevent("1"), cloudevent("2"), cloudevent("3")], broken="2")
    receive([cloudevent("2"), cloudevent("3")])
    receive([cloudevent("1"), cloudevent("3")])
    assert handled == ["1", "2", "3"]


# Validating.


def test_a_body_is_checked_by_the_json_schema_of_its_type() -> None:
    tree = printprice("order.generated")
    schema = BodySchema(standard_schema(read_schema(tree)))
    body = SchemaDocuments(SchemaBook([tree])).sample("order.generated", 1, "standard")
    assert isinstance(body["data"], dict)
    schema.check(body)
    body["data"] = {**body["data"], "net_total": 859.85}
    with pytest.raises(BodyRefused) as caught:
        schema.check(body)
    assert caught.value.problems == ("data.net_total: 859.85 is not of type 'string'",)


def test_no_more_problems_are_named_than_the_bound() -> None:
    schema = BodySchema({"properties": {str(n): {"type": "null"} for n in range(100)}})
    with pytest.raises(BodyRefused) as caught:
        schema.check({str(n): "x" * 10_000 for n in range(100)})
    assert len(caught.value.problems) == 20
    assert len(str(caught.value)) < 10_000


def test_what_is_no_json_schema_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        BodySchema({"type": "text"})


# Stores.


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SeenStore]:
    if request.param == "memory":
        yield MemoryStore()
        return
    made = SqliteStore(tmp_path / "seen.db")
    yield made
    made.close()


def test_a_key_is_handled_once_and_again_after_a_failure(store: SeenStore) -> None:
    guard = ReplayGuard(store)
    turns = []
    with pytest.raises(RuntimeError), guard.handling("a", NOW):
        raise RuntimeError
    for _ in range(3):
        with guard.handling("a", NOW) as first:
            turns.append(first)
    assert turns == [True, False, False]


def test_a_copy_is_turned_away_while_the_first_is_handled(store: SeenStore) -> None:
    guard = ReplayGuard(store)
    with guard.handling("a", NOW), pytest.raises(BeingHandled), guard.handling("a", NOW):
        pass


def test_a_key_is_forgotten_after_its_time(store: SeenStore) -> None:
    guard = ReplayGuard(store, keep=10)
    for at, expected in ((0, True), (9, False), (10, True)):
        with guard.handling("a", at) as first:
            assert first is expected


def test_a_replay_is_a_copy_unless_replays_are_accepted(store: SeenStore) -> None:
    guard = ReplayGuard(store)
    turns = []
    for job in (None, "j1", "j2"):
        with guard.handling("a", NOW, replay=job) as first:
            turns.append(first)
    assert turns == [True, False, False]


def test_an_accepted_replay_is_handled_once_for_each_job(store: SeenStore) -> None:
    guard = ReplayGuard(store, accept_replays=True)
    turns = []
    for job in (None, "j1", "j1", None, "j2", "j2"):
        with guard.handling("a", NOW, replay=job) as first:
            turns.append(first)
    assert turns == [True, True, False, False, True, False]


def test_what_a_replay_brought_first_is_not_handled_again_by_the_delivery(
    store: SeenStore,
) -> None:
    guard = ReplayGuard(store, accept_replays=True)
    with guard.handling("a", NOW, replay="j1") as first:
        assert first
    with guard.handling("a", NOW) as first:
        assert not first


def test_the_header_of_a_replay_is_read() -> None:
    job = {**HEADERS, "Hookstream-Replay": "j1"}
    assert verify(job, BODY, [PUBLIC], NOW).replay == "j1"
    with pytest.raises(VerificationFailed) as caught:
        verify({**HEADERS, "hookstream-replay": "j" * 5_000}, BODY, [PUBLIC], NOW)
    with pytest.raises(VerificationFailed, match="hookstream-replay is not the id of a job"):
        verify({**HEADERS, "hookstream-replay": "j" * 129}, BODY, [PUBLIC], NOW)
    assert caught.value.reason is Reason.BAD_HEADER


def test_a_file_remembers_over_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "seen.db"
    with closing(SqliteStore(file)) as store, ReplayGuard(store).handling("a", NOW) as first:
        assert first
    with closing(SqliteStore(file)) as store, ReplayGuard(store).handling("a", NOW) as first:
        assert not first


def test_a_claim_of_a_process_that_died_ends_with_its_lease(tmp_path: Path) -> None:
    file = tmp_path / "seen.db"
    program = (
        "import os, sys; from hookstream.receiver import SqliteStore\n"
        "print(SqliteStore(sys.argv[1]).claim('a', 0, 300), flush=True); os._exit(9)"
    )
    command = [sys.executable, "-c", program, str(file)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own
    assert ended.stdout == "first\n"
    with closing(SqliteStore(file)) as store:
        assert store.claim("a", 299, 300) is Claimed.BEING_HANDLED
        assert store.claim("a", 300, 300) is Claimed.FIRST


def test_of_many_that_claim_a_key_at_once_one_gets_it(tmp_path: Path) -> None:
    """Each has a connection of its own, as each process has."""
    stores = [SqliteStore(tmp_path / "seen.db") for _ in range(4)]

    def claims(store: SqliteStore) -> list[str]:
        return [key for key in keys if store.claim(key, NOW, 300) is Claimed.FIRST]

    keys = [f"k{number}" for number in range(50)]
    with ThreadPoolExecutor(len(stores)) as pool:
        found = [key for each in pool.map(claims, stores) for key in each]
    for each in stores:
        each.close()
    assert sorted(found) == sorted(keys)


def test_a_file_that_another_process_keeps_locked_is_unavailable(tmp_path: Path) -> None:
    file = tmp_path / "seen.db"
    with (
        closing(SqliteStore(file, busy=0)) as store,
        closing(sqlite3.connect(file, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DependencyUnavailable, match=r"seen\.db"):
            store.claim("a", NOW, 300)
        other.execute("ROLLBACK")
        assert store.claim("a", NOW, 300) is Claimed.FIRST


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "seen.db"
    file.write_bytes(b"x" * 5_000)
    with pytest.raises(ConfigurationError, match=r"seen\.db"):
        SqliteStore(file)
