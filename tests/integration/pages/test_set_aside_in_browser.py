"""What was given up, in a real browser: redriven, purged, resolved and replayed, with scripts and without them."""

import pytest
from playwright.async_api import Browser
from tests.browsers import Look, a_kept_look
from tests.doubles.api_records import OUR_FAILURE
from tests.integration.pages.conftest import ServedPages
from tests.unit.entry.pages.test_set_aside import found

from hookstream.core.access.scopes import Scope
from hookstream.core.jobs.job import Job

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.timeout(300)]

SCRIPTS = pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])


async def shown_job(served: ServedPages, look: Look) -> Job:
    """Return the job whose page is shown."""
    await look.page.wait_for_url("**/ui/jobs/*")
    job = served.world.api.services.job(look.path.rpartition("/")[2])
    assert job is not None
    return job


@SCRIPTS
@pytest.mark.parametrize("path", ["/ui/dead-letters?subscription=crm", "/ui/undecodable"])
async def test_an_operator_redrives_at_a_rate_and_purges_with_a_reason_what_a_filter_has(
    served: ServedPages, chromium: Browser, path: str, *, scripts: bool
) -> None:
    found(served.world, 3)
    async with a_kept_look(chromium, served.url, scripts=scripts) as look:
        await served.let_in(look, Scope.OPERATOR_WRITE)
        await look.open(path)
        await look.page.get_by_role("link", name="Redrive the filtered records").click()
        await look.page.get_by_label("At most per second").fill("5")
        await look.page.get_by_role("button", name="Redrive").click()
        job = await shown_job(served, look)
        assert (job.kind, job.rate) == ("redrive", 5)
        await look.open(path)
        await look.page.get_by_role("link", name="Purge the filtered records").click()
        await look.page.get_by_label("Reason").fill("sent by mail")
        await look.page.get_by_role("button", name="Purge").click()
        job = await shown_job(served, look)
        assert (job.kind, job.asked["why"]) == ("purge", "sent by mail")
        assert look.complaints == []


@SCRIPTS
async def test_a_partner_resolves_a_failure_group_and_reopens_it(
    served: ServedPages, chromium: Browser, *, scripts: bool
) -> None:
    async with a_kept_look(chromium, served.url, scripts=scripts) as look:
        await served.let_in(look, Scope.PARTNER_MANAGE)
        await look.open("/ui/failures")
        await look.page.get_by_role("link", name="failed 503").click()
        assert look.path == f"/ui/failures/{OUR_FAILURE.id}"
        resolve = look.page.locator("form[action$='/resolve']")
        await resolve.get_by_label("Note").fill("mended")
        await resolve.get_by_role("button", name="Resolve").click()
        await look.page.get_by_text("a later error reopens it").first.wait_for()
        assert "mended" in await look.page.locator("main").inner_text()
        await look.page.get_by_role("button", name="Reopen").click()
        await look.page.get_by_text("It is open again").wait_for()
        assert look.complaints == []


@SCRIPTS
async def test_a_replay_is_counted_and_then_begun(
    served: ServedPages, chromium: Browser, *, scripts: bool
) -> None:
    async with a_kept_look(chromium, served.url, scripts=scripts) as look:
        await served.let_in(look, Scope.OPERATOR_WRITE)
        await look.open("/ui/jobs")
        await look.page.get_by_role("link", name="Replay past events").click()
        await look.page.get_by_label("Subscription").fill("crm")
        await look.page.get_by_label("Since").fill("2h")
        await look.page.get_by_role("button", name="Count").click()
        await look.page.get_by_role("button", name="Replay").click()
        job = await shown_job(served, look)
        assert (job.kind, job.asked["subscription"]) == ("replay", "crm")
        assert look.complaints == []


@SCRIPTS
async def test_an_event_id_is_pasted_and_explained(
    served: ServedPages, chromium: Browser, *, scripts: bool
) -> None:
    async with a_kept_look(chromium, served.url, scripts=scripts) as look:
        await served.let_in(look, Scope.PARTNER_READ)
        await look.open("/ui/explain")
        await look.page.get_by_label("Event id").fill("e-1")
        await look.page.keyboard.press("Enter")
        await look.page.get_by_text("data.total is 5").wait_for()
        assert look.path == "/ui/explain?event=e-1&subscription=&since="
        assert look.complaints == []
