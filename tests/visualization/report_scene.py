"""A small scene with one switch whose frame and ids are known, in files, with or without pictures."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np

FRAMES = 10
SWITCH = dict(identity=7, frame=6, last=4, old=31, new=55)
EVIL = "<script>alert(1)</script>"


def write_scene(folder: Path, sequence: str = "street", class_name: str = "walker", pictures: bool = True) -> Path:
    """Write truth.json, tracks.json (CocoVID) and img/ into a folder that is made.

    Object 7 is followed by track 31 in frames 1 to 4, missed in frame 5 and followed by track 55 from frame 6 on.
    Object 8 is followed by track 2 all the time, and gone in frame 5. A false alarm stands in frame 9.
    """
    folder.mkdir(parents=True)
    truth: dict = dict(
        categories=[dict(id=3, name=class_name)],
        videos=[dict(id=1, name=sequence)],
        images=[dict(id=100 + n, video_id=1, frame_id=n, file_name=f"{n:03d}.png") for n in range(FRAMES)],
        annotations=[],
    )
    tracks = []
    for n in range(FRAMES):
        left, right = [10.0 + 2 * n, 20, 20, 40], [120.0, 15, 22, 44]
        for identity, box in ((7, left), (8, right)):
            if (identity, n) != (8, 4):
                number = len(truth["annotations"])
                truth["annotations"].append(
                    dict(id=number, image_id=100 + n, category_id=3, bbox=box, instance_id=identity)
                )
        found = {2: right} if n != 4 else {}
        found |= {31: left} if n < 4 else {55: left} if n > 4 else {}
        found |= {9: [60.0, 60, 20, 20]} if n == 8 else {}
        tracks += [
            dict(image_id=100 + n, category_id=3, bbox=box, score=0.9, instance_id=i) for i, box in found.items()
        ]
        if pictures:
            (folder / "img").mkdir(exist_ok=True)
            picture = np.full((100, 160, 3), 90, dtype=np.uint8)
            for box, colour in ((left, (0, 0, 255)), (right, (0, 255, 0))):
                x, y, w, h = (int(value) for value in box)
                cv2.rectangle(picture, (x, y), (x + w - 1, y + h - 1), colour, cv2.FILLED)
            cv2.imwrite(str(folder / "img" / f"{n:03d}.png"), picture)
    (folder / "truth.json").write_text(json.dumps(truth))
    (folder / "tracks.json").write_text(json.dumps(tracks))
    return folder


class Page(HTMLParser):
    """What a page says: tables by caption, texts by tag, images and the titles within drawings."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.images: list[dict[str, str]] = []
        self.texts: dict[str, list[str]] = {}
        self.attributes: list[tuple[str, dict[str, str]]] = []
        self._open: list[str] = []
        self._rows: list[list[str]] = []
        self._caption = ""
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        self.attributes.append((tag, values))
        if tag == "img":
            self.images.append(values)
        if tag in ("img", "meta", "link", "br", "rect", "line", "path") and tag not in ("rect", "path"):
            return
        self._open.append(tag)
        self.texts.setdefault(tag, []).append("")
        if tag == "table":
            self._rows = []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("th", "td") and self._rows:
            self._rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass
        if tag == "table":
            self.tables[self._caption] = self._rows

    def handle_data(self, data: str) -> None:
        if not self._open:
            return
        self.texts[self._open[-1]][-1] += data
        if "caption" in self._open:
            self._caption = data
        elif {"th", "td"} & {*self._open} and self._rows:
            self._rows[-1][-1] += data

    def said(self, tag: str) -> list[str]:
        """The texts of these elements, without breaks of lines."""
        return [" ".join(text.split()) for text in self.texts.get(tag, []) if text.strip()]
