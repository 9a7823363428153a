"""The built-in templates: bodies that Slack, Microsoft Teams and PagerDuty accept."""

from collections.abc import Mapping
from functools import cache
from importlib import resources

import orjson

from hookstream.core.model.json import Json


@cache
def ready_templates() -> Mapping[str, Json]:
    """Return the document of each built-in template by its name."""
    folder = resources.files("hookstream") / "templates"
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    return {
        file.name.removesuffix(".json"): orjson.loads(file.read_bytes())
        for file in files
        if file.name.endswith(".json")
    }
