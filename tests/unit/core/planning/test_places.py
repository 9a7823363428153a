"""A row knows which line of a file declared it, and a line that moves is no change of it."""

from dataclasses import replace

from tests.unit.core.planning.test_plan import ORDERS_FILE, planned

from hookstream.core.model.subscription import Limits, Subscription
from hookstream.core.planning.changes import Create, Unchanged, Update


def test_the_line_of_a_file_is_that_of_the_last_change_and_is_no_change_by_itself() -> None:
    declared = replace(ORDERS_FILE, place="subscriptions/orders.yaml:3")
    [created] = planned(declared).changes
    assert isinstance(created, Create)
    assert isinstance(created.after, Subscription)
    assert created.after.declared_at == "subscriptions/orders.yaml:3"
    moved = replace(declared, place="subscriptions/orders.yaml:9")
    assert planned(moved, subscriptions=[created.after]).changes == (Unchanged(created.after),)
    row = replace(moved.row, limits=Limits(7))
    [changed] = planned(replace(moved, row=row), subscriptions=[created.after]).changes
    assert isinstance(changed, Update)
    assert isinstance(changed.after, Subscription)
    assert changed.after.declared_at == "subscriptions/orders.yaml:9"
