"""A preview is the answer of a dry run as one word: what was asked, and the offsets that were counted.

The real run that is given it takes exactly these offsets, and nothing newer.
"""

import base64
import json
import zlib
from dataclasses import dataclass
from typing import Final

from hookstream.core.model.json import JsonObject
from hookstream.core.model.row_fields import OBJECT, WrongType
from hookstream.core.replay.extent import Extent, read_extent
from hookstream.core.replay.request import ReplayRequest, read_request
from hookstream.errors import InputRefused

_BEGINS: Final = "replay1."
LONGEST: Final = 120_000
"""The most characters of a token: Linux takes 131,072 bytes for one argument of a command."""
_MOST_BYTES: Final = 2_000_000
"""The most bytes of its JSON: a token may come from anywhere."""


@dataclass(slots=True, frozen=True)
class ReplayPreview:
    """What a dry run counted."""

    request: ReplayRequest
    extent: Extent
    events: int
    """How many events it would replay."""

    def token(self) -> str | None:
        """Return it as one word of letters, digits, `-`, `_` and a dot; None: it would be too long."""
        document = {
            "request": self.request.document(),
            "extent": self.extent.document(),
            "events": self.events,
        }
        text = json.dumps(document, separators=(",", ":")).encode()
        token = _BEGINS + base64.urlsafe_b64encode(zlib.compress(text, 9)).decode().rstrip("=")
        return token if len(token) <= LONGEST and len(text) <= _MOST_BYTES else None


def read_replay_preview(token: str) -> ReplayPreview:
    """Read a preview's token.

    Raises:
        InputRefused: It is none, or of a release that this one cannot read.
    """
    document = _document(token)
    try:
        extent = read_extent(document.get("extent"))
        request = OBJECT.read(document.get("request"))
    except WrongType as why:
        raise InputRefused(f"the preview's token cannot be read: it {why}") from None
    events = document.get("events")
    if not isinstance(events, int) or isinstance(events, bool) or events < 0:
        raise InputRefused("the preview's token cannot be read: it has no count of events")
    return ReplayPreview(read_request(request), extent, events)


def _document(token: str) -> JsonObject:
    whole = "copy the whole word that the dry run printed"
    if len(token) > LONGEST or not token.startswith(_BEGINS):
        raise InputRefused(f"this is not the token of a replay's preview: {whole}")
    text = token.removeprefix(_BEGINS)
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        inflate = zlib.decompressobj()
        found = json.loads(inflate.decompress(packed, _MOST_BYTES))
    except (ValueError, zlib.error, RecursionError):
        raise InputRefused(f"the preview's token is cut or changed: {whole}") from None
    cut = not inflate.eof or inflate.unconsumed_tail or inflate.unused_data
    if not isinstance(found, dict) or cut:
        raise InputRefused(f"the preview's token is cut or changed: {whole}")
    return found
