"""A workflow automation takes CloudEvents, and starts the flow that is named after the event's type."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from cloudevents.core.exceptions import BaseCloudEventException
from examples.consumers.receiver import Receiver

from hookstream.receiver import BodyRefused


def cloud_event(headers: Mapping[str, str], raw: bytes) -> dict[str, Any]:
    """Read a CloudEvent in structured mode with the CNCF's own library, which checks its attributes."""
    if headers.get("content-type") != "application/cloudevents+json":
        raise BodyRefused(["it is no CloudEvent in structured mode"])
    try:
        read = from_structured_event(HTTPMessage({**headers}, raw))
    except (BaseCloudEventException, ValueError) as problem:
        raise BodyRefused([f"it is no CloudEvent: {problem}"]) from None
    event: dict[str, Any] = json.loads(raw)
    if (read.get_id(), read.get_type(), read.get_data()) != (
        event["id"],
        event["type"],
        event["data"],
    ):
        raise BodyRefused(["the library reads another event"])
    return event


class Automation:
    """Runs of flows, by name."""

    def __init__(self) -> None:
        """Begin with no run."""
        self.runs: Counter[str] = Counter()
        self.receiver = Receiver("automation", self.act, cloud_event)

    def act(self, event: dict[str, Any]) -> None:
        """Start a flow."""
        self.runs[f"on-{event['type'].replace('.', '-')}"] += 1
