"""Client certificates and private authorities: each connection serves the identity it was made with."""

import asyncio
import ssl
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.doubles.certificates import Authority, Issued, private_pem
from tests.doubles.raw_server import Conversation, RawServer, response, server
from tests.integration.http.sending import anywhere, post

from hookstream.adapters.http import tls_contexts
from hookstream.adapters.http.api_connection import ApiConnection
from hookstream.adapters.http.sender import HttpSender
from hookstream.adapters.http.tls_contexts import IdentityRefused, context_of, lazy_authorities
from hookstream.core.model.endpoint_identity import TlsIdentity, tls_identity
from hookstream.core.model.outcome import FailureKind, Response, TransportFailure
from hookstream.core.model.subscription import Endpoint, MutualTls, Secret
from hookstream.pipeline.ports import Post

PARTNERS = Authority("partners authority")
GATEWAY = Authority("gateway authority")


def identity(client: Issued | None = None, ca: bytes | None = GATEWAY.pem) -> TlsIdentity:
    mtls = None
    if client is not None:
        mtls = MutualTls(Secret("c", client.certificate), Secret("k", client.key))
    made = tls_identity(Endpoint("", (), mtls=mtls, ca=None if ca is None else Secret("ca", ca)))
    assert made is not None
    return made


async def name_of_client(conversation: Conversation) -> None:
    """Answer with the name in the client's certificate."""
    found = conversation.writer.get_extra_info("peercert")
    name = "nobody" if not found else dict(each[0] for each in found["subject"])["commonName"]
    await response(200, body=name.encode())(conversation)


def gateway(folder: Path, *, issuer: Authority = GATEWAY, days: int = 36_500) -> ssl.SSLContext:
    issued = issuer.issue("server", "127.0.0.1", days=days)
    return issued.server_context(folder, clients_of=PARTNERS)


def from_subscription(name: str, url: str, tls: TlsIdentity | None) -> Post:
    return replace(post(url, timeout=60_000), subscription_id=name, tls=tls)


async def test_each_of_1000_interleaved_requests_goes_out_under_its_partners_certificate(
    tmp_path: Path,
) -> None:
    identities = {name: identity(PARTNERS.issue(name)) for name in ("acme", "zenith")}
    async with (
        server(name_of_client, tls=gateway(tmp_path)) as running,
        HttpSender(anywhere, connect_timeout=60) as sender,
    ):

        async def send(name: str, times: int) -> None:
            for _ in range(times):
                answer = await sender.send(from_subscription(name, running.url, identities[name]))
                assert answer == Response(200, excerpt=name)

        async with asyncio.TaskGroup() as sending:
            for name in [*identities] * 10:
                sending.create_task(send(name, 50))
    assert len(running.seen) == 1_000
    assert running.connections <= 20


async def test_a_connection_that_one_authority_vouches_for_serves_no_other_partner(
    tmp_path: Path, sender: HttpSender
) -> None:
    client = PARTNERS.issue("acme")
    async with server(name_of_client, tls=gateway(tmp_path)) as running:
        trusting = from_subscription("a", running.url, identity(client))
        assert await sender.send(trusting) == Response(200, excerpt="acme")
        for ca in (Authority("another").pem, None):
            answer = await sender.send(from_subscription("b", running.url, identity(client, ca)))
            assert isinstance(answer, TransportFailure)
            assert answer.kind is FailureKind.TLS
            assert answer.detail.startswith("certificate refused: unknown authority (")
        assert await sender.send(trusting) == Response(200, excerpt="acme")
    assert len(running.seen) == 2


async def test_a_changed_identity_closes_the_idle_connections_of_the_one_before(
    tmp_path: Path, sender: HttpSender
) -> None:
    before, after = identity(PARTNERS.issue("old")), identity(PARTNERS.issue("new"))
    async with server(name_of_client, tls=gateway(tmp_path)) as running:
        url = running.url
        await sender.send(from_subscription("a", url, before))
        await sender.send(from_subscription("b", url, before))
        assert await sender.send(from_subscription("a", url, after)) == Response(
            200, excerpt="new"
        )
        assert (running.connections, running.ended) == (2, 0)
        await sender.send(from_subscription("b", url, after))
        await running.wait_until(lambda each: each.ended == 1)
    assert running.connections == 2


async def test_a_connection_that_was_in_use_while_its_identity_changed_is_not_kept(
    tmp_path: Path, sender: HttpSender
) -> None:
    before, after = identity(PARTNERS.issue("old")), identity(PARTNERS.issue("new"))
    answering = asyncio.Event()

    async def answer_when_asked(conversation: Conversation) -> None:
        await answering.wait()
        await name_of_client(conversation)

    async with server(answer_when_asked, name_of_client, tls=gateway(tmp_path)) as running:
        async with asyncio.TaskGroup() as sending:
            slow = sending.create_task(sender.send(from_subscription("a", running.url, before)))
            await running.wait_until(lambda each: len(each.seen) == 1)
            changed = await sender.send(from_subscription("a", running.url, after))
            answering.set()
        assert (slow.result(), changed) == (
            Response(200, excerpt="old"),
            Response(200, excerpt="new"),
        )
        await running.wait_until(lambda each: each.ended == 1)


@pytest.mark.parametrize(
    ("served", "said"),
    [
        (lambda folder: gateway(folder, days=1), "certificate refused: expired ("),
        (
            lambda folder: GATEWAY.issue("g", "127.0.0.9").server_context(folder),
            "certificate refused: wrong host (",
        ),
        (
            lambda folder: gateway(folder, issuer=Authority("unknown")),
            "certificate refused: unknown authority (",
        ),
    ],
    ids=["expired", "wrong host", "unknown authority"],
)
async def test_a_tls_failure_says_which_it_is(
    tmp_path: Path, sender: HttpSender, served: Callable[[Path], ssl.SSLContext], said: str
) -> None:
    async with server(response(204), tls=served(tmp_path)) as running:
        answer = await sender.send(from_subscription("a", running.url, identity()))
    assert isinstance(answer, TransportFailure)
    assert answer.kind is FailureKind.TLS
    assert answer.detail.startswith(said)


