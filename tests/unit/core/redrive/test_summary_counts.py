"""A flood of dead letters is shown in a few lines."""

from hookstream.core.redrive.summary import Group, GroupCount, Tally


def test_dead_letters_are_counted_by_group_the_largest_first() -> None:
    tally = Tally()
    crm, shop = Group("crm", "expired"), Group("shop", "gone")
    for group, at in ((shop, 5), (crm, 9), (crm, 2), (crm, 4)):
        tally.add(group, at)
    assert tally.largest_first() == [(crm, GroupCount(3, 2, 9)), (shop, GroupCount(1, 5, 5))]
    assert tally.records == 4
