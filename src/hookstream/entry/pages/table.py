"""The table of pages, in the order of an incident."""

from hookstream.entry.pages.screens import login, overview, retries, subscriptions, waiting
from hookstream.entry.pages.site import PageTable

PAGES = PageTable(
    (*login.PAGES, *overview.PAGES, *subscriptions.PAGES, *retries.PAGES, *waiting.PAGES)
)
