"""Settings, logging, errors and closing of all our Kafka clients.

It creates no client; `lookups.py` has the one that look-ups share.
"""

import contextlib
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from hookstream.core.model.suggestion import did_you_mean
from hookstream.errors import ConfigurationError, DependencyUnavailable, HookstreamError
from hookstream.pipeline.ports import Clock, Logger

ClientSettings: TypeAlias = Mapping[str, str | int | float | bool]
"""librdkafka's own settings, at least `bootstrap.servers`."""

Properties: TypeAlias = dict[str, object]

FORBIDDEN = {
    KafkaError._AUTHENTICATION,  # noqa: SLF001  librdkafka's own errors begin with an underscore
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
}
"""The brokers refuse the credentials, or the operation with them."""
TOPIC_GONE = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
}

FENCED = {
    KafkaError._FENCED,  # noqa: SLF001
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
}
"""Another process took the transactional id over."""
OFFSETS_GONE = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}  # noqa: SLF001
"""The log does not have the offset: it was deleted, or the topic truncated or created again."""
TOO_LARGE = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE}
"""A record was refused for its size, alone or with its batch."""
_Client = TypeVar("_Client")

_NO_SUCH = re.compile(r'No such configuration property: "([^"]*)"')
_MAY_BE_SECRET = re.compile(r"password|secret|pem|oauthbearer\.config|jaas|\.key|token")
_USUAL = (
    "broker.address.family",
    "client.id",
    "client.rack",
    "compression.type",
    "connections.max.idle.ms",
    "debug",
    "enable.ssl.certificate.verification",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.wait.max.ms",
    "heartbeat.interval.ms",
    "linger.ms",
    "log_level",
    "max.poll.interval.ms",
    "message.max.bytes",
    "message.timeout.ms",
    "metadata.max.age.ms",
    "queued.max.messages.kbytes",
    "receive.message.max.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "request.timeout.ms",
    "sasl.kerberos.keytab",
    "sasl.kerberos.principal",
    "sasl.kerberos.service.name",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "session.timeout.ms",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.timeout.ms",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.cipher.suites",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "statistics.interval.ms",
    "topic.metadata.refresh.interval.ms",
    "transaction.timeout.ms",
)
"""librdkafka's common names. An unknown name is likely a misspelling of one of them."""

_REPEAT_SECONDS = 30.0
_LINES_REMEMBERED = 64
_PATIENCE_SECONDS = 30.0
"""How long a failure may last before it is logged: a broker's restart takes less."""


class LastingFailure:
    """A transient failure that is logged once if it lasts, and once when it ends.

    A broker that is down for an hour is queried every second; a line each time would bury all others.
    For one thread.

    Args:
        event: The log event; `<event>_over` when it ends.
        logger: The log.
        clock: Measures how long it lasts.
        patience: Seconds for which nothing is logged.
    """

    def __init__(
        self, event: str, logger: Logger, clock: Clock, patience: float = _PATIENCE_SECONDS
    ) -> None:
        self._event = event
        self._logger = logger
        self._clock = clock
        self._patience = patience
        self._since: float | None = None
        self._logged = False

    def lasts(self, detail: str) -> None:
        """The failure lasts. `detail` says why."""
        now = self._clock.monotonic()
        if self._since is None:
            self._since = now
        if not self._logged and now - self._since >= self._patience:
            self._logged = True
            self._logger.warning(self._event, seconds=round(now - self._since), detail=detail)

    def over(self) -> None:
        """There is no failure, or it has ended."""
        if self._logged and self._since is not None:
            seconds = round(self._clock.monotonic() - self._since)
            self._logger.info(f"{self._event}_over", seconds=seconds)
        self._since, self._logged = None, False


def _client_properties(client: ClientSettings, logger: Logger | None) -> Properties:
    """Return the properties of every client of ours: how soon it reconnects, its settings and its log.

    By default, a client that lost its broker would retry only every ten seconds after a long outage, and
    nothing is sent before the tables are current again. The library refuses a first pause above the
    longest one, so neither is set if the first pause is configured.

    Half of the first pause lies between any two attempts to connect, and every client makes two as it
    starts: to the bootstrap address, then to the broker. With the library's 100 ms each command would
    wait 50 ms for each client that it makes.
    """
    pauses = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 500}
    # Outside the tree of loggers on purpose: each client has its own log, or none. Without one the
    # library would write to stderr; errors that matter are raised.
    lines = logging.Logger("hookstream.kafka")  # noqa: LOG001
    lines.addHandler(logging.NullHandler() if logger is None else _ClientToLogger(logger))
    return {**({} if "reconnect.backoff.ms" in client else pauses), **client, "logger": lines}


def consumer_properties(client: ClientSettings, group: str, logger: Logger | None) -> Properties:
    """Return the properties of every consumer of ours; `client` overrides tuning, not semantics.

    Queues are small: the default prefetch of 64 MB per consumer would be most of a worker's memory. So
    `fetch.queue.backoff.ms` must be small too, or a full queue stalls a partition for a second. A
    partition that is new or resumed is first fetched when the running fetch ends: 100 ms, not 500.
    """
    return {
        "queued.max.messages.kbytes": 4096,
        "fetch.message.max.bytes": 1_048_576,
        "fetch.max.bytes": 4_194_304,
        "fetch.queue.backoff.ms": 50,
        "fetch.wait.max.ms": 100,
        **_client_properties(client, logger),
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
    }


