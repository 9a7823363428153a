"""What keeps a client from the brokers is logged with a remedy, within seconds."""

import asyncio
import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.doubles.logger import BookkeepingLogger

from hookstream.adapters.kafka.client import admin_client, without_secrets
from hookstream.adapters.kafka.lookups import LOOKUPS
from hookstream.adapters.kafka.reach import (
    CERTAIN_SECONDS,
    COMMAND_SECONDS,
    FIRST_WORD_SECONDS,
    ObstacleKind,
    Reach,
    require_brokers,
    wait_for_brokers,
)
from hookstream.entry.cli.root import root
from hookstream.errors import ConfigurationError, DependencyUnavailable

NOWHERE = "127.0.0.1:1"
TLS = {"security.protocol": "SSL"}
SASL = {
    "security.protocol": "SASL_PLAINTEXT",
    "sasl.mechanism": "PLAIN",
    "sasl.username": "hookstream",
    "sasl.password": "hush-hush",
}


@contextmanager
def port_of(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Listen, and let each connection be served on its own thread."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


def plaintext(connection: socket.socket) -> None:
    """Close the connection at what is not a Kafka request, as a broker's listener without TLS does."""
    with connection:
        connection.recv(4_096)


def silent(connection: socket.socket) -> None:
    with connection:
        while connection.recv(4_096):
            pass


def http(connection: socket.socket) -> None:
    with connection:
        connection.recv(4_096)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Callable[[socket.socket], None]:
    """Serve TLS with an untrusted certificate."""
    folder = tmp_path_factory.mktemp("tls")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(folder))

    def serve(connection: socket.socket) -> None:
        try:
            with context.wrap_socket(connection, server_side=True) as wrapped:
                wrapped.recv(4_096)
        except (OSError, ssl.SSLError):
            connection.close()

    return serve


def certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=3_650))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    paths = folder / "c.pem", folder / "k.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


def met(servers: str, client: dict[str, str], *, words: bool = True) -> tuple[ObstacleKind, str]:
    """Return the obstacle, after two attempts to connect; if the library describes it, wait for that text."""
    reach = Reach({"bootstrap.servers": servers, **client}, look_every=0.02)
    obstacle = reach.ask(0.2 if words else 0.5)
    for _ in range(60):
        if not words or (obstacle is not None and obstacle.said):
            break
        obstacle = reach.ask(0.25)
    assert obstacle is not None
    assert str(obstacle).startswith(f"the brokers at {servers} cannot be reached: {obstacle.kind}")
    assert obstacle.remedy in str(obstacle)
    return obstacle.kind, obstacle.said


def test_a_port_on_which_nothing_listens_refuses() -> None:
    kind, said = met("127.0.0.1:1", {})
    assert kind is ObstacleKind.REFUSED
    assert "Connection refused" in said


def test_an_unknown_host_is_its_own_kind_of_obstacle() -> None:
    kind, said = met("nosuch.invalid:9092", {})
    assert kind is ObstacleKind.UNKNOWN_HOST
    assert "Failed to resolve 'nosuch.invalid:9092'" in said


def test_tls_on_a_port_without_it() -> None:
    with port_of(plaintext) as servers:
        kind, said = met(servers, TLS)
    assert kind is ObstacleKind.HANDSHAKE
    assert "SSL_HANDSHAKE" in said


def test_no_tls_on_a_port_with_it(tls: Callable[[socket.socket], None]) -> None:
    with port_of(tls) as servers:
        assert met(servers, {})[0] is ObstacleKind.PROTOCOL


def test_an_untrusted_certificate_fails_the_handshake(
    tls: Callable[[socket.socket], None],
) -> None:
    with port_of(tls) as servers:
        kind, said = met(servers, TLS)
    assert kind is ObstacleKind.HANDSHAKE
    assert "certificate verify failed" in said


def test_a_port_of_something_else() -> None:
    with port_of(http) as servers:
        assert met(servers, {})[0] is ObstacleKind.PROTOCOL


def test_a_port_that_never_answers_is_silent() -> None:
    with port_of(silent) as servers:
        assert met(servers, {}, words=False) == (ObstacleKind.SILENT, "")


def test_sasl_on_a_port_that_never_answers_shows_no_password() -> None:
    with port_of(plaintext) as servers:
        assert "hush-hush" not in "".join(met(servers, SASL))


