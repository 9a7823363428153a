"""The route table: every route of the API, in the order in which a partner is onboarded."""

from typing import Any

from hookstream.core.access.scopes import Scope
from hookstream.entry.api.openapi import openapi_document
from hookstream.entry.api.resources import (
    about,
    aside,
    aside_details,
    aside_groups,
    definitions,
    deliveries,
    event_types,
    events,
    explaining,
    exports,
    failures,
    holds,
    job_starts,
    jobs,
    lanes,
    overview,
    partitions,
    partners,
    publishing,
    pulling,
    resending,
    retries,
    schemas,
    sessions,
    statistics,
    status,
    subscription_acts,
    subscription_trials,
    subscriptions,
    tokens,
)
from hookstream.entry.api.routes import ApiAnswer, Call, Route, RouteTable


def get_openapi(call: Call[Any, None]) -> ApiAnswer:
    """Return the OpenAPI document of the routes that the caller may use."""
    document = openapi_document(TABLE, call.caller, about.webhooks_of(call))
    return ApiAnswer(about.shown_openapi(document))


TABLE = RouteTable(
    (
        Route(
            "GET",
            "/openapi.json",
            Scope.PARTNER_READ,
            "Show the OpenAPI document of the routes that the token may use.",
            get_openapi,
            about.OpenApiShown,
            tag="about",
        ),
        *about.ROUTES,
        *partners.ROUTES,
        *tokens.ROUTES,
        *sessions.ROUTES,
        *event_types.ROUTES,
        *schemas.ROUTES,
        *publishing.ROUTES,
        *events.ROUTES,
        *subscriptions.ROUTES,
        *subscription_acts.ROUTES,
        *subscription_trials.ROUTES,
        *lanes.ROUTES,
        *definitions.ROUTES,
        *pulling.ROUTES,
        *deliveries.ROUTES,
        *retries.ROUTES,
        *resending.ROUTES,
        *overview.ROUTES,
        *explaining.ROUTES,
        *statistics.ROUTES,
        *failures.ROUTES,
        *status.ROUTES,
        *job_starts.ROUTES,
        *jobs.ROUTES,
        *aside.ROUTES,
        *aside_groups.ROUTES,
        *aside_details.ROUTES,
        *exports.ROUTES,
        *holds.ROUTES,
        *partitions.ROUTES,
    )
)
