"""A browser without scripts for the pages of real consoles: it keeps cookies, and sends the forms that it is shown."""

import asyncio
import http.client
import time
from urllib.parse import urlencode, urlsplit

from tests.doubles.pages import HERE, PageParser
from tests.e2e.consoles import Answered, Console

_FORM = "application/x-www-form-urlencoded"
SESSION = "__Host-hookstream"


class PageClient:
    """One browser of one person. It does not follow redirects.

    Args:
        console: Where it looks first; any other has the same address to it, as behind a proxy.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.cookies: dict[str, str] = {}

    @property
    def session(self) -> str:
        """The cookie of its session; empty: it has none."""
        return self.cookies.get(SESSION, "")

    async def get(self, path: str, console: Console | None = None) -> Answered:
        return await self._asked(console or self.console, "GET", path, None)

    async def press(
        self, path: str, shown: Answered, console: Console | None = None, **fields: str
    ) -> Answered:
        """Send the first form of a page to a path, with some fields filled in."""
        parser = PageParser()
        parser.feed(shown.body.decode())
        parser.close()
        filled = {**parser.forms[0].fields, **fields}
        return await self._asked(console or self.console, "POST", path, filled)

    async def log_in(self, token: str) -> str:
        """Log in, and return the session's cookie."""
        shown = await self.get("/ui/login")
        done = await self.press("/ui/login", shown, token=token)
        assert done.status == 303, done
        return self.session

    async def log_out(self) -> None:
        done = await self.press("/ui/logout", await self.get("/ui/subscriptions"))
        assert done.status == 303, done

    async def open_link(self, text: str) -> str:
        """Press the button of a portal link, and return the session's cookie."""
        path = f"/ui/portal/{text}"
        done = await self.press(path, await self.get(path))
        assert done.status == 303, done
        return self.session

    async def _asked(
        self, console: Console, method: str, path: str, fields: dict[str, str] | None
    ) -> Answered:
        answered, cookies = await asyncio.to_thread(self._ask, console, method, path, fields)
        console.answers.append(answered)
        for cookie in cookies:
            pair, *attributes = cookie.split("; ")
            name, _, value = pair.partition("=")
            if "Max-Age=0" in attributes:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answered

    def _ask(
        self, console: Console, method: str, path: str, fields: dict[str, str] | None
    ) -> tuple[Answered, list[str]]:
        headers = dict(HERE)
        if self.cookies:
            headers["cookie"] = "; ".join(f"{name}={each}" for name, each in self.cookies.items())
        content = None
        if fields is not None:
            headers["content-type"], content = _FORM, urlencode(fields)
        connection = http.client.HTTPConnection(urlsplit(console.url).netloc, timeout=60)
        began = time.monotonic()
        try:
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            status, found, body = answer.status, answer.getheaders(), answer.read()
        except (OSError, http.client.HTTPException):
            status, found, body = 0, [], b""
        finally:
            connection.close()
        lower = {name.lower(): value for name, value in found}
        cookies = [value for name, value in found if name.lower() == "set-cookie"]
        ended = time.monotonic()
        return Answered(method, path, status, lower, body, began, ended), cookies
