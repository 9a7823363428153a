"""A template is checked against the published schemas of exactly the versions that it will see."""

import pytest
from tests.doubles.schemas import event_schema, field

from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.ready_templates import ready_templates
from hookstream.core.model.json import Json
from hookstream.core.model.subscription import (
    BodyFormat,
    Endpoint,
    Subscription,
    VersionPin,
)
from hookstream.entry.admin.schema_checks import template_checks, template_losses

BUYER: Json = {
    "type": "record",
    "name": "Customer",
    "fields": [{"name": "name", "type": "string", "default": ""}],
}


def book() -> SchemaBook:
    found = SchemaBook()
    found.publish(event_schema(field("customer", "string")))
    found.publish(event_schema(field("customer", BUYER), version=2))
    return found


def templated(template: Json, pin: VersionPin = 1, *event_types: str) -> Subscription:
    return Subscription(
        "orders",
        "acme",
        Endpoint("https://acme.example/h", ()),
        event_types or ("thing.done",),
        active_from=0,
        versions={"thing.done": pin},
        format=BodyFormat.TEMPLATE,
        template=template,
    )


def problems(template: Json, pin: VersionPin = 1, *event_types: str) -> list[tuple[str, str]]:
    return [*template_checks(book())(templated(template, pin, *event_types))]


NAMED: Json = {"text": "for <$.data.customer>"}
DEEPER: Json = {"text": "for <$.data.customer.name>"}


def test_the_schema_of_the_pinned_version_decides() -> None:
    assert problems(NAMED) == []
    assert problems(DEEPER, 2) == []
    ((place, why),) = problems(NAMED, 2)
    assert place == "text"
    assert "may be an object (thing.done v2)" in why
    ((place, why),) = problems(DEEPER)
    assert place == "text"
    assert "is in no event type asked for (thing.done v1)" in why


def test_latest_means_the_version_that_is_newest_now() -> None:
    assert problems(DEEPER, "latest") == []
    assert len(problems(NAMED, "latest")) == 1


def test_a_prefix_covers_every_type_below_it() -> None:
    assert problems(NAMED, 1, "thing.*") == []
    assert len(problems(DEEPER, 1, "thing.*")) == 1


def test_a_version_that_nobody_published_yet_is_not_checked() -> None:
    assert problems(DEEPER, 3) == []


def test_what_is_no_template_is_a_problem_with_its_place() -> None:
    assert problems({"a": "<$."}) == [
        ("a", "<$. is no path such as <$.data.name>; \\<$. is the text itself")
    ]


def test_another_format_has_no_template_to_check() -> None:
    subscription = Subscription("o", "a", Endpoint("https://a.example", ()), ("thing.done",), 0)
    assert template_checks(book())(subscription) == ()


def lost(template: Json, pin: VersionPin = "latest", *event_types: str) -> list[tuple[str, int]]:
    before = SchemaBook([event_schema(field("customer", "string"))])
    found = template_losses(templated(template, pin, *event_types), before, book())
    return [(event_type, version) for event_type, version, _ in found]


def test_a_template_loses_by_a_new_version_only_if_it_gets_that() -> None:
    assert lost(NAMED) == [("thing.done", 2)]
    assert lost(NAMED, 1) == []
    assert lost(NAMED, "latest", "thing.*", "thing.done") == [("thing.done", 2)]
    assert lost(DEEPER) == []


def test_a_type_that_a_template_did_not_get_before_is_no_loss() -> None:
    found = template_losses(templated(NAMED, "latest", "*"), SchemaBook(), book())
    assert [*found] == []


def test_another_format_loses_nothing() -> None:
    subscription = Subscription("o", "a", Endpoint("https://a.example", ()), ("thing.done",), 0)
    assert [*template_losses(subscription, SchemaBook(), book())] == []


@pytest.mark.parametrize("name", sorted(ready_templates()))
@pytest.mark.parametrize("pin", [1, 2, "latest"])
def test_a_ready_template_fits_every_event_type(name: str, pin: VersionPin) -> None:
    assert problems(ready_templates()[name], pin, "*") == []
