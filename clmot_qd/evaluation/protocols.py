"""Scoring protocols: what a benchmark counts as right, as wrong, and as neither; as data, not as code.

==============  ======================================================================================================
``mot``         MOT15, MOT16, MOT17 and data sets in their form. A prediction that meets a distractor is left out.
``mot20``       The same with MOT20's fifth distractor, ``non_mot_vehicle``.
``bdd100k``     Eight classes. A prediction that finds nothing and lies in a crowd, or on an object of an ignored class,
                is left out. Super-categories HUMAN, VEHICLE, BIKE. With masks: BDD100K's segmentation tracking.
``mots20``      Masks of pedestrians. A prediction that finds nothing and lies in the ignore regions is left out.
``kitti-mots``  The same with cars and pedestrians.
``waymo``       Three classes, each with its own IoU. Scored over all objects, and without hard ones (LEVEL_1).
``plain``       Nothing is left out.
==============  ======================================================================================================

``mot``, ``bdd100k``, ``mots20`` and ``kitti-mots`` are, number for number, what TrackEval's ``MotChallenge2DBox``,
``BDD100K``, ``MOTSChallenge`` and ``KittiMOTS`` do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from clmot_qd.errors import InputError

#: Classes whose boxes MOT16 and MOT17 neither reward nor punish. MOT20 adds ``non_mot_vehicle``.
MOT_DISTRACTORS = ("person_on_vehicle", "static_person", "distractor", "reflection")

#: What the overlap of two objects is: that of their boxes, or that of their masks.
IOU_TYPES = ("bbox", "segm")


@dataclass(frozen=True)
class Protocol:
    """What one benchmark scores. Names of classes that an annotation file does not have are passed over.

    Args:
        name: The name to choose it by.
        classes: What is scored unless classes are chosen; empty: every class that has boxes.
        distractors: Predictions are matched one to one with the boxes of **all** classes (largest sum of IoUs);
            those that get a box of these classes are neither right nor wrong.
        regions: Boxes of these classes are regions: a prediction that is matched with no box of its class, and lies in
            a region with more than half of its own area, is neither right nor wrong.
        joined_regions: Whether the regions of a frame count as one: half of the prediction may lie in several. For
            masks alone.
        unmarked_are_regions: Whether boxes marked as a crowd or to be ignored are regions as well. Otherwise they
            take part in the matching with ``distractors``, and a prediction on them is wrong.
        iou_thr: Least IoU of a match (CLEAR, Identity, and the matching above); HOTA has its own series.
        iou_thr_of: Class -> least IoU, where it is another one.
        groups: Super-category -> its classes. Their counts are added up.
        easier_levels: Score -> largest ``difficulty`` that it asks for. A harder object that is not found is not
            missed; one that is found counts like any other. The plain scores ask for all objects.
        iou_types: Those of :data:`IOU_TYPES` that the benchmark scores. Commands that have boxes alone, such as those
            that choose a tracker's parameters, ask for ``bbox`` and use its rules for boxes.
        disjoint_masks: Whether a pixel may be in one predicted mask of a frame alone.
    """

    name: str
    classes: tuple[str, ...] = ()
    distractors: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    joined_regions: bool = False
    unmarked_are_regions: bool = False
    iou_thr: float = 0.5
    iou_thr_of: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    easier_levels: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    iou_types: tuple[str, ...] = IOU_TYPES
    disjoint_masks: bool = False

    def iou_thr_for(self, classes: Sequence[str]) -> float:
        """Return the least IoU of a row: that of its class, or the common one if it has several."""
        return self.iou_thr_of.get(classes[0], self.iou_thr) if len(classes) == 1 else self.iou_thr


def _mots(name: str, *classes: str) -> Protocol:
    return Protocol(
        name,
        classes,
        regions=("ignore region",),
        joined_regions=True,
        unmarked_are_regions=True,
        iou_types=("segm",),
        disjoint_masks=True,
    )


PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            Protocol("mot", classes=("pedestrian",), distractors=MOT_DISTRACTORS),
            Protocol("mot20", classes=("pedestrian",), distractors=(*MOT_DISTRACTORS, "non_mot_vehicle")),
            Protocol(
                "bdd100k",
                # In TrackEval's order, which decides the last bit of a sum.
                classes=("pedestrian", "rider", "car", "bus", "truck", "train", "motorcycle", "bicycle"),
                regions=("other person", "other vehicle", "trailer"),
                unmarked_are_regions=True,
                groups=MappingProxyType(
                    {
                        "HUMAN": ("pedestrian", "rider"),
                        "VEHICLE": ("car", "truck", "bus", "train"),
                        "BIKE": ("motorcycle", "bicycle"),
                    }
                ),
                disjoint_masks=True,
            ),
            _mots("mots20", "pedestrian"),
            _mots("kitti-mots", "car", "pedestrian"),
            Protocol(
                "waymo",
                classes=("vehicle", "pedestrian", "cyclist"),
                iou_thr_of=MappingProxyType({"vehicle": 0.7}),
                easier_levels=MappingProxyType({"LEVEL_1": 1}),
            ),
            Protocol("plain"),
        )
    }
)


def get_protocol(name: str) -> Protocol:
    """Return a protocol by its name.

    Raises:
        InputError: There is none of that name.
    """
    if name not in PROTOCOLS:
        raise InputError(f"protocol: {name!r} is unknown; choose from {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def require_iou_type(iou_type: str, protocol: Protocol | None = None) -> None:
    """Check what is to overlap.

    Raises:
        InputError: There is no such type, or the benchmark of the protocol does not score it.
    """
    if iou_type not in IOU_TYPES:
        raise InputError(f"iou_type: {iou_type!r} is unknown; choose from {', '.join(IOU_TYPES)}")
    if protocol is not None and iou_type not in protocol.iou_types:
        known = " or ".join(protocol.iou_types)
        raise InputError(f"protocol {protocol.name} does not score iou_type {iou_type}; set iou_type to {known}")
