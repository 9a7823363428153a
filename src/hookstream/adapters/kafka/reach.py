"""Checks whether the brokers can be reached, and if not, finds the cause and the remedy.

A request of the client library fails after half a minute with no more than "broker transport failure".
The cause is in its log lines and error events, which are read here.
"""

import asyncio
import logging
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from hookstream.adapters.kafka.client import (
    ClientSettings,
    Properties,
    kafka_error,
    opened,
    without_secrets,
)
from hookstream.adapters.kafka.lookups import LOOKUPS
from hookstream.errors import ConfigurationError, DependencyUnavailable
from hookstream.pipeline.ports import Logger

_SLICE_SECONDS = 0.25
COMMAND_SECONDS = 8.0
"""How long a command tries: a broker's restart usually takes less."""
CERTAIN_SECONDS = 3.0
"""How long it tries if waiting is unlikely to help: a wrong name, another protocol."""
_AT_ONCE_SHARE = 1 / 3
"""The share of that time for the client of look-ups, before another client looks for the cause."""
FIRST_WORD_SECONDS = 5.0
_NEXT_WORD_SECONDS = 30.0
_REMEMBERED = 20


class ObstacleKind(StrEnum):
    """The cause."""

    AUTHENTICATION = "authentication refused"
    HANDSHAKE = "TLS handshake failed"
    PROTOCOL = "another protocol is spoken there"
    UNKNOWN_HOST = "unknown host"
    REFUSED = "connection refused"
    SILENT = "no answer"


_REMEDIES = {
    ObstacleKind.AUTHENTICATION: (
        "check sasl.mechanism, sasl.username and sasl.password in kafka.client, and that the port is"
        " a listener with SASL"
    ),
    ObstacleKind.HANDSHAKE: (
        "check security.protocol and ssl.* in kafka.client, and that the port is a listener with TLS"
    ),
    ObstacleKind.PROTOCOL: (
        "check security.protocol in kafka.client: the port may be a listener with TLS or SASL, or"
        " none of Kafka's"
    ),
    ObstacleKind.UNKNOWN_HOST: "check kafka.bootstrap_servers, and that this machine can resolve the name",
    ObstacleKind.REFUSED: "check kafka.bootstrap_servers, and that the broker is running and listening there",
    ObstacleKind.SILENT: (
        "check kafka.bootstrap_servers, security.protocol in kafka.client (the port may be a listener"
        " with TLS), and that no firewall is between"
    ),
}
_CERTAIN = {
    ObstacleKind.AUTHENTICATION,
    ObstacleKind.HANDSHAKE,
    ObstacleKind.PROTOCOL,
    ObstacleKind.UNKNOWN_HOST,
}

# In this order: the first pattern that matches a line is its cause.
_SHOWS = (
    (ObstacleKind.AUTHENTICATION, re.compile(r"SASL|[Aa]uthentication")),
    (ObstacleKind.HANDSHAKE, re.compile(r"SSL|certificate")),
    (ObstacleKind.UNKNOWN_HOST, re.compile(r"Failed to resolve")),
    (
        ObstacleKind.PROTOCOL,
        re.compile(
            r"Invalid response size|APIVERSION_QUERY|security\.protocol|Bad message|[Dd]isconnected"
        ),
    ),
    (ObstacleKind.REFUSED, re.compile(r"Connect to .* failed|[Rr]efused|unreachable")),
)
_THREAD = re.compile(r"^.*?\[thrd:[^\]]*\]: ")


@dataclass(slots=True, frozen=True)
class Obstacle:
    """Why the brokers cannot be reached."""

    kind: ObstacleKind
    servers: str
    said: str
    """The client library's text; empty if it had none."""

    @property
    def remedy(self) -> str:
        """What to check."""
        return _REMEDIES[self.kind]

    def __str__(self) -> str:
        """Return one sentence for a person."""
        said = f" ({self.said})" if self.said else ""
        return f"the brokers at {self.servers} cannot be reached: {self.kind}{said}; {self.remedy}"


