"""A span says whose delivery it is about and what became of it, in the words of the log."""

from collections.abc import Mapping
from dataclasses import replace

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.doubles.endpoint import status
from tests.doubles.seeing import FixedChance
from tests.scenarios.world import EVENT_TYPE, World

from hookstream.adapters.telemetry.tracing import SdkTracer
from hookstream.core.audit.trail import canonical_line
from hookstream.core.delivery.identity import delivery_id
from hookstream.core.model.delivery import Trigger
from hookstream.core.model.hold import ALL, Hold, HoldKind
from hookstream.core.model.instant import SECOND
from hookstream.core.model.subscription import SubscriptionState


class Traced:
    """Samples every trace of a world."""

    def __init__(self, world: World) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        tracer = SdkTracer(provider, 1.0, FixedChance(0.0))
        world.altered = lambda outside: replace(outside, tracer=tracer)

    def spans(self, name: str) -> list[ReadableSpan]:
        """Return the finished spans with this first word."""
        finished = self._exporter.get_finished_spans()
        return [span for span in finished if span.name.split()[0] == name]

    def said(self, name: str, subscription_id: str) -> list[Mapping[str, object]]:
        """Return the `hookstream.` attributes of a subscription's spans, without the prefix."""
        return [
            found
            for found in map(_of_hookstream, self.spans(name))
            if found.get("subscription.id") == subscription_id
        ]


def _of_hookstream(span: ReadableSpan) -> Mapping[str, object]:
    prefix = "hookstream."
    return {
        name.removeprefix(prefix): value
        for name, value in (span.attributes or {}).items()
        if name.startswith(prefix)
    }


def whose(subscription_id: str, event_id: str = "e1") -> dict[str, object]:
    return {
        "subscription.id": subscription_id,
        "partner.id": "acme",
        "delivery.id": delivery_id(EVENT_TYPE, event_id, subscription_id),
        "event.type": EVENT_TYPE,
        "event.id": event_id,
    }


async def test_every_span_names_the_subscription_of_two_whose_delivery_it_is() -> None:
    async with World() as world:
        traced = Traced(world)
        world.subscribe("crm", schedule=(5 * SECOND,))
        world.subscribe("mis")
        world.endpoints.script("crm", status(500), status(204))
        await world.worker()
        world.publish("e1")
        await world.until(world.settled)

        assert traced.said("POST", "mis") == [
            whose("mis") | {"attempt": 1, "trigger": "initial", "disposition": "complete"}
        ]
        assert traced.said("POST", "crm") == [
            whose("crm") | {"attempt": 1, "trigger": "initial", "disposition": "retry"},
            whose("crm") | {"attempt": 2, "trigger": "retry", "disposition": "complete"},
        ]
        assert traced.said("send", "crm") == [
            whose("crm") | {"attempt": 1, "trigger": "retry", "disposition": "retry"}
        ]
        assert traced.said("process", "crm") == [whose("crm") | {"attempt": 1, "trigger": "retry"}]
        of_the_event = {"event.type": EVENT_TYPE, "event.id": "e1"}
        assert of_the_event in [_of_hookstream(span) for span in traced.spans("process")]


async def test_a_deferral_and_a_dead_letter_give_their_reasons() -> None:
    async with World() as world:
        traced = Traced(world)
        world.subscribe("crm", schedule=())
        world.endpoints.script("crm", status(410))
        world.directory.holds.put(Hold(HoldKind.EVERYTHING, ALL, 0, "a deploy"))
        await world.worker()
        world.publish("e1")
        await world.until(lambda: world.metrics.deferrals["held"] == 1)
        world.directory.holds.drop(HoldKind.EVERYTHING, ALL)
        await world.until(lambda: world.dead() != [])

        first, last = traced.said("send", "crm")[0], traced.said("send", "crm")[-1]
        assert first == whose("crm") | {
            "attempt": 0,
            "trigger": "initial",
            "disposition": "defer",
            "defer.reason": "held",
        }
        assert last == whose("crm") | {
            "attempt": 1,
            "trigger": "initial",
            "disposition": "dead_letter",
            "dead_letter.reason": "gone",
        }


async def test_a_cancelled_delivery_has_a_span_that_says_so() -> None:
    async with World() as world:
        traced = Traced(world)
        crm = world.subscribe("crm", schedule=(5 * SECOND,))
        world.endpoints.script("crm", status(500))
        await world.worker()
        world.publish("e1")
        await world.until(lambda: len(world.tier_writes()) == 1)
        world.directory.put_subscription(replace(crm, state=SubscriptionState.DELETED))
        await world.until(world.settled)

        assert traced.said("cancel", "crm") == [
            whose("crm") | {"attempt": 1, "trigger": "retry", "disposition": "cancel"}
        ]


async def test_a_log_line_names_the_span_of_its_attempt() -> None:
    async with World() as world:
        traced = Traced(world)
        world.subscribe("crm")
        await world.worker()
        world.publish("e1")
        await world.until(world.settled)

        (record,), (post,) = world.logger.attempts, traced.spans("POST")
        line, context = canonical_line(record), post.get_span_context()
        assert context is not None
        assert (line["trace_id"], line["span_id"]) == (
            f"{context.trace_id:032x}",
            f"{context.span_id:016x}",
        )
        attributes = _of_hookstream(post)
        assert {name.replace(".", "_"): value for name, value in attributes.items()}.items() <= (
            line.items()
        )
        assert record.delivery.trigger is Trigger.INITIAL
