"""The page as a visitor uses it, in a real browser, and as an attacker might, without one."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from browser import View, find_browser, open_page
from clip_files import write_clip
from locations import REPOSITORY

from clmot_qd.datasets.mot_text import read_tracks

pytest.importorskip("gradio", reason="gradio is not installed")

MAX_MB, MAX_SECONDS = 1, 20
# A tiny model with random weights that finds five things in every frame and tracks them.
EVERYTHING = {
    "model.tracker.conf_thr": 0.0,
    "model.detector.test_cfg": dict(topk=5, local_maximum_kernel=3, score_thr=0.0),
}
FORM = "multipart/form-data; boundary=x"
CELL = "#cq-table [role=gridcell]"
PLAYING = "(v => v && v.readyState >= 2 && v.videoWidth > 0 && v.currentTime > {0})(document.querySelector('video'))"


@dataclass
class Server:
    """The running app.

    Args:
        process: Itself.
        url: Where the page is.
        folder: Its working folder; what it printed and noted lies beside it.
        root: Its workspace.
        notes_before: What it had noted when the page was served: what libraries write when they are imported.
    """

    process: subprocess.Popen[bytes]
    url: str
    folder: Path
    root: Path
    notes_before: int = 0

    @property
    def hold(self) -> Path:
        """While this file is there, no video gets beyond its fourth frame."""
        return self.folder.parent / "notes.txt.hold"

    @property
    def port(self) -> int:
        return int(self.url.split(":")[2].strip("/"))

    @property
    def printed(self) -> str:
        return (self.folder.parent / "printed.txt").read_text(encoding="utf-8")

    @property
    def notes(self) -> list[str]:
        return (self.folder.parent / "notes.txt").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Arguments that name the model."""
    import torch
    from mmengine.registry import init_default_scope

    from clmot_qd.apis.comparison import untrained_model
    from clmot_qd.apis.running import load_config

    folder = tmp_path_factory.mktemp("model")
    config = load_config("clmot_tiny_demo", EVERYTHING)
    init_default_scope("mmdet")
    built = untrained_model(config, seed=0)
    torch.nn.init.constant_(built.detector.bbox_head.wh_head[-1].bias, 6.0)  # sizes of an untrained head are about 0
    torch.save({"state_dict": built.state_dict()}, folder / "model.pth")
    config.dump(folder / "tiny.py")
    return ["--config", str(folder / "tiny.py"), "--checkpoint", str(folder / "model.pth")]


