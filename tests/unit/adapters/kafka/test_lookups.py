"""A partition without a leader is queried again, and look-ups share a client while it gets answers."""

from collections.abc import Mapping
from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]
from tests.doubles.clock import HandClock

from hookstream.adapters.kafka import lookups
from hookstream.adapters.kafka.client import ClientSettings, admin_client
from hookstream.adapters.kafka.lookups import (
    LOOKUPS,
    LogPosition,
    LookupClients,
    ask_offsets,
    translating,
)
from hookstream.core.model.instant import SECOND
from hookstream.core.model.record import TopicPartition as Place
from hookstream.errors import DependencyUnavailable

HERE: ClientSettings = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}

LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]


class Recovering(AdminClient):
    """A client whose broker is not a leader yet, for so many queries; then it answers `offset`.

    Its log ends at `end`, or where nothing else is said at `offset`.
    """

    def __init__(self, *errors: int, offset: int = 7, end: int | None = None) -> None:
        super().__init__({"bootstrap.servers": "127.0.0.1:1", "log_level": 0})
        self.errors = list(errors)
        self.offset = offset
        self.end = offset if end is None else end
        self.looked = 0

    def list_offsets(  # type: ignore[override]
        self, asked: Mapping[TopicPartition, OffsetSpec], **_: object
    ) -> dict[TopicPartition, Future[SimpleNamespace]]:
        answers = {}
        error = self.errors.pop(0) if self.errors else None
        for place, spec in asked.items():
            offset = self.end if spec is LATEST else self.offset
            answer = answers[place] = Future[SimpleNamespace]()
            if error is None:
                answer.set_result(SimpleNamespace(offset=offset))
            else:
                answer.set_exception(KafkaException(KafkaError(error)))
        return answers

    def list_topics(self, *_: object, **__: object) -> None:  # type: ignore[override]
        self.looked += 1


@pytest.mark.parametrize(
    "error",
    [KafkaError._NOENT, KafkaError.FENCED_LEADER_EPOCH, KafkaError.LEADER_NOT_AVAILABLE],  # noqa: SLF001
)
def test_a_restarted_broker_is_queried_until_it_leads(error: int) -> None:
    """Frozen or killed, it has to register again; the client must query for it, or never finds it."""
    admin = Recovering(error, error)

    found = ask_offsets(admin, [("t", 0)], "latest", 1.0, "the ends")

    assert (found, admin.looked) == ({("t", 0): 7}, 2)


NOON = 1_795_521_600_000


@pytest.mark.parametrize(
    ("where", "offset"), [("latest", -1001), ("latest", -1), ("earliest", -1001), (NOON, -1001)]
)
def test_an_offset_that_no_broker_gave_is_no_answer(where: LogPosition, offset: int) -> None:
    """The client returned -1001 for an end while its link was cut: old tables counted as current."""
    with pytest.raises(DependencyUnavailable, match="did not return the ends within 1 s"):
        ask_offsets(Recovering(offset=offset), [("t", 0)], where, 1.0, "the ends")


def test_a_time_after_the_last_record_is_the_end_of_the_log() -> None:
    found = ask_offsets(Recovering(offset=-1, end=9), [("t", 0)], NOON, 1.0, "the offsets")
    assert found == {("t", 0): 9}


def test_a_permanent_error_is_not_retried() -> None:
    admin = Recovering(KafkaError.TOPIC_AUTHORIZATION_FAILED)

    with pytest.raises(KafkaException):
        ask_offsets(admin, [("t", 0)], "latest", 1.0, "the ends")


def settings(port: int) -> ClientSettings:
    return {**HERE, "bootstrap.servers": f"127.0.0.1:{port}"}


def test_look_ups_with_equal_settings_share_a_client() -> None:
    clients = LookupClients()

    assert clients.client(dict(HERE)) is clients.client(HERE)
    assert clients.client(settings(2)) is not clients.client(HERE)


def test_of_two_names_of_one_property_the_client_has_the_last_that_was_set() -> None:
    """The library takes the last of `bootstrap.servers` and `metadata.broker.list`."""
    made: list[tuple[str, ...]] = []

    def make(asked: ClientSettings) -> AdminClient:
        made.append(tuple(asked))
        return admin_client(HERE)

    clients = LookupClients(make)
    names = ("bootstrap.servers", "metadata.broker.list")
    both: ClientSettings = {name: f"127.0.0.1:{port}" for port, name in enumerate(names, 1)}

    clients.client(both)
    clients.client(dict(reversed(list(both.items()))))

    assert made == [names, names[::-1]]


