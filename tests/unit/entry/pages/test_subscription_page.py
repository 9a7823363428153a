"""What the page of a subscription shows, and what its acts say, do and refuse."""

from dataclasses import replace

from tests.doubles.api_records import subscription
from tests.doubles.clock import NOON
from tests.doubles.pages import PagesWorld, logged_in

from hookstream.adapters.telemetry.asked_workers import WorkerLane
from hookstream.core.access.scopes import Scope
from hookstream.core.model.instant import HOUR
from hookstream.core.model.subscription import (
    Endpoint,
    SigningSecret,
    Subscription,
    SubscriptionState,
)
from hookstream.entry.pages.showing import utc

CRM = "/ui/subscriptions/crm"


def row(world: PagesWorld, name: str) -> Subscription:
    found = world.api.services.state().current.subscriptions[name]
    assert isinstance(found, Subscription)
    return found


async def test_the_page_has_numbers_deliveries_attempts_and_the_definition(
    world: PagesWorld,
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_READ])
    shown = await browser.get(CRM)
    for text in (
        "Success rate",
        "Last attempt",
        "Similar errors",
        "msg_ours",
        "suspended 1",
    ):
        assert text in shown.text, text
    assert "https://partner.example" in shown.text
    assert "hush" not in shown.html
    posts = [each.action for each in shown.parsed.forms if each.method == "post"]
    assert posts == ["/ui/logout"]


async def test_numbers_are_of_the_window_that_is_chosen(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_READ])
    for window in ("1h", "24h", "all", "nonsense"):
        shown = await browser.get(f"{CRM}?window={window}")
        chosen = [each["href"] for each in shown.attributes("a") if each.get("aria-current")]
        wanted = "1h" if window == "nonsense" else window
        assert f"{CRM}?window={wanted}" in chosen


async def test_a_pause_says_what_waits_and_its_end_counts_the_gap_and_replays_it(
    world: PagesWorld,
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_MANAGE])
    shown = await browser.get(CRM)
    assert "Deliveries that wait, and keep waiting: 1." in shown.text
    assert "hookstream subscriptions pause crm" in shown.text
    paused = await browser.follow(await browser.submit(shown.form(f"{CRM}/pause")))
    assert "It is paused" in paused.text
    assert row(world, "crm").state is SubscriptionState.PAUSED
    assert f"{CRM}/pause" not in [each.action for each in paused.parsed.forms]
    early = await browser.get(f"{CRM}/gap")
    assert (early.status, "Its gap has" in early.text) == (200, False)
    assert ", and paused from in " in early.text, early.text
    world.api.tables.now += HOUR
    asked = await browser.get(f"{CRM}/gap")
    assert "Its gap has 43 events so far" in asked.text
    assert ", and paused from" not in asked.text
    done = await browser.submit(asked.form(f"{CRM}/gap"), fill="1", rate="50")
    (job,) = [
        each
        for each in world.api.services.jobs()
        if each.asked["subscription"] == "crm" and each.rate
    ]
    assert (done.headers["Location"], job.rate) == (f"/ui/jobs/{job.id}", 50)
    assert row(world, "crm").state is SubscriptionState.ACTIVE


async def test_a_gap_is_left_as_it_is_where_that_is_chosen(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_MANAGE])
    form = (await browser.get("/ui/subscriptions/paused/gap")).form("/ui/subscriptions/paused/gap")
    jobs = len(world.api.services.jobs())
    for wrong in ("fast", "-1", "nan", "inf"):
        refused = await browser.submit(form, rate=wrong)
        assert (refused.status, "rate" in refused.text) == (422, True), wrong
    form.fields.pop("fill")
    done = await browser.follow(await browser.submit(form))
    assert "It is active again" in done.text
    assert len(world.api.services.jobs()) == jobs
    again = await browser.get("/ui/subscriptions/paused/gap")
    assert "it has no gap to end" in (await browser.follow(again)).text