@pytest.fixture(scope="module")
def server(model: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app as its operator starts it, on a free port."""
    find_browser()
    base = tmp_path_factory.mktemp("server")
    (base / "temporary").mkdir()
    (base / "cwd").mkdir()
    script = Path(__file__).with_name("watched_app.py")
    limits = ["--max-mb", str(MAX_MB), "--max-seconds", str(MAX_SECONDS), "--device", "cpu"]
    program = [sys.executable, str(script), str(base / "notes.txt"), str(REPOSITORY / "tools" / "app.py")]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(base / "temporary"),
        # What an operator's shell may hold must not open the app.
        "GRADIO_SHARE": "True",
        "GRADIO_SERVER_NAME": "0.0.0.0",
        "GRADIO_ALLOWED_PATHS": "/",
        "GRADIO_ANALYTICS_ENABLED": "True",
    }
    for _ in range(3):  # somebody may take the port before the app does
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        command = [*program, *model, *limits, "--port", port]
        with (base / "printed.txt").open("wb") as printed:
            process = subprocess.Popen(
                command, cwd=base / "cwd", env=environment, stdout=printed, stderr=subprocess.STDOUT
            )
        if _wait_for_page(process, base / "printed.txt"):
            break
    else:
        pytest.fail((base / "printed.txt").read_text(encoding="utf-8"))
    try:
        root = next((base / "temporary").iterdir())
        served = Server(process, f"http://127.0.0.1:{port}/", base / "cwd", root)
        served.notes_before = len(served.notes)
        yield served
        _end(served)
    finally:
        process.kill()
        process.wait()


def _end(server: Server) -> None:
    """End the app as its operator would, at work: nothing was asked elsewhere, written elsewhere, or is left."""
    waiting = _keep_busy(server)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=240) == 128 + signal.SIGTERM
    assert not server.root.exists()
    assert not list(server.folder.iterdir())
    assert not list(server.root.parent.iterdir())
    assert not [line for line in server.notes if not line.startswith("write ")]
    later = server.notes[server.notes_before :]
    written = [Path(line.removeprefix("write ")) for line in later if line.startswith("write ")]
    assert not [path for path in written if not path.is_relative_to(server.root)]
    assert "Traceback" not in server.printed
    for connection in waiting:
        connection.close()


def _keep_busy(server: Server) -> list[socket.socket]:
    """Start a long job, listen to it, and begin an upload that never ends; the connections, to be kept."""
    clip = write_clip(server.folder.parent / "long.mp4", frames=190, fps=10).read_bytes()
    file = json.loads(ask(server.url + "gradio_api/upload", form(clip), content_type=FORM)[1])[0]
    page = json.loads(ask(server.url + "config")[1])
    run = next(entry["id"] for entry in page["dependencies"] if len(entry["inputs"]) == 7)
    inputs = [{"path": file, "meta": {"_type": "gradio.FileData"}}, "tiny", "own", 0.5, 30, None, []]
    event = json.dumps({"data": inputs, "fn_index": run, "session_hash": "busy"}).encode()
    assert ask(server.url + "gradio_api/queue/join", event, content_type="application/json")[0] == 200
    told, silent = (socket.create_connection(("127.0.0.1", server.port), timeout=120) for _ in range(2))
    told.sendall(b"GET /gradio_api/queue/data?session_hash=busy HTTP/1.1\r\nHost: localhost\r\n\r\n")
    silent.sendall(f"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\n".encode())
    silent.sendall(b"Content-Length: 1000\r\n\r\n--x\r\n")
    heard = b""
    while b"Tracking: frame" not in heard:
        part = told.recv(65536)
        assert part, heard
        heard += part
    return [told, silent]


def _wait_for_page(process: subprocess.Popen[bytes], printed: Path) -> bool:
    """Wait until the app serves its page; False if its port was taken."""
    for _ in range(1200):
        text = printed.read_text(encoding="utf-8")
        if "serving http" in text:
            return True
        if process.poll() is not None:
            assert re.search(r"port \d+ cannot be used", printed.read_text(encoding="utf-8")), text
            return False
        time.sleep(0.2)
    process.kill()
    pytest.fail(f"the app did not start:\n{printed.read_text(encoding='utf-8')}")


@pytest.fixture(scope="module")
def view(server: Server) -> Iterator[View]:
    with open_page(timeout=90) as view:
        yield view
        assert not [address for address in view.requests if not address.startswith((server.url, "blob:"))]


@pytest.fixture
def page(view: View, server: Server) -> Any:
    view.page.goto(server.url)
    view.page.wait_for_selector("#cq-start")
    return view.page


def choose(page: Any, path: Path) -> None:
    page.set_input_files("#cq-upload input[type=file]", path)
    page.wait_for_selector("#cq-upload a[href]")
    # A visitor cannot press a button in the moment in which the file appears.
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def said(page: Any) -> str:
    return page.inner_text("#cq-status").strip()


def wait_until(view: View, page: Any, state: str) -> None:
    """Wait until the page says that its video is ``running`` (some frames are tracked), ``done``, ...

    In place of ``done``, another end fails at once.
    """
    bar = " progress[value]" if state == "running" else ""
    others = ("error", "cancelled") if state == "done" else ()
    wanted = [f"#cq-status [data-state={state}]{bar}", *(f"#cq-status [data-state={other}]" for other in others)]
    try:
        page.wait_for_selector(", ".join(wanted))
    except Exception as error:
        asked = [address.rsplit("/", 1)[-1] for address in view.requests[-12:]]
        pytest.fail(f"{error}\nthe page says: {said(page)!r}, has asked for {asked}, problems: {view.problems}")
    assert page.query_selector(f"#cq-status [data-state={state}]"), f"the page says: {said(page)!r}"


def cells_of(number: int) -> str:
    """The selector of a column of the table, from 0."""
    return f"#cq-table [role=gridcell][data-col='{number}']"


def column(page: Any, number: int) -> list[float]:
    """What the table shows in a column, from 0."""
    return page.eval_on_selector_all(cells_of(number), "cells => cells.map(cell => Number(cell.innerText))")


@pytest.fixture
def held(server: Server) -> Iterator[Path]:
    """A file that holds every video at its fourth frame until it is removed."""
    server.hold.touch()
    yield server.hold
    server.hold.unlink(missing_ok=True)


def finished_jobs(server: Server) -> list[Path]:
    return list(server.root.glob("files/jobs/*/tracks.zip"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "my clip %03d.mp4", frames=30, fps=10, size=(160, 96))


def test_a_visitor_tracks_a_video_and_takes_the_results_away(
    held: Path, page: Any, view: View, clip: Path, tmp_path: Path
) -> None:
    view.problems.clear()
    choose(page, clip)
    page.click("#cq-start")
    wait_until(view, page, "running")
    assert re.search(r"Tracking: frame \d+ of 30", said(page))
    page.wait_for_selector("#cq-start:disabled")
    page.wait_for_selector("#cq-cancel:enabled")
    held.unlink()
    wait_until(view, page, "done")
    assert re.fullmatch(r"Done: \d+ tracks in 30 frames\.", said(page))

    page.wait_for_function(PLAYING.format(0))
    begun = page.evaluate("document.querySelector('video').currentTime")
    page.wait_for_function(f"document.querySelector('video').currentTime != {begun}")  # it goes round and round
    assert page.evaluate("document.querySelector('video').videoWidth") == 640
    assert page.evaluate("document.querySelector('video').duration") == pytest.approx(3.0, abs=0.05)

    page.wait_for_selector(CELL)
    files = {}
    for name in ("tracks.txt", "tracks.json", "tracks.mp4", "tracks.zip"):
        with page.expect_download() as download:
            page.click(f"#cq-get-{name.replace('.', '-')}")
        assert download.value.suggested_filename == name
        files[name] = tmp_path / name
        download.value.save_as(files[name])
    table = read_tracks(files["tracks.txt"])
    assert set(table.frames.tolist()) <= set(range(1, 31))
    assert said(page) == f"Done: {len(set(table.ids.tolist()))} tracks in 30 frames."
    shown = column(page, 0)
    assert shown
    assert {int(number) for number in shown} <= set(table.ids.tolist())
    document = json.loads(files["tracks.json"].read_text(encoding="utf-8"))
    assert len(document["annotations"]) == len(table.ids)
    with zipfile.ZipFile(files["tracks.zip"]) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            name: path.read_bytes() for name, path in files.items() if name != "tracks.zip"
        }
    assert view.overflow() == 0
    # An event stream that was read to its end counts as failed.
    usual = ("/queue/data", "/heartbeat/", "/upload_progress", "Method not implemented")
    assert not [line for line in view.problems if not any(text in line for text in usual)]


def test_the_table_can_be_sorted(page: Any, view: View, clip: Path) -> None:
    choose(page, clip)
    page.click("#cq-start")
    wait_until(view, page, "done")
    page.wait_for_selector(CELL)
    for title, falling in (("Sort descending", True), ("Sort ascending", False)):
        page.click("#cq-table th[data-heading='6'] button")
        page.click(f"[role=menuitem]:has-text('{title}')")
        values = "[...document.querySelectorAll(cells)].map(cell => Number(cell.innerText))"
        sorted_so = "every((x, i) => !i || x <= v[i - 1])" if falling else "every((x, i) => !i || x >= v[i - 1])"
        page.wait_for_function(f"cells => (v => v.length > 1 && v.{sorted_so})({values})", arg=cells_of(6))
        order = column(page, 6)
        assert len(order) > 1
        assert order == sorted(order, reverse=falling)


def test_a_text_under_a_videos_name_is_one_line_and_the_app_goes_on(
    page: Any, view: View, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "holiday.mp4").write_text("I am a text.\n" * 50)
    choose(page, tmp_path / "holiday.mp4")
    page.click("#cq-start")
    wait_until(view, page, "error")
    assert said(page) == "Error: this is neither a video (mp4, mov, avi, mkv, webm) nor a zip of pictures"
    page.wait_for_selector("#cq-start:enabled")
    assert "Traceback" not in server.printed
    page.click("#cq-upload button[aria-label='Clear']")
    page.click("#cq-start")
    page.wait_for_selector("text=choose a video first")


def test_a_video_that_is_too_long_is_refused(page: Any, view: View, tmp_path: Path) -> None:
    choose(page, write_clip(tmp_path / "long.mp4", frames=10 * MAX_SECONDS + 10))
    page.click("#cq-start")
    wait_until(view, page, "error")
    assert said(page) == f"Error: the video is 21.0 s long; this page takes at most {MAX_SECONDS} s: cut it first"


def test_a_file_that_is_too_large_is_refused_in_the_browser(page: Any, tmp_path: Path) -> None:
    (tmp_path / "large.mp4").write_bytes(bytes(1_200_000))
    page.set_input_files("#cq-upload input[type=file]", tmp_path / "large.mp4")
    page.wait_for_selector("text=exceed the maximum allowed size")


def test_a_visitor_cancels_and_one_who_leaves_makes_room(
    held: Path, page: Any, view: View, server: Server, tmp_path: Path
) -> None:
    long = write_clip(tmp_path / "long.mp4", frames=190, fps=10)
    choose(page, long)
    page.click("#cq-start")
    wait_until(view, page, "running")
    page.click("#cq-cancel")
    wait_until(view, page, "cancelled")
    held.unlink()
    page.wait_for_selector("text=/^Cancelled/")
    page.wait_for_selector("#cq-start:enabled")

    held.touch()
    before = len(finished_jobs(server))
    page.click("#cq-start")
    wait_until(view, page, "running")
    other = page.context.new_page()
    other.goto(server.url)
    other.wait_for_selector("#cq-start")
    choose(other, write_clip(tmp_path / "short.mp4", frames=5))
    other.click("#cq-start")
    other.wait_for_selector("text=1 video before this one")
    page.goto("about:blank")  # leaves the first one alone with its job
    other.wait_for_selector("text=Waiting: starting")  # the server has noticed
    held.unlink()
    wait_until(view, other, "done")
    other.close()
    # The job that was left alone came to no end.
    assert len(finished_jobs(server)) == before + 1


def test_the_page_fits_on_a_phone(page: Any, view: View, clip: Path) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    choose(page, clip)
    page.click("#cq-settings button")
    page.click("#cq-start")
    wait_until(view, page, "done")
    page.wait_for_selector(CELL)
    assert view.overflow() == 0
    page.set_viewport_size({"width": 1280, "height": 800})


# ---- without the page --------------------------------------------------------------------------------------------


def form(content: bytes, name: str = "a.mp4") -> bytes:
    """An upload's body."""
    head = f'--x\r\ncontent-disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n--x--\r\n"


def ask(url: str, data: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """Status and body; ``_`` in names of headers stands for ``-``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, named), timeout=120) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.mark.parametrize(
    "path",
    [
        "gradio_api/file=/etc/passwd",
        "gradio_api/file=../../../../../../etc/passwd",
        "gradio_api/file=%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "gradio_api/file={root}/files/../../../../../../../../etc/passwd",
        "gradio_api/file={model}",
        "gradio_api/file={root}",
        "gradio_api/file=https://example.org/",
        "gradio_api/file/etc/passwd",
        "gradio_api/proxy=https://example.org/",
        "static/../../../../../../../etc/passwd",
        "assets/%2e%2e/%2e%2e/%2e%2e/%2e%2e/package.json",
        "monitoring",
        "gradio_api/runs",
    ],
)
def test_no_file_but_the_visitors_is_given_out(server: Server, model: list[str], path: str) -> None:
    status, body = ask(server.url + path.format(root=server.root, model=model[1]))
    assert status in (403, 404)
    assert b"root:" not in body


def test_the_server_refuses_what_is_too_large_before_it_is_sent(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", int(server.url.split(":")[2].strip("/")), timeout=120)
    connection.putrequest("POST", "/gradio_api/upload")
    connection.putheader("Content-Type", "multipart/form-data; boundary=x")
    connection.putheader("Content-Length", "1200000")
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_an_uploads_name_is_no_path(server: Server) -> None:
    body = b'--x\r\ncontent-disposition: form-data; name="files"; filename="../../../../escape.mp4"\r\n\r\n'
    body += b"abc\r\n--x--\r\n"
    form = dict(content_type="multipart/form-data; boundary=x")
    status, answer = ask(server.url + "gradio_api/upload", body, **form)
    assert status == 200
    assert Path(json.loads(answer)[0]).resolve().is_relative_to(server.root)


@pytest.mark.parametrize("path", ["https://example.org/a.mp4", "/etc/passwd"])
def test_an_event_cannot_name_another_file(server: Server, path: str) -> None:
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    event = json.dumps({"data": [file, "tiny", "own", None, None, None, []], "fn_index": 0, "session_hash": "a"})
    assert ask(server.url + "gradio_api/queue/join", event.encode(), content_type="application/json")[0] == 400


MALFORMED = {
    "no JSON": ("POST", "/gradio_api/queue/join", b"\xff\xfe", "Content-Type: application/json"),
    "no object": ("POST", "/gradio_api/cancel", b"[1]", "Content-Type: application/json"),
    "nothing known": ("POST", "/gradio_api/reset", b"{}", "Content-Type: application/json"),
    "bytes": ("POST", "/gradio_api/cancel", bytes(range(256)), "Content-Type: text/plain"),
    "nested": ("POST", "/gradio_api/queue/join", b"[" * 100_000, "Content-Type: application/json"),
    "types": ("POST", "/gradio_api/queue/join", b'{"data":5,"fn_index":"x","session_hash":[]}', "X: x"),
    "no such event": ("POST", "/gradio_api/queue/join", b'{"data":[],"fn_index":99,"session_hash":"x"}', "X: x"),
    "infinity": ("POST", "/gradio_api/cancel", b'{"fn_index":Infinity}', "Content-Type: application/json"),
    "origin": ("POST", "/gradio_api/cancel", b"{}", "Origin: http://[bad"),
    "no boundary": ("POST", "/gradio_api/upload", b"abc", "Content-Type: multipart/form-data"),
    "no name": ("POST", "/gradio_api/upload", b"--x\r\ncontent-disposition: form-data\r\n\r\na\r\n--x--\r\n", FORM),
    "no file": (
        *("POST", "/gradio_api/upload"),
        *(b'--x\r\ncontent-disposition: form-data; name="files"\r\n\r\nabc\r\n--x--\r\n', FORM),
    ),
    "cut off": ("POST", "/gradio_api/upload", form(b"abc")[:-20], FORM),
    "many": ("POST", "/gradio_api/upload", form(b"a").removesuffix(b"--x--\r\n") * 1200 + b"--x--\r\n", FORM),
    "long name": ("POST", "/gradio_api/upload", form(b"abc", "x" * 5000), FORM),
    "long path": ("GET", "/assets/" + "a" * 300, b"", "X: x"),
    "zero byte": ("GET", "/static/%00", b"", "X: x"),
    "no session": ("GET", "/gradio_api/queue/data", b"", "X: x"),
    "no text": ("GET", "/%ff%fe", b"", "X: \xff"),
    "range": ("GET", "/", b"", "Range: bytes=-1-5,99999-"),
    "method": ("BREW", "/", b"", "X: x"),
    "web socket": ("GET", "/", b"", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_requests_leave_no_traceback(server: Server, case: str) -> None:
    method, path, body, header = MALFORMED[case]
    header = f"Content-Type: {header}" if header == FORM else header
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", header, "", ""]
    with socket.create_connection(("127.0.0.1", server.port), timeout=120) as connection:
        connection.sendall("\r\n".join(lines).encode("latin-1") + body)
        status = int(connection.recv(65536).split()[1])
    assert status < 500
    assert ask(server.url + "config")[0] == 200
    assert "Traceback" not in server.printed


def test_another_name_is_not_answered(server: Server) -> None:
    assert ask(server.url, host="evil.example")[0] == 400
    assert ask(server.url, host="localhost")[0] == 200


def test_the_notes_of_what_is_written_are_taken(page: Any, view: View, server: Server, tmp_path: Path) -> None:
    """What ``_end`` reads is not empty."""
    choose(page, write_clip(tmp_path / "short.mp4", frames=3))
    page.click("#cq-start")
    wait_until(view, page, "done")
    written = [line for line in server.notes[server.notes_before :] if line.startswith(f"write {server.root}")]
    assert any("tracks" in line for line in written)


def test_only_this_computer_is_listened_to(server: Server) -> None:
    table = Path("/proc/net/tcp")
    if not table.is_file():
        pytest.skip("no /proc/net/tcp here")
    port = f"{int(server.url.split(':')[2].strip('/')):04X}"
    listening = [line.split()[1].split(":") for line in table.read_text().splitlines()[1:] if line.split()[3] == "0A"]
    assert [address for address, number in listening if number == port] == ["0100007F"]
