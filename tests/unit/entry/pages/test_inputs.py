"""What a field of a form has is a number only if the API takes it for one."""

import pytest

from hookstream.entry.pages.inputs import decimal_in, number_in

NO_NUMBERS = ["1_0", "\u0663", " 5 ", "5 ", "1e999", "nan", "inf", "-Infinity", "0x1", "5,0", ""]


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_is_no_number_reaches_the_api_as_it_is(text: str) -> None:
    assert (decimal_in(text), number_in(text)) == (text, text)


@pytest.mark.parametrize(
    ("text", "number"), [("5", 5.0), ("0.5", 0.5), ("-2", -2.0), ("1e3", 1000.0)]
)
def test_a_number_is_read(text: str, number: float) -> None:
    assert decimal_in(text) == number
