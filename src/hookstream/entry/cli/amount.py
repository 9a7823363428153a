"""A number within bounds, as the type of an option."""

import math

import click


class Amount(click.FloatRange):
    """A number within bounds; click's own range takes `nan`, since every comparison with it is false."""

    def convert(
        self, value: float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number, which is never NaN; anything else ends as a usage error."""
        amount = float(super().convert(value, param, ctx))
        if math.isnan(amount):
            self.fail(f"{value!r} is no number", param, ctx)
        return amount
