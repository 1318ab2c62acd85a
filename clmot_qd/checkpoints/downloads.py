"""Checkpoints from addresses: over an encrypted connection alone, whole or not at all, and what their name promises."""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import os
import re
import urllib.request
from functools import cache
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO
from urllib.parse import SplitResult, urlsplit

from clmot_qd.apis.addresses import public_name
from clmot_qd.errors import InputError
from clmot_qd.files import atomic_path

SECONDS = 60.0
"""How long a server may keep silent."""
# ``-`` and the beginning of the file's SHA-256, as torch and OpenMMLab name what they publish. Digits alone are a date
# or an iteration: of 43 hashes of eight digits one has no letter, and is not checked.
_DIGEST = re.compile(r"-(?=[0-9]*[a-f])([0-9a-f]{8}|[0-9a-f]{10}|[0-9a-f]{64})\.(?:pth|pt|pth\.tar)$")
_BLOCK = 1 << 20  # bytes


def fetch_checkpoint(address: str, folder: str | os.PathLike[str] | None = None, progress: bool | None = None) -> Path:
    """The local copy of the file at an address, downloaded once.

    A file whose name has its hash stands where torch and mmengine look for it too. Other names may mean another file at
    another address, so that 8 digits of the address's own hash stand before them.

    Args:
        address: Of the file.
        folder: Where copies are kept; None: torch's folder of checkpoints.
        progress: Whether to show how far the download is; None: on a terminal.

    Raises:
        InputError: The address is not encrypted, gives nothing, or the file is not the one that its name promises.
    """
    import torch

    check_address(address)
    parts = urlsplit(address)
    name = os.path.basename(parts.path)
    if not name:
        raise InputError(f"{public_name(address)}: names no file; give the address of the checkpoint itself")
    promised = _DIGEST.search(name)
    file = Path(folder or Path(torch.hub.get_dir()) / "checkpoints", name if promised else _name_of_copy(parts, name))
    digest = promised[1] if promised else ""
    if not os.path.isfile(file):
        _download(address, file, digest, progress)
    elif not _begins_with(file, digest):
        raise InputError(f"{file}: is not what its name promises (SHA-256): remove it, to have it downloaded again")
    if not promised:
        _tell_once(public_name(address), file)
    return file


def _name_of_copy(address: SplitResult, name: str) -> str:
    """A name that no other address has; who asks (user and password) makes no difference."""
    place = address._replace(netloc=address.netloc.rpartition("@")[2], fragment="").geturl()
    return f"{hashlib.sha256(place.encode()).hexdigest()[:8]}-{name}"


@cache
def _tell_once(shown: str, file: Path) -> None:
    """Nothing but its date tells how old the copy is, and whether the same still stands at the address."""
    logging.getLogger(__name__).warning("%s: read from its copy %s", shown, file)


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


def _download(address: str, file: Path, digest: str, progress: bool | None) -> None:
    """Write the file, all or nothing."""
    opener = urllib.request.build_opener(_EncryptedRedirects)
    request = urllib.request.Request(address, headers={"User-Agent": "clmot_qd"})
    shown = public_name(address)
    try:
        with opener.open(request, timeout=SECONDS) as answer, atomic_path(file) as path:
            _copy(answer, path, answer.headers.get("Content-Length"), progress)
            if not _begins_with(path, digest):
                told = "the file is not what its name promises (SHA-256); if it is no hash that the name ends with"
                raise InputError(f"{shown}: {told}, download it yourself and give its path")
    except (OSError, ValueError, HTTPException) as error:  # of the network, of the disk, of the address
        if isinstance(error, InputError):
            raise
        told = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{shown}: cannot be downloaded ({told})") from None


def _copy(answer: IO[bytes], path: Path, promised: str | None, progress: bool | None) -> None:
    """Write what a server sends; a connection that breaks off ends like one that is done."""
    from torch.hub import tqdm  # which stands in for the package where that is missing

    size = int(promised) if promised is not None and promised.isdecimal() else None
    hidden = None if progress is None else not progress
    with path.open("wb") as target, tqdm(total=size, disable=hidden, unit="B", unit_scale=True) as shown:
        while block := answer.read(_BLOCK):
            shown.update(target.write(block))
    if size is not None and path.stat().st_size != size:
        raise OSError(f"broke off after {path.stat().st_size} of {promised} bytes")


def _begins_with(path: Path, digest: str) -> bool:
    """Whether the SHA-256 of a file begins with some digits; there may be none."""
    return not digest or sha256_of(path).startswith(digest)


def sha256_of(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
