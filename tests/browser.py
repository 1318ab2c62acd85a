"""Pages in a headless Chromium, through Playwright's synchronous interface; a test skips where there is none."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Without a sandbox it runs as root; the rest keeps it from talking to anybody but the page.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass
class View:
    """A page and what happened on it.

    Args:
        page: Playwright's page.
        problems: Errors and warnings of the console, exceptions that nobody caught, requests that failed.
        requests: Addresses that the page asked for, ``data:`` ones left out.
    """

    page: Any
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def broken_images(self) -> list[str]:
        """The alternative texts of images that did not load."""
        script = "[...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.alt)"
        return self.page.evaluate(script)

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        return self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def find_browser() -> str:
    """The path of a browser; skips the test where there is none."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser on the search path: {', '.join(NAMES)}")
    return found


@contextlib.contextmanager
def open_page(
    width: int = 1280, height: int = 800, timeout: float = 30, downloads: Path | None = None, **context: Any
) -> Iterator[View]:
    """An empty page in a browser of its own, closed at the end.

    Args:
        width: Of the window, in pixels.
        height: Of the window.
        timeout: Seconds that any step may take.
        downloads: Folder for downloads.
        context: Further arguments of Playwright's ``new_context`` (``offline=True``, ``device_scale_factor=2``).
    """
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = find_browser()
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=list(FLAGS), downloads_path=downloads, timeout=1000 * timeout
        )
        try:
            page = browser.new_context(viewport={"width": width, "height": height}, **context).new_page()
            page.set_default_timeout(1000 * timeout)
            yield _watched(page)
        finally:
            browser.close()


def _watched(page: Any) -> View:
    view = View(page)

    def told(message: Any) -> None:
        if message.type in ("error", "warning"):
            view.problems.append(f"{message.type}: {message.text}")

    def asked(request: Any) -> None:
        if not request.url.startswith("data:"):
            view.requests.append(request.url)

    page.on("console", told)
    page.on("pageerror", lambda error: view.problems.append(f"exception: {error}"))
    page.on("requestfailed", lambda request: view.problems.append(f"failed: {request.url[:200]}"))
    page.on("request", asked)
    return view