class Reach:
    """A client that tries to reach the brokers and remembers its errors. For one thread at a time.

    Args:
        client: librdkafka's settings.
        look_every: Seconds between checks of the client library's messages.

    Raises:
        ConfigurationError: The client library refuses the settings.
    """

    def __init__(self, client: ClientSettings, look_every: float = _SLICE_SECONDS) -> None:
        self._client = client
        self._look_every = look_every
        self._said: deque[tuple[ObstacleKind, str]] = deque(maxlen=_REMEMBERED)
        lines = logging.Logger("hookstream.kafka")  # noqa: LOG001  as in `client.py`
        lines.addHandler(_Lines(self._note))
        properties: Properties = {
            **client,
            "log_level": 6,
            "logger": lines,
            "error_cb": self._on_error,
        }
        self._admin = opened(AdminClient, properties)

    def ask(self, seconds: float) -> Obstacle | None:
        """Return the obstacle after so many seconds; None as soon as brokers answer.

        Returns at once if authentication is refused, since retrying may lock an account. The request's
        own exception is used only for that: the client's lines and events name other causes better.
        """
        until = time.monotonic() + seconds
        while True:
            try:
                if self._admin.list_topics(timeout=self._look_every).brokers:
                    return None
            except KafkaException as error:
                problem = kafka_error(error)
                if problem.code() == KafkaError._AUTHENTICATION:  # noqa: SLF001  librdkafka's own
                    self._note(problem.str())
            self._admin.poll(0)
            found = self._obstacle()
            if found.kind is ObstacleKind.AUTHENTICATION or time.monotonic() >= until:
                return found

    def _obstacle(self) -> Obstacle:
        """Return the latest cause so far, but authentication before any other."""
        texts = dict(self._said)
        kind = self._said[-1][0] if self._said else ObstacleKind.SILENT
        if ObstacleKind.AUTHENTICATION in texts:
            kind = ObstacleKind.AUTHENTICATION
        servers = str(self._client.get("bootstrap.servers", ""))
        return Obstacle(kind, servers, texts.get(kind, ""))

    def _on_error(self, error: KafkaError) -> None:
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001
            self._note(error.str())

    def _note(self, line: str) -> None:
        text = without_secrets(_THREAD.sub("", line).strip(), self._client)
        for kind, shows in _SHOWS:
            if shows.search(text):
                self._said.append((kind, text[:500]))
                return


class _Lines(logging.Handler):
    """Passes the client library's log lines on."""

    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__(logging.DEBUG)
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one line on."""
        self._note(record.getMessage())


def require_brokers(
    client: ClientSettings, seconds: float = COMMAND_SECONDS, certain: float = CERTAIN_SECONDS
) -> None:
    """Return when the brokers answer; for commands, which fail if they do not.

    The client of look-ups asks first, as a command nearly always needs it next. Only if it has no answer does
    another client look for the cause. If `sasl.*` is set, only the other client asks: retrying refused
    credentials may lock an account.

    Args:
        client: librdkafka's settings.
        seconds: How long to try at most, more than `certain`.
        certain: How long to try at most if waiting is unlikely to help.

    Raises:
        ConfigurationError: They refuse the credentials, or the client library the settings.
        DependencyUnavailable: None answered in time.
    """
    asked = 0.0
    if not any(name.startswith("sasl.") for name in client):
        asked = certain * _AT_ONCE_SHARE
        if _answer_look_ups(client, asked):
            return
    reach = Reach(client)
    obstacle = reach.ask(certain - asked)
    if obstacle is not None and obstacle.kind not in _CERTAIN:
        obstacle = reach.ask(seconds - certain)
    if obstacle is not None:
        raise _as_error(obstacle)


def _answer_look_ups(client: ClientSettings, seconds: float) -> bool:
    """Return whether brokers answer the client of look-ups in time. A client without an answer is not kept."""
    try:
        return bool(LOOKUPS.client(client).list_topics(timeout=seconds).brokers)
    except KafkaException:
        LOOKUPS.forget()
        return False


async def wait_for_brokers(
    client: ClientSettings, logger: Logger, first_word: float = FIRST_WORD_SECONDS
) -> None:
    """Return when the brokers answer; for workers, which wait without limit and log that.

    Args:
        client: librdkafka's settings.
        logger: The log: a line after `first_word` seconds, and one every half minute.
        first_word: Seconds.

    Raises:
        ConfigurationError: They refuse the credentials, so the settings must be changed.
    """
    reach = Reach(client)
    loop = asyncio.get_running_loop()
    began = loop.time()
    next_word = began + first_word
    logged = False
    while (obstacle := await asyncio.to_thread(reach.ask, _SLICE_SECONDS)) is not None:
        if obstacle.kind is ObstacleKind.AUTHENTICATION:
            raise _as_error(obstacle)
        if loop.time() >= next_word:
            logged = True
            next_word = loop.time() + _NEXT_WORD_SECONDS
            logger.warning(
                "brokers.unreachable",
                servers=obstacle.servers,
                obstacle=obstacle.kind.value,
                detail=obstacle.said,
                remedy=obstacle.remedy,
                seconds=round(loop.time() - began),
            )
    if logged:
        logger.info("brokers.unreachable_over", seconds=round(loop.time() - began))


def _as_error(obstacle: Obstacle) -> ConfigurationError | DependencyUnavailable:
    if obstacle.kind is ObstacleKind.AUTHENTICATION:
        return ConfigurationError(str(obstacle))
    return DependencyUnavailable(str(obstacle))
