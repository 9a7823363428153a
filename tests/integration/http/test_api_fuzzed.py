"""Whatever a client sends, the API answers as its OpenAPI document says: never a 500, never a hang."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)
from tests.doubles.api import ApiWorld
from tests.doubles.served import Served

from hookstream.core.access.scopes import Scope
from hookstream.entry.api.dispatch import Dispatcher
from hookstream.entry.api.rates import TokenRates
from hookstream.entry.api.table import TABLE
from hookstream.entry.console.request_threads import RequestThreads

EXAMPLES = 5
"""Of each route."""
WHOLE, MASKED = Scope.ADMIN, Scope.PARTNER_MANAGE
SECONDS = 5.0
"""The longest time that an answer may take."""
TOO_LONG = (413, 414)
"""Refusals that the check of refusals does not know."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


class ServedWorld(Served):
    """The API over tables in memory, served."""

    def __init__(self) -> None:
        self.world = ApiWorld()
        super().__init__(
            Dispatcher(
                TABLE,
                self.world.services,
                RequestThreads(2),
                TokenRates(lambda _: 1e6, lambda: 0.0, operators=1e6),
                self.world.logger,
                lambda: 0.0,
                lambda: "request",
            )
        )


@pytest.fixture(scope="module")
def served() -> Iterator[ServedWorld]:
    served = ServedWorld()
    served.start()
    yield served
    served.stop()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_nothing_that_a_client_sends_is_answered_otherwise_than_documented(
    served: ServedWorld, mode: GenerationMode
) -> None:
    """What is drawn for an administrator is sent as a partner, too, where the partner's document has the route.

    To draw a request takes longer than to send it.
    """
    tokens = {scope: bearer(served.world.tokens[scope]) for scope in Scope}
    documents = {scope: document(served, tokens[scope]) for scope in (WHOLE, MASKED)}
    partners = {each.label: each for each in operations(documents[MASKED])}
    assert len(partners) > 30
    asked = {each.label for each in operations(documents[WHOLE])}
    routes = {f"{each.method} {each.path}" for each in TABLE.routes}
    assert asked == routes - {"GET /openapi.json"}
    for operation in operations(documents[WHOLE]):

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def every(case: schemathesis.Case[Any]) -> None:
            answer = case.call(headers=tokens[WHOLE], timeout=SECONDS)
            negative = mode is GenerationMode.NEGATIVE and answer.status_code not in TOO_LONG
            checks = [*CHECKS, *([negative_data_rejection] if negative else [])]
            case.validate_response(answer, checks=checks, headers=tokens[WHOLE])
            theirs = partners.get(case.operation.label)
            if theirs is not None:
                same = theirs.Case(
                    method=case.method,
                    path_parameters=case.path_parameters,
                    headers=case.headers,
                    query=case.query,
                    body=case.body,
                    media_type=case.media_type,
                )
                answer = same.call(headers=tokens[MASKED], timeout=SECONDS)
                same.validate_response(answer, checks=CHECKS, headers=tokens[MASKED])

        every()
    defects = [line for line in served.world.logger.lines if line[1] == "api.defect"]
    assert defects == []


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def document(served: ServedWorld, headers: dict[str, str]) -> Any:  # noqa: ANN401
    return schemathesis.openapi.from_url(served.url + "/openapi.json", headers=headers)


def operations(found: Any) -> list[Any]:  # noqa: ANN401
    """Return all routes of a document."""
    each = list(found.get_all_operations())
    assert all(isinstance(one, Ok) for one in each)
    return [one.ok() for one in each]
