"""t-SNE of embeddings, as in the papers' pictures of embedding spaces (QDTrack, Figure 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clmot_qd.apis.embedding_quality_report import TRAINED
from clmot_qd.datasets.mot_text import IntArray
from clmot_qd.visualization.report.tracked import Embedded

_PERPLEXITY = 30.0
_LEAST_POINTS = 5


@dataclass(frozen=True)
class Projection:
    """Embeddings in the plane.

    Args:
        points: (n, 2).
        identities: (n,) index into ``names``.
        names: Sequence, class where there are several, and identity.
        left_out: How many identities are not shown.
    """

    points: np.ndarray
    identities: IntArray
    names: Sequence[str]
    left_out: int


def project(embedded: Embedded, most_identities: int = 20, most_boxes: int = 40, seed: int = 0) -> Projection | None:
    """Lay embeddings out in the plane; the same embeddings give the same picture.

    The identities with the most boxes are shown, of each up to ``most_boxes`` boxes at equal distances in time.
    Distances are those of cosine similarity, as the histograms and most trackers use them.

    Returns:
        None where there are too few boxes.
    """
    from sklearn.manifold import TSNE

    objects = embedded.objects
    keys = np.stack([objects.videos, objects.labels, objects.ids], axis=1)
    identities, which, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:most_identities]
    rows = [_sample(np.flatnonzero(which.reshape(-1) == place), objects.frames, most_boxes) for place in np.sort(order)]
    chosen = np.concatenate(rows)
    if len(chosen) < _LEAST_POINTS:
        return None
    vectors = objects.embeds[TRAINED][chosen].astype(np.float64)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    perplexity = min(_PERPLEXITY, (len(vectors) - 1) / 3)
    # Of vectors of unit length the squared distance is 2 - 2 times the cosine similarity.
    points = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(vectors)
    several = len(np.unique(objects.labels)) > 1
    kinds = [f"{name} " if several else "" for name in objects.classes]
    shown = identities[np.sort(order)].tolist()
    names = [f"{embedded.videos[video]}: {kinds[label]}{identity}" for video, label, identity in shown]
    numbers = np.repeat(np.arange(len(rows)), [len(part) for part in rows])
    return Projection(points, numbers, names, len(identities) - len(rows))


def _sample(rows: IntArray, frames: np.ndarray, most: int) -> IntArray:
    """Return up to ``most`` of the rows, at equal distances in the order of frames."""
    rows = rows[np.argsort(frames[rows], kind="stable")]
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]
