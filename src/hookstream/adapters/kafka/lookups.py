"""Shares one client among look-ups of topics and offsets, for a minute or until one of them fails."""

import atexit
import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Literal, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

from confluent_kafka import OFFSET_INVALID, IsolationLevel, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # OffsetSpec is public
    AdminClient,
    OffsetSpec,
)

from hookstream.adapters.kafka.client import ClientSettings, admin_client, kafka_error, translated
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import TopicPartition
from hookstream.errors import DependencyUnavailable

_MOST_CLIENTS = 4
"""The most clusters, or settings for one, for which a client is kept."""
_SHARED_SECONDS = 60.0
"""How long a client is shared: files named by its settings, such as certificates, may change."""
_LEADERLESS = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    # Another broker leads than the client assumes, or the same one restarted.
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    # "No leaders found": a broker that was frozen has lost its session, and leads nothing until it
    # has registered again.
    KafkaError._NOENT,  # noqa: SLF001
}
_LEADERLESS_PAUSE = 0.1
_DOUBTED_SECONDS = 1.0
"""How long a partition that nobody led when it was asked last is waited for."""
_LEADERLESS_SECONDS = 5.0
"""How long a request is retried at least."""

LogPosition: TypeAlias = Literal["earliest", "latest"] | Millis
"""An end of a log, or the first record appended at a time or later."""
# The client library's own functions have no types.
_LOG_ENDS: dict[str, OffsetSpec] = {
    "earliest": OffsetSpec.earliest(),  # type: ignore[no-untyped-call]
    "latest": OffsetSpec.latest(),  # type: ignore[no-untyped-call]
}
_NO_RECORD = -1

_Settings: TypeAlias = tuple[tuple[str, str | int | float | bool], ...]
"""In their order: if a property has two names, the library takes the last."""


class _Shared(NamedTuple):
    client: AdminClient
    since: float


