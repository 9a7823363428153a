"""What each page of the table takes and shows: a page without a row here fails the tests."""

import json
from dataclasses import dataclass, field

from tests.doubles.access_rows import LINK_TEXTS
from tests.doubles.api_records import (
    OUR_FAILURE,
    OUR_PAST_FAILURE,
    SAMPLE,
    THEIR_FAILURE,
    THEIR_PAST_FAILURE,
)


@dataclass(frozen=True)
class PageExpectation:
    """One good request for a page, by an administrator or by partner acme, whose own things it names."""

    says: str
    """What its text has; of an act, where it leads to."""
    status: int = 200
    params: dict[str, str] = field(default_factory=dict)
    """The parts of the path, which are of partner acme."""
    foreign: dict[str, str] | None = None
    """The same parts, of partner rival; None: the path names nothing of a partner."""
    query: str = ""
    form: dict[str, str] | None = None
    """What is filled into an act's form; None: it is no act."""
    is_file: bool = False
    """Whether it is a file to keep, and no page."""

    def path(self, template: str, params: dict[str, str] | None = None) -> str:
        for name, value in (params or self.params).items():
            template = template.replace("{" + name + "}", value)
        return template + (f"?{self.query}" if self.query else "")


OUR_GROUP = {"group_id": OUR_FAILURE.id}
THEIR_GROUP = {"group_id": THEIR_FAILURE.id}
AT_ANY_REVISION = {"note": "we know", "revision": "*"}
OURS = {"link": LINK_TEXTS["lnk-ours"]}

EVENT = json.dumps(SAMPLE)
CRM = {"subscription_id": "crm"}
THEIRS = {"subscription_id": "theirs"}

