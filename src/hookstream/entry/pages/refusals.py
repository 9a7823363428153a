"""What a page says of an error that was expected: the problem, and which of its filters are wrong."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from hookstream.entry.api.problems import ProblemDocument, refusal_of
from hookstream.entry.pages.asking import PageProblem
from hookstream.errors import HookstreamError

_NAME = re.compile(r"[a-z_]+")
"""The parameter that a problem's field begins with: `state[0]`."""


@dataclass(slots=True, frozen=True)
class PageRefusal:
    """A refusal."""

    document: ProblemDocument
    retry_after: str = ""
    """Seconds after which a retry may succeed; empty: none are known."""

    def wrong_among(self, filters: Collection[str]) -> dict[str, list[str]]:
        """Return what is wrong with each filter that the problem is about, by its name."""
        document = self.document
        found: dict[str, list[str]] = {}
        problems = [(document.field, document.detail or document.title)]
        for field, detail in problems + [(each.field, each.detail) for each in document.problems]:
            name = _NAME.match(field)
            if name is not None and name[0] in filters:
                said = found.setdefault(name[0], [])
                if detail not in said:
                    said.append(detail)
        return found


def page_refusal(error: HookstreamError) -> PageRefusal | None:
    """Return what a page says of an error; None: it is a defect."""
    if isinstance(error, PageProblem):
        return PageRefusal(error.document, error.retry_after)
    refused = refusal_of(error, by_operator=False)
    if refused is None:
        return None
    return PageRefusal(refused.document(), str(refused.retry_after or ""))