class LookupClients:
    """One client for each cluster, for a few requests from any thread.

    Each client connects to the brokers twice, and a command makes look-ups in several places. Code that keeps
    a client for long, such as a table's reader, makes its own. A caller keeps a reference until all answers
    have come: they end with the client.

    Args:
        make: Makes a client with these settings of librdkafka's.
        monotonic: The time, in seconds.
    """

    def __init__(
        self,
        make: Callable[[ClientSettings], AdminClient] = admin_client,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make = make
        self._monotonic = monotonic
        self._one = threading.Lock()
        self._shared: dict[_Settings, _Shared] = {}
        """By settings, the most recently used last."""
        self._given: WeakKeyDictionary[AdminClient, _Settings] = WeakKeyDictionary()
        """The settings of each client that is shared, or was shared and is still referenced."""

    def client(self, settings: ClientSettings) -> AdminClient:
        """Return the client for these settings of librdkafka's.

        Raises:
            ConfigurationError: The library refuses a property.
        """
        key = tuple(settings.items())
        with self._one:
            shared = known = self._shared.pop(key, None)
            if shared is None or self._monotonic() - shared.since >= _SHARED_SECONDS:
                shared = self._made(key)
            self._shared[key] = shared
            # The last reference to a client waits for its threads to end, so it is not dropped under the lock.
            oldest = next(iter(self._shared))
            surplus = self._shared.pop(oldest) if len(self._shared) > _MOST_CLIENTS else None
        del known, surplus
        return shared.client

    def instead_of(self, client: AdminClient) -> AdminClient:
        """Return another client in place of one that knows no leader; the same one if it never was shared.

        After a broker was frozen, a client may know no leader for a quarter of an hour.
        """
        with self._one:
            key = self._given.get(client)
            if key is None:
                return client
            shared = self._shared.get(key)
            if shared is None or shared.client is client:
                shared = self._shared[key] = self._made(key)
            return shared.client

    def forget(self) -> None:
        """Keep no client: the next look-up makes one."""
        with self._one:
            gone, self._shared = self._shared, {}
        gone.clear()

    def _made(self, key: _Settings) -> _Shared:
        client = self._make(dict(key))
        self._given[client] = key
        return _Shared(client, self._monotonic())


LOOKUPS = LookupClients()
# Not left to the interpreter's end: the threads would outlive the objects that they report to.
atexit.register(LOOKUPS.forget)


@contextmanager
def translating(failed: str, timeout: float) -> Iterator[None]:
    """Translate the client's errors that are raised within. `failed` begins their text.

    After any error, the next look-up has a new client.

    Args:
        failed: What failed, such as 'cannot read x'.
        timeout: The longest wait for an answer, in seconds.
    """
    try:
        yield
    except KafkaException as error:
        LOOKUPS.forget()
        raise translated(error, failed) from error
    except TimeoutError:
        LOOKUPS.forget()
        raise DependencyUnavailable(f"{failed}: no answer within {timeout:g} s") from None


def ask_offsets(
    admin: AdminClient,
    partitions: Collection[tuple[str, int]],
    where: LogPosition,
    timeout: float,
    what: str,
    *,
    shared: LookupClients = LOOKUPS,
    unled: set[TopicPartition] | None = None,
) -> dict[TopicPartition, int]:
    """Return the offset of a position in each partition, records of open transactions included.

    The offset of a time is the log's end if no record is that recent: whatever is appended meanwhile, no record of
    that time or later is below it.

    Each of at most three requests is retried for as long as an answer may take, while a partition has no
    leader, or not the one that the client assumes. An AdminClient learns of a broker that was killed and came
    back only if it is made to refresh its metadata; otherwise its requests would be refused for many minutes.
    A shared one is replaced before that, once.

    Args:
        admin: The client.
        partitions: Partitions that exist.
        where: The position.
        timeout: Seconds to wait at most for one answer.
        what: What is requested, for an error's text, such as 'the ends of x'.
        shared: Where `admin` may come from; its clients are replaced or dropped after a failure.
        unled: Takes the partitions that are left out, since no broker that answers leads them; None: all are needed.
            For one that is in it already nothing is retried, and it leaves it with an answer.

    Raises:
        KafkaException: The broker refuses for another reason.
        DependencyUnavailable: No answer came in time, or a partition has no leader.
    """
    ask = partial(_ask, admin, timeout=timeout, what=what, shared=shared)
    if unled is not None:
        ask = partial(_ask_led, admin, timeout=timeout, what=what, shared=shared, unled=unled)
    found = ask(partitions, where)
    late = [at for at, offset in found.items() if offset == _NO_RECORD]
    if not late:
        return found
    # A record of that time or later may be appended before the ends are known, and is below them. So an end counts
    # if there is still none after it was requested.
    ends = ask(late, "latest")
    again = ask([*ends], where)
    found |= {at: ends[at] if offset == _NO_RECORD else offset for at, offset in again.items()}
    return {at: offset for at, offset in found.items() if offset >= 0}


def _ask(
    admin: AdminClient,
    partitions: Collection[tuple[str, int]],
    where: LogPosition,
    *,
    timeout: float,
    what: str,
    shared: LookupClients,
) -> dict[TopicPartition, int]:
    """Return the answers of `ask_offsets` as brokers give them: `_NO_RECORD` if no record is that recent."""
    spec = OffsetSpec.for_timestamp(where) if isinstance(where, int) else _LOG_ENDS[where]
    until = time.monotonic() + max(_LEADERLESS_SECONDS, timeout)
    asked = admin
    while time.monotonic() < until:
        answers = admin.list_offsets(
            {KafkaPartition(*at): spec for at in partitions},
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=timeout,
        )
        try:
            found = {
                TopicPartition(at.topic, at.partition): answer.result(timeout).offset
                for at, answer in answers.items()
            }
        except TimeoutError:
            found = {TopicPartition(*at): OFFSET_INVALID for at in partitions}
        except KafkaException as error:
            is_leaderless = kafka_error(error).code() in _LEADERLESS
            if is_leaderless and admin is asked:
                # One more, not one for each of the many retries while brokers elect a leader.
                admin = shared.instead_of(asked)
            _look_for_leaders(admin, timeout)
            if not is_leaderless:
                raise
            time.sleep(_LEADERLESS_PAUSE)
            continue
        if all(_is_answer(where, offset) for offset in found.values()):
            return found
        _look_for_leaders(admin, timeout)
        shared.forget()
        raise DependencyUnavailable(f"the brokers did not return {what} within {timeout:g} s")
    shared.forget()
    raise DependencyUnavailable(f"cannot read {what}: a partition has no leader. Try again")


def _ask_led(
    admin: AdminClient,
    partitions: Collection[tuple[str, int]],
    where: LogPosition,
    *,
    timeout: float,
    what: str,
    shared: LookupClients,
    unled: set[TopicPartition],
) -> dict[TopicPartition, int]:
    """As `_ask`, without the partitions that nobody who answers leads: `unled` takes them."""
    found: dict[TopicPartition, int] = {}
    places = {TopicPartition(*at) for at in partitions}
    left, is_there = places - unled, True
    until = time.monotonic() + _LEADERLESS_SECONDS
    while left:
        found |= _answers(admin, left, where, timeout)
        left -= found.keys()
        if left:
            is_there = _look_for_leaders(admin, timeout)
            if time.monotonic() >= until:
                break
            time.sleep(_LEADERLESS_PAUSE)
    doubted = places & unled
    if doubted:
        is_there = _look_for_leaders(admin, timeout) and is_there
        found |= _answers(admin, doubted, where, min(timeout, _DOUBTED_SECONDS))
    if places and not found and not is_there:
        shared.forget()
        raise DependencyUnavailable(f"the brokers did not return {what} within {timeout:g} s")
    unled.difference_update(found)
    unled.update(places - found.keys())
    return found


def _answers(
    admin: AdminClient, partitions: Collection[TopicPartition], where: LogPosition, timeout: float
) -> dict[TopicPartition, int]:
    """Ask once, and return what was answered.

    Raises:
        KafkaException: The broker refuses for another reason than that it does not lead a partition.
    """
    spec = OffsetSpec.for_timestamp(where) if isinstance(where, int) else _LOG_ENDS[where]
    answers = admin.list_offsets(
        {KafkaPartition(*at): spec for at in partitions},
        isolation_level=IsolationLevel.READ_UNCOMMITTED,
        request_timeout=timeout,
    )
    found: dict[TopicPartition, int] = {}
    for at, answer in answers.items():
        try:
            # The client has the others' answers when the time of one is up.
            offset = answer.result(timeout + 1).offset
        except TimeoutError:
            continue
        except KafkaException as error:
            if kafka_error(error).code() not in _LEADERLESS:
                raise
            continue
        if _is_answer(where, offset):
            found[TopicPartition(at.topic, at.partition)] = offset
    return found


def _is_answer(where: LogPosition, offset: int) -> bool:
    """Return whether an offset came from a broker.

    librdkafka 2.16 sometimes returns -1001 (invalid) without an error when a broker did not answer. An
    end below every position would let old tables pass for complete. Only a timestamp can have no offset:
    -1, no record is that recent.
    """
    return offset >= 0 or (offset == _NO_RECORD and isinstance(where, int))


def _look_for_leaders(admin: AdminClient, timeout: float) -> bool:
    """Refresh the client's metadata, and return whether a broker answered."""
    # Any error shows in the next answer.
    with contextlib.suppress(KafkaException):
        admin.list_topics(timeout=timeout)
        return True
    return False
