"""A number that is taken is delivered as the same number, whatever it is written as; nothing is rounded."""

from fractions import Fraction

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.doubles.drawn_events import Tools
from tests.doubles.schemas import EVENT_ID, event_schema, field

from hookstream.adapters.exact_json import Numeral, parse_exact
from hookstream.core.model.json import Json
from hookstream.errors import InputRefused

KINDS: dict[str, Json] = {
    "int": "int",
    "long": "long",
    "float": "float",
    "double": "double",
    "int or double": ["int", "double"],
    "double or long": ["null", "double", "long"],
    "float or double": ["null", "float", "double"],
    "float or long or string": ["float", "long", "string"],
    "floats": {"type": "array", "items": ["null", "float"]},
}
TOOLS = {name: Tools(event_schema(field("v", kind))) for name, kind in KINDS.items()}

digits = st.text("0123456789", min_size=1, max_size=25)
numbers = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from([2**n + d for n in (23, 24, 25, 30, 31, 53, 54, 63, 127) for d in (-1, 0, 1)]).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr),
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(["", "-"]),
        st.integers(0, 10**12),
        st.just("") | digits.map(lambda some: f".{some}"),
        st.just("") | st.integers(-330, 330).map(lambda power: f"e{power}"),
    ),
)  # fmt: skip


def line(text: str, name: str) -> bytes:
    value = f"[{text}]" if name == "floats" else text
    return (
        f'{{"type":"thing.done","id":"{EVENT_ID}","timestamp":"2026-11-28T08:00:00Z",'
        f'"entity_id":"a","environment":"production","data":{{"v":{value}}}}}'
    ).encode()


@pytest.mark.parametrize("name", KINDS)
@given(text=numbers)
def test_an_accepted_number_is_delivered_as_the_same_number(name: str, text: str) -> None:
    tools = TOOLS[name]
    try:
        sent = tools.sent(line(text, name))
    except InputRefused as refused:
        assert str(refused).startswith("data.v")  # noqa: PT017  # the path is what counts
        return
    delivered = tools.delivered(sent)
    # A long beyond ±(2^53-1) is accepted as it is, and no body can contain it.
    assume(isinstance(delivered, dict))
    assert isinstance(delivered, dict)
    body = parse_exact(orjson.dumps(delivered["data"]))
    assert isinstance(body, dict)
    shown = body["v"][0] if name == "floats" else body["v"]
    assert Fraction(shown.text if isinstance(shown, Numeral) else shown) == Fraction(text)


@pytest.mark.parametrize("name", ["double", "float"])
@given(number=st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_every_number_that_is_delivered_is_accepted_as_it_is(name: str, number: float) -> None:
    tools = TOOLS[name]
    shown = tools.delivered(tools.written({"v": number}))
    assert isinstance(shown, dict)
    assert tools.sent(orjson.dumps(shown)) == tools.written({"v": number})