def bounded(client: ClientSettings) -> ClientSettings:
    """Return settings for a consumer that reads to a known end; those of `client` override them.

    If a transaction ends the log, only a fetch that finds nothing reports the end, so it need not wait.
    """
    return {"fetch.wait.max.ms": 10, **client}


def lasting(client: ClientSettings, millis: int = 500) -> ClientSettings:
    """Return settings for a consumer that stays at the ends of the same partitions; those of `client` override them.

    Appended records are returned at once. Only a partition that is added or placed waits for the running
    fetch, so brokers and consumer need not handle empty fetches ten times a second.

    Args:
        client: librdkafka's settings.
        millis: The longest wait of a fetch. Only one that found nothing reports that its partitions are
            at their ends.
    """
    return {"fetch.wait.max.ms": millis, **client}


def producer_properties(client: ClientSettings, logger: Logger | None) -> Properties:
    """Return the properties of every producer of ours: durable, idempotent, in order."""
    return _client_properties(client, logger) | {"acks": "all", "enable.idempotence": True}


def transactional_properties(
    client: ClientSettings, transactional_id: str, timeout_millis: int
) -> Properties:
    """Return the properties of a transactional producer.

    The client library refuses timeouts longer than the transaction's. One that was set for all clients
    is shortened here.
    """
    properties = producer_properties(client, None) | {
        "transactional.id": transactional_id,
        "transaction.timeout.ms": timeout_millis,
    }
    for name in ("socket.timeout.ms", "message.timeout.ms", "delivery.timeout.ms"):
        if name in client and int(client[name]) > timeout_millis:
            properties[name] = timeout_millis
    return properties


def admin_client(client: ClientSettings) -> AdminClient:
    """Return a client for look-ups and topic administration. Its errors are raised, not logged."""
    return opened(AdminClient, _client_properties(client, None) | {"log_level": 2})


def init_transactions(producer: Producer, timeout: float) -> None:
    """Take a transactional id over, after connecting: a producer without a connection waits up to 0.5 s.

    The client drops the connection to its bootstrap address once it knows the broker's own, and checks
    every 500 ms only whether it has another. A metadata request makes it connect at once.

    Args:
        producer: The producer.
        timeout: Seconds to wait at most, one more if the broker does not answer.

    Raises:
        KafkaException: The broker did not answer in time, or refuses.
    """
    until = time.monotonic() + timeout
    # Any error also occurs in the call below, which retries.
    with contextlib.suppress(KafkaException):
        producer.list_topics(timeout=timeout)
    producer.init_transactions(max(1.0, until - time.monotonic()))


def opened(make: Callable[..., _Client], properties: Properties) -> _Client:
    """Return a client of the library, made with properties that include an operator's settings.

    Args:
        make: Its class.
        properties: All properties.

    Raises:
        ConfigurationError: The library refuses a property. The text names it and shows no secret.
    """
    try:
        return make(properties)
    except (KafkaException, TypeError, ValueError) as refused:
        said = kafka_error(refused).str() if isinstance(refused, KafkaException) else str(refused)
        text = without_secrets(said.strip(), properties)
        misspelt = _NO_SUCH.search(said)
        hint = did_you_mean(misspelt[1], _USUAL) if misspelt else ""
        raise ConfigurationError(
            f"kafka.client: {text}{hint}. Its names and values are those of librdkafka"
        ) from refused


def may_be_secret(name: str) -> bool:
    """Return whether the value of a librdkafka property must not be shown."""
    return _MAY_BE_SECRET.search(name) is not None


def without_secrets(text: str, properties: Mapping[str, object]) -> str:
    """Return a text of the client library without the secrets in its properties."""
    for name, value in properties.items():
        if may_be_secret(name) and isinstance(value, str) and value:
            text = text.replace(value, "***")
    return text


def kafka_error(raised: KafkaException) -> KafkaError:
    """Return the error that an exception carries."""
    error = raised.args[0]
    if not isinstance(error, KafkaError):
        raise raised
    return error


def translated(raised: KafkaException, doing: str) -> HookstreamError:
    """Return our error for a client's. `doing` begins its text, such as 'cannot read x'."""
    error = kafka_error(raised)
    text = f"{doing}: {error.str()} ({error.name()})"
    if error.code() in FORBIDDEN | TOPIC_GONE:
        return ConfigurationError(text)
    return DependencyUnavailable(text)


def close_within(seconds: float, close: Callable[[], object]) -> bool:
    """Close a client on a thread of its own and return whether that was done in time.

    A close can hang while brokers misbehave; the process must be able to end.
    """

    def closing() -> None:
        # A client that was fenced or lost its broker raises once more, and a fenced producer raises
        # a SystemError around that. The caller had the error already.
        with contextlib.suppress(KafkaException, SystemError):
            close()

    thread = threading.Thread(target=closing, name="kafka-close", daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()


class _ClientToLogger(logging.Handler):
    """Passes the client library's log lines to our log.

    A client that cannot connect logs that twenty times a second: the same line is passed on again only
    after half a minute.
    """

    def __init__(self, logger: Logger) -> None:
        super().__init__(logging.INFO)
        self._logger = logger
        self._written: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, never as an error: librdkafka recovers, or its caller raises."""
        detail = record.getMessage()
        if record.created - self._written.get(detail, 0.0) < _REPEAT_SECONDS:
            return
        if len(self._written) >= _LINES_REMEMBERED:
            self._written.clear()
        self._written[detail] = record.created
        write = self._logger.warning if record.levelno >= logging.WARNING else self._logger.info
        write("kafka.client_log", detail=detail)
