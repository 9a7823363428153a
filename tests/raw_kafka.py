"""Writes records as the protocol allows them, and no client does: names of headers that are no text, for one.

Speaks Produce version 3 to the one broker of a test. A client library would refuse, mend or crash on
most of what is built here.
"""

import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_PRODUCE = 0
_VERSION = 3
_TIMEOUT = 30.0
_NOT_YET = {3, 5, 6}
"""The broker does not know yet that it leads the topic."""
_BATCH = struct.Struct(">hiqqqhii")
_OVER = struct.Struct(">qiibI")


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_CRC = _crc_table()


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record as it is in a batch: every part is bytes or null."""

    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[bytes, bytes | None]] = ()
    timestamp: int | None = None
    """Milliseconds since the epoch, any 64-bit value; None: 1970 and the broker's own time."""


class RawProducer:
    """One connection to a broker; `write` waits for each batch to be taken."""

    def __init__(self, bootstrap_servers: str) -> None:
        host, _, port = bootstrap_servers.partition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=_TIMEOUT)
        self._correlation = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def write(self, topic: str, records: Sequence[RawRecord], partition: int = 0) -> int:
        """Append records as one batch and return the offset of the first.

        Raises:
            ValueError: The broker refuses the batch, with its error code.
        """
        batch = encode_batch(records)
        patience = 200
        while True:
            error, offset = self._produce(topic, batch, partition)
            patience -= 1
            if not error:
                return offset
            if error not in _NOT_YET or not patience:
                raise ValueError(
                    f"{topic} refused a batch of {len(records)} records: error {error}"
                )
            time.sleep(0.1)

    def _produce(self, topic: str, batch: bytes, partition: int) -> tuple[int, int]:
        """Ask for a batch to be appended; return the error code and the offset of the first record."""
        name = topic.encode()
        body = struct.pack(f">hhiih{len(name)}s", -1, -1, 30_000, 1, len(name), name)
        body += struct.pack(">iii", 1, partition, len(batch)) + batch
        self._correlation += 1
        head = struct.pack(">hhih", _PRODUCE, _VERSION, self._correlation, -1)
        self._socket.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
        (size,) = struct.unpack(">i", self._read(4))
        answer = self._read(size)
        # correlation, topics, the topic's name, partitions, partition, then the requested offset.
        error, offset = struct.unpack_from(">hq", answer, 4 + 4 + 2 + len(name) + 4 + 4)
        return int(error), int(offset)

    def _read(self, size: int) -> bytes:
        read = b""
        while len(read) < size:
            part = self._socket.recv(size - len(read))
            if not part:
                raise ConnectionError("the broker closed the connection")
            read += part
        return read


def encode_batch(records: Sequence[RawRecord]) -> bytes:
    """Return records as one batch of the format 2, uncompressed."""
    times = [record.timestamp or 0 for record in records]
    base = times[0]
    encoded = b"".join(
        _record(position, time - base, record)
        for position, (time, record) in enumerate(zip(times, records, strict=True))
    )
    checked = (
        _BATCH.pack(0, len(records) - 1, base, max(times), -1, -1, -1, len(records)) + encoded
    )
    return _OVER.pack(0, len(checked) + 9, -1, 2, crc32c(checked)) + checked


def crc32c(data: bytes) -> int:
    """Return the Castagnoli checksum that guards a batch."""
    crc = 0xFFFFFFFF
    table = _CRC
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _record(position: int, time: int, record: RawRecord) -> bytes:
    body = b"\0" + _varint(time) + _varint(position) + _bytes(record.key) + _bytes(record.value)
    body += _varint(len(record.headers))
    body += b"".join(_bytes(name) + _bytes(value) for name, value in record.headers)
    return _varint(len(body)) + body


def _bytes(value: bytes | None) -> bytes:
    return _varint(-1) if value is None else _varint(len(value)) + value


def _varint(number: int) -> bytes:
    zigzag = ((number << 1) ^ (number >> 63)) & 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while zigzag > 0x7F:
        out.append((zigzag & 0x7F) | 0x80)
        zigzag >>= 7
    out.append(zigzag)
    return bytes(out)
