"""Two releases run side by side while an upgrade rolls: each reads what the other writes.

`before.json` was written by the previous release, with what that release reads from it;
`now.json` was written by this one, with what the *previous* release read from it when this was changed.
"""

import json
import re
from typing import Any

import pytest
from tests.compatibility.formats import covered, read
from tests.compatibility.specimens import specimens
from tests.conftest import ROOT

from hookstream.core.matching.directory import Directory
from hookstream.core.model.subscription import Grant, Partner, UnreadableSubscription

FOLDER = ROOT / "tests" / "compatibility"
NOW: dict[str, Any] = json.loads((FOLDER / "now.json").read_text(encoding="utf-8"))
NOT_READ = re.compile(r"subscription: format 3, .*")
"""The previous release must not read such a row: it would send without credentials, or another body."""
MATCHES_NOTHING: dict[str, tuple[str, list[str]]] = {
    "subscription: format 4, pull": ("UnreadableSubscription", []),
    "subscription: format 4, pull, deleted": ("Subscription", []),
}
"""What the previous release takes such a row for: by its envelope it asks for nothing, so nothing is matched
or deferred there, and no command of that release writes it."""
OF_ANOTHER_KIND = "job: of another kind"
"""The previous release leaves such a row alone."""
STARTED = "subscription: started in the past"
"""The previous release takes the gap for that of a pause, which ended before the subscription is active."""
IGNORED = re.compile(r"schemas row: a mapping")
"""The previous release refuses such a row, logs it, and reads on."""
REFUSED = {
    "tier record of an event for one subscription": ("HeaderProblem", "UnmatchedEvent"),
    "audit record: of a replay": ("EntryProblem", "AuditEntry"),
}
"""What the previous release takes for unreadable, and what it is: such an event is set aside, where it would
otherwise reach everybody, and such an entry is counted."""
BEFORE: dict[str, Any] = json.loads((FOLDER / "before.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", BEFORE)
def test_what_the_previous_release_wrote_is_read_with_its_meaning(name: str) -> None:
    expected = BEFORE[name]
    assert covered(expected["read"], read(name, expected["is"])) == []


def test_what_is_written_is_what_the_previous_release_was_tested_with() -> None:
    """If this fails, let the previous release read the new specimens, and check its results."""
    assert {name: json.loads(json.dumps(each)) for name, each in specimens().items()} == {
        name: each["is"] for name, each in NOW.items()
    }


@pytest.mark.parametrize("name", NOW)
def test_the_previous_release_reads_what_is_written_with_its_meaning(name: str) -> None:
    found, meant = NOW[name]["read"], read(name, NOW[name]["is"])
    if NOT_READ.fullmatch(name):
        # The deliveries wait there.
        assert isinstance(found, dict)
        assert found["is"] == "UnreadableSubscription"
        assert "a newer release wrote it" in str(found["why"])
        assert isinstance(meant, dict)
        assert meant["is"] == "Subscription"
        return
    if name in MATCHES_NOTHING:
        assert isinstance(found, dict)
        assert (found["is"], found["event_types"]) == MATCHES_NOTHING[name]
        return
    if name == OF_ANOTHER_KIND:
        assert found is None
        assert isinstance(meant, dict)
        assert meant["kind"] == "replay"
        return
    if IGNORED.fullmatch(name):
        assert found == {"refused": True, "types": {}}
        assert meant == {"refused": False, "types": {}}
        return
    if name == STARTED:
        assert isinstance(found, dict)
        assert isinstance(meant, dict)
        [gap], [started] = found.pop("gaps"), meant.pop("gaps")
        assert (gap["start"], gap["end"]) == (started["start"], started["end"])
        assert (gap["reason"], started["reason"]) == ("paused", "started")
    if name in REFUSED:
        assert isinstance(found, dict)
        assert isinstance(meant, dict)
        assert (found["is"], meant["is"]) == REFUSED[name]
        return
    if name == "mark: of a purge":
        # What it cannot read makes its redrives refuse to start.
        assert (found, meant == NOW["mark"]["read"] | {"job": "purge-1"}) == (None, True)
        return
    # What this release added, the previous one omits.
    assert covered(found, meant) == []


def test_a_time_that_rfc_3339_cannot_name_is_the_same_to_both_releases() -> None:
    name = "tier record: a time that RFC 3339 cannot name"
    assert NOW[name]["read"]["origin"][3] == 1_795_854_458_871_000


def test_a_row_that_asks_for_nothing_is_matched_by_no_worker_of_the_previous_release() -> None:
    """It is matched by its envelope, which that release has in common with this one."""
    found = dict(NOW["subscription: format 4, pull"]["read"])
    del found["is"]
    directory = Directory()
    directory.put_partner(Partner("acme", "Acme", Grant(("*",), ("*",))))
    directory.put_subscription(UnreadableSubscription(**{**found, "event_types": ()}))
    assert not directory.has_subscribers("pricing.completed", found["active_from"] + 1)
    meant = read("subscription", NOW["subscription: format 4, pull"]["is"])
    assert isinstance(meant, dict)
    assert meant["event_types"] == ["pricing.*", "order.generated"]


def test_a_difference_is_found_wherever_it_is() -> None:
    expected = {"a": [1, {"b": None}], "c": "x"}
    assert covered(expected, {"a": [1, {"b": None, "new": 2}], "c": "x", "d": 1}) == []
    assert covered(expected, {"a": [1, {"b": 0}], "c": "x"}) == ["$.a[1].b is 0, not null"]
    assert covered(expected, {"a": [1.0, {"b": None}], "c": "x"}) == ["$.a[0] is 1.0, not 1"]
    assert covered(expected, {"a": [1], "c": "x"}) == ['$.a is [1], not [1, {"b": null}]']
    assert covered(expected, {"a": [1, {"b": None}]}) == ["$.c is missing"]
