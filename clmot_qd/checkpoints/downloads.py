"""Checkpoints from addresses: over an encrypted connection alone, whole or not at all, and what their name promises."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
import shutil
import urllib.request
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from clmot_qd.apis.addresses import public_name
from clmot_qd.errors import InputError
from clmot_qd.files import atomic_path

SECONDS = 60.0
"""How long a server may keep silent."""
# ``-`` and the beginning of the file's SHA-256, as torch and OpenMMLab name what they publish; a date is none.
_DIGEST = re.compile(r"-(?!20[0-9]{6}\.)([0-9a-f]{8,64})\.(?:pth|pt|pth\.tar)$")


def fetch_checkpoint(address: str) -> Path:
    """The local copy of the file at an address, downloaded once to where torch and mmengine look for it too.

    Raises:
        InputError: The address is not encrypted, gives nothing, or the file is not the one that its name promises.
    """
    import torch

    check_address(address)
    name = os.path.basename(urlsplit(address).path)
    if not name:
        raise InputError(f"{public_name(address)}: names no file; give the address of the checkpoint itself")
    file = Path(torch.hub.get_dir()) / "checkpoints" / name
    if not file.is_file():
        _download(address, file)
    elif not _is_promised(file, name):
        raise InputError(f"{file}: is not what its name promises (SHA-256): remove it, to have it downloaded again")
    return file


def check_address(address: str) -> None:
    """Refuse what others on the way could read and replace: anything but https, or http to this computer.

    Raises:
        InputError: Naming the address, without user and password.
    """
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise InputError(f"{public_name(address)}: no address ({error})") from None
    host = parts.hostname or ""
    if (parts.scheme == "https" and host) or (parts.scheme == "http" and _is_this_computer(host)):
        return
    told = "not encrypted" if parts.scheme == "http" else "not an address that checkpoints are fetched from"
    raise InputError(f"{public_name(address)}: {told}; use https://, or download the file and give its path")


def _is_this_computer(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _EncryptedRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a server's word to look elsewhere, unless that leads out of what :func:`check_address` allows."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _download(address: str, file: Path) -> None:
    """Write the file, all or nothing."""
    opener = urllib.request.build_opener(_EncryptedRedirects)
    request = urllib.request.Request(address, headers={"User-Agent": "clmot_qd"})
    try:
        with opener.open(request, timeout=SECONDS) as answer, atomic_path(file) as path:
            with path.open("wb") as target:
                shutil.copyfileobj(answer, target)
            _check_whole(path, answer.headers.get("Content-Length"))
            if not _is_promised(path, file.name):
                raise InputError(f"{public_name(address)}: the file is not what its name promises (SHA-256)")
    except (OSError, ValueError, HTTPException) as error:  # of the network, of the disk, of the address
        if isinstance(error, InputError):
            raise
        told = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{public_name(address)}: cannot be downloaded ({told})") from None


def _check_whole(path: Path, promised: str | None) -> None:
    """A connection that breaks off ends like one that is done."""
    if promised is not None and promised.isdecimal() and path.stat().st_size != int(promised):
        raise OSError(f"broke off after {path.stat().st_size} of {promised} bytes")


def _is_promised(path: Path, name: str) -> bool:
    """Whether the file has the SHA-256 that its name begins to tell; so it is if the name tells none."""
    promised = _DIGEST.search(name)
    return promised is None or sha256_of(path).startswith(promised[1])


def sha256_of(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
