"""The table of pages, in the order of an incident."""

from hookstream.entry.pages.screens import deliveries, delivery, login, overview, subscriptions
from hookstream.entry.pages.site import PageTable

PAGES = PageTable(
    (*login.PAGES, *overview.PAGES, *deliveries.PAGES, *delivery.PAGES, *subscriptions.PAGES)
)
