"""An act as its form shows it: its effect, and the same request as lines for a terminal."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

API_URL = "$HOOKSTREAM_API__URL"
TOKEN = "$HOOKSTREAM_TOKEN"  # noqa: S105  The name of a variable
REASON = "WHY"
"""The placeholder in lines for a terminal for the reason that the form asks for."""


@dataclass(slots=True, frozen=True)
class PageAct:
    """One act, offered on a page; `show.act` is its form."""

    label: str
    """The label of its button: a verb."""
    says: str
    """Its effect, with a count if it concerns several things."""
    action: str
    """The path that the form is posted to, of the table of pages."""
    method: str
    """Of the API's request."""
    path: str
    """Of the API's request."""
    body: Mapping[str, object] | None = None
    """Of the API's request, without the reason."""
    revision: str = ""
    """The `ETag` of the changed object: sent with the form, and as `If-Match`; empty: the route takes none."""
    command: tuple[str, ...] = ()
    """The same as a command's words after `hookstream`; empty: there is none."""
    reason_field: str = ""
    """The field of the body for the reason; empty: the form asks for none."""
    is_grave: bool = False
    """Whether it stops, drops or deletes something."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Further hidden fields of its form."""

    @property
    def curl(self) -> str:
        """The request as one line for a shell; token and address come from its environment."""
        words = ["curl", "--fail-with-body", "-X", self.method]
        line = " ".join(words) + f' "{API_URL}"{shlex.quote(self.path)}'
        line += f' -H "Authorization: Bearer {TOKEN}"'
        if self.revision:
            line += " -H " + shlex.quote(f"If-Match: {self.revision}")
        body = dict(self.body or {})
        if self.reason_field:
            body[self.reason_field] = REASON
        if self.body is not None or body:
            line += " --json " + shlex.quote(msgspec.json.encode(body).decode())
        return line

    @property
    def command_line(self) -> str:
        """The command as one line for a shell; empty: there is none."""
        return shlex.join(("hookstream", *self.command)) if self.command else ""
