"""The shortest text of a 32-bit float, against an oracle that tries every text by exact arithmetic."""

import struct
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hookstream.core.model.single import nearest, shortest


def bits(value: float) -> float:
    found: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return found


def oracle(single: float) -> float:
    """The nearest of the shortest decimals that read back as the float, the even one of two."""
    exact = Decimal(single)
    for digits in range(1, 10):
        around = [
            Context(prec=digits, rounding=way).create_decimal(exact)
            for way in (ROUND_HALF_EVEN, ROUND_FLOOR, ROUND_CEILING)
        ]
        same = [text for text in around if abs(text) < Decimal("3.4028236e38")]
        same = [text for text in same if bits(float(text)) == single]
        if same:
            return float(min(same, key=lambda text: abs(text - exact)))
    raise AssertionError(single)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
@example(bits(3.4028234663852886e38))
@example(bits(1e-45))
def test_the_shortest_text_is_the_one_that_trying_all_of_them_finds(single: float) -> None:
    assert shortest(single) == oracle(single)
    assert bits(shortest(single)) == single


@pytest.mark.parametrize("sign", [1, -1])
def test_shortest_texts_are_right_at_every_power_of_two_and_its_neighbours(sign: int) -> None:
    for exponent in range(-149, 128):
        single = sign * 2.0**exponent
        (pattern,) = struct.unpack("<I", struct.pack("<f", single))
        for near in (pattern - 1, pattern, pattern + 1):
            (value,) = struct.unpack("<f", struct.pack("<I", near))
            assert shortest(value) == oracle(value)


def test_a_number_that_is_no_32_bit_float_means_the_nearest_one() -> None:
    assert (shortest(0.7), shortest(16777217.0), shortest(-0.0)) == (0.7, 16777216.0, 0.0)
    assert nearest(0.7) == 0.699999988079071
    assert [str(shortest(tiny)) for tiny in (1e-60, -1e-60)] == ["0.0", "-0.0"]


def test_a_number_beyond_the_largest_has_none() -> None:
    for too_large in (1e39, -3.5e38):
        with pytest.raises(OverflowError):
            shortest(too_large)
