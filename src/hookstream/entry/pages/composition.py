"""Builds the site of pages over a console's dispatcher."""

from collections.abc import Callable

from hookstream.entry.api.dispatch import RequestReport
from hookstream.entry.api.services import ConsoleServices
from hookstream.entry.api.threads import Threads
from hookstream.entry.pages.asking import DispatchesApi
from hookstream.entry.pages.files import StaticFiles
from hookstream.entry.pages.rendering import PageRendering
from hookstream.entry.pages.sessions import Sessions
from hookstream.entry.pages.site import Site, Surroundings
from hookstream.entry.pages.table import PAGES
from hookstream.pipeline.ports import Logger


def pages_over(
    dispatcher: DispatchesApi,
    services: ConsoleServices,
    sessions: Sessions,
    threads: Threads,
    logger: Logger,
    monotonic: Callable[[], float],
    new_id: Callable[[], str],
    reported: Callable[[RequestReport], None] = lambda _: None,
) -> Site:
    """Return the site, which passes the API's requests on. It loads its templates now, before the first request.

    Args:
        dispatcher: Answers the calls of pages, and all requests that are not for pages.
        services: The console's: only its clock and keys; the data of pages comes from the dispatcher.
        sessions: Of browsers.
        threads: Where pages are rendered.
        logger: The log.
        monotonic: Seconds.
        new_id: Makes ids that nobody can guess.
        reported: Called with each answered request for a page.
    """
    return Site(
        PAGES,
        dispatcher,
        sessions,
        services.keys,
        threads,
        PageRendering(StaticFiles(), new_id),
        Surroundings(
            services.settings.console.name,
            services.current,
            services.now,
            monotonic,
            new_id,
            services.settings.console.trace_url,
        ),
        logger,
        reported,
    )
