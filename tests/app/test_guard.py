"""Which requests reach gradio."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from clmot_qd.app.guard import FORM_BYTES, MAX_JSON_BYTES, Guard

KEPT = "/work space/files/ab/clip.mp4"


class Server:
    """A guard before an application that notes what reaches it."""

    def __init__(self, hosts: tuple[str, ...] = ("localhost",), room: int = 10_000_000) -> None:
        self.reached: list[tuple[str, bytes]] = []
        self.guard = Guard(self._app, hosts, lambda path: str(path) == KEPT, 1_000_000, lambda count: count <= room)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        length = dict(scope["headers"]).get(b"content-length")
        assert length is None or int(length) == len(body)
        self.reached.append((scope["path"], body))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    def ask(self, method: str, path: str, body: bytes = b"", parts: int = 1, **headers: str) -> tuple[int, dict]:
        """Status and headers of the answer."""
        sent: list[dict] = []
        size = -(-len(body) // parts) or 1
        chunks = [body[i : i + size] for i in range(0, len(body), size)] or [b""]
        queue = [
            {"type": "http.request", "body": chunk, "more_body": i + 1 < len(chunks)} for i, chunk in enumerate(chunks)
        ]

        async def receive() -> dict:
            return queue.pop(0) if queue else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        given = {"host": "localhost:7860", **headers}
        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items()]
        scope = {"type": "http", "method": method, "path": path, "headers": raw}
        asyncio.run(self.guard(scope, receive, send))
        return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/config", "/theme.css", "/assets/index-1.js", "/static/img/a.svg", "/gradio_api/queue/data"),
        *("/gradio_api/heartbeat/abc123", f"/gradio_api/file={KEPT}"),
    ],
)
def test_what_the_page_needs_passes(path: str) -> None:
    server = Server()
    assert server.ask("GET", path)[0] == 200
    assert server.reached == [(path, b"")]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", "/gradio_api/file=https://example.org/x"),
        ("GET", f"/gradio_api/file={KEPT}/../../../../etc/passwd"),
        ("GET", f"/gradio_api/file/{KEPT}"),
        ("GET", "/gradio_api/proxy=https://example.org"),
        ("GET", "/monitoring"),
        ("GET", "/gradio_api/runs"),
        ("GET", "/gradio_api/heartbeat/../file=/etc/passwd"),
        ("GET", "/login"),
        ("GET", "/config\n"),
        ("GET", "/assets/" + "a" * 201),
        ("GET", "/static/a\0"),
        ("GET", "/gradio_api/heartbeat/" + "a" * 101),
        ("GET", "/gradio_api/file=" + "a/" * 3000),
        ("GET", "/gradio_api/file=\0"),
        ("POST", "/"),
        ("POST", "/gradio_api/run/predict"),
        ("POST", "/gradio_api/call/run"),
        ("POST", "/gradio_api/component_server"),
        ("POST", "/gradio_api/vibe-edit"),
        ("PUT", "/gradio_api/upload"),
        ("DELETE", "/"),
    ],
)
def test_everything_else_is_not_found(method: str, path: str) -> None:
    server = Server()
    assert server.ask(method, path)[0] == 404
    assert not server.reached


@pytest.mark.parametrize(("host", "status"), [("localhost", 200), ("LOCALHOST:1", 200), ("evil.org", 400), ("", 400)])
def test_only_its_own_name_is_answered(host: str, status: int) -> None:
    assert Server().ask("GET", "/", host=host)[0] == status


def test_without_a_list_any_name_is_answered() -> None:
    assert Server(hosts=()).ask("GET", "/", host="evil.org")[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content_length": "1000"}, 200),
        ({"content_length": str(1_000_000 + FORM_BYTES)}, 200),
        ({"content_length": str(1_000_001 + FORM_BYTES)}, 413),
        ({"content_length": "-1"}, 411),
        ({"content_length": "²"}, 411),
        ({"transfer_encoding": "chunked"}, 411),
    ],
)
def test_an_upload_says_how_large_it_is(headers: dict[str, str], status: int) -> None:
    server = Server()
    body = bytes(int(headers.get("content_length", 0))) if status == 200 else b""
    assert server.ask("POST", "/gradio_api/upload", body, **headers)[0] == status
    assert bool(server.reached) == (status == 200)


@pytest.mark.parametrize("path", ["/gradio_api/cancel", "/gradio_api/reset", "/gradio_api/queue/join"])
def test_no_other_request_may_be_large(path: str) -> None:
    server = Server()
    body = b'{"event_id": "' + bytes([97]) * MAX_JSON_BYTES + b'"}'
    assert server.ask("POST", path, body, parts=5)[0] == 400
    assert not server.reached
    assert server.ask("POST", path, b'{"event_id": "a"}', content_length="17")[0] == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        *(("http://localhost:7860", 200), ("https://LOCALHOST:7860", 200), ("http://localhost:7861", 403)),
        *(("https://evil.org", 403), ("null", 403), ("http://localhost", 403), ("http://localhost:7860.evil.org", 403)),
        *(("http://[bad", 403), ("", 403), ("localhost:7860", 403)),
    ],
)
def test_no_foreign_page_can_post(origin: str, status: int) -> None:
    for path, headers in (("queue/join", {}), ("upload", {"content_length": "0"}), ("cancel", {})):
        body = b"" if path == "upload" else b"{}"
        assert Server().ask("POST", f"/gradio_api/{path}", body, origin=origin, **headers)[0] == status
    assert Server().ask("GET", "/", origin=origin)[0] == 200


def test_uploads_that_have_begun_take_room() -> None:
    server, answers = Server(room=1500), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if len(answers) < 2:
            await ask_once()

    async def ask_once() -> None:
        async def send(message: Any) -> None:
            answers.append(message.get("status"))

        headers = [(b"host", b"localhost"), (b"content-length", b"1000")]
        await server.guard(dict(type="http", method="POST", path="/gradio_api/upload", headers=headers), None, send)

    server.guard._app = app
    asyncio.run(ask_once())
    assert answers[0] == 507
    assert server.guard._coming == 0


def test_no_upload_is_taken_where_there_is_no_room() -> None:
    assert Server(room=999).ask("POST", "/gradio_api/upload", content_length="1000")[0] == 507


def event(value: Any) -> bytes:
    return json.dumps({"data": [value], "fn_index": 1, "session_hash": "x"}).encode()


@pytest.mark.parametrize("parts", [1, 7])
def test_the_inputs_of_an_event_pass_as_they_are(parts: int) -> None:
    server, body = Server(), event({"path": KEPT, "meta": {"_type": "gradio.FileData"}, "orig_name": "é.mp4"})
    status, _ = server.ask("POST", "/gradio_api/queue/join", body, parts, content_length=str(len(body)))
    assert status == 200
    assert json.loads(server.reached[0][1]) == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        event({"path": "/etc/passwd"}),
        event({"path": "https://example.org/a.mp4"}),
        event([{"deep": [{"video": {"path": "http://169.254.169.254/"}}]}]),
        event({"path": 5}),
        event({"path": [KEPT]}),
        # Of two keys of one name readers may take either.
        event(1).replace(b'"data": [1]', b'"data": [{"path": "%s", "path": "/etc/passwd"}]' % KEPT.encode()),
        event(1) + b" " * MAX_JSON_BYTES,
        b"no json",
        b"\xff",
        5000 * b"[" + 5000 * b"]" + b"x",
        100_000 * b"[",
        b"[]",
        b"5",
        event(float("nan")),
        event(float("-inf")),
        event({"path": "\0"}),
        event({"path": "\ud800"}),
        b"",
    ],
)
@pytest.mark.parametrize("path", ["queue/join", "cancel", "reset"])
def test_inputs_that_name_other_files_are_refused(path: str, body: bytes) -> None:
    server = Server()
    assert server.ask("POST", f"/gradio_api/{path}", body, parts=3)[0] == 400
    assert not server.reached


@pytest.mark.parametrize("begun", [False, True])
def test_what_breaks_gradio_is_one_line_of_the_log(begun: bool, caplog: pytest.LogCaptureFixture) -> None:
    server = Server()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError("secret")

    server.guard._app = app
    status, headers = server.ask("GET", "/assets/a\x1b[31m\n")
    assert status == (200 if begun else 400)
    assert begun or headers["x-content-type-options"] == "nosniff"
    (record,) = caplog.records
    assert record.exc_info is None
    assert record.getMessage() == r"a request could not be answered: 'GET' '/assets/a\x1b[31m\n' (ZeroDivisionError)"


def test_what_passes_is_what_was_checked() -> None:
    # Of two keys of one name Python takes the last; another reader might take the first.
    server, good = Server(), json.dumps(KEPT).encode()
    body = event(1).replace(b'"data": [1]', b'"data": [{"path": "/etc/passwd", "path": %s}]' % good)
    assert server.ask("POST", "/gradio_api/queue/join", body)[0] == 200
    assert b"passwd" not in server.reached[0][1]


@pytest.mark.parametrize("path", ["/", "/nowhere"])
def test_every_answer_forbids_other_addresses(path: str) -> None:
    headers = Server().ask("GET", path)[1]
    assert headers["content-security-policy"].startswith("default-src 'self'")
    assert "http" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_other_protocols_go_no_further() -> None:
    server = Server()
    asyncio.run(server.guard({"type": "websocket", "path": "/"}, None, None))
    assert not server.reached


def test_the_guard_needs_no_gradio() -> None:
    source = Path(__import__("clmot_qd.app.guard", fromlist=["x"]).__file__).read_text(encoding="utf-8")
    assert "import gradio" not in source
