"""The options of `plan` and `apply`; they arrive as one value."""

import click

from hookstream.entry.admin.definitions import PlanRequest
from hookstream.entry.cli.options import as_one

plan_options = as_one(
    "request",
    PlanRequest,
    click.option(
        "--prune", is_flag=True, help="Delete what the folder owns and does not declare any more."
    ),
    click.option("--cascade", is_flag=True, help="Delete a partner's subscriptions with it."),
    click.option(
        "--owner",
        metavar="NAME",
        help="The folder's name, by which it owns what it declares (else hookstream.yaml says it).",
    ),
    click.option(
        "--take-over",
        multiple=True,
        metavar="NAME",
        help="Own from now on what the folder NAME owns and this one declares; repeatable.",
    ),
    click.option(
        "--confirm-delete",
        type=click.IntRange(0),
        metavar="N",
        help="Delete N things, although that is much of what the folder owns.",
    ),
)
"""They arrive as `request`."""
