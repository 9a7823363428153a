"""A number keeps the value of its text."""

import time
from decimal import Decimal

import pytest

from hookstream.core.model.number import (
    NotANumber,
    Number,
    checked,
    key_of_number,
    number_text,
    read_number,
)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("9007199254740993", 9007199254740993),
        ("-9223372036854775808", -(2**63)),
        ("9223372036854775808", Decimal(9223372036854775808)),
        ("0.7", 0.7),
        ("1e3", 1000.0),
        ("1e23", 1e23),
        ("9007199254740993.0", Decimal("9007199254740993.0")),
        ("0.69999999999999999", Decimal("0.69999999999999999")),
        ("1e-400", Decimal("1e-400")),
    ],
)
def test_a_text_is_read_as_the_plainest_number_that_has_its_value(
    text: str, number: Number
) -> None:
    found = read_number(text)
    assert (found, type(found)) == (number, type(number))
    assert read_number(number_text(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "1.2.3",
        "NaN",
        "Infinity",
        "1_0",
        "0x1",
        "1e401",
        "1e-402",
        "1" * 101,
        "1e9999999999",
    ],
)
def test_an_unsupported_number_is_refused(text: str) -> None:
    with pytest.raises(NotANumber):
        read_number(text)


@pytest.mark.parametrize(
    "value",
    [
        True,
        "1",
        None,
        float("nan"),
        float("inf"),
        Decimal("NaN"),
        Decimal("1e1000000"),
        # It cannot be written: more digits than Python converts to text.
        pytest.param(10**5000, id="10^5000"),
    ],
)
def test_a_value_that_is_no_number_that_is_taken_is_refused_at_once(value: object) -> None:
    began = time.process_time()
    with pytest.raises(NotANumber):
        checked(value)
    assert time.process_time() - began < 1


def test_zeros_do_not_count_as_digits() -> None:
    assert read_number("0." + "0" * 200 + "1") == 1e-201
    assert read_number("1" + "0" * 200) == Decimal("1e200")


def test_numbers_of_one_value_have_one_key_and_a_doubles_binary_value_is_another_number() -> None:
    assert key_of_number(1e23) == key_of_number(10**23) == key_of_number(Decimal("1e23"))
    assert key_of_number(0.5) == key_of_number(Decimal("0.50"))
    assert key_of_number(1) == key_of_number(1.0) == key_of_number(Decimal("1.000"))
    assert key_of_number(Decimal(0.1)) != key_of_number(0.1)  # noqa: RUF032  its binary value
    assert key_of_number(Decimal("0.10000000000000001")) == key_of_number(
        Decimal("0.100000000000000010")
    )
