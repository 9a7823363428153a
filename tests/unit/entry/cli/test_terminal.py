"""No text from outside moves, colours or reverses what is printed."""

import io
import json
import unicodedata
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from hookstream.core.model.json import Json
from hookstream.core.model.visible_text import shown
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.terminal import Terminal

HOSTILE = "a\x1b[31mred\x1b]0;title\x7f\x9b2J\u202egnp\u2066\u2028z\ud800"
SHOWN = r"a\x1b[31mred\x1b]0;title\x7f\x9b2J\u202egnp\u2066\u2028z\ud800"  # the same, readable


def interpreted(text: str) -> list[str]:
    """The characters that a terminal may interpret, or that end a program which prints them."""
    return [
        char
        for char in text
        if char not in "\n\t" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    ]


def printed(*objects: object, **named: object) -> str:
    out = io.StringIO()
    Terminal(file=out, width=200).print(*objects, **named)
    return out.getvalue()


def test_a_hostile_text_is_shown_escaped_and_not_interpreted() -> None:
    table = Table(box=None, show_header=False)
    table.add_row("reason", HOSTILE)
    table.add_row("styled", Text(HOSTILE, "red"))
    assert shown(HOSTILE) == SHOWN
    assert printed(HOSTILE, markup=False) == f"{SHOWN}\n"
    assert shown("bell\x07 return\r") == r"bell\x07 return\r"
    assert printed(Text(f"first\n{HOSTILE}", "bold")) == f"first\n{SHOWN}\n"
    assert printed(table).count(SHOWN) == 2


def test_a_text_keeps_its_styles_around_what_is_escaped() -> None:
    text = Text("ab\u202ecd")
    text.stylize("bold", 3, 5)
    out = io.StringIO()
    Terminal(file=out, force_terminal=True, color_system="standard").print(text)
    assert out.getvalue() == "ab\\u202e\x1b[1mcd\x1b[0m\n"


@given(st.text())
def test_whatever_a_text_contains_a_terminal_interprets_none_of_it(text: str) -> None:
    assert interpreted(printed(Text(text))) == []
    assert interpreted(printed(text, markup=False)) == []


@pytest.mark.parametrize(
    "document", [{"größe": "\x1b\x7f\x9b\u202e\U000e0001 ok"}, [2**70, "\ud800"], {"a": None}]
)
def test_json_shows_the_same_and_contains_nothing_that_a_terminal_interprets(
    document: Json,
) -> None:
    line = json_line(document).decode()
    assert json.loads(line) == document
    assert interpreted(line) == []


def test_json_keeps_each_number_as_its_text() -> None:
    price = Decimal("12345678901234567890.5")
    assert json_line({"n": [price, 0.1]}) == b'{"n":[12345678901234567890.5,0.1]}'
    assert json.loads(json_line(["\ud800", price]), parse_float=Decimal) == ["\ud800", price]


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists))
def test_any_json_survives_its_line(document: Json) -> None:
    line = json_line(document).decode()
    assert json.loads(line) == document
    assert interpreted(line) == []


LINES = st.lists(
    st.tuples(st.text() | st.just(HOSTILE), st.sampled_from(["", "bold", "red"])), max_size=6
)


@given(LINES, st.sampled_from([{}, {"force_terminal": True, "color_system": "standard"}]))
def test_many_lines_are_printed_as_each_of_them_alone(
    lines: list[tuple[str, str]], kind: dict[str, Any]
) -> None:
    together, alone = io.StringIO(), io.StringIO()
    Terminal(file=together, width=20, **kind).lines(lines)
    for text, style in lines:
        Terminal(file=alone, width=20, **kind).text(text, style)
    assert together.getvalue() == alone.getvalue()


def test_lines_are_printed_however_many_they_are() -> None:
    out = io.StringIO()
    Terminal(file=out).lines((f"line {number}", "red") for number in range(2_500))
    assert out.getvalue().splitlines() == [f"line {number}" for number in range(2_500)]
