"""Published counts of MOTChallenge and DanceTrack, to compare a conversion with.

MOTChallenge counts what its scoring looks for: boxes of pedestrians with mark 1. Test sets have pictures alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from clmot_qd.datasets.converters.source import Counts
from clmot_qd.datasets.mot_layout import MOT17_DETECTORS

_COUNTED = ("pedestrian",)


@dataclass(frozen=True)
class Published:
    """What the authors of a data set say there is.

    Args:
        sequences: Name, without MOT17's detector -> frames, and of its pedestrians with mark 1 identities and boxes.
        splits: Name of the folder -> counts of the whole split, where no figures of sequences are published.
        origin: Where the figures stand.
    """

    sequences: Mapping[str, tuple[int, int | None, int | None]] = field(default_factory=dict)
    splits: Mapping[str, Counts] = field(default_factory=dict)
    origin: str = ""

    def by_video(self, names: Sequence[str]) -> dict[str, Counts]:
        """Return name -> counts of the sequences that have published ones."""
        known = {name: self.sequences[base] for name in names if (base := _without_detector(name)) in self.sequences}
        return {name: self._counts(*figures, videos=1) for name, figures in known.items()}

    def of(self, names: Sequence[str], folder: str) -> Counts | None:
        """Return the sum over some sequences, or what is said of a split; None if one of them is not known."""
        if folder in self.splits:
            return self.splits[folder]
        known = self.by_video(names)
        if len(known) < len(names):
            return None
        images, identities, boxes = (_sum([getattr(counts, key) for counts in known.values()]) for key in _SUMMED)
        return self._counts(images, identities, boxes, videos=len(known))

    def _counts(self, images: int | None, identities: int | None, boxes: int | None, videos: int) -> Counts:
        return Counts(images, boxes, identities, videos, _COUNTED, self.origin)


_SUMMED = ("images", "identities", "boxes")


def _sum(values: Sequence[int | None]) -> int | None:
    return None if None in values else sum(value for value in values if value is not None)


def _without_detector(name: str) -> str:
    base, _, last = name.rpartition("-")
    return base if last in MOT17_DETECTORS else name


MOT15 = Published(
    {
        "ADL-Rundle-6": (525, 24, 5009),
        "ADL-Rundle-8": (654, 28, 6783),
        "ETH-Bahnhof": (1000, 171, 5415),
        "ETH-Pedcross2": (837, 133, 6263),
        "ETH-Sunnyday": (354, 30, 1858),
        "KITTI-13": (340, 42, 762),
        "KITTI-17": (145, 9, 683),
        "PETS09-S2L1": (795, 19, 4476),
        "TUD-Campus": (71, 8, 359),
        "TUD-Stadtmitte": (179, 10, 1156),
        "Venice-2": (600, 26, 7141),
        "ADL-Rundle-1": (500, None, None),
        "ADL-Rundle-3": (625, None, None),
        "AVG-TownCentre": (450, None, None),
        "ETH-Crossing": (219, None, None),
        "ETH-Jelmoli": (440, None, None),
        "ETH-Linthescher": (1194, None, None),
        "KITTI-16": (209, None, None),
        "KITTI-19": (1059, None, None),
        "PETS09-S2L2": (436, None, None),
        "TUD-Crossing": (201, None, None),
        "Venice-1": (450, None, None),
    },
    origin="motchallenge.net, MOT15",
)
_TEST_FRAMES_16 = {"01": 450, "03": 1500, "06": 1194, "07": 500, "08": 625, "12": 900, "14": 750}
MOT16 = Published(
    {
        "MOT16-02": (600, 54, 17833),
        "MOT16-04": (1050, 83, 47557),
        "MOT16-05": (837, 125, 6818),
        "MOT16-09": (525, 25, 5257),
        "MOT16-10": (654, 54, 12318),
        "MOT16-11": (900, 69, 9174),
        "MOT16-13": (750, 107, 11450),
        **{f"MOT16-{number}": (frames, None, None) for number, frames in _TEST_FRAMES_16.items()},
    },
    origin="motchallenge.net, MOT16",
)
MOT17 = Published(
    {
        "MOT17-02": (600, 62, 18581),
        "MOT17-04": (1050, 83, 47557),
        "MOT17-05": (837, 133, 6917),
        "MOT17-09": (525, 26, 5325),
        "MOT17-10": (654, 57, 12839),
        "MOT17-11": (900, 75, 9436),
        "MOT17-13": (750, 110, 11642),
        **{f"MOT17-{number}": (frames, None, None) for number, frames in _TEST_FRAMES_16.items()},
    },
    origin="motchallenge.net, MOT17",
)
MOT20 = Published(
    {
        "MOT20-01": (429, 74, 19870),
        "MOT20-02": (2782, 270, 154742),
        "MOT20-03": (2405, 702, 313658),
        "MOT20-05": (3315, 1169, 646344),
        "MOT20-04": (2080, None, None),
        "MOT20-06": (1008, None, None),
        "MOT20-07": (585, None, None),
        "MOT20-08": (806, None, None),
    },
    origin="motchallenge.net, MOT20",
)
_DANCETRACK = "DanceTrack (CVPR 2022), Table 2"
DANCETRACK = Published(
    splits={
        "train": Counts(41796, None, 419, 40, _COUNTED, _DANCETRACK),
        "val": Counts(25508, None, 273, 25, _COUNTED, _DANCETRACK),
        "test": Counts(38551, None, None, 35, _COUNTED, _DANCETRACK),
    }
)