async def test_a_secret_is_replaced_and_shown_once(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_MANAGE])
    form = (await browser.get(CRM)).form(f"{CRM}/rotate-secret")
    made = await browser.submit(form, overlap="2h")
    (secret,) = [word for word in made.text.split() if word.startswith("whsec_")]
    new, old = row(world, "crm").endpoint.secrets
    assert old.expires_at is not None
    assert NOON + 2 * HOUR <= old.expires_at <= NOON + 3 * HOUR
    assert new.id in made.text
    again = await browser.submit(form, overlap="2h")
    assert (secret in again.text, "it is not stored" in again.text) == (False, True)
    assert len(row(world, "crm").endpoint.secrets) == 2
    shown = (await browser.get(CRM)).text
    assert secret not in shown
    assert new.since is not None
    assert f"{new.id} v1 in 2 s {utc(new.since)} it is replaced" in shown
    # The row of the old one is of a release that did not note it.
    assert f"generated v1 not known in 2 h {utc(old.expires_at)}" in shown


async def test_the_secret_of_a_pull_subscription_rotates_on_its_page_too(
    world: PagesWorld,
) -> None:
    """A partner that came by a portal link has no other way."""
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_MANAGE])
    endpoint = Endpoint("", row(world, "crm").endpoint.secrets, is_pull=True)
    world.api.add(replace(subscription("pulled"), endpoint=endpoint))
    shown = await browser.get("/ui/subscriptions/pulled")
    actions = {each.action for each in shown.parsed.forms}
    assert "/ui/subscriptions/pulled/pause" not in actions
    form = shown.form("/ui/subscriptions/pulled/rotate-secret")
    assert (await browser.submit(form)).status == 200
    assert len(row(world, "pulled").endpoint.secrets) == len(endpoint.secrets) + 1


async def test_a_secret_of_a_definition_file_is_not_offered_for_rotation(
    world: PagesWorld,
) -> None:
    """The API refuses that, since the next `apply` would put the old one back."""
    made = row(world, "crm")
    secrets = (SigningSecret("env:CRM_SECRET", bytes(32)),)
    endpoint = replace(made.endpoint, secrets=secrets)
    world.api.add(replace(made, endpoint=endpoint, revision=made.revision + 1))
    shown = {}
    for scope in (Scope.OPERATOR_WRITE, Scope.PARTNER_MANAGE):
        page = await (await logged_in(world, world.api.tokens[scope])).get(CRM)
        assert f"{CRM}/rotate-secret" not in {each.action for each in page.parsed.forms}
        shown[scope] = page.text
    assert (
        "A definition file names env:CRM_SECRET: to rotate it, list" in shown[Scope.OPERATOR_WRITE]
    )
    assert "operator rotates env:CRM_SECRET: ask them" in shown[Scope.PARTNER_MANAGE]
    assert "definition file" not in shown[Scope.PARTNER_MANAGE]


async def test_an_act_on_what_was_changed_meanwhile_is_refused(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_MANAGE])
    shown = await browser.get(CRM)
    world.api.add(replace(row(world, "crm"), revision=row(world, "crm").revision + 1))
    for act in ("pause", "rotate-secret", "delete"):
        refused = await browser.submit(shown.form(f"{CRM}/{act}"))
        assert refused.status == 409, act
    assert row(world, "crm").state is SubscriptionState.ACTIVE


async def test_a_test_is_sent_once_and_says_what_came_of_it(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_MANAGE])
    form = (await browser.get(CRM)).form(f"{CRM}/test")
    sent = await browser.submit(form)
    assert "Test of crm" in sent.text
    await browser.submit(form)
    assert len(world.api.services.tests) == 1


async def test_a_deletion_says_what_it_cancels(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_MANAGE])
    shown = await browser.get(CRM)
    assert "Waiting deliveries that are cancelled: 1." in shown.text
    done = await browser.follow(await browser.submit(shown.form(f"{CRM}/delete")))
    assert "crm is deleted" in done.text
    assert (await browser.get(CRM)).status == 404


