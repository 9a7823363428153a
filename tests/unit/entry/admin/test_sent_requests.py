"""What was sent last is told by the audit record, and by the subscription as long as it did not change."""

from dataclasses import replace

from tests.doubles.api import ApiWorld
from tests.doubles.api_records import subscription
from tests.doubles.clock import NOON
from tests.doubles.lives import FIRST, LAST

from hookstream.core.model.subscription import Bearer, Endpoint, Secret, SigningSecret
from hookstream.entry.admin.sent_requests import LastSent, last_sent

SENT = replace(FIRST, started_at=NOON - 5_000)


def last(world: ApiWorld, *entries: object) -> LastSent:
    names = world.settings.topics_names
    found = last_sent(entries, world.services.state(), names.subscriptions)  # type: ignore[arg-type]
    assert found is not None
    return found


def values(found: LastSent) -> dict[str, str]:
    return {each.name: each.value for each in found.request.headers}


def test_the_last_request_is_shown_and_no_end_without_one() -> None:
    world = ApiWorld()
    unsent = replace(LAST, attempt=3, started_at=NOON, outcome=None)
    refused = replace(LAST, attempt=4, started_at=NOON, outcome="refused")
    found = last(world, SENT, unsent, refused)
    assert (found.at, found.attempt, found.version) == (NOON - 5_000, 1, 1)
    names = world.settings.topics_names
    assert last_sent((unsent, refused), world.services.state(), names.subscriptions) is None


def test_a_change_of_the_subscription_after_a_request_is_shown() -> None:
    world = ApiWorld()
    assert last(world, SENT).changed_at == NOON, "its row was written after the request"
    assert last(world, replace(SENT, started_at=NOON + 1)).changed_at is None


def test_secrets_are_named_and_never_shown() -> None:
    world = ApiWorld()
    endpoint = Endpoint(
        "https://partner.example/hush-path",
        (
            SigningSecret("generated", b"hush" * 8),
            SigningSecret("env:OLD", b"hush" * 8, expires_at=NOON - 60_000),
        ),
        headers=(("x-team", "hush-team"),),
        secret_headers=(("x-key", Secret("env:KEY", b"hush-key")),),
        credentials=Bearer(Secret("env:TOKEN", b"hush-token")),
    )
    world.add(replace(subscription("crm"), endpoint=endpoint))
    found = last(world, SENT)
    assert values(found)["webhook-signature"] == "(signed with the secret generated)"
    assert values(found)["authorization"] == values(found)["x-key"] == "(not shown)"
    assert "hush" not in repr(found)


def test_without_its_subscription_a_request_is_shown_by_its_audit_record_alone() -> None:
    world = ApiWorld()
    found = last(world, replace(SENT, subscription_id="forgotten", batch_id="msgb_1"))
    assert (found.is_known, found.changed_at) == (False, None)
    assert values(found)["webhook-id"] == "msgb_1"
    names = world.settings.topics_names
    unread = last_sent((SENT,), None, names.subscriptions)
    assert unread is not None
    assert not unread.is_known


def test_the_run_of_a_job_is_a_header_unless_it_is_a_test() -> None:
    world = ApiWorld()
    replayed = replace(SENT, job_id="replay-1", trigger="replay")
    assert values(last(world, replayed))["hookstream-replay"] == "replay-1"
    tested = replace(replayed, job_id="test-1", trigger="test")
    assert "hookstream-replay" not in values(last(world, tested))


def test_the_host_has_the_port_of_the_endpoint() -> None:
    world = ApiWorld()
    world.add(replace(subscription("crm"), endpoint=Endpoint("https://crm.example:8443/in", ())))
    assert values(last(world, replace(SENT, host="crm.example")))["host"] == "crm.example:8443"
