"""A schema registry with Confluent's API over HTTP on loopback, that can be made to fail in any way.

It answers as Apicurio 3.3.3 does under `/apis/ccompat/v7`: `tests/e2e/registries` tries what is relied on
against that.
"""

import asyncio
import json
import ssl
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import unquote

from aiohttp import web

from hookstream.core.model.json import JsonObject


@dataclass(frozen=True, slots=True)
class Kept:
    """One schema of the registry."""

    text: str
    references: list[JsonObject] = field(default_factory=list)
    kind: str | None = None

    @property
    def shown(self) -> JsonObject:
        body: JsonObject = {"schema": self.text}
        if self.references:
            body["references"] = [*self.references]
        if self.kind is not None:
            body["schemaType"] = self.kind
        return body


class RegistryServer:
    """The server, within `async with`."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.schemas: dict[str, Kept] = {}
        """By id or GUID."""
        self.subjects: dict[tuple[str, int], Kept] = {}
        self.registered: dict[str, list[str]] = {}
        """By subject, the ids of its schemas."""
        self.answer: web.Response | None = None
        """What it answers to everything, if it is set."""
        self.takes = 0.0
        """Seconds before it answers."""
        self.authorization: str | None = None
        """The header that it demands."""
        self.asked: Counter[str] = Counter()
        self._tls = tls
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"{'https' if self._tls else 'http'}://{host}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def put(self, schema_id: str, tree: object, *references: JsonObject) -> None:
        """Keep a schema under an id or a GUID."""
        self.schemas[schema_id] = Kept(json.dumps(tree), [*references])

    def refer(
        self, subject: str, version: int, tree: object, *references: JsonObject
    ) -> JsonObject:
        """Keep a schema under a subject and version, and return the reference to it."""
        self.subjects[subject, version] = Kept(json.dumps(tree), [*references])
        return {"name": subject, "subject": subject, "version": version}

    async def _handle(self, request: web.Request) -> web.Response:
        self.asked[request.path] += 1
        await asyncio.sleep(self.takes)
        if self.answer is not None:
            return _copy(self.answer)
        if self.authorization not in (None, request.headers.get("Authorization")):
            return _error(401, 40101, "Unauthorized")
        match [unquote(part) for part in request.rel_url.raw_path.split("/")[1:]]:
            case ["schemas", "ids" | "guids" as kind, schema_id]:
                kept = self.schemas.get(schema_id)
                if kept is None and kind == "guids":
                    # As Apicurio, which has no such path.
                    return web.Response(status=404)
                missing = (40403, f"Schema {schema_id} not found")
            case parts if request.method == "POST":
                return self._posted(parts, await request.json())
            case ["subjects", subject, "versions", version]:
                kept = self.subjects.get((subject, int(version)))
                missing = (40401, f"Subject '{subject}' not found.")
            case _:
                return web.Response(status=404, text="<html>nothing here</html>")
        return _error(404, *missing) if kept is None else _json(200, kept.shown)

    def _posted(self, parts: list[str], asked: JsonObject) -> web.Response:
        match parts:
            case ["subjects", subject]:
                return self._looked_up(subject, asked)
            case ["subjects", subject, "versions"]:
                return self._register(subject, asked)
            case ["compatibility", "subjects", subject, "versions", "latest"]:
                if subject in self.registered:
                    return _json(200, {"is_compatible": True})
                return _error(404, 40401, f"Subject '{subject}' not found.")
            case _:
                return web.Response(status=404, text="<html>nothing here</html>")

    def _register(self, subject: str, asked: JsonObject) -> web.Response:
        """Keep a schema under the next id."""
        schema_id = str(len(self.schemas) + 1)
        self.put(schema_id, json.loads(str(asked["schema"])))
        self.registered.setdefault(subject, []).append(schema_id)
        return _json(200, {"id": int(schema_id)})

    def _looked_up(self, subject: str, asked: JsonObject) -> web.Response:
        """Answer which id a schema has, if its subject is one of `registered`."""
        names = self.registered.get(subject)
        if names is None:
            return _error(404, 40401, f"Subject '{subject}' not found.")
        text = json.loads(str(asked["schema"]))
        for schema_id in names:
            if json.loads(self.schemas[schema_id].text) == text:
                found = {"subject": subject, "id": int(schema_id), "version": 1}
                return _json(200, {**found, **self.schemas[schema_id].shown})
        return _error(404, 40403, "Schema not found")


def _json(status: int, body: Mapping[str, object]) -> web.Response:
    return web.Response(status=status, text=json.dumps(body), content_type="application/json")


def _error(status: int, code: int, words: str) -> web.Response:
    return _json(status, {"error_code": code, "message": words})


def _copy(response: web.Response) -> web.Response:
    """A response is sent once."""
    return web.Response(status=response.status, body=response.body, headers=response.headers)
