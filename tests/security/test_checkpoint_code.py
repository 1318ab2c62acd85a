"""A checkpoint that runs code is refused, whichever loader it comes to, unless its content is trusted."""

from __future__ import annotations

import functools
import hashlib
import os
import pickle
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import mmengine.runner.checkpoint as mmengine_checkpoint
import numpy as np
import pytest
import torch
from locations import REPOSITORY
from mmengine.logging.history_buffer import HistoryBuffer
from mmengine.model import BaseModule
from mmengine.runner import load_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader
from torch import nn

from clmot_qd.apis.addresses import public_name
from clmot_qd.apis.loading import check_load_from, load_weights, require_training_state
from clmot_qd.checkpoints import read_checkpoint, trust_checkpoints
from clmot_qd.checkpoints.downloads import check_address, fetch_checkpoint
from clmot_qd.checkpoints.unpickling import TRUST
from clmot_qd.errors import InputError


class Call:
    """Pickles as a call."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


class Pretrained(BaseModule):
    """A module with ``init_cfg``."""

    def __init__(self, path: str) -> None:
        super().__init__(dict(type="Pretrained", checkpoint=path))
        self.linear = nn.Linear(2, 3)


@pytest.fixture(autouse=True)
def _own_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.delenv(TRUST, raising=False)
    # Even where torch was told to run code by default.
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """Made by the code in the file."""
    return tmp_path / "code ran"


@pytest.fixture
def bomb(tmp_path: Path, mark: Path) -> str:
    """A checkpoint with weights, a training state and a call."""
    content = {"state_dict": nn.Linear(2, 3).state_dict(), "message_hub": {}, "x": Call(os.mkdir, str(mark))}
    (tmp_path / "site").mkdir()
    torch.save(content, tmp_path / "site" / "bomb.pth")
    return str(tmp_path / "site" / "bomb.pth")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The address of the folder ``site``."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path / "site"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


LOADERS: dict[str, Callable[[str], Any]] = {
    "ours": read_checkpoint,
    "test": lambda path: load_weights(nn.Linear(2, 3), path),
    "load_from": lambda path: check_load_from(nn.Linear(2, 3), path),
    "resume": require_training_state,
    "mmengine": lambda path: load_checkpoint(nn.Linear(2, 3), path),
    "mmengine's loader": CheckpointLoader.load_checkpoint,
    "init_cfg": lambda path: Pretrained(path).init_weights(),
}


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("from_address", [False, True])
def test_no_loader_runs_it(loader: str, from_address: bool, bomb: str, site: str, mark: Path) -> None:
    path = f"{site}/bomb.pth" if from_address else bomb
    with pytest.raises(InputError, match=r"bomb\.pth: .*it asks for posix\.mkdir.*refused.*--trust-checkpoint") as told:
        LOADERS[loader](path)
    assert not mark.exists()
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("scheme", ["torchvision", "modelzoo", "open-mmlab", "openmmlab", "mmcls"])
def test_nor_does_one_of_the_model_zoos(
    scheme: str, bomb: str, site: str, mark: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for table in ("get_torchvision_models", "get_external_models", "get_mmcls_models"):
        monkeypatch.setattr(mmengine_checkpoint, table, lambda: {"x": f"{site}/bomb.pth"})
    monkeypatch.setattr(mmengine_checkpoint, "get_deprecated_model_names", dict)
    with pytest.raises(InputError, match="refused"):
        CheckpointLoader.load_checkpoint(f"{scheme}://x")
    assert not mark.exists()


@pytest.mark.parametrize("loader", LOADERS)
def test_a_trusted_file_is_loaded_by_all(loader: str, bomb: str, mark: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TRUST, "")
    trust_checkpoints([bomb])
    LOADERS[loader](bomb)
    assert mark.exists()


def test_trust_is_in_the_content_and_goes_to_children(
    bomb: str, tmp_path: Path, mark: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.sha256(Path(bomb).read_bytes()).hexdigest()
    monkeypatch.setenv(TRUST, f"{64 * '0'} {digest.upper()}")
    code = "import sys; from clmot_qd.checkpoints import read_checkpoint; read_checkpoint(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, bomb], capture_output=True, text=True)
    assert done.returncode == 0
    assert "bomb.pth: loaded with the code in it, since it is trusted" in done.stderr
    assert mark.is_dir()
    mark.rmdir()
    other = tmp_path / "other.pth"
    torch.save({"w": torch.zeros(1), "x": Call(os.mkdir, str(mark))}, other)
    os.replace(other, bomb)  # the same name, another content
    with pytest.raises(InputError, match="refused"):
        read_checkpoint(bomb)
    assert not mark.exists()


def test_the_commands_have_the_flag(bomb: str, tmp_path: Path, mark: Path) -> None:
    command = [sys.executable, str(REPOSITORY / "tools" / "convert_checkpoint.py"), bomb, str(tmp_path / "plain.pth")]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: {bomb}: not a checkpoint of plain tensors (it asks for posix.mkdir)")
    assert refused.stderr.count("\n") == 1
    trusting = subprocess.run([*command, "--trust-checkpoint", bomb], capture_output=True, text=True)
    assert "are those of no project known here" in trusting.stderr  # it was read
    assert mark.exists()
    for tool in ("app", "cache_detections", "export_onnx", "report", "test", "track_video", "train"):
        source = (REPOSITORY / "tools" / f"{tool}.py").read_text()
        assert "trust_checkpoints(args.trust_checkpoint)" in source


NOTHING = {
    "html": b"<html><body>404</body></html>\n",
    "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 5\n",
    "empty": b"",
    "zeros": bytes(1000),
    "text": b"a" * 1000,
    "random": np.random.default_rng(0).bytes(1000),
}


@pytest.mark.parametrize("content", NOTHING.values(), ids=NOTHING)
def test_what_is_no_checkpoint_is_nothing_to_trust(content: bytes, site: str, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    file = tmp_path / "site" / "a.pth"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.pth: no checkpoint \(empty\? a web page\? a git-lfs pointer\?\)$"):
        read_checkpoint(file)
    with pytest.raises(
        InputError, match=r"a\.pth: no checkpoint .*; it is kept as (.*): remove it, to have it"
    ) as told:
        read_checkpoint(f"{site}/a.pth")
    (copy,) = (tmp_path / "hub" / "checkpoints").iterdir()
    assert str(copy) in str(told.value)
    torch.save({"w": torch.ones(1)}, file)
    copy.unlink()
    assert list(read_checkpoint(f"{site}/a.pth").state_dict) == ["w"]


@pytest.mark.filterwarnings("ignore:.*TorchScript", "ignore:.*pickle protocol 4", "ignore:.*:DeprecationWarning")
def test_files_of_other_kinds_are_named(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), tmp_path / "script.pt")
    with pytest.raises(InputError, match=r"script\.pt: a TorchScript archive, .*; save its state_dict\(\)"):
        read_checkpoint(tmp_path / "script.pt")
    torch.save({"w": torch.ones(1)}, tmp_path / "new.pth", pickle_protocol=4)
    with tarfile.open(tmp_path / "old.pth", "w") as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    for name, reason in (("new.pth", "Unsupported operand"), ("old.pth", r"a \.tar file of an old torch")):
        with pytest.raises(
            InputError, match=rf"{name}: not a checkpoint of plain .*{reason}.*--trust-checkpoint"
        ) as told:
            read_checkpoint(tmp_path / name)
        assert len(str(told.value)) < len(str(tmp_path)) + 320
        trust_checkpoints([str(tmp_path / name)])
    assert list(read_checkpoint(tmp_path / "new.pth").state_dict) == ["w"]
    with pytest.raises(InputError, match=r"old\.pth: cannot be read as a checkpoint"):  # it was tried
        read_checkpoint(tmp_path / "old.pth")


@pytest.mark.parametrize(
    "call",
    [
        Call(eval, "1"),
        Call(os.system, "true"),
        Call(pickle.loads, b"N."),
        Call(getattr, HistoryBuffer, "__init__"),
        Call(getattr, HistoryBuffer, "_statistics_methods"),
        Call(getattr, HistoryBuffer, b"mean"),
        Call(getattr, torch.Tensor, "numpy"),
        Call(torch.load, "x"),
        Call(functools.partial, print, 1),
        Call(type, "x", (), {}),
        Call(open, "x", "w"),
        Call(subprocess.Popen, ["true"]),
    ],
)
def test_what_else_a_pickle_could_call(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"w": torch.zeros(1)}, "x": call}, "a.pth")
    with pytest.raises(InputError, match=r"refused|cannot be read"):
        read_checkpoint("a.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]


def test_a_file_does_not_replace_the_statistics_of_all_logs(tmp_path: Path) -> None:
    history = HistoryBuffer([1.0, 3.0], [1, 1])
    known = dict(HistoryBuffer._statistics_methods)
    history._statistics_methods = {**known, "mean": HistoryBuffer.max, "new": HistoryBuffer.min}
    torch.save({"w": torch.ones(1), "x": history}, tmp_path / "a.pth")
    assert HistoryBuffer._statistics_methods == known
    load_checkpoint(nn.Linear(2, 3), str(tmp_path / "a.pth"))
    read_checkpoint(tmp_path / "a.pth")
    assert HistoryBuffer._statistics_methods == known


# --------------------------------------------------------------------------------------------------------- downloads
@pytest.mark.parametrize(
    ("address", "fits"),
    [
        ("https://example.org/a.pth", True),
        ("HTTPS://example.org/a.pth", True),
        ("http://localhost:1/a.pth", True),
        ("http://127.0.0.2/a.pth", True),
        ("http://[::1]/a.pth", True),
        ("http://example.org/a.pth", False),
        ("http://127.0.0.1.example.org/a.pth", False),
        ("http://127.0.0.1@example.org/a.pth", False),
        ("ftp://example.org/a.pth", False),
        ("file:///etc/a.pth", False),
        ("https:///a.pth", False),
        ("https://[::1/a.pth", False),
    ],
)
def test_only_encrypted_addresses(address: str, fits: bool) -> None:
    if fits:
        check_address(address)
        return
    with pytest.raises(InputError, match=r"use https://|no address"):
        check_address(address)


def test_passwords_of_addresses_are_not_told(tmp_path: Path) -> None:
    for address in (
        "http://me:secret@example.org/a.pth?key=secret",
        "https://me:secret@127.0.0.1:9/a.pth?token=secret",
    ):
        with pytest.raises(InputError) as told:
            read_checkpoint(address)
        assert "secret" not in str(told.value)
    for part in ("key", "api_key", "token", "Signature", "password", "auth"):
        assert public_name(f"https://example.org/{part}=123/a.pth") == f"https://example.org/{part}=***/a.pth"


PROMISING_NOTHING = (
    *("a-20200130.pth", "a-cafe.pth", "a-12345678", "model-00090000.pth", "best-20211126140254.pth", "ep-12345678.pth"),
    *("a-abcdefabcdef.pth", "model_deadbeef.pth", "a-best-decade.pth"),
)


def test_a_file_must_be_what_its_name_promises(site: str, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    content = b"content"
    digest = hashlib.sha256(content).hexdigest()
    for name in (f"a-{digest[:8]}.pth", f"a-{digest[:10]}.pt", f"a-{digest}.pth", *PROMISING_NOTHING):
        (tmp_path / "site" / name).write_bytes(content)
        assert fetch_checkpoint(f"{site}/{name}").read_bytes() == content
    for name in ("b-1234567a.pth", "b-123456789a.pt", f"b-{digest[:-1]}{(int(digest[-1], 16) + 1) % 16:x}.pth"):
        (tmp_path / "site" / name).write_bytes(content)
        with pytest.raises(InputError, match=rf"{name}: the file is not what its name promises .* and give its path$"):
            fetch_checkpoint(f"{site}/{name}")
        assert not list((tmp_path / "hub").rglob(f"*{name}"))
    kept = tmp_path / "hub" / "checkpoints" / f"a-{digest[:8]}.pth"
    kept.write_bytes(content[:-1])
    with pytest.raises(InputError, match=r"is not what its name promises .*: remove it"):
        fetch_checkpoint(f"{site}/{kept.name}")


def test_two_addresses_with_one_name_are_two_files(site: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for folder in ("a", "b"):
        (tmp_path / "site" / folder).mkdir(parents=True)
        torch.save({folder: torch.zeros(1)}, tmp_path / "site" / folder / "final.pth")
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save({"of elsewhere": torch.zeros(1)}, tmp_path / "hub" / "checkpoints" / "final.pth")
    for _ in range(2):
        for folder in ("a", "b"):
            assert [*read_checkpoint(f"{site}/{folder}/final.pth").state_dict] == [folder]
            assert [*read_checkpoint(f"{site}/{folder}/final.pth?x=1#y").state_dict] == [folder]
    file = fetch_checkpoint(f"{site}/a/final.pth")
    assert fetch_checkpoint(f"{site.replace('//', '//me:secret@')}/a/final.pth#part") == file
    told = [record.getMessage() for record in caplog.records if "read from its copy" in record.getMessage()]
    assert told.count(f"{site}/a/final.pth: read from its copy {file}") == 1  # not each time
    assert len(list(file.parent.iterdir())) == 5


def test_a_copy_that_another_program_has_made_is_taken_if_it_is_the_one(site: str, tmp_path: Path) -> None:
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    kept = tmp_path / "hub" / "checkpoints" / f"a-{hashlib.sha256(b'content').hexdigest()[:8]}.pth"
    kept.write_bytes(b"content")
    assert fetch_checkpoint(f"{site}/not/there/{kept.name}") == kept


@pytest.mark.parametrize("progress", [True, False])
def test_mmengine_chooses_folder_and_progress(
    progress: bool, site: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "site").mkdir()
    torch.save({"w": torch.zeros(300_000)}, tmp_path / "site" / "a.pth")
    found = mmengine_checkpoint.load_from_http(f"{site}/a.pth", model_dir=str(tmp_path / "own"), progress=progress)
    assert list(found) == ["w"]
    assert len(list((tmp_path / "own").iterdir())) == 1
    assert not (tmp_path / "hub").exists()
    assert ("1.20M/1.20M" in capsys.readouterr().err) == progress


@pytest.mark.parametrize("target", ["http://example.org/a.pth", "file:///etc/hostname", "ftp://127.0.0.1/a.pth"])
def test_no_redirect_leads_out_of_encryption(target: str, tmp_path: Path) -> None:
    refusal = pytest.raises(InputError, match=r"use https://|is not allowed")
    with one_answer(302, {"Location": target}) as address, refusal:
        fetch_checkpoint(f"{address}/a.pth")
    assert list((tmp_path / "hub").rglob("*.pth")) == []


def test_a_connection_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    refusal = pytest.raises(InputError, match=r"cannot be downloaded \(.*9 of 1000 bytes|IncompleteRead")
    with one_answer(200, {"Content-Length": "1000"}, b"only this") as address, refusal:
        fetch_checkpoint(f"{address}/a.pth")
    assert list((tmp_path / "hub").rglob("*.pth")) == []


class one_answer:
    """A server that always answers the same."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