@pytest.mark.parametrize(
    ("bundle", "hashed", "lazy"),
    [
        ("certs/bundle.crt", True, True),
        ("", True, True),
        ("elsewhere.crt", True, False),
        ("certs/bundle.crt", False, False),
    ],
    ids=["in the folder", "no bundle", "a bundle elsewhere", "no hashes"],
)
def test_the_machines_authorities_are_read_as_needed_where_a_folder_has_all(
    tmp_path: Path,
    bundle: str,
    hashed: bool,  # noqa: FBT001
    lazy: bool,  # noqa: FBT001
) -> None:
    folder = tmp_path / "certs"
    folder.mkdir()
    (folder / ("002c0b4f.0" if hashed else "a.pem")).write_bytes(GATEWAY.pem)
    file = str(tmp_path / bundle) if bundle else ""
    paths = ssl.DefaultVerifyPaths(file, str(folder), "", "", "", "")
    assert lazy_authorities(paths) == (str(folder) if lazy else None)


OPENS = """
import sys
from hookstream.adapters.http.tls_contexts import context_of
from hookstream.core.model.endpoint_identity import TlsIdentity

certificate, key = (part.encode() for part in sys.argv[1:])
opened = []
sys.addaudithook(lambda event, args: opened.append(args[0]) if event == "open" else None)
context_of(TlsIdentity(b"digest", certificate, certificate, key))
print([each for each in opened if not isinstance(each, int)])
"""


def test_keys_reach_the_tls_library_without_a_file() -> None:
    client = PARTNERS.issue("acme")
    command = [sys.executable, "-c", OPENS, client.certificate.decode(), client.key.decode()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  our own text
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (
            lambda good: Issued(good.certificate, PARTNERS.issue("other").key),
            "the key belongs to another certificate",
        ),
        (lambda good: Issued(b"-----BEGIN", good.key), "one of the two is not PEM"),
        (lambda good: Issued(good.certificate, b"s3cret"), "one of the two is not PEM"),
        (
            lambda good: Issued(
                good.certificate, private_pem(ec.generate_private_key(ec.SECP256R1()), b"s3cret")
            ),
            "the key of the client certificate is encrypted",
        ),
        (
            lambda good: Issued(good.certificate * 200, good.key),
            f"has more than {tls_contexts.MAX_PEM_BYTES} bytes",
        ),
    ],
    ids=["another key", "no certificate", "no key", "encrypted key", "too large"],
)
def test_an_identity_that_cannot_be_used_is_refused_without_its_key(
    broken: Callable[[Issued], Issued], why: str
) -> None:
    with pytest.raises(IdentityRefused, match=why) as refused:
        context_of(identity(broken(PARTNERS.issue("acme"))))
    assert "s3cret" not in str(refused.value)


async def test_an_identity_that_cannot_be_used_fails_the_attempt(sender: HttpSender) -> None:
    broken = identity(ca=b"no certificate")
    answer = await sender.send(from_subscription("a", "https://127.0.0.1:9/", broken))
    assert answer == TransportFailure(
        FailureKind.TLS, "the private authority `ca` is not a list of PEM certificates"
    )


async def test_identities_are_bounded_and_the_one_used_least_recently_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_contexts, "MAX_IDENTITIES", 2)
    clients = [identity(PARTNERS.issue(name)) for name in ("one", "two", "three")]
    async with (
        server(name_of_client, tls=gateway(tmp_path)) as running,
        HttpSender(anywhere) as sender,
    ):
        for number, each in enumerate(clients):
            await sender.send(from_subscription(str(number), running.url, each))
        await _ended(running, 1)
    assert running.connections == 3


async def _ended(running: RawServer, many: int) -> None:
    await running.wait_until(lambda each: each.ended == many)


@pytest.mark.parametrize(
    "made",
    [
        tls_contexts.machine_context,
        lambda: context_of(identity()),
        lambda: context_of(identity(PARTNERS.issue("acme"), ca=None)),
    ],
    ids=["machine", "private authority", "client certificate"],
)
def test_certificates_are_checked_alike_with_every_python(
    made: Callable[[], ssl.SSLContext],
) -> None:
    """Python 3.13 refused the authority of an endpoint that 3.11 delivered to: it has no key identifier."""
    alike = ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN
    assert made().verify_flags == alike


async def test_an_intermediate_authority_is_trusted_by_itself(
    tmp_path: Path, sender: HttpSender
) -> None:
    """Python before 3.13 asked for its root, too."""
    middle = Authority("middle", root=GATEWAY)
    async with server(response(204), tls=gateway(tmp_path, issuer=middle)) as running:
        answer = await sender.send(
            from_subscription("a", running.url, identity(PARTNERS.issue("acme"), ca=middle.pem))
        )
    assert answer == Response(204)


async def test_an_api_is_reached_by_an_intermediate_authority_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    middle = Authority("middle", root=GATEWAY)
    authorities = tmp_path / "authorities.pem"
    authorities.write_bytes(middle.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(authorities))
    tls = middle.issue("api", "127.0.0.1").server_context(tmp_path)
    async with server(response(200, body=b"{}"), tls=tls) as running:
        api = ApiConnection(running.url, "hs_adm_token")
        reply = await asyncio.to_thread(api.send, "GET", "/v1/status", {}, None)
    assert reply.status == 200