EXPECTATIONS: dict[str, PageExpectation] = {
    "show_login": PageExpectation("The browser does not store it", query="to=/ui/subscriptions"),
    "log_in": PageExpectation("is unknown, expired or revoked", 401, form={"token": "hs_adm_no"}),
    "show_portal_link": PageExpectation("opens the pages of partner acme", params=OURS),
    "use_portal_link": PageExpectation("/ui/overview", 303, params=OURS, form={}),
    "log_out": PageExpectation("/ui/login", 303, form={}),
    "show_overview": PageExpectation("Success rate", query="window=24h"),
    "list_dead_letters_page": PageExpectation(
        "msg_ours", query="state=all&subscription=crm&since=2h&group=host"
    ),
    "show_dead_letter": PageExpectation("The record on", params={"place": "0@7"}),
    "show_dead_letters_of_delivery": PageExpectation(
        "Dead letters of msg_ours",
        params={"delivery_id": "msg_ours"},
        foreign={"delivery_id": "msg_theirs"},
    ),
    "confirm_redrive": PageExpectation("0 dead letters", query="subscription=crm&since=2h"),
    "redrive_dead_letters": PageExpectation(
        "/ui/jobs/redrive-", 303, form={"of_subscription": "crm", "rate": "0.5"}
    ),
    "confirm_purge": PageExpectation("0 dead letters", query="subscription=crm"),
    "purge_dead_letters": PageExpectation(
        "/ui/jobs/purge-", 303, form={"of_subscription": "crm", "reason": "sent by mail"}
    ),
    "export_dead_letters_page": PageExpectation(
        '"kind":"end"', query="state=all&subscription=crm&since=2h", is_file=True
    ),
    "list_undecodable_page": PageExpectation(
        "hush-topic", query="state=all&reason=malformed&group=topic"
    ),
    "export_undecodable_page": PageExpectation(
        '"kind":"end"', query="reason=malformed", is_file=True
    ),
    "show_undecodable": PageExpectation("The record on", params={"place": "0@7"}),
    "confirm_undecodable_redrive": PageExpectation(
        "0 undecodable records", query="topic=hush-topic&since=2h"
    ),
    "redrive_undecodable": PageExpectation(
        "/ui/jobs/redrive-", 303, form={"of_reason": "malformed", "rate": ""}
    ),
    "confirm_undecodable_purge": PageExpectation(
        "0 undecodable records", query="reason=malformed"
    ),
    "purge_undecodable": PageExpectation(
        "/ui/jobs/purge-", 303, form={"of_reason": "malformed", "reason": "it was a drill"}
    ),
    "list_failures_page": PageExpectation("answered <n>", query="state=acknowledged&since=2d"),
    "sum_failures_page": PageExpectation("answered <n>", query="state=all"),
    "show_failure": PageExpectation("Newest attempts", params=OUR_GROUP, foreign=THEIR_GROUP),
    "acknowledge_failure": PageExpectation(
        "/ui/failures/fg-", 303, params=OUR_GROUP, foreign=THEIR_GROUP, form=AT_ANY_REVISION
    ),
    "resolve_failure": PageExpectation(
        "/ui/failures/fg-", 303, params=OUR_GROUP, foreign=THEIR_GROUP, form=AT_ANY_REVISION
    ),
    "reopen_failure": PageExpectation(
        "/ui/failures/fg-",
        303,
        params={"group_id": OUR_PAST_FAILURE.id},
        foreign={"group_id": THEIR_PAST_FAILURE.id},
        form=AT_ANY_REVISION,
    ),
    "explain_event_page": PageExpectation("data.total is 5", query="event=e-1&since=2h"),
    "preview_replay_page": PageExpectation(
        "Delivers 43 events of the past", query="subscription=crm&since=2h"
    ),
    "start_replay_page": PageExpectation(
        "/ui/jobs/replay-",
        303,
        form={"subscription": "crm", "since": "2026-11-23T00:00:00Z", "rate": "10"},
    ),
    "list_jobs_page": PageExpectation("replay-ours", query="kind=replay&state=failed"),
    "show_job": PageExpectation(
        "Conditions of the job",
        params={"job_id": "replay-ours"},
        foreign={"job_id": "replay-others"},
    ),
    "cancel_job": PageExpectation(
        "/ui/jobs/replay-ours",
        303,
        params={"job_id": "replay-ours"},
        foreign={"job_id": "replay-others"},
        form={},
    ),
    "resume_job": PageExpectation(
        "/ui/jobs/replay-ours",
        303,
        params={"job_id": "replay-ours"},
        foreign={"job_id": "replay-others"},
        form={},
    ),
    "list_holds_page": PageExpectation("hush-reason"),
    "confirm_hold": PageExpectation(
        "every endpoint of partner acme", query="kind=partner&name=acme"
    ),
    "set_hold_page": PageExpectation(
        "/ui/holds", 303, form={"kind": "endpoint", "name": "crm", "reason": "hush"}
    ),
    "clear_hold_page": PageExpectation(
        "/ui/holds", 303, form={"kind": "endpoint", "name": "theirs", "reason": "hush"}
    ),
    "list_partitions_page": PageExpectation("Unsettled"),
    "show_partition": PageExpectation(
        "Settled above", params={"topic": "printprice.pricing", "partition": "0"}
    ),
    "skip_record_page": PageExpectation(
        "/ui/partitions/",
        303,
        params={"topic": "printprice.pricing", "partition": "0"},
        form={"offset": "4", "reason": "hush"},
    ),
    "start_partition_page": PageExpectation(
        "/ui/partitions/",
        303,
        params={"topic": "printprice.pricing", "partition": "0"},
        form={"at": "latest", "time": "", "reason": "hush", "revision": "*"},
    ),
    "list_partners_page": PageExpectation("acme"),
    "show_partner": PageExpectation(
        "The last 30 days", params={"partner_id": "acme"}, foreign={"partner_id": "rival"}
    ),
    "change_limits": PageExpectation(
        "/ui/partners/acme",
        303,
        params={"partner_id": "acme"},
        form={"subscriptions": "3", "timeout": "10s", "revision": "*"},
    ),
    "make_token": PageExpectation(
        "It is shown only once",
        params={"partner_id": "acme"},
        form={"scope": "partner:read", "label": "their CI"},
    ),
    "confirm_revocation": PageExpectation(
        "partner:read", params={"token_id": "tok-ours"}, foreign={"token_id": "tok-theirs"}
    ),
    "revoke_token_page": PageExpectation(
        "/ui/partners/acme",
        303,
        params={"token_id": "tok-ours"},
        foreign={"token_id": "tok-theirs"},
        form={},
    ),
    "show_account": PageExpectation("Account"),
    "show_access": PageExpectation(
        "ses-ours", params={"partner_id": "acme"}, foreign={"partner_id": "rival"}
    ),
    "make_link": PageExpectation(
        "it opens the pages once", params={"partner_id": "acme"}, form={"scope": "partner:read"}
    ),
    "end_access": PageExpectation(
        "/ui/partners/acme",
        303,
        params={"partner_id": "acme"},
        foreign={"partner_id": "rival"},
        form={},
    ),
    "list_event_types_page": PageExpectation("pricing.completed"),
    "show_event_type": PageExpectation(
        "data.breaks[].unit_price",
        params={"event_type": "pricing.completed"},
        foreign={"event_type": "quote.requested"},
        query="version=1&against=1",
    ),
    "list_operations_page": PageExpectation(
        "Operations events", query="type=hold.changed&since=2h"
    ),
    "show_retries": PageExpectation("Deliveries that fall due within 24 h", query="hours=24"),
    "list_waiting": PageExpectation("msg_ours", query="due_to=2026-11-25T00:00:00Z"),
    "list_deliveries_page": PageExpectation("msg_ours", query="state=pending&subscription=crm"),
    "show_delivery": PageExpectation(
        "Last request",
        params={"delivery_id": "msg_ours"},
        foreign={"delivery_id": "msg_theirs"},
    ),
    "show_delivery_payload": PageExpectation(
        "As it would be rendered today",
        params={"delivery_id": "msg_ours"},
        foreign={"delivery_id": "msg_theirs"},
    ),
    "resend_delivery_page": PageExpectation(
        "/ui/deliveries/msg_ours",
        303,
        params={"delivery_id": "msg_ours"},
        foreign={"delivery_id": "msg_theirs"},
        form={"reason": "their outage is over"},
    ),
    "list_subscriptions_page": PageExpectation("pricing.completed", query="partner=acme"),
    "show_subscription": PageExpectation(
        "What it asks for",
        params=CRM,
        foreign=THEIRS,
        query="window=24h",
    ),
    "pause_subscription_page": PageExpectation(
        "/ui/subscriptions/crm", 303, params=CRM, foreign=THEIRS, form={"revision": "*"}
    ),
    "delete_subscription_page": PageExpectation(
        "/ui/subscriptions", 303, params=CRM, foreign=THEIRS, form={"revision": "*"}
    ),
    "rotate_secret_page": PageExpectation(
        "only once",
        params=CRM,
        foreign=THEIRS,
        form={"overlap": "1h", "revision": "*"},
    ),
    "send_test_page": PageExpectation(
        "Test of crm", params=CRM, foreign=THEIRS, form={"event_type": "pricing.completed"}
    ),
    "confirm_gap_end": PageExpectation(
        "Its gap has 43 events", params={"subscription_id": "paused"}, foreign=THEIRS
    ),
    "end_gap_page": PageExpectation(
        "/ui/subscriptions/paused",
        303,
        params={"subscription_id": "paused"},
        foreign=THEIRS,
        form={"act": "resume", "fill": "", "revision": "*"},
    ),
    "try_event_page": PageExpectation(
        "as if it were published now", params=CRM, foreign=THEIRS, query="event_type=none"
    ),
    "tried_event_page": PageExpectation(
        "It would get this pricing.completed", params=CRM, foreign=THEIRS, form={"event": EVENT}
    ),
    "recover_page": PageExpectation(
        "/ui/replays/new?subscription=crm&since=",
        303,
        params=CRM,
        foreign=THEIRS,
        query="since=2026-11-24T00:00:00Z&until=2026-11-24T11:00:00Z",
    ),
    "edit_subscription": PageExpectation("Changes 1 subscription", params=CRM, foreign=THEIRS),
    "change_subscription_page": PageExpectation(
        "/ui/subscriptions/crm",
        303,
        params=CRM,
        foreign=THEIRS,
        form={"timeout": "9s", "was.timeout": "15s", "revision": "*"},
    ),
    "new_subscription": PageExpectation("Creates 1 subscription", query="partner=acme"),
    "create_subscription_page": PageExpectation(
        "It is shown only once",
        form={
            "partner": "acme",
            "url": "https://partner.example/hooks",
            "event_types": "pricing.completed",
        },
    ),
}
"""By the names of handlers."""
