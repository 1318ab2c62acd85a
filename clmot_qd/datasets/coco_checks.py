"""Reading a COCO or CocoVID annotation file with every mistake named, for all our data sets.

mmdet's own data sets answer a misspelt class with an empty set, a missing file with a stack trace from pycocotools and
a damaged annotation with a KeyError. :class:`CheckedCoco` checks the file while it is read;
:class:`CheckedAnnotations` is the mixin that makes a data set use it.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from mmdet.datasets.api_wrappers import COCO
from mmengine import fileio
from mmengine.dataset import BaseDataset

from clmot_qd.datasets.annotation_entries import are_boxes, is_box
from clmot_qd.datasets.segmentation_checks import check_segmentations, loads_masks, refuse_left_masks
from clmot_qd.errors import InputError, expecting_form
from clmot_qd.files import read_json
from clmot_qd.garbage import collection_paused
from clmot_qd.names import PictureRoot, check_pictures

IMAGE_KEYS = ("id", "file_name", "width", "height")
ANNOTATION_KEYS = ("id", "image_id", "category_id", "bbox")
CATEGORY_KEYS = ("id", "name")

#: Kind of entry -> keys that are read -> types that they may have. Whole floats, as pandas writes them, become int.
UsedKeys = Mapping[str, Mapping[str, frozenset[type]]]
_WHOLE, _ID, _NUMBER = frozenset({int}), frozenset({int, str}), frozenset({int, float})
# Values of another type would fail far from here, or mean something else. What nobody reads may be anything.
_ALWAYS: UsedKeys = {
    "image": {"id": _ID, "file_name": frozenset({str}), "width": _NUMBER, "height": _NUMBER},
    "category": {"id": _ID, "name": _ID},
    "annotation": {"id": _ID, "image_id": _ID, "category_id": _ID, "area": _NUMBER},
}
#: What data sets of videos read besides.
VIDEO_KEYS: UsedKeys = {
    "image": {"video_id": _WHOLE, "frame_id": _WHOLE},
    "video": {"id": _ID},
    "annotation": {"instance_id": _ID},
}
#: What data sets read whose identities are numbers for the model.
IDENTITY_KEYS: UsedKeys = {"annotation": {"instance_id": _WHOLE}}
_OPTIONAL = frozenset({"area", "video_id", "frame_id", "instance_id"})  # null stands for none


def read_coco(path: str | os.PathLike[str], also: UsedKeys | None = None) -> dict[str, Any]:
    """Read and check an annotation file; ``annotations`` may be absent or empty, a missing ``area`` is w * h.

    Args:
        path: The file.
        also: Keys that will be read besides those of all COCO files: :data:`VIDEO_KEYS`, :data:`IDENTITY_KEYS`.

    Raises:
        InputError: no file, no JSON (truncated, say), a list or a key missing, an id used twice, a box that is not four
            numbers, a category that is not listed. One line that names the file and the entry.
    """
    dataset = _load_json(path)
    if not isinstance(dataset, dict) or not {"images", "categories"} <= dataset.keys():
        raise InputError(f"{path}: not in COCO format: it needs the lists 'images', 'annotations' and 'categories'")
    also = also or {}
    annotations = dataset["annotations"] = [] if dataset.get("annotations") is None else dataset["annotations"]
    dataset["videos"] = [] if dataset.get("videos") is None else dataset["videos"]
    with expecting_form(lambda: str(path)):
        _check_entries(path, "image", dataset["images"], IMAGE_KEYS, also)
        _check_entries(path, "category", dataset["categories"], CATEGORY_KEYS, also)
        _check_entries(path, "annotation", annotations, ANNOTATION_KEYS, also)
        if "video" in also:
            _check_entries(path, "video", dataset["videos"], ("id",), also)
        for category in dataset["categories"]:
            category["name"] = str(category["name"])
        _check_boxes(path, annotations)
        _check_categories(path, dataset)
        for annotation in annotations:
            annotation.setdefault("area", annotation["bbox"][2] * annotation["bbox"][3])
    return dataset


def _load_json(path: str | os.PathLike[str]) -> Any:
    if not Path(path).is_file():
        raise InputError(f"ann_file: no file {str(path)!r}: correct ann_file or data_root of the data set")
    return read_json(path)


def _check_entries(
    path: str | os.PathLike[str], kind: str, entries: list[dict], keys: Sequence[str], also: UsedKeys
) -> None:
    if not isinstance(entries, list):
        raise InputError(f"{path}: what should be the list of every {kind} is a {type(entries).__name__}")
    if not _are_entries(entries, keys):
        _find_faulty(path, kind, entries, keys)
    for key, types in {**_ALWAYS.get(kind, {}), **also.get(kind, {})}.items():
        if not set(map(type, (entry[key] for entry in entries if key in entry))) <= types:
            _settle(path, kind, entries, key, types)


def _settle(path: str | os.PathLike[str], kind: str, entries: Sequence[dict], key: str, types: frozenset[type]) -> None:
    """Give the values of a key one of these types; take out null where the key is optional."""
    for entry in entries:
        if key not in entry or type(entry[key]) in types:
            continue
        if entry[key] is None and key in _OPTIONAL:
            del entry[key]
        elif type(entry[key]) is float and entry[key].is_integer() and int in types:
            entry[key] = int(entry[key])
        else:
            names = " or ".join(sorted(one.__name__ for one in types))
            raise InputError(f"{path}: {kind} {entry['id']!r}: {key} is {entry[key]!r}; it must be {names}")


def _are_entries(entries: Sequence[Any], keys: Sequence[str]) -> bool:
    required = set(keys)
    if not all(isinstance(entry, dict) and required <= entry.keys() for entry in entries):
        return False
    return len({entry["id"] for entry in entries}) == len(entries)


def _find_faulty(path: str | os.PathLike[str], kind: str, entries: Sequence[Any], keys: Sequence[str]) -> None:
    """Name the first entry without a key, or with the id of another."""
    seen = set()
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise InputError(f"{path}: {kind} number {index} is a {type(entry).__name__}, not an object with keys")
        missing = [key for key in keys if key not in entry]
        if missing:
            raise InputError(f"{path}: {kind} {entry.get('id', f'number {index}')} has no {missing[0]!r}")
        if entry["id"] in seen:
            raise InputError(f"{path}: {kind} id {entry['id']} is used twice: give every {kind} its own id")
        seen.add(entry["id"])


def _check_boxes(path: str | os.PathLike[str], annotations: list[dict]) -> None:
    if are_boxes([annotation["bbox"] for annotation in annotations]):
        return
    for annotation in annotations:  # which one is it?
        bbox = annotation["bbox"]
        if not is_box(bbox):
            raise InputError(f"{path}: annotation {annotation['id']}: bbox must be [x, y, w, h] in pixels, not {bbox}")


def _check_categories(path: str | os.PathLike[str], dataset: dict[str, Any]) -> None:
    known = {category["id"] for category in dataset["categories"]}
    for annotation in dataset["annotations"]:
        if annotation["category_id"] not in known:
            raise InputError(
                f"{path}: annotation {annotation['id']} has category_id {annotation['category_id']}, "
                f"which 'categories' does not list ({sorted(known, key=str)})"
            )


class CheckedCoco(COCO):
    """mmdet's COCO index over a checked file, with classes in the order asked for.

    The parent returns category ids in the order of the *file*, so that label i would not mean ``classes[i]`` when the
    two orders differ, and drops unknown names in silence. It also prints.
    """

    def __init__(self, annotation_file: str | os.PathLike[str], also: UsedKeys | None = None) -> None:
        """Read, check and index the file; ``also`` is that of :func:`read_coco`."""
        super().__init__()
        self.path = annotation_file
        self.dataset = read_coco(annotation_file, also)
        with contextlib.redirect_stdout(io.StringIO()):
            self.createIndex()
        self.img_ann_map, self.cat_img_map = self.imgToAnns, self.catToImgs

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of all categories, in the order of the file."""
        return tuple(category["name"] for category in self.dataset["categories"])

    def get_cat_ids(
        self, cat_names: Sequence[str] = (), sup_names: Sequence[str] = (), cat_ids: Sequence[int] = ()
    ) -> list[int]:
        """Category ids of ``cat_names`` in that order; without names the parent's answer.

        Raises:
            InputError: a name that the file does not list.
        """
        if not cat_names:
            return super().get_cat_ids(cat_names, sup_names, cat_ids)
        ids = {category["name"]: category["id"] for category in self.dataset["categories"]}
        cat_names = [str(name) for name in cat_names]  # as in the file: 5 is "5"
        unknown = [name for name in cat_names if name not in ids]
        if unknown:
            raise InputError(
                f"metainfo.classes: {self.path} has no class {unknown[0]!r}; its classes are {', '.join(ids)}"
            )
        return [ids[name] for name in cat_names]


