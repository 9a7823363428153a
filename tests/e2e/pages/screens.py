"""What each screen of the table of pages is opened with on a real console, and what it then shows.

A page without a row here fails the walk.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from hookstream.entry.pages.page import ConsolePage


@dataclass(frozen=True)
class Screen:
    """One screen."""

    says: tuple[str, ...]
    """Regular expressions: its text has all of them, whoever looks."""
    operators: tuple[str, ...] = ()
    """The same, where an operator looks; to a partner it says none of them."""
    query: str = ""
    """Of its path, with the names of what the walk found in braces."""
    place: str = ""
    """The name of what the walk found that `{place}` of its path is."""
    is_file: bool = False
    """Whether a browser keeps it: then `says` is of its first line."""

    def path(self, page: ConsolePage, found: Mapping[str, str]) -> str:
        """Return where it is: what its path names was found by the walk."""
        named = {**found, "place": found.get(self.place, "")}
        path = page.path.format_map({name: quote(each, safe="") for name, each in named.items()})
        query = self.query.format_map({name: quote(each) for name, each in found.items()})
        return f"{path}?{query}" if query else path


_KNOWN = r"index begins at"
SCREENS: dict[str, Screen] = {
    "show_login": Screen((r"Token",)),
    "show_portal_link": Screen((r"opens the pages of partner acme",)),
    "show_overview": Screen(
        (r"Success rate", r"Waiting now", r"refused"),
        (r"Holds in force", r"the morning's incident"),
        "window=24h",
    ),
    "list_subscriptions_page": Screen(
        (r"healthy", r"refused", r"waiting", r"127\.0\.0\.1"), (r"theirs",)
    ),
    "show_subscription": Screen(
        (
            r"Success rate",
            r"Similar errors",
            r"failed_for_good 4\d\d",
            r"Signing secrets",
            r"resend|replay",
            r"Send a test",
        ),
        (r"of acme",),
        "window=24h",
    ),
    "confirm_gap_end": Screen((r"It is .*paused", r"Replay the events of the gap")),
    "edit_subscription": Screen((r"Changes 1 subscription", r"Filter", r"Retries")),
    "new_subscription": Screen((r"Creates 1 subscription", r"order\.generated")),
    "try_event_page": Screen((r"as if it were published now", r"Event, as it is delivered")),
    "recover_page": Screen((r"Replay past events",), query="since=2026-01-01T00:00:00Z"),
    "list_deliveries_page": Screen(
        (r"dead-lettered", r"msg_", r"failed_for_good 400"), (r"of acme",), "subscription=refused"
    ),
    "show_delivery": Screen(
        (r"Event published", r"Attempt 1", r"Dead-lettered", r"Resend began", r"Completed"),
        (r"Worker",),
    ),
    "show_delivery_payload": Screen((r'"type": "pricing\.completed"',)),
    "show_retries": Screen(
        (r"Deliveries that fall due", r"By tier", r"1h"),
        (r"To be matched",),
        "hours=6&subscription=waiting",
    ),
    "list_waiting": Screen((r"msg_", r"breaker|failed"), query="subscription=waiting"),
    "list_dead_letters_page": Screen(
        (r"(?i)open dead letters by last status: \d+", r"400", r"refused", _KNOWN),
        (r"acme",),
        "subscription=refused&group=status",
    ),
    "confirm_redrive": Screen(
        (r"\d+ dead letters", r"Redrives \d+"), query="subscription=refused"
    ),
    "confirm_purge": Screen((r"Purges \d+ dead letters",), query="subscription=refused"),
    "export_dead_letters_page": Screen((r"msg_",), query="subscription=refused", is_file=True),
    "show_dead_letter": Screen(
        (r"Last attempt", r"hs-delivery-id", r'"data"', r"Redrive this one"), place="letter"
    ),
    "show_dead_letters_of_delivery": Screen((r"Given up", r"purged", r'"data"')),
    "list_undecodable_page": Screen((r"Open undecodable records by", r"pricing\.completed")),
    "confirm_undecodable_redrive": Screen((r"Redrives \d+ undecodable",)),
    "confirm_undecodable_purge": Screen((r"Purges \d+ undecodable",)),
    "export_undecodable_page": Screen((r"pricing\.completed",), is_file=True),
    "show_undecodable": Screen((r"still not an event", r"Its value in base64"), place="record"),
    "list_failures_page": Screen(
        (r"failed_for_good 400", r"refused", _KNOWN), (r"Partner",), "state=all"
    ),
    "sum_failures_page": Screen((r"Subscriptions", r"failed_for_good 400"), query="state=all"),
    "show_failure": Screen((r"Newest attempts", r"failed_for_good 400", r"msg_"), (r"of acme",)),
    "explain_event_page": Screen(
        (r"healthy( of acme)?\s+completed", r"refused( of acme)?\s+dead-lettered", r"waiting"),
        (r"theirs", r"Schema"),
        "event={event}&since=2h",
    ),
    "preview_replay_page": Screen(
        (r"\d+ events", r"Events that would be delivered", r"Delivers \d+ events"),
        (r"Not granted",),
        "subscription=healthy&since=2h",
    ),
    "list_jobs_page": Screen((r"replay-", r"redrive-", r"resend-", r"cancelled", r"done")),
    "show_job": Screen(
        (r"cancelled", r"\d+ of \d+", r"Conditions of the job"), (r"by token tok-",)
    ),
    "list_holds_page": Screen((r"the morning's incident", r"order\.generated")),
    "confirm_hold": Screen((r"every endpoint of partner acme",), query="kind=partner&name=acme"),
    "list_partitions_page": Screen((r"retry\.5s/\d", r"pricing\.completed/0", r"Unsettled")),
    "show_partition": Screen((r"Settled above", r"If it is stopped", r"Skips 1 record")),
    "list_partners_page": Screen((r"acme", r"rival", r"<script>alert")),
    "show_partner": Screen(
        (r"The last 30 days", r"healthy", r"Limits", r"partner:manage"), (r"Its history",)
    ),
    "confirm_revocation": Screen((r"partner:manage", r"Revokes 1 token")),
    "show_account": Screen((r"Scope",)),
    "show_access": Screen((r"lnk-", r"ses-", r"live", r"End all access")),
    "list_event_types_page": Screen((r"order\.generated", r"v1, v2", r"pricing\.completed")),
    "show_event_type": Screen(
        (r"What changed from version 1 to 2", r"added|changed|removed", r"A sample"),
        query="version=2&against=1",
    ),
    "list_operations_page": Screen(
        (r"hold\.changed", r"subscription\.changed", r"failures_changed")
    ),
}
"""By the names of handlers."""
