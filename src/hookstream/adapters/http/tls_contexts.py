"""Keeps the TLS contexts of the identities in use, bounded in number, without writing keys to disk.

Python's `ssl` loads certificates and keys by file name only. They are in anonymous memory (memfd), which
has a name in `/dev/fd` for as long as it is open. Systems without it have pipes.
"""

import asyncio
import os
import ssl
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hookstream.adapters.certificate_checks import checking_alike
from hookstream.core.model.endpoint_identity import TlsIdentity

MAX_PEM_BYTES = 32 * 1024
"""The most bytes of a certificate chain or a key: a pipe takes 64 KB without a reader."""
MAX_IDENTITIES = 4_096
"""The most contexts kept; the least recently used one is dropped first."""


class IdentityRefused(ValueError):
    """Raised if the TLS library cannot use an identity; the message contains no key material."""


def machine_context() -> ssl.SSLContext:
    """Return a context that trusts the machine's authorities, TLS 1.2 and later."""
    return _for_requests(ssl.create_default_context())


def context_of(identity: TlsIdentity) -> ssl.SSLContext:
    """Return a context with an identity's certificate and authorities.

    Raises:
        IdentityRefused: A part is not PEM, or the key does not belong to the certificate.
    """
    try:
        context = _for_requests(_authorities(identity.ca))
    except (ssl.SSLError, UnicodeError, ValueError):
        raise IdentityRefused(
            "the private authority `ca` is not a list of PEM certificates"
        ) from None
    if identity.certificate is None or identity.key is None:
        return context
    if max(len(identity.certificate), len(identity.key)) > MAX_PEM_BYTES:
        raise IdentityRefused(
            f"the client certificate or its key has more than {MAX_PEM_BYTES} bytes"
        )
    try:
        with _readable(identity.certificate, identity.key) as (certificate, key):
            # Without a password callback, an encrypted key would make OpenSSL prompt on the terminal.
            context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:
        why = _WHY.get(error.reason or "", "one of the two is not PEM")
        raise IdentityRefused(
            f"the client certificate and its key cannot be used: {why}"
        ) from None
    except _Encrypted:
        raise IdentityRefused("the key of the client certificate is encrypted") from None
    return context


def _authorities(ca: bytes | None) -> ssl.SSLContext:
    """Return a context that trusts an identity's authorities, or the machine's."""
    if ca is not None:
        return ssl.create_default_context(cadata=ca.decode("ascii"))
    folder = lazy_authorities(ssl.get_default_verify_paths())
    if folder is None:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(capath=folder)
    return context


def lazy_authorities(paths: ssl.DefaultVerifyPaths) -> str | None:
    """Return the folder of the machine's authorities, if it has all of them by their hashes.

    OpenSSL then reads an authority when it is needed. All of them take 0.9 MB and 24 ms per context.
    """
    if not paths.capath:
        return None
    folder = Path(paths.capath).resolve()
    if not any(each.suffix == ".0" for each in folder.iterdir()):
        return None
    # A bundle elsewhere may have authorities that the folder lacks (SSL_CERT_FILE).
    is_all = not paths.cafile or Path(paths.cafile).resolve().parent == folder
    return str(folder) if is_all else None


_WHY = {
    "KEY_VALUES_MISMATCH": "the key belongs to another certificate",
    "KEY_TYPE_MISMATCH": "the key belongs to another certificate",
    "EE_KEY_TOO_SMALL": "the certificate's key is too short",
    "CA_MD_TOO_WEAK": "the certificate's signature is too weak",
}


class _Encrypted(Exception):
    """Raised in place of a password."""


def _no_password() -> bytes:
    raise _Encrypted


def _for_requests(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return checking_alike(context)


@contextmanager
def _readable(*texts: bytes) -> Iterator[tuple[str, ...]]:
    """Yield a name for each text under which it can be opened and read once."""
    with ExitStack() as closing:
        names = []
        for text in texts:
            reader = _in_memory(text)
            closing.callback(os.close, reader)
            names.append(f"/dev/fd/{reader}")
        yield tuple(names)


def _in_memory(text: bytes) -> int:
    """Return a descriptor from which a text can be read."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("pem")
        os.write(descriptor, text)
        os.lseek(descriptor, 0, os.SEEK_SET)
        return descriptor
    reader, writer = os.pipe()
    os.write(writer, text)
    os.close(writer)
    return reader


class TlsContexts:
    """The contexts by identity.

    Args:
        machine: For endpoints without their own identity; None for `machine_context`.
        on_dropped: Called with the digest of an identity that is no longer kept.
    """

    def __init__(
        self, machine: ssl.SSLContext | None, on_dropped: Callable[[bytes], None]
    ) -> None:
        self.machine = machine if machine is not None else machine_context()
        self._on_dropped = on_dropped
        self._contexts: OrderedDict[bytes, ssl.SSLContext] = OrderedDict()
        self._used_by: dict[str, bytes] = {}
        """The identity of each subscription's last request."""
        self._users: dict[bytes, set[str]] = {}

    def __len__(self) -> int:
        """Return the number of identities kept."""
        return len(self._contexts)

    def cached(self, identity: TlsIdentity | None) -> ssl.SSLContext | None:
        """Return the context of an identity; None if it must be made."""
        if identity is None:
            return self.machine
        context = self._contexts.get(identity.digest)
        if context is not None:
            self._contexts.move_to_end(identity.digest)
        return context

    async def make(self, identity: TlsIdentity | None) -> ssl.SSLContext:
        """Make the context of an identity in a thread: it takes milliseconds.

        Raises:
            IdentityRefused: The TLS library cannot use it.
        """
        if identity is None:
            return self.machine
        context = await asyncio.to_thread(context_of, identity)
        if not self.is_used(identity):
            # The last subscription that used it has another one now.
            return context
        self._contexts[identity.digest] = context
        if len(self._contexts) > MAX_IDENTITIES:
            oldest, _ = self._contexts.popitem(last=False)
            for each in self._users.pop(oldest, ()):
                del self._used_by[each]
            self._on_dropped(oldest)
        return context

    def is_used(self, identity: TlsIdentity) -> bool:
        """Return whether the last request of any subscription had this identity."""
        return identity.digest in self._users

    def used(self, subscription_id: str, identity: TlsIdentity | None) -> None:
        """Note a subscription's identity; its previous one is dropped if no other subscription has it."""
        digest = None if identity is None else identity.digest
        earlier = self._used_by.get(subscription_id)
        if earlier == digest:
            return
        if earlier is not None:
            users = self._users[earlier]
            users.discard(subscription_id)
            if not users:
                del self._users[earlier]
                self._contexts.pop(earlier, None)
                self._on_dropped(earlier)
        if digest is None:
            self._used_by.pop(subscription_id, None)
        else:
            self._used_by[subscription_id] = digest
            self._users.setdefault(digest, set()).add(subscription_id)
