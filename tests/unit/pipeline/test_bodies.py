"""The bodies of an event are made once, whoever asks for them first."""

from tests.doubles.codec import JsonCodec, json_record

from hookstream.core.model.event import Event, Identified
from hookstream.core.model.record import Record
from hookstream.pipeline.work import Bodies

PATHS = frozenset({("data", "pages")})


def test_an_event_is_rendered_once_for_its_filters_and_its_deliveries() -> None:
    codec = JsonCodec({"order.generated": 1})
    written = json_record("order.generated", "e1", data={"pages": 3})
    record = Record(written.topic, 0, 7, 1_000, written.key, written.value, written.headers)
    identified = codec.identify(record)
    assert isinstance(identified, Identified)
    event = codec.decode(identified, record)
    assert isinstance(event, Event)
    bodies = Bodies(codec, event)
    asked = bodies.excerpt(1, PATHS)
    assert isinstance(asked, dict)
    assert asked["data"] == {"pages": 3}
    assert bodies.standard(1) == codec.encode(asked)
    assert bodies.document(1) == asked == bodies.excerpt(1, PATHS)
    assert codec.rendered == 1