def test_a_command_gives_up_within_ten_seconds() -> None:
    assert CERTAIN_SECONDS < COMMAND_SECONDS < 10
    assert FIRST_WORD_SECONDS < 10
    began = time.monotonic()
    with pytest.raises(DependencyUnavailable, match="connection refused"):
        require_brokers({"bootstrap.servers": NOWHERE}, seconds=0.5, certain=0.25)
    assert 0.5 <= time.monotonic() - began < 2.5


def test_a_client_of_look_ups_that_found_no_broker_is_not_kept() -> None:
    nowhere = {"bootstrap.servers": NOWHERE}
    found_none = LOOKUPS.client(nowhere)
    with pytest.raises(DependencyUnavailable):
        require_brokers(nowhere, seconds=0.5, certain=0.25)
    assert LOOKUPS.client(nowhere) is not found_none
    LOOKUPS.forget()


def test_no_client_of_look_ups_sends_credentials_that_may_be_refused() -> None:
    secured = {"bootstrap.servers": NOWHERE, **SASL}
    kept = LOOKUPS.client(secured)
    with pytest.raises(DependencyUnavailable):
        require_brokers(secured, seconds=0.5, certain=0.25)
    assert LOOKUPS.client(secured) is kept
    LOOKUPS.forget()


@pytest.mark.real_time
async def test_a_worker_logs_what_it_waits_for_and_keeps_waiting() -> None:
    logger = BookkeepingLogger()
    said = asyncio.Event()

    class NotifyingLogger(BookkeepingLogger):
        def warning(self, event: str, **fields: str | float | None) -> None:
            logger.warning(event, **fields)
            said.set()

    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(
            wait_for_brokers({"bootstrap.servers": NOWHERE}, NotifyingLogger(), 0.25)
        )
        async with asyncio.timeout(10):
            await said.wait()
        assert not waiting.done()
        waiting.cancel()
    level, event, fields = logger.lines[0]
    assert (level, event) == ("warning", "brokers.unreachable")
    assert (fields["servers"], fields["obstacle"]) == (NOWHERE, "connection refused")
    assert "check kafka.bootstrap_servers" in str(fields["remedy"])


MISSPELT = [
    ({"securty.protocol": "SSL"}, 'No such configuration property: "securty.protocol" (did you'),
    ({"sasl.user": "x"}, '"sasl.user" (did you mean sasl.username?)'),
    ({"security.protocol": "TLS"}, 'Invalid value "TLS" for configuration property'),
    ({"socket.timeout.ms": "soon"}, 'Invalid value for configuration property "socket.timeout'),
    ({"socket.timeout.ms": -5}, "outside allowed range"),
    ({"ssl.ca.location": "/nowhere.pem", "security.protocol": "SSL"}, "ssl.ca.location failed"),
    ({"ssl.key.pem": "hush-hush", "security.protocol": "SSL"}, "ssl.key.pem"),
    ({"error_cb": "x"}, "error_cb"),
    ({"message.max.bytes": 1}, "message.max.bytes"),
]


@pytest.mark.parametrize(("client", "said"), MISSPELT)
def test_a_setting_that_the_client_library_refuses_is_named(
    client: dict[str, str | int], said: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        admin_client({"bootstrap.servers": "127.0.0.1:1", **client})
    assert str(refused.value).startswith("kafka.client: ")
    assert said in str(refused.value)
    assert "hush-hush" not in str(refused.value)


COMMANDS = [
    ("topics", "plan"),
    ("schemas", "list"),
    ("partners", "list"),
    ("subscriptions", "list"),
    ("attempts", "list"),
    ("dlq", "list"),
    ("undecodable", "jobs"),
    ("partition", "list"),
    ("hold", "list"),
    ("events", "tail"),
    ("events", "send", "-"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_names_a_misspelt_setting(command: tuple[str, ...]) -> None:
    options = ["--set", 'kafka.client={"no.such": 1}', "--set", "worker.listen=127.0.0.1:0"]
    ended = CliRunner(env={"HOOKSTREAM_KEYS__RING": RING}).invoke(root, [*options, *command])
    assert ended.exit_code == 2, ended.output
    assert 'No such configuration property: "no.such"' in ended.stderr.replace("\\", "")
    assert "Traceback" not in ended.stderr


RING = '{"active": "k", "keys": {"k": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}'


def test_no_secret_that_was_set_shows() -> None:
    client = {"sasl.password": "hush", "sasl.username": "me"}
    assert without_secrets("hush, me", client) == "***, me"