def test_a_client_is_shared_for_a_minute() -> None:
    """A certificate that is rotated is read by the next one."""
    clock = HandClock()
    clients = LookupClients(monotonic=clock.monotonic)
    first = clients.client(HERE)

    clock.forward(59 * SECOND)
    assert clients.client(HERE) is first
    clock.forward(SECOND)
    assert clients.client(HERE) is not first


def test_of_settings_that_differ_the_latest_four_keep_their_client() -> None:
    clients = LookupClients()
    first, second = clients.client(settings(1)), clients.client(settings(2))
    for port in (3, 4, 1, 5):
        clients.client(settings(port))

    assert clients.client(settings(1)) is first
    assert clients.client(settings(2)) is not second


def test_where_the_shared_client_finds_no_leader_one_other_is_asked_instead() -> None:
    """One that a frozen broker left blind would find none for a quarter of an hour."""
    blind, sees = Recovering(*[KafkaError._NOENT] * 9), Recovering(*[KafkaError._NOENT] * 3)  # noqa: SLF001
    made = [blind, sees]
    clients = LookupClients(lambda _: made.pop(0))

    asked = clients.client(HERE)
    found = ask_offsets(asked, [("t", 0)], "latest", 1.0, "the ends", shared=clients)

    assert found == {("t", 0): 7}
    assert clients.client(HERE) is sees
    assert (len(blind.errors), blind.looked, sees.looked) == (8, 0, 4)


def test_whoever_still_has_a_client_that_was_replaced_gets_the_one_in_its_place() -> None:
    clients = LookupClients()
    first = clients.client(HERE)

    second = clients.instead_of(first)

    assert clients.instead_of(first) is second is clients.client(HERE)
    assert clients.instead_of(second) is not first


def test_a_client_that_is_not_shared_is_asked_again_itself() -> None:
    admin, clients = Recovering(KafkaError._NOENT), LookupClients()  # noqa: SLF001
    shared = clients.client(HERE)

    ask_offsets(admin, [("t", 0)], "latest", 1.0, "the ends", shared=clients)

    assert clients.client(HERE) is shared


@pytest.mark.parametrize(
    "error",
    [KafkaException(KafkaError(KafkaError._TRANSPORT)), TimeoutError()],  # noqa: SLF001
)
def test_after_an_error_the_next_look_up_has_a_new_client(error: Exception) -> None:
    before = LOOKUPS.client(HERE)

    with pytest.raises(DependencyUnavailable), translating("cannot read x", 1.0):
        raise error

    assert LOOKUPS.client(HERE) is not before
    LOOKUPS.forget()


class PartlyLed(Recovering):
    """A client of a cluster in which nobody leads the second partition, until somebody does."""

    def __init__(self) -> None:
        super().__init__()
        self.unled = {1}
        self.asked: list[list[int]] = []

    def list_offsets(  # type: ignore[override]
        self, asked: Mapping[TopicPartition, OffsetSpec], **_: object
    ) -> dict[TopicPartition, Future[SimpleNamespace]]:
        self.asked.append(sorted(place.partition for place in asked))
        answers = super().list_offsets(asked)
        for place in asked:
            answer = answers[place] = Future[SimpleNamespace]()
            if place.partition in self.unled:
                answer.set_exception(KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE)))
            else:
                answer.set_result(SimpleNamespace(offset=7))
        return answers


def test_a_partition_without_a_leader_is_left_out_and_asked_once_from_then_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lookups, "_LEADERLESS_SECONDS", 0.0)
    admin, unled, both = PartlyLed(), set[Place](), [Place("t", 0), Place("t", 1)]

    def asked() -> dict[Place, int]:
        return ask_offsets(admin, both, "latest", 1.0, "the ends", unled=unled)

    assert (asked(), unled) == ({("t", 0): 7}, {("t", 1)})
    assert (asked(), unled) == ({("t", 0): 7}, {("t", 1)})
    assert admin.asked == [[0, 1], [0], [1]]
    admin.unled.clear()
    assert (asked(), unled) == ({("t", 0): 7, ("t", 1): 7}, set())
    asked()
    assert admin.asked[-1] == [0, 1], "in the ordinary case it asks once"


def test_a_cluster_that_gives_no_answer_at_all_is_not_one_without_leaders(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lookups, "_LEADERLESS_SECONDS", 0.0)
    admin = PartlyLed()
    admin.unled = {0, 1}

    def away(*_: object, **__: object) -> None:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))  # noqa: SLF001

    admin.list_topics = away  # type: ignore[method-assign]
    with pytest.raises(DependencyUnavailable, match="did not return the ends"):
        ask_offsets(admin, [("t", 0), ("t", 1)], "latest", 1.0, "the ends", unled=set())
