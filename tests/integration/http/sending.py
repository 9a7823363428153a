"""Posts, and servers that answer one: what the tests of the HTTP sender share."""

from tests.doubles.raw_server import Play, server

from hookstream.adapters.http.sender import HttpSender
from hookstream.core.model.outcome import Answer, Withheld
from hookstream.pipeline.ports import Post


def anywhere(_: str) -> str | None:
    return None


def post(url: str, *headers: tuple[str, str], body: bytes = b"{}", timeout: int = 3_000) -> Post:
    return Post("sub-1", url, headers, body, timeout)


async def answer_to(sender: HttpSender, play: Play, *, within: int = 3_000) -> Answer | Withheld:
    async with server(play) as running:
        return await sender.send(post(running.url, timeout=within))
