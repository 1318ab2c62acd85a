"""embedding_quality against loops over pairs, in cases worked out by hand, and what must not change it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from clmot_qd.apis import embedding_quality as module
from clmot_qd.apis.embedding_quality import BINS, embedding_quality, roc_curve
from clmot_qd.errors import InputError

LEVELS = (1e-6, 1e-3, 1e-2, 0.1, 0.5)


def scene(seed: int, videos: int = 2, people: int = 4, frames: int = 6, noise: float = 0.5) -> dict[str, np.ndarray]:
    """People of two classes who come and go; ids are the same in all videos."""
    rng = np.random.default_rng(seed)
    looks = rng.normal(size=(videos, people, 8))
    rows = [
        (video, frame, person)
        for video in range(videos)
        for frame in range(1, frames + 1)
        for person in range(people)
        if rng.random() < 0.8
    ]
    rng.shuffle(rows)
    video, frame, person = np.array(rows).T
    embeds = looks[video, person] + noise * rng.normal(size=(len(rows), 8))
    return dict(embeds=embeds * rng.uniform(0.1, 9, (len(rows), 1)), ids=person, frames=frame, videos=video)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def naive_rates(data: dict[str, np.ndarray], labels: np.ndarray | None = None) -> dict[float, float]:
    """Largest TPR of all thresholds whose FAR is not larger."""
    same, different = [], []
    count = len(data["ids"])
    for i in range(count):
        for j in range(i + 1, count):
            if labels is not None and labels[i] != labels[j]:
                continue
            one = data["ids"][i] == data["ids"][j] and data["videos"][i] == data["videos"][j]
            (same if one else different).append(cosine(data["embeds"][i], data["embeds"][j]))
    rates = {}
    for level in LEVELS:
        best = 0.0
        for threshold in [*same, *different, -2.0]:
            if sum(s > threshold for s in different) <= level * len(different) + 1e-9:
                best = max(best, sum(s > threshold for s in same) / len(same))
        rates[level] = best
    return rates


def naive_nearest(data: dict[str, np.ndarray], gap: int, labels: np.ndarray) -> tuple[int, int, float]:
    asked = found = 0
    chance = 0.0
    everybody = range(len(data["ids"]))
    for i in everybody:
        there = [
            j
            for j in everybody
            if data["videos"][j] == data["videos"][i]
            and data["frames"][j] == data["frames"][i] + gap
            and labels[j] == labels[i]
        ]
        if data["ids"][i] not in [data["ids"][j] for j in there]:
            continue
        asked += 1
        chance += 1 / len(there)
        nearest = max(there, key=lambda j: cosine(data["embeds"][i], data["embeds"][j]))
        found += data["ids"][nearest] == data["ids"][i]
    return asked, found, chance


@pytest.mark.parametrize("classes", [1, 2])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_equals_loops(seed: int, classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAIRS_AT_ONCE", 300)  # many blocks
    data = scene(seed)
    labels = data["ids"] % classes
    quality = embedding_quality(**data, labels=labels, far_levels=LEVELS, gaps=(1, 2, 5))
    assert quality.objects == len(data["ids"])
    assert quality.identities == 8
    assert quality.tpr_at_far == pytest.approx(naive_rates(data, labels), abs=1e-12)
    for gap, nearest in quality.nearest.items():
        asked, found, chance = naive_nearest(data, gap, labels)
        assert (nearest.objects, nearest.found) == (asked, found)
        assert nearest.by_chance == pytest.approx(chance)
        assert nearest.accuracy == pytest.approx(found / asked)


def test_thresholds_are_those_of_the_rates() -> None:
    data = scene(3)
    quality = embedding_quality(**data, far_levels=LEVELS)
    similarity = np.array([[cosine(a, b) for b in data["embeds"]] for a in data["embeds"]])
    one = (data["ids"][:, None] == data["ids"]) & (data["videos"][:, None] == data["videos"])
    upper = np.triu(np.ones_like(one), k=1)
    for level, threshold in quality.thresholds.items():
        strict, lax = (similarity > threshold + margin for margin in (2e-7, -2e-7))  # single precision
        assert (strict & ~one & upper).sum() <= level * (~one & upper).sum() + 1e-9
        accepted = round(quality.tpr_at_far[level] * (one & upper).sum())
        assert (strict & one & upper).sum() <= accepted <= (lax & one & upper).sum()


def test_a_rate_that_is_a_whole_number_of_pairs() -> None:
    """0.29 of 100 pairs of two identities are 29, though 0.29 * 100 is a little less in floating point."""
    assert int(0.29 * 100) == 28
    assert [module._passing(0.29, total) for total in (100, 99)] == [29, 28]


def test_a_threshold_by_hand() -> None:
    embeds = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8]])  # similarities 0.8 (one identity), 0.6 and 0.96
    quality = embedding_quality(embeds, np.array([1, 1, 2]), np.arange(3), np.zeros(3), far_levels=(0.1, 0.6))
    assert quality.tpr_at_far == {0.1: 0.0, 0.6: 1.0}
    assert quality.thresholds == {0.1: pytest.approx(0.96, abs=5e-7), 0.6: pytest.approx(0.6, abs=5e-7)}


def test_counts_of_the_pairs() -> None:
    data = scene(4)
    quality = embedding_quality(**data)
    count = len(data["ids"])
    assert quality.same.sum() + quality.different.sum() == count * (count - 1) // 2
    similarity = [cosine(data["embeds"][i], data["embeds"][j]) for i in range(count) for j in range(i)]
    expected = np.histogram(similarity, bins=64, range=(-1, 1))[0]
    assert (quality.same + quality.different).reshape(64, BINS // 64).sum(axis=1).tolist() == expected.tolist()


def test_perfect_and_useless_embeddings() -> None:
    data = scene(5)
    looks = np.eye(8)[4 * data["videos"] + data["ids"]]
    perfect = embedding_quality(**{**data, "embeds": looks})
    assert set(perfect.tpr_at_far.values()) == {1.0}
    assert all(near.accuracy == 1 for near in perfect.nearest.values() if near.objects)
    equal = embedding_quality(**{**data, "embeds": np.ones((len(looks), 3))})
    assert set(equal.tpr_at_far.values()) == {0.0}  # any threshold that accepts one accepts all
    assert equal.nearest[1].accuracy == pytest.approx(equal.nearest[1].chance)
    nothing = embedding_quality(**{**data, "embeds": np.zeros((len(looks), 3))})
    assert nothing.nearest[1].accuracy == pytest.approx(nothing.nearest[1].chance)


def test_by_hand() -> None:
    """Two objects in three frames; in frame 2 they look like each other."""
    east, north = [1.0, 0.0], [0.0, 1.0]
    embeds = np.array([east, north, north, east, east, north])
    quality = embedding_quality(
        embeds,
        np.array([1, 2] * 3),
        np.array([1, 1, 2, 2, 3, 3]),
        np.zeros(6),
        far_levels=(0.1, 0.4, 0.5),
        gaps=(1, 2, 3),
    )
    # Of 6 pairs of one identity 2 are alike; of 9 pairs of two 4 are.
    assert (quality.same.sum(), quality.different.sum()) == (6, 9)
    assert quality.tpr_at_far == {0.1: 0.0, 0.4: 0.0, 0.5: 2 / 6}
    assert [(near.objects, near.found) for near in quality.nearest.values()] == [(4, 0), (2, 2), (0, 0)]
    assert np.isnan(quality.nearest[3].accuracy)
    assert np.isnan(quality.nearest[3].chance)


def test_order_length_and_names_do_not_matter() -> None:
    data = scene(6)
    expected = embedding_quality(**data)
    order = np.random.default_rng(0).permutation(len(data["ids"]))
    moved = {key: value[order] for key, value in data.items()}
    moved["embeds"] = moved["embeds"] * np.random.default_rng(1).uniform(0.1, 20, (len(order), 1))
    moved["videos"] = np.array([f"clip {v}" for v in moved["videos"]])
    moved["ids"] = moved["ids"] * 1000 - 7
    moved["frames"] = moved["frames"] + 99
    found = embedding_quality(**moved)
    assert found.tpr_at_far == expected.tpr_at_far
    for gap, near in expected.nearest.items():
        assert (found.nearest[gap].objects, found.nearest[gap].found) == (near.objects, near.found)
        assert found.nearest[gap].by_chance == pytest.approx(near.by_chance)


def test_similarities_just_around_a_threshold_are_told_apart() -> None:
    """A pair of one identity that is more alike than any pair of two, by 1e-6."""
    angles = np.array([0.0, 0.1, 2.0, 2.1 + 1e-5])  # one identity: 0 and 1; two identities: 2 and 3
    embeds = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    quality = embedding_quality(embeds, np.array([1, 1, 2, 3]), np.arange(4), np.zeros(4), far_levels=(0.01,))
    assert quality.tpr_at_far == {0.01: 1.0}
    quality = embedding_quality(embeds, np.array([1, 2, 3, 3]), np.arange(4), np.zeros(4), far_levels=(0.01,))
    assert quality.tpr_at_far == {0.01: 0.0}


def test_roc() -> None:
    far, tpr = roc_curve(embedding_quality(**scene(7)))
    assert (np.diff(far) >= 0).all()
    assert (np.diff(tpr) >= 0).all()
    assert (far[-1], tpr[-1]) == (1, 1)
    assert 1 > np.trapezoid(tpr, far) > 0.9


@pytest.mark.parametrize("rows", [0, 1])
def test_nothing_to_compare(rows: int) -> None:
    quality = embedding_quality(np.ones((rows, 4)), np.ones(rows), np.ones(rows), np.ones(rows))
    assert np.isnan(list(quality.tpr_at_far.values())).all()
    assert np.isnan(list(quality.thresholds.values())).all()
    assert all(near.objects == 0 for near in quality.nearest.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(ids=np.ones(2)), r"arrays of shapes \(3, 2\), \(2,\), \(3,\), \(3,\), .*must be \(n, C\) and \(n,\)"),
        (dict(embeds=np.ones(3)), r"arrays of shapes \(3,\)"),
        (dict(embeds=np.full((3, 2), np.nan)), "embeds has a value that is not finite"),
        (dict(labels=np.ones(4)), "arrays of shapes"),
    ],
)
def test_mistakes(change: dict[str, Any], message: str) -> None:
    usual = dict(embeds=np.ones((3, 2)), ids=np.arange(3), frames=np.arange(3), videos=np.zeros(3))
    with pytest.raises(InputError, match=message):
        embedding_quality(**{**usual, **change})
