"""Which requests reach gradio: those that the page makes, and nothing that could read or fetch something else.

gradio serves more than this page needs: it fetches addresses for whoever asks (``/file=https://...``, or a file "at" an
address among the inputs), takes any number of uploads, and shows its monitoring. Here everything that is not listed is
not found.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

API = "/gradio_api"
# The page itself, its parts, and the interface that its script talks to. No name of a part is longer.
PATHS = re.compile(
    rf"/|/(config|theme\.css|favicon\.ico|robots\.txt|manifest\.json)|/(assets|static|svelte)/[^\0]{{1,200}}"
    rf"|{API}/(startup-events|theme\.css|info|app_id|heartbeat/\w{{1,100}}|queue/data|upload_progress)"
)
UPLOAD = f"{API}/upload"
POSTS = (UPLOAD, f"{API}/queue/join", f"{API}/cancel", f"{API}/reset")
FILE = f"{API}/file="
MAX_JSON_BYTES = 1_000_000
NOT_OURS = "these inputs are not what the page sends"
# Of the form that carries an upload, besides the file.
FORM_BYTES = 10_000
HEADERS = (
    # No address but the page's own is ever asked: neither fonts nor scripts come from elsewhere.
    (
        b"content-security-policy",
        b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


class Guard:
    """Middleware (ASGI) between the server and gradio.

    Args:
        app: What comes next.
        hosts: Names under which the page may be asked for, in lower case; empty: any. Others are refused, so that a
            foreign page cannot have its own name point to this computer and then read from here.
        may_serve: Whether a file may be given out.
        max_upload_bytes: Size of an upload.
        has_room: Whether so many bytes more may be kept.
    """

    def __init__(
        self,
        app: App,
        hosts: Sequence[str],
        may_serve: Callable[[Path], bool],
        max_upload_bytes: int,
        has_room: Callable[[int], bool],
    ) -> None:
        self._app, self._hosts = app, frozenset(hosts)
        self._may_serve, self._has_room = may_serve, has_room
        self._max_upload_bytes = max_upload_bytes
        self._coming = 0  # bytes of the uploads that have begun

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._handle(scope, receive, _with_headers(send))

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer in any case; a request that breaks what comes next is one line in the log."""
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._pass(scope, receive, sending)
        except Exception as error:
            what = f"{scope['method'][:10]!r} {scope['path'][:80]!r}"  # as repr: a log is read in terminals
            logger.warning("a request could not be answered: %s (%s)", what, type(error).__name__)
            if not started:
                await _answer(send, 400, NOT_OURS)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope)
        if refusal is not None:
            return await _answer(send, *refusal)
        if scope["method"] != "POST":
            return await self._app(scope, receive, send)
        if scope["path"] == UPLOAD:
            return await self._upload(scope, receive, send)
        body = await _read_body(receive)
        if body is not None:
            body = self._checked_json(body)
        if body is None:
            return await _answer(send, 400, NOT_OURS)
        return await self._app(_with_length(scope, len(body)), _once(body, receive), send)

    async def _upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an upload on; while it comes, its room is taken."""
        length = int(_headers(scope)[b"content-length"])
        self._coming += length
        try:
            await self._app(scope, receive, send)
        finally:
            self._coming -= length

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and text of the answer to a request that goes no further; None: it may."""
        path, headers = scope["path"], _headers(scope)
        host = headers.get(b"host", "")
        if self._hosts and _host_name(host) not in self._hosts:
            return 400, "the page is not offered under this name"
        if scope["method"] in ("GET", "HEAD"):
            if path.startswith(FILE):
                return None if self._may_serve(Path(path.removeprefix(FILE))) else (404, "no such file")
            return None if PATHS.fullmatch(path) else (404, "not found")
        if scope["method"] != "POST" or path not in POSTS:
            return 404, "not found"
        if b"origin" in headers and _authority(headers[b"origin"]) != host.lower():
            return 403, "another page asks for this"
        return self._refused_upload(headers) if path == UPLOAD else None

    def _refused_upload(self, headers: dict[bytes, str]) -> tuple[int, str] | None:
        """An upload says beforehand how long it is, and the server holds it to that."""
        length = headers.get(b"content-length", "")
        if not length.isascii() or not length.isdigit():
            return 411, "an upload must say how large it is"
        if int(length) > self._max_upload_bytes + FORM_BYTES:
            return 413, "the file is larger than this page takes"
        if not self._has_room(self._coming + int(length)):
            return 507, "the server has no room left: try again later"
        return None

    def _checked_json(self, body: bytes) -> bytes | None:
        """The inputs of an event, written anew; None if they are none, or name a file that was not uploaded here."""
        try:
            inputs = json.loads(body, parse_constant=_refuse)
            files = list(_file_paths(inputs))
        except (ValueError, RecursionError):
            return None
        fits = all(isinstance(path, str) and self._may_serve(Path(path)) for path in files)
        if not (isinstance(inputs, dict) and fits):
            return None
        return json.dumps(inputs).encode()


def _file_paths(value: Any) -> Iterator[Any]:
    """What the inputs name as files, at any depth."""
    if isinstance(value, dict):
        if "path" in value:
            yield value["path"]
        for part in value.values():
            yield from _file_paths(part)
    elif isinstance(value, list):
        for part in value:
            yield from _file_paths(part)


def _refuse(constant: str) -> None:
    """NaN and infinity, which JSON does not know."""
    raise ValueError(constant)


def _authority(origin: str) -> str | None:
    """Host and port of an origin; None where it has none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _headers(scope: Scope) -> dict[bytes, str]:
    """By name in lower case."""
    return {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _host_name(host: str) -> str:
    """``Localhost:7860`` -> ``localhost``, ``[::1]:7860`` -> ``[::1]``."""
    return re.sub(r":[0-9]*$", "", unquote(host)).lower()


async def _read_body(receive: Receive) -> bytes | None:
    """A request's body; None if it is too long or breaks off."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > MAX_JSON_BYTES:
            return None
        if not message.get("more_body"):
            return body


def _once(body: bytes, receive: Receive) -> Receive:
    """Give out the body, then whatever comes."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _with_length(scope: Scope, length: int) -> Scope:
    headers = [(name, value) for name, value in scope["headers"] if name.lower() != b"content-length"]
    return {**scope, "headers": [*headers, (b"content-length", str(length).encode())]}


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *HEADERS]
        await send(message)

    return sending


async def _answer(send: Send, status: int, text: str) -> None:
    body = text.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
