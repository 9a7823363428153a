"""What each route of the table takes and answers: a route without a row here fails the tests."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.doubles.api import ApiWorld
from tests.doubles.api_records import (
    OUR_FAILURE,
    OUR_PAST_FAILURE,
    SAMPLE,
    THEIR_FAILURE,
    THEIR_PAST_FAILURE,
    TYPE,
)
from tests.doubles.schemas import ROOT

from hookstream.adapters.file_tree import SentFile, SentTree
from hookstream.entry.admin.schemas import SchemaPublisher
from hookstream.entry.admin.schemas_shown import mark_of

ANY = {"If-Match": "*"}


@dataclass(frozen=True)
class RouteExpectation:
    """One good request to a route, by an administrator or by a partner whose own things it names."""

    status: int
    body: Any = None
    headers: dict[str, str] | None = None
    params: dict[str, str] | None = None
    """The parts of the path, which are of partner acme."""
    foreign: dict[str, str] | None = None
    """The same parts, of partner rival; None: the path names nothing of a partner."""
    operator_body: Any = None
    """What an operator sends instead."""
    query: str = ""
    """The parameters without which the request is not good."""

    def path(self, template: str, params: dict[str, str] | None = None) -> str:
        for name, value in (params or self.params or {}).items():
            template = template.replace("{" + name + "}", value)
        return f"{template}?{self.query}" if self.query else template

    def body_of(self, *, operator: bool) -> Any:  # noqa: ANN401
        return self.operator_body if operator and self.operator_body is not None else self.body


CRM = {"subscription_id": "crm"}
THEIRS = {"subscription_id": "theirs"}
STOPPED = {"topic": "printprice.pricing", "partition": "0"}
VERSION = {"event_type": TYPE, "version": "1"}
NEW: dict[str, Any] = {
    "endpoint": {"url": "https://partner.example/hooks"},
    "event_types": [TYPE],
}


FILES = [
    {
        "path": "pricing.completed/v1.avsc",
        "text": (ROOT / "schemas" / "pricing.completed" / "v1.avsc").read_text(),
    }
]


def mark_of_files() -> str:
    """Return the mark of the plan that publishes the files."""
    folder = Path("/somewhere")
    files = [SentFile(each["path"], each["text"].encode()) for each in FILES]
    publisher = SchemaPublisher(folder, (), SentTree(folder, files))
    return mark_of(publisher.planned(ApiWorld().services.state()))


def of_crm(status: int, body: Any = None, *, changes: bool = False) -> RouteExpectation:  # noqa: ANN401
    return RouteExpectation(status, body, ANY if changes else None, CRM, THEIRS)


def of_job() -> RouteExpectation:
    return RouteExpectation(
        200, params={"job_id": "replay-ours"}, foreign={"job_id": "replay-others"}
    )


def of_link() -> RouteExpectation:
    return RouteExpectation(
        200,
        params={"partner_id": "acme", "link_id": "lnk-ours"},
        foreign={"partner_id": "rival", "link_id": "lnk-theirs"},
    )


def of_session() -> RouteExpectation:
    return RouteExpectation(
        200, params={"session_id": "ses-ours"}, foreign={"session_id": "ses-theirs"}
    )


def of_group(ours: str, theirs: str, body: Any = None) -> RouteExpectation:  # noqa: ANN401
    headers = None if body is None else ANY
    return RouteExpectation(200, body, headers, {"group_id": ours}, {"group_id": theirs})


EXPECTATIONS: dict[str, RouteExpectation] = {
    "get_openapi": RouteExpectation(200),
    "get_me": RouteExpectation(200),
    "create_partner": RouteExpectation(
        201,
        {
            "id": "newcomer",
            "name": "Newcomer",
            "grant": {"event_types": [TYPE], "environments": ["production"]},
        },
    ),
    "list_partners": RouteExpectation(200),
    "get_partner": RouteExpectation(
        200, params={"partner_id": "acme"}, foreign={"partner_id": "rival"}
    ),
    "change_partner": RouteExpectation(
        200, {"limits": {"subscriptions": 3}}, ANY, {"partner_id": "acme"}
    ),
    "delete_partner": RouteExpectation(200, None, ANY, {"partner_id": "lonely"}),
    "release_partner": RouteExpectation(200, None, ANY, {"partner_id": "acme"}),
    "create_token": RouteExpectation(201, {"scope": "partner:read", "partner": "acme"}),
    "list_tokens": RouteExpectation(200),
    "get_token": RouteExpectation(
        200, params={"token_id": "tok-ours"}, foreign={"token_id": "tok-theirs"}
    ),
    "revoke_token": RouteExpectation(
        200, params={"token_id": "tok-ours"}, foreign={"token_id": "tok-theirs"}
    ),
    "make_portal_link": RouteExpectation(201, {}, params={"partner_id": "acme"}),
    "list_portal_links": RouteExpectation(
        200, params={"partner_id": "acme"}, foreign={"partner_id": "rival"}
    ),
    "get_portal_link": of_link(),
    "revoke_portal_link": of_link(),
    "revoke_partner_sessions": RouteExpectation(
        200, params={"partner_id": "acme"}, foreign={"partner_id": "rival"}
    ),
    "list_sessions": RouteExpectation(200),
    "get_session": of_session(),
    "revoke_session": of_session(),
    "list_event_types": RouteExpectation(200),
    "get_event_type": RouteExpectation(
        200, params={"event_type": TYPE}, foreign={"event_type": "quote.requested"}
    ),
    "get_event_type_schema": RouteExpectation(200, params=VERSION),
    "get_event_type_sample": RouteExpectation(200, params=VERSION),
    "list_schemas": RouteExpectation(200),
    "get_schema": RouteExpectation(200, params={"name": TYPE}),
    "plan_schemas": RouteExpectation(200, {"files": FILES}),
    "publish_schemas": RouteExpectation(200, {"files": FILES, "mark": mark_of_files()}),
    "list_mappings": RouteExpectation(200),
    "list_type_origins": RouteExpectation(200),
    "read_events": RouteExpectation(200, {"start": "earliest"}),
    "send_events": RouteExpectation(200, {"topic_prefix": "printprice.", "events": [{"id": "7"}]}),
    "create_subscription": RouteExpectation(
        201, body=NEW, operator_body={**NEW, "partner": "acme"}
    ),
    "list_subscriptions": RouteExpectation(200),
    "get_subscription": of_crm(200),
    "change_subscription": of_crm(200, {"retry": {"expires_after": "1h"}}, changes=True),
    "delete_subscription": of_crm(204, changes=True),
    "get_subscription_keys": of_crm(200),
    "send_subscription_test": of_crm(200, {"wait": 0}),
    "preview_subscription_test": of_crm(200, {}),
    "try_subscription": of_crm(200, {"event": SAMPLE}),
    "rotate_subscription_secret": of_crm(200, {}, changes=True),
    "pause_subscription": of_crm(200, changes=True),
    "resume_subscription": of_crm(200, {}, changes=True),
    "enable_subscription": of_crm(200, {}, changes=True),
    "release_subscription": of_crm(200, changes=True),
    "plan_definitions": RouteExpectation(200, {"definitions": [], "owner": "core"}),
    "apply_definitions": RouteExpectation(200, {"definitions": [], "owner": "core", "marks": {}}),
    "pull_events": of_crm(200),
    "list_deliveries": RouteExpectation(200),
    "get_delivery": RouteExpectation(
        200, params={"delivery_id": "msg_ours"}, foreign={"delivery_id": "msg_theirs"}
    ),
    "get_lane": of_crm(200),
    "list_attempts": RouteExpectation(200),
    "list_pending": RouteExpectation(200),
    "get_pending_histogram": RouteExpectation(200),
    "get_overview": RouteExpectation(200),
    "explain_event": RouteExpectation(200, query="event=e-1"),
    "get_subscription_statistics": of_crm(200),
    "get_statistics_of_each": RouteExpectation(200, query="subscription=crm"),
    "get_partner_statistics": RouteExpectation(
        200, params={"partner_id": "acme"}, foreign={"partner_id": "rival"}
    ),
    "get_statistics": RouteExpectation(200),
    "list_failure_groups": RouteExpectation(200),
    "sum_failure_groups": RouteExpectation(200),
    "get_failure_group": of_group(OUR_FAILURE.id, THEIR_FAILURE.id),
    "acknowledge_failure_group": of_group(OUR_FAILURE.id, THEIR_FAILURE.id, {"note": "we know"}),
    "resolve_failure_group": of_group(OUR_FAILURE.id, THEIR_FAILURE.id, {"note": "mended"}),
    "reopen_failure_group": of_group(
        OUR_PAST_FAILURE.id, THEIR_PAST_FAILURE.id, {"note": "it is back"}
    ),
    "get_status": RouteExpectation(200),
    "get_delivery_payload": RouteExpectation(
        200, params={"delivery_id": "msg_ours"}, foreign={"delivery_id": "msg_theirs"}
    ),
    "resend_delivery": RouteExpectation(
        202, {}, params={"delivery_id": "msg_ours"}, foreign={"delivery_id": "msg_theirs"}
    ),
    "start_replay": of_crm(202, {"since": "2026-11-23T00:00:00Z"}),
    "preview_replay": of_crm(200, {"since": "2026-11-23T00:00:00Z"}),
    "start_redrive": RouteExpectation(202, {"selector": {}}),
    "start_purge": RouteExpectation(202, {"selector": {}, "why": "sent by mail"}),
    "preview_selection": RouteExpectation(200, {"selector": {}}),
    "list_jobs": RouteExpectation(200),
    "get_job": of_job(),
    "cancel_job": of_job(),
    "resume_job": of_job(),
    "list_holds": RouteExpectation(200),
    "set_hold": RouteExpectation(201, {"kind": "endpoint", "name": "crm", "reason": "it burns"}),
    "clear_hold": RouteExpectation(
        200, {"kind": "endpoint", "name": "theirs", "reason": "it is out"}
    ),
    "list_partitions": RouteExpectation(200),
    "get_partition": RouteExpectation(200, params=STOPPED),
    "skip_record": RouteExpectation(
        202, {"offset": 4, "reason": "it cannot be read"}, params=STOPPED
    ),
    "start_partition": RouteExpectation(
        202, {"at": "latest", "reason": "its records are gone"}, ANY, STOPPED
    ),
    "list_dead_letters": RouteExpectation(200),
    "count_dead_letters": RouteExpectation(200),
    "group_dead_letters": RouteExpectation(200, query="by=host"),
    "group_undecodable": RouteExpectation(200, query="by=topic"),
    "export_dead_letters": RouteExpectation(200),
    "export_undecodable": RouteExpectation(200),
    "get_dead_letter": RouteExpectation(200, params={"place": "0@7"}),
    "get_undecodable": RouteExpectation(200, params={"place": "0@7"}),
    "list_dead_letters_of_delivery": RouteExpectation(
        200, params={"delivery_id": "msg_ours"}, foreign={"delivery_id": "msg_theirs"}
    ),
    "list_undecodable": RouteExpectation(200),
    "count_undecodable": RouteExpectation(200),
    "list_operations": RouteExpectation(200),
}