async def test_what_files_own_says_so_to_operators_and_is_not_deleted_here(
    world: PagesWorld,
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    shown = await browser.get("/ui/subscriptions/filed")
    where = "in the folder core (subscriptions/hush.yaml:3, when it was last changed)"
    assert f"It is defined in files, {where}" in shown.text
    assert "/ui/subscriptions/filed/delete" not in [each.action for each in shown.parsed.forms]


async def test_what_files_own_is_for_its_partner_managed_by_the_operator(
    world: PagesWorld,
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_MANAGE])
    shown = await browser.get("/ui/subscriptions/filed")
    assert "It is managed by the platform's operator: ask them to change it." in shown.text
    for hidden in ("core", "hush.yaml", "defined in files"):
        assert hidden not in shown.html
    offered = [each.action for each in shown.parsed.forms]
    assert "/ui/subscriptions/filed/delete" not in offered
    assert "/ui/subscriptions/filed/pause" in offered
    links = [each.get("href") for each in shown.attributes("a")]
    assert "/ui/subscriptions/filed/edit" not in links
    assert f"{CRM}/edit" in [each.get("href") for each in (await browser.get(CRM)).attributes("a")]


async def test_one_that_is_pulled_is_neither_tested_nor_paused(world: PagesWorld) -> None:
    pulled = subscription("pulled")
    endpoint = replace(pulled.endpoint, url="", secrets=(), is_pull=True)
    world.api.add(replace(pulled, endpoint=endpoint))
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_MANAGE])
    shown = await browser.get("/ui/subscriptions/pulled")
    acts = [each.action.rpartition("/")[2] for each in shown.parsed.forms if each.method == "post"]
    assert acts == ["logout", "delete"]


async def test_each_link_of_the_page_leads_to_a_page_that_its_reader_may_see(
    world: PagesWorld,
) -> None:
    for scope in (Scope.ADMIN, Scope.PARTNER_READ):
        browser = await logged_in(world, world.api.tokens[scope])
        shown = await browser.get(CRM)
        links = {each["href"] for each in shown.attributes("a") if each["href"][0] == "/"}
        assert "/ui/failures?subscription=crm" in links
        for link in links:
            assert (await browser.get(link)).status == 200, link


async def test_an_operator_sees_each_workers_lane_and_a_partner_its_own_in_sum(
    world: PagesWorld,
) -> None:
    operator = await logged_in(world, world.api.tokens[Scope.OPERATOR_READ])
    shown = (await operator.get(CRM)).text
    for text in (
        "Lane, as the workers report it In flight1 of 8requests",
        "hush-worker-1 hush-worker:9464 1 of 4 (10 at most) 2 5/s at most closed 250 ms",
        "open, probes in 30 s",
        "idle: no work for this subscription for ten minutes, or since the worker started",
        "failing it gave no answer: hush",
    ):
        assert text in shown, text
    partner = await logged_in(world, world.api.tokens[Scope.PARTNER_READ])
    shown = (await partner.get(CRM)).text
    assert "Its lane now In flight1 of 8requests" in shown
    assert "Breakerpartly openprobes in 30 s" in shown
    assert "Not every sender answered" in shown
    assert "worker" not in shown


async def test_the_lane_of_an_idle_subscription_is_idle_and_says_what_it_may(
    world: PagesWorld,
) -> None:
    world.api.services.lanes_said = (WorkerLane("hush-a:1", "hush-a"),)
    operator = await logged_in(world, world.api.tokens[Scope.OPERATOR_READ])
    shown = (await operator.get(CRM)).text
    assert "In flightidleat most 32 in each worker" in shown
    assert "0 of 0" not in shown
    partner = await logged_in(world, world.api.tokens[Scope.PARTNER_READ])
    shown = (await partner.get(CRM)).text
    assert "In flightidleat most 32 Next" in shown
    assert "worker" not in shown


async def test_where_no_worker_is_named_operators_learn_which_setting_does(
    world: PagesWorld,
) -> None:
    world.api.services.lanes_said = ()
    operator = await logged_in(world, world.api.tokens[Scope.OPERATOR_READ])
    assert "the setting console.workers names none" in (await operator.get(CRM)).text
    partner = await logged_in(world, world.api.tokens[Scope.PARTNER_READ])
    assert "The lane's state is not available now" in (await partner.get(CRM)).text
