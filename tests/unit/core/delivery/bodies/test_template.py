r"""A template's paths become values; what is no template is refused with its place."""

from collections.abc import Callable
from decimal import Decimal
from functools import reduce

import pytest

from hookstream.adapters.json_bytes import json_bytes
from hookstream.adapters.ready_templates import ready_templates
from hookstream.core.delivery.bodies.template import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_PATHS,
    TemplateRefused,
    compile_template,
)
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.outcome import RefusalReason, Refused

DOCUMENT: JsonObject = {
    "type": "order.generated",
    "version": 2,
    "id": "evt-1",
    "entity_id": 'order "9"',
    "data": {
        "order_number": 4711,
        "total": "12.50",
        "ratio": 0.1,
        "express": False,
        "note": None,
        "who": "<!channel> & co",
        "lines": [{"sku": "a"}],
        "customer": {"name": "Ada"},
    },
}


def rendered(
    template: Json,
    document: JsonObject = DOCUMENT,
    *,
    reveal: Callable[[str], str | None] = {"key": 's"3'}.get,
    most: int = 1_000_000,
) -> bytes | Refused:
    return compile_template(template).render(document, json_bytes, reveal, most)


def leaf(text: Json) -> bytes | Refused:
    """Render one text, and return the JSON text that it becomes."""
    body = rendered([text])
    return body[1:-1] if isinstance(body, bytes) else body


def refusal(template: Json) -> str:
    with pytest.raises(TemplateRefused) as refused:
        compile_template(template)
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<$.data.order_number>", b"4711"),
        ("<$.data.total>", b'"12.50"'),
        ("<$.data.ratio>", b"0.1"),
        ("<$.data.express>", b"false"),
        ("<$.data.note>", b"null"),
        ("<$.data.lines>", b'[{"sku":"a"}]'),
        ("<$.data.customer>", b'{"name":"Ada"}'),
        ("<$.data.customer.name>", b'"Ada"'),
        ("<$.entity_id>", b'"order \\"9\\""'),
    ],
)
def test_a_text_that_is_one_path_becomes_the_value_with_its_type(
    text: str, expected: bytes
) -> None:
    assert leaf(text) == expected


@pytest.mark.parametrize(
    "path", ["data.nothing", "nothing", "data.total.cents", "data.lines.sku", "data.note.more"]
)
def test_an_absent_value_is_null_alone_and_empty_within_text(path: str) -> None:
    assert leaf(f"<$.{path}>") == b"null"
    assert leaf(f"[<$.{path}>]") == b'"[]"'


def test_within_text_each_value_stands_as_its_text() -> None:
    text = "n <$.data.order_number> r <$.data.ratio> b <$.data.express> z <$.data.note> t <$.data.total>"
    assert leaf(text) == b'"n 4711 r 0.1 b false z  t 12.50"'


def test_two_paths_without_anything_between_are_text() -> None:
    assert leaf("<$.version><$.data.order_number>") == b'"24711"'


@pytest.mark.parametrize(
    ("text", "kind"), [("see <$.data.customer>", "an object"), ("<$.data.lines>!", "a list")]
)
def test_an_object_or_list_within_text_is_not_renderable(text: str, kind: str) -> None:
    found = rendered({"note": {"text": text}})
    assert isinstance(found, Refused)
    assert found.reason is RefusalReason.NOT_RENDERABLE
    assert found.detail.startswith("template at note.text: <$.data.")
    assert kind in found.detail


def test_a_filter_is_for_texts_so_it_takes_no_object() -> None:
    found = leaf("<$.data.customer|slack>")
    assert isinstance(found, Refused)
    assert "<$.data.customer|slack> is an object" in found.detail


def test_slacks_filter_escapes_texts_and_nothing_else() -> None:
    assert leaf("<$.data.who|slack>") == b'"&lt;!channel&gt; &amp; co"'
    assert leaf("hi <$.data.who|slack>") == b'"hi &lt;!channel&gt; &amp; co"'
    assert leaf("<$.data.order_number|slack>") == b"4711"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\<$.id>", rb'"<$.id>"'),
        (r"\\<$.id>", rb'"\\evt-1"'),
        (r"\\\<$.id>", rb'"\\<$.id>"'),
        (r"\ \\ <$.id>\\", rb'"\\ \\\\ evt-1\\\\"'),
        ("<$id> <.id> <$> $.id <$", b'"<$id> <.id> <$> $.id <$"'),
    ],
)
def test_a_backslash_makes_a_path_literal(text: str, expected: bytes) -> None:
    assert leaf(text) == expected


def test_keys_and_values_without_a_path_stay_as_they_are() -> None:
    template: Json = {
        "a": [1, 0.1, True, None, "x\n\u2028"],
        'k"': {},
        "deep": {"secret": "key", "more": 1},
    }
    assert rendered(template) == json_bytes(template)


def test_numbers_of_a_template_stay_exact() -> None:
    template: Json = {"long": Decimal("12345678901234567890.123456789"), "big": 2**63}
    assert (
        rendered(template) == b'{"long":12345678901234567890.123456789,"big":9223372036854775808}'
    )


def test_a_secret_stands_in_the_body_and_in_no_repr() -> None:
    template: Json = {"routing_key": {"secret": "key"}}
    assert compile_template(template).secrets == {"key"}
    assert rendered(template) == b'{"routing_key":"s\\"3"}'


