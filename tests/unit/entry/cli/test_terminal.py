"""No text from outside moves, colours or reverses what is printed."""

import io
import json
import unicodedata
from collections.abc import Iterable
from decimal import Decimal
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text
from tests import strategies

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


@given(strategies.documents(st.none() | st.integers() | st.text()))
def test_any_json_survives_its_line(document: Json) -> None:
    line = json_line(document).decode()
    assert json.loads(line) == document
    assert interpreted(line) == []


_CONSOLES: dict[str, dict[str, object]] = {
    "a pipe": {"soft_wrap": True, "width": 1 << 20},
    "a terminal": {"force_terminal": True, "color_system": "standard", "width": 40},
    "a terminal without colours": {"force_terminal": True, "color_system": None, "width": 40},
}


def terminal(console: str, out: io.StringIO) -> Terminal:
    return Terminal(file=out, markup=False, emoji=False, **_CONSOLES[console])  # type: ignore[arg-type]


def alone(console: str, lines: Iterable[Text]) -> str:
    """Return what is printed of lines of which each is printed alone."""
    out = io.StringIO()
    for line in lines:
        terminal(console, out).text(line)
    return out.getvalue()


def numbered(many: int) -> list[Text]:
    return [Text(f"{number} line " * 9, "bold") for number in range(many)]


@cache
def numbered_alone(console: str, many: int) -> str:
    return alone(console, numbered(many))


@pytest.mark.parametrize("console", _CONSOLES)
@given(
    words=st.lists(
        st.lists(st.text() | st.sampled_from(["\t", "one", "two  ", "\n", HOSTILE]), max_size=3),
        max_size=9,
    ),
    more=st.sampled_from([0, 100, 300]),
)
def test_many_lines_are_printed_as_each_of_them_alone(
    console: str, words: list[list[str]], more: int
) -> None:
    lines = [Text("  ").join(Text(word, "red") for word in line) for line in words]
    together = io.StringIO()
    terminal(console, together).lines([*lines, *numbered(more)])
    assert together.getvalue() == alone(console, lines) + numbered_alone(console, more)


def test_lines_into_a_pipe_that_nobody_reads_end_the_program_as_any_text_does() -> None:
    class Unread(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(text)

    class Ending(Terminal):
        def on_broken_pipe(self) -> None:
            raise SystemExit(1)

    with pytest.raises(SystemExit):
        Ending(file=Unread()).text("one")
    with pytest.raises(SystemExit):
        Ending(file=Unread()).lines([Text("one")])
