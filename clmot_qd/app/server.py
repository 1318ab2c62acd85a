"""The app put together and served until it is stopped."""

from __future__ import annotations

import gc
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

from clmot_qd.app.addresses import Address, find_address
from clmot_qd.app.guard import Guard
from clmot_qd.app.jobs import JobQueue
from clmot_qd.app.limits import Limits
from clmot_qd.app.models import Model, ModelStore, check_models, load_session, read_all_facts
from clmot_qd.app.service import Service
from clmot_qd.app.tracking import Tracking
from clmot_qd.app.workspace import Workspace
from clmot_qd.errors import InputError

SWEEP_EVERY = 60.0
# Seconds that open pages get when the server ends, to hear of their jobs' end.
GRACE = 1


@dataclass(frozen=True)
class ServerOptions:
    """How the operator wants it served.

    Args:
        host: Address to listen on.
        port: None: the first free one from 7860 on.
        device: As torch names it; ``'auto'`` takes the first GPU if there is one.
        concurrency: Videos that are tracked at a time.
        max_waiting: Videos that may wait besides.
        keep_models: Models that stay loaded while nobody uses them.
        keep_minutes: Age at which uploads and results are removed.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    device: str = "auto"
    concurrency: int = 1
    max_waiting: int = 8
    keep_models: int = 2
    keep_minutes: float = 60.0

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing; the rest is checked where it is used."""
        if not self.keep_minutes > 0:
            raise InputError(f"--keep-minutes {self.keep_minutes}: must be a positive number")
        if self.port is not None and not 0 < self.port < 65536:
            raise InputError(f"--port {self.port}: must lie between 1 and 65535")


def serve(models: Sequence[Model], limits: Limits, options: ServerOptions) -> None:
    """Serve the page until Ctrl-C or SIGTERM.

    Raises:
        InputError: gradio is missing, a model cannot be read or loaded, or the address cannot be used.
    """
    if find_spec("gradio") is None:
        raise InputError("the web page needs the package gradio: pip install 'clmot_qd[app]'")
    check_models(models)
    address = find_address(options.host, options.port)
    with (
        Workspace(60 * options.keep_minutes) as workspace,
        _writing_only_in(workspace, address.host.strip("[]")),
        _quiet_about_cancelled_jobs(),
        _service(models, limits, options, workspace) as service,
        _launched(service, address) as url,
    ):
        if not address.names:
            warning = f"--host {options.host}: whoever reaches it can use this page; there is no log-in"
            print(f"warning: {warning}", file=sys.stderr)
        print(f"serving {url} (Ctrl-C ends it)", file=sys.stderr, flush=True)
        stopped = threading.Event()
        while not stopped.wait(SWEEP_EVERY):
            workspace.sweep()


@contextmanager
def _service(
    models: Sequence[Model], limits: Limits, options: ServerOptions, workspace: Workspace
) -> Iterator[Service]:
    """Everything behind the page; at the end, jobs are cancelled."""
    facts = read_all_facts(models)
    store = ModelStore(models, partial(load_session, device=options.device), options.keep_models)
    with store.borrow(next(iter(facts))):
        pass  # a checkpoint that does not fit shows now, and the first visitor need not wait
    queue = JobQueue(options.concurrency, options.max_waiting)
    try:
        yield Service(facts, Tracking(store, workspace, limits), queue, workspace, limits)
    finally:
        queue.close()


@contextmanager
def _launched(service: Service, address: Address) -> Iterator[str]:
    """The running server's URL. All that gradio could share, send or keep is off."""
    from clmot_qd.app.page import build_page, style

    blocks = build_page(service)
    try:
        _, url, _ = blocks.queue(max_size=None).launch(
            server_name=address.host,
            server_port=address.port,
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            inline=False,
            footer_links=[],
            run_history=False,
            enable_monitoring=False,
            max_file_size=service.limits.max_bytes,
            app_kwargs=dict(middleware=[_guard(service, address)]),
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            root_path="",
            **style(),
        )
    except OSError as error:
        raise InputError(f"port {address.port} cannot be used ({error}): choose another with --port") from error
    try:
        yield url
    finally:
        service.queue.cancel_all()  # first, so that nothing goes on while the server waits for open pages
        _close(blocks)


def _close(blocks: Any) -> None:
    """End the server. A page that is open, or an upload that does not come, is not waited for longer than a moment."""
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # which tells of each that it has cut off
    blocks.server.config.timeout_graceful_shutdown = GRACE
    blocks.close(verbose=False)
    gc.freeze()  # else Python looks through all that torch and gradio have made, for seconds, before it leaves


def _guard(service: Service, address: Address) -> Any:
    from starlette.middleware import Middleware

    return Middleware(
        Guard,
        hosts=address.names,
        may_serve=service.workspace.holds,
        max_upload_bytes=service.limits.max_bytes,
        has_room=service.has_room,
    )


@contextmanager
def _quiet_about_cancelled_jobs() -> Iterator[None]:
    """Keep back what a command line needs to know of a video that was stopped: a job's files are removed."""

    def passes(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith("stopped; ")

    tracking = logging.getLogger("clmot_qd.apis.track_files")
    tracking.addFilter(passes)
    try:
        yield
    finally:
        tracking.removeFilter(passes)


@contextmanager
def _writing_only_in(workspace: Workspace, *hosts: str) -> Iterator[None]:
    """Point everything that writes temporary files into the workspace, and switch off what gradio sends.

    Args:
        workspace: The workspace.
        hosts: What no proxy is to be asked for.
    """
    environment, folder = dict(os.environ), tempfile.tempdir
    _set_environment(workspace, hosts)
    tempfile.tempdir = str(workspace.temporary)
    try:
        yield
    finally:
        tempfile.tempdir = folder
        os.environ.clear()
        os.environ.update(environment)


def _set_environment(workspace: Workspace, hosts: Sequence[str]) -> None:
    for name in [name for name in os.environ if name.startswith("GRADIO_")]:
        del os.environ[name]
    os.environ |= {
        "GRADIO_TEMP_DIR": str(workspace.files),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "1",
        "TMPDIR": str(workspace.temporary),
    }
    # gradio asks its own server whether it is there, which no proxy can answer.
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1", "localhost", *hosts)))
