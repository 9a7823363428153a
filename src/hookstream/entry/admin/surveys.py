"""Counts the records that a redrive or purge would take, before anything is changed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hookstream.core.redrive.job import TopicEnds
from hookstream.core.redrive.preview import Preview
from hookstream.core.redrive.selector import Selector
from hookstream.core.redrive.summary import DeadLetterSummary, Tally, summary_of
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.admin.previews import refuse_positions
from hookstream.errors import InputRefused


@dataclass(slots=True)
class Survey:
    """Counts of the records that a redrive or purge would take and leave out."""

    ends: Mapping[int, int]
    """The end offsets of the topic when it was read, or those of a preview."""
    tally: Tally = field(default_factory=Tally)
    left_out: dict[str, int] = field(default_factory=dict)
    """How many records are left out, by the reason."""
    scanned: int = 0
    """Records that were read for it."""
    preview: Preview | None = None
    """What fixes these records, where it was made with the counts."""
    topic_id: str = ""
    """The id of the topic whose ends these are; empty: not known."""

    @property
    def topic_ends(self) -> TopicEnds:
        """Where the topic ended when it was read, or at a preview."""
        return TopicEnds(self.ends, self.topic_id)


@dataclass(slots=True)
class CountBudget:
    """How long a count may take, and how many offsets it has read."""

    seconds: float
    clock: Callable[[], float]
    read: int = 0
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        """Begin to count the time."""
        self._began = self.clock()

    def progress(self, done: int, _total: int) -> None:
        """Count what was read so far; given to whatever reads the topic.

        Raises:
            InputRefused: It takes longer.
        """
        self.read = done
        if self.clock() - self._began > self.seconds:
            raise InputRefused(
                f"counting it takes longer than {self.seconds:g} s: select what is newer (`since`), or do it"
                " without counting"
            )


def nothing_left_out(_: DeadLetterSummary) -> str | None:
    """Leave no selected record out."""
    return None


def survey(
    reader: DeadLetterReader,
    selector: Selector,
    until: TopicEnds | None = None,
    obstacle: Callable[[DeadLetterSummary], str | None] = nothing_left_out,
) -> Survey:
    """Count the open records that are selected.

    Args:
        reader: Reads the topic.
        selector: Which records.
        until: The ends of a preview; None: the present ones.
        obstacle: Why a selected record is left out; None: it is not.

    Raises:
        InputRefused: A mark cannot be read, so it is unknown which records are open; or a position
            that was named is not in the log, or resolved already.
    """
    # The id of the topic first: a job of one that is created again meanwhile takes nothing.
    until = reader.topic_ends() if until is None else until
    ledger, source = reader.ledger(), reader.source
    found = Survey(until.ends, topic_id=until.topic_id)
    refuse_positions(reader, ledger, selector, found.ends)
    for record in reader.records(found.ends):
        found.scanned += 1
        summary = summary_of(record)
        if not ledger.is_open(source, summary.position):
            continue
        if not selector.selects(record.headers, record.timestamp, summary.position):
            continue
        why = obstacle(summary)
        if why is None:
            found.tally.add(summary.group(source), summary.at)
        else:
            found.left_out[why] = found.left_out.get(why, 0) + 1
    return found
