"""What `events tail` shows, `events send` takes: the same bytes, whatever the schema and the values."""

import orjson
from hypothesis import assume, event, given
from tests.doubles.drawn_events import Tools, events

from hookstream.core.model.json import JsonObject
from hookstream.errors import InputRefused


@given(events())
def test_send_encodes_what_tail_shows_to_the_same_bytes(
    drawn: tuple[JsonObject, JsonObject],
) -> None:
    tree, data = drawn
    tools = Tools(tree)
    value = tools.written(data)
    delivered = tools.delivered(value)
    assume(isinstance(delivered, dict))

    shown = tools.shown(value)

    assert isinstance(shown, dict), shown
    assert tools.sent(orjson.dumps(shown)) == value
    event("with names" if shown != delivered else "plain")


@given(events())
def test_names_of_branches_are_written_exactly_where_the_plain_form_is_ambiguous(
    drawn: tuple[JsonObject, JsonObject],
) -> None:
    tree, data = drawn
    tools = Tools(tree)
    value = tools.written(data)
    delivered = tools.delivered(value)
    assume(isinstance(delivered, dict))
    try:
        enough = tools.sent(orjson.dumps(delivered)) == value
    except InputRefused:
        enough = False
    assert (tools.shown(value) == delivered) == enough
