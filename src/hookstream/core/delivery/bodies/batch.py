"""A batch body is the bodies of several events, in the format that each would have alone.

CloudEvents have a batch format of their own (cloudevents/spec, version 1.0.2, JSON event format,
section 4, and HTTP binding, section 3.3).
"""

from collections.abc import Sequence
from typing import NamedTuple

from hookstream.core.delivery.bodies import standard
from hookstream.core.model.subscription import BodyFormat

BATCH_TYPE = "hookstream.batch"
"""The `type` of a body that holds several `standard` bodies."""


class BatchBody(NamedTuple):
    """What stands around the bodies of a batch's members."""

    opening: bytes
    closing: bytes
    media_type: str

    @property
    def overhead(self) -> int:
        """Bytes of a batch with one member that are not the member's."""
        return len(self.opening) + len(self.closing)

    def of(self, bodies: Sequence[bytes]) -> bytes:
        """Return the body of a batch."""
        return b"".join((self.opening, b",".join(bodies), self.closing))


_STANDARD = BatchBody(
    b'{"type":"' + BATCH_TYPE.encode() + b'","events":[', b"]}", standard.MEDIA_TYPE
)
_CLOUDEVENTS = BatchBody(b"[", b"]", "application/cloudevents-batch+json")


def batch_body(body_format: BodyFormat) -> BatchBody | None:
    """Return what stands around the members of a batch in a format; None: it has no batches."""
    match body_format:
        case BodyFormat.STANDARD:
            return _STANDARD
        case BodyFormat.CLOUDEVENTS:
            return _CLOUDEVENTS
        case BodyFormat.TEMPLATE:
            return None