def test_a_secret_that_the_subscription_lacks_is_not_renderable() -> None:
    found = rendered({"routing_key": {"secret": "other"}})
    assert isinstance(found, Refused)
    assert found.reason is RefusalReason.NOT_RENDERABLE
    assert "no secret other" in found.detail


def test_a_body_of_exactly_the_bound_is_made_and_none_beyond_it() -> None:
    whole = rendered({"a": "<$.data.lines>"})
    assert isinstance(whole, bytes)
    assert rendered({"a": "<$.data.lines>"}, most=len(whole)) == whole
    found = rendered({"a": "<$.data.lines>"}, most=len(whole) - 1)
    assert isinstance(found, Refused)
    assert found.reason is RefusalReason.BODY_TOO_LARGE


def test_rendering_ends_where_the_bound_is_exceeded() -> None:
    encoded: list[Json] = []

    def counting(value: Json) -> bytes:
        encoded.append(value)
        return json_bytes(value)

    template = compile_template(["<$.data>"] * MAX_PATHS)
    document: JsonObject = {"data": "x" * 1_000}
    assert isinstance(template.render(document, counting, lambda _: None, 3_500), Refused)
    assert len(encoded) == 4


@pytest.mark.parametrize(
    ("template", "place", "why"),
    [
        ("<$.id>", "its top", "must be a mapping or a list"),
        (7, "its top", "must be a mapping or a list"),
        ({"a": "<$.data"}, "a", "<$.data is no path"),
        ({"a": "<$.>"}, "a", "<$.> is no path"),
        ({"a": "<$.a..b>"}, "a", "is no path"),
        ({"a": ["", "<$.data.a b>"]}, "a[1]", "is no path"),
        ({"a": "<$.id|slak>"}, "a", "there is no filter slak (did you mean slack?)"),
        ({"a": "<$.id|>"}, "a", "there is no filter"),
        ({"a": {"secret": 7}}, "a.secret", "must be the name of a secret"),
        ({"a": {"secret": ""}}, "a.secret", "must be the name of a secret"),
        ({"<$.id>": 1}, "<$.id>", "only values may hold paths"),
        ({"a": "\ud800"}, "a", "half of a surrogate pair"),
        ({"\ud800": 1}, "\\ud800", "half of a surrogate pair"),
        ({"a": {"secret": "a b"}}, "a.secret", "must be the name of a secret"),
        ({"a": float("nan")}, "a", "is not finite"),
        ({"a": f"<${'.a' * 33}>"}, "a", "a path has 33 names; at most 32 are taken"),
    ],
)
def test_what_is_no_template_is_refused_with_its_place(
    template: Json, place: str, why: str
) -> None:
    found = refusal(template)
    assert found.startswith(f"template at {place}: ")
    assert why in found


def nested(depth: int) -> Json:
    return reduce(lambda inner, _: [inner], range(depth - 1), [])  # type: ignore[arg-type, return-value]


def test_a_template_nested_too_deeply_is_refused() -> None:
    assert rendered(nested(MAX_DEPTH)) == b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    assert f"nested more than {MAX_DEPTH} deep" in refusal(nested(MAX_DEPTH + 1))
    assert "deep" in refusal(nested(100_000))


def test_a_template_with_too_many_paths_is_refused() -> None:
    assert rendered(["<$.version>"] * MAX_PATHS) == b"[" + b",".join([b"2"] * MAX_PATHS) + b"]"
    assert f"at most {MAX_PATHS} are taken" in refusal(["<$.version>"] * (MAX_PATHS + 1))


@pytest.mark.parametrize("letter", ["x", "ü", "\\", '"', "\x00", "<", "<$"])
def test_bytes_are_counted_as_they_are_written(letter: str) -> None:
    each = len(json_bytes(letter)) - 2
    most = (MAX_BYTES - 4) // each
    assert isinstance(rendered([letter * most]), bytes)
    assert f"first {MAX_BYTES} bytes" in refusal([letter * (most + 1)])


def test_a_document_that_shares_its_parts_is_counted_as_it_is_written() -> None:
    """YAML's anchors make a document whose text is exponential in its size."""
    shared: Json = ["lol"]
    for _ in range(MAX_DEPTH - 1):
        shared = [shared] * 9
    assert f"first {MAX_BYTES} bytes" in refusal(shared)


def test_every_ready_template_is_one_and_names_what_every_event_has() -> None:
    assert list(ready_templates()) == ["pagerduty", "slack", "teams"]
    always = {"type", "id", "environment", "entity_id", "timestamp", "version", "data"}
    for document in ready_templates().values():
        template = compile_template(document)
        assert {placeholder.path[0] for placeholder in template.placeholders} <= always
        assert all(len(placeholder.path) == 1 for placeholder in template.placeholders)


def test_slacks_ready_template_escapes_every_value() -> None:
    template = compile_template(ready_templates()["slack"])
    assert {placeholder.filter for placeholder in template.placeholders} == {"slack"}


def test_pagerdutys_ready_template_has_its_key_from_a_secret() -> None:
    assert compile_template(ready_templates()["pagerduty"]).secrets == {"routing_key"}
