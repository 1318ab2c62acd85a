"""Random videos as TAO annotates them, in TAO's own files and in ours, and TrackEval run on the former."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import numpy as np


def random_tao(seed: int, videos: int = 5, classes: int = 6, objects: int = 8, images: int = 12) -> tuple[dict, list]:
    """An annotation file as TAO publishes it, and predictions: noisy, some short, some of absent classes.

    Numbers of images, videos and tracks are far apart, frames come in disorder, and a class is merged into another.
    """
    rng = np.random.default_rng(seed)
    data: dict = {"videos": [], "images": [], "annotations": [], "tracks": [], "categories": []}
    for number in range(1, classes + 1):
        data["categories"].append({"id": 10 * number, "name": f"thing {number}"})
    data["categories"][0]["merged"] = [{"id": 20, "name": "thing 2"}]
    found: list[dict] = []
    for video in range(videos):
        _add_video(data, found, rng, video, objects, images)
    return data, found


def _add_video(data: dict, found: list, rng: np.random.Generator, video: int, objects: int, images: int) -> None:
    numbers = [category["id"] for category in data["categories"]]
    lists = {
        "neg_category_ids": rng.choice(numbers, min(2, len(numbers)), replace=False).tolist(),
        "not_exhaustive_category_ids": rng.choice(numbers, min(2, len(numbers)), replace=False).tolist(),
    }
    entry = {"id": 70 + 3 * video, "name": f"val/set{video % 2}/v{11 - video}", "width": 640, "height": 480, **lists}
    data["videos"].append(entry)
    first = 1000 * (video + 1)
    for index in rng.permutation(images).tolist():
        image = {"id": first + 7 * index, "video_id": entry["id"], "frame_index": 30 * index, "width": 640}
        data["images"].append({**image, "height": 480, "file_name": f"{entry['name']}/frame{30 * index:04d}.jpg"})
    for index in range(objects):
        track, category = first + index, int(rng.choice(numbers[: max(2, len(numbers) - 2)]))
        start, speed = rng.uniform(0, 400, 2), rng.uniform(-8, 8, 2)
        size = rng.choice([12.0, 50.0, 150.0]) * rng.uniform(0.7, 1.3, 2)
        life = range(*np.sort(rng.choice(images + 1, 2, replace=False)).tolist())
        data["tracks"].append({"id": track, "category_id": category, "video_id": entry["id"]})
        for time in life:
            box = _quarters(np.concatenate([start + time * speed, size]))
            where = {"image_id": first + 7 * time, "video_id": entry["id"]}
            known = {"id": len(data["annotations"]) + 1, "track_id": track, "category_id": category, "iscrowd": 0}
            data["annotations"].append({**where, **known, "bbox": box, "area": box[2] * box[3]})
        _predict(found, rng, entry["id"], first, life, (start, speed, size), category, numbers)
    for ghost in range(4):
        place = (rng.uniform(0, 400, 2), rng.uniform(-8, 8, 2), rng.uniform(10, 200, 2))
        _predict(found, rng, entry["id"], first, range(ghost, images), place, int(rng.choice(numbers)), numbers)
    rng.shuffle(found)


def _predict(
    found: list,
    rng: np.random.Generator,
    video: int,
    first: int,
    life: range,
    place: tuple,
    category: int,
    numbers: list,
) -> None:
    """Up to two tracks on one object; one in five has the wrong class, now and then a track has two."""
    start, speed, size = place
    for _ in range(rng.integers(0, 3)):
        track = 1 + max((entry["track_id"] for entry in found), default=0)
        label = category if rng.random() < 0.8 else int(rng.choice(numbers))
        noise, score = rng.choice([0.0, 1.0, 6.0]), round(float(rng.random()), 1)
        for time in life:
            if rng.random() < 0.85:
                box = np.concatenate([start + time * speed, size]) + rng.normal(0, noise, 4)
                box[2:] = box[2:].clip(3)  # noise may have made it negative
                found.append(
                    {
                        "image_id": first + 7 * time,
                        "category_id": label if rng.random() < 0.95 else int(rng.choice(numbers)),
                        "bbox": _quarters(box),
                        "score": score,
                        "track_id": track,
                        "video_id": video,
                    }
                )


def _quarters(box: np.ndarray) -> list[float]:
    """Coordinates whose sums and products are exact; others make TrackEval abort on a track without any error."""
    return ((4 * box).round() / 4).tolist()


def as_cocovid(data: dict) -> dict:
    """The same in our schema: everything numbered anew, TAO's own numbers kept under ``source_id``."""
    videos = {video["id"]: number for number, video in enumerate(data["videos"], start=1)}
    images = {image["id"]: number for number, image in enumerate(data["images"], start=1)}
    order: dict[int, list[int]] = {video: [] for video in videos}
    for image in sorted(data["images"], key=lambda image: image["frame_index"]):
        order[image["video_id"]].append(image["id"])
    frame = {image: position for ids in order.values() for position, image in enumerate(ids)}
    tracks = {track["id"]: number for number, track in enumerate(data["tracks"], start=1)}
    return {
        "categories": data["categories"],
        "videos": [{**video, "id": videos[video["id"]], "source_id": video["id"]} for video in data["videos"]],
        "images": [
            {
                **image,
                "id": images[image["id"]],
                "source_id": image["id"],
                "video_id": videos[image["video_id"]],
                "frame_id": frame[image["id"]],
            }
            for image in data["images"]
        ],
        "annotations": [
            {
                **annotation,
                "image_id": images[annotation["image_id"]],
                "video_id": videos[annotation["video_id"]],
                "instance_id": tracks[annotation["track_id"]],
            }
            for annotation in data["annotations"]
        ],
    }


def run_trackeval(root: Path, data: dict, predictions: Path | list, limit: int = 300) -> tuple[dict, str]:
    """Let TrackEval read the files itself; return its results and what it prints."""
    import trackeval

    gt, tracker = root / "gt", root / "trackers" / "ours" / "data"
    gt.mkdir(parents=True, exist_ok=True)
    tracker.mkdir(parents=True, exist_ok=True)
    (gt / "gt.json").write_text(json.dumps(data))
    text = predictions.read_text() if isinstance(predictions, Path) else json.dumps(predictions)
    (tracker / "tracks.json").write_text(text)
    dataset = {"GT_FOLDER": str(gt), "TRACKERS_FOLDER": str(root / "trackers"), "PRINT_CONFIG": False}
    dataset["MAX_DETECTIONS"] = limit
    switches = ["PRINT_CONFIG", "TIME_PROGRESS", "OUTPUT_SUMMARY", "OUTPUT_DETAILED", "PLOT_CURVES"]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        evaluator = trackeval.Evaluator({"LOG_ON_ERROR": None} | dict.fromkeys(switches, False))
        kinds = ("TrackMAP", "HOTA", "CLEAR", "Identity")
        metrics = [getattr(trackeval.metrics, kind)(*([{"PRINT_CONFIG": False}] * (kind != "HOTA"))) for kind in kinds]
        results, _ = evaluator.evaluate([trackeval.datasets.TAO(dataset)], metrics)
    return results["TAO"]["ours"], printed.getvalue()