class CheckedAnnotations(BaseDataset):
    """Mixin for mmdet data sets with COCO files: friendly errors, ``classes`` in the user's order.

    * ``metainfo`` without ``classes`` means all classes of the file, in its order;
    * ``data_prefix`` may name the image root ``img`` (mmdet's image data sets) or ``img_path`` (its video data sets);
    * the file is read by :class:`CheckedCoco`;
    * with ``check_files`` every listed image file must exist when the data set is built, and every mask be sound if the
      pipeline loads masks (:func:`.segmentation_checks.check_segmentations`);
    * no listed image lies outside ``data_root`` (without one outside its prefix, without both anywhere);
    * a pipeline that loads masks has no step that moves pictures and boxes without them
      (:func:`.segmentation_checks.refuse_left_masks`);
    * a data set without a sample is an error.

    Labels follow ``metainfo.classes``. mmdet's ``CocoMetric`` with an ``ann_file`` numbers by the file's order instead:
    list the classes in that order where you use it.
    """

    METAINFO: dict[str, Any] = {"classes": ()}  # noqa: RUF012 (mmengine's name, it makes copies)
    also_read: ClassVar[UsedKeys] = {}
    """Keys of the file that this kind of data set reads besides those of all COCO files."""

    def __init__(self, *args: Any, check_files: bool = True, **kwargs: Any) -> None:
        """Take ``check_files``; the rest goes to the parent."""
        self.check_files = check_files
        super().__init__(*args, **kwargs)

    def COCOAPI(self, annotation_file: str) -> CheckedCoco:
        """Read the annotation file (mmdet's name for that) and fill in ``classes`` where none were asked for."""
        coco = CheckedCoco(annotation_file, self.also_read)
        classes = self._metainfo["classes"] or coco.class_names
        if isinstance(classes, str) and ("/" in classes or classes.endswith(".txt")):
            raise InputError(f"metainfo.classes: no file {classes!r}: write one class per line into it, or give a list")
        if isinstance(classes, str):
            raise InputError(f"metainfo.classes: {classes!r} is a string, not a list: write classes=({classes!r},)")
        self._metainfo["classes"] = tuple(classes)
        if self.check_files and loads_masks(self.pipeline):
            check_segmentations(annotation_file, coco.dataset, coco.get_cat_ids(cat_names=classes))
        return coco

    def full_init(self) -> None:
        """Load, filter and store as the parent does, unless the pipeline leaves masks behind."""
        refuse_left_masks(self.pipeline)
        with collection_paused(), expecting_form(lambda: str(self.ann_file)):
            super().full_init()

    def filter_data(self) -> list[dict]:
        """Filter as the parent does, then refuse a data set without a sample."""
        return self._require_samples(super().filter_data())

    def _require_samples(self, samples: list[dict]) -> list[dict]:
        if not samples:
            raise InputError(
                f"{self.ann_file}: no image is left to use: it lists none, "
                f"or filter_cfg drops them all (classes: {', '.join(self._metainfo['classes'])})"
            )
        return samples

    def _join_prefix(self) -> None:
        prefixes = self.data_prefix
        root = prefixes.get("img", prefixes.get("img_path", ""))
        prefixes.update(img=root, img_path=root)
        super()._join_prefix()

    def _check_files(self, paths: Iterable[str]) -> None:
        """Raise InputError if a path leaves the data's root, or ``check_files`` is on and it does not exist."""
        paths = list(paths)
        check_pictures(PictureRoot(self.data_prefix["img"], self.data_root or ""), paths, self.ann_file)
        if not self.check_files:
            return
        arguments = self.backend_args
        missing = [path for path in paths if not fileio.exists(path, backend_args=arguments)]
        if missing:
            raise InputError(
                f"{missing[0]}: no such image, though {self.ann_file} lists it "
                f"({len(missing)} missing in all): correct data_root or data_prefix, or take it out"
            )
