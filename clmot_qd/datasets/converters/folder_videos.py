"""Pictures whose folder is their video."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from clmot_qd.datasets.mot_layout import natural_key

#: Folders whose name says nothing about the video in them.
_PLAIN_NAMES = frozenset({"img1", "images", "frames"})


def folder_videos(pictures: Iterable[PurePosixPath]) -> dict[PurePosixPath, tuple[str, int]]:
    """Return for each picture the name of its video and its place in it, from 0.

    A video is called by the last folder whose name tells (``a/MOT17-02/img1``: ``MOT17-02``), or by all folders where
    that would give two videos one name. Its pictures are in natural order of their names. Pictures of one video come
    together, the videos in the order of their first pictures.
    """
    folders: dict[PurePosixPath, list[PurePosixPath]] = {}
    for picture in pictures:
        folders.setdefault(picture.parent, []).append(picture)
    names = [_telling(folder) for folder in folders]
    if len(set(names)) < len(names):
        names = ["_".join(folder.parts) for folder in folders]
    return {
        picture: (name, number)
        for name, members in zip(names, folders.values())
        for number, picture in enumerate(sorted(members, key=lambda member: natural_key(member.name)))
    }


def _telling(folder: PurePosixPath) -> str:
    telling = [part for part in folder.parts if part not in _PLAIN_NAMES]
    return telling[-1] if telling else "_".join(folder.parts)
