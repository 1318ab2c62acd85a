"""Scoring tracks against ground truth, without any model: the core behind the metric and the commands."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

import numpy as np

from clmot_qd.datasets.mot_text import MotTable, empty_table
from clmot_qd.errors import InputError
from clmot_qd.evaluation.backends import BACKENDS, OVERALL, Backend, Counts, require_backends
from clmot_qd.evaluation.ground_truth import GroundTruth, SequenceTruth
from clmot_qd.evaluation.mask_tables import ready_masks, require_masks
from clmot_qd.evaluation.protocols import Protocol, get_protocol, require_iou_type
from clmot_qd.evaluation.scores import CLASS_AGNOSTIC, CLASS_MEAN, DETECTION_AVERAGE, TrackScores, named_for
from clmot_qd.evaluation.scoring_input import MaskOverlaps, Overlaps, Rules, check_tracks, prepare

_SHOWN = 8  # classes in a message

# Row (a class, or CLASS-AGNOSTIC) -> what counts in it.
Plan = dict[str, Rules]
# Backend -> row -> what was counted in one sequence.
SequenceCounts = dict[str, dict[str, Counts]]


def evaluate_tracks(
    truth: GroundTruth,
    tracks: Mapping[str, MotTable],
    classes: Sequence[str] | None = None,
    distractors: Sequence[str] | None = None,
    backends: Sequence[str] = ("trackeval", "motmetrics"),
    iou_thr: float | None = None,
    progress: Callable[[str], None] = lambda line: None,
    protocol: str = "mot",
    jobs: int = 1,
    iou_type: str | None = None,
) -> TrackScores:
    """Score predicted tracks.

    Args:
        truth: What is true; see :func:`~clmot_qd.evaluation.ground_truth.read_cocovid` and ``read_mot_root``.
        tracks: Sequence -> predictions. A sequence that is not in here was tracked without any result. The class of a
            prediction is a number of ``truth.categories``; -1 is right as long as one class is scored.
        classes: Names of the classes to score, each by itself; None takes those of the protocol.
        distractors: Names of the classes on which predictions are neither right nor wrong; None takes those of the
            protocol; an empty list takes none.
        backends: Names out of :data:`~clmot_qd.evaluation.backends.BACKENDS`.
        iou_thr: Least IoU of a match, in (0, 1]; None takes the protocol's. HOTA has its own series of thresholds.
        progress: Is given one line per sequence, one about masks that had to be changed, and at the end one about
            predictions of classes that are not scored, unless that is usual: other classes than those that ``classes``
            chooses as long as some prediction is of these, and those on which the protocol counts nothing.
        protocol: Name of one of :data:`~clmot_qd.evaluation.protocols.PROTOCOLS`.
        jobs: How many processes share the sequences.
        iou_type: None or ``bbox``, or ``segm`` for the overlap of masks, which ``truth`` and ``tracks`` need then.
            MOTA, MOTP and sMOTA are called MOTSA, MOTSP and sMOTSA there. Masks without a pixel are left out; where the
            protocol asks for disjoint predictions, a pixel that several claim goes to the one of the highest score. A
            protocol for masks needs one to be named; ``bbox`` applies its rules to boxes then.

    Raises:
        InputError: Unknown class, sequence, protocol or backend; a frame that the sequence does not have; an identity
            twice in a frame; a protocol with levels and ground truth without; masks that are missing or of another
            size.
    """
    if iou_thr is not None and not 0 < iou_thr <= 1:
        raise InputError(f"iou_thr is {iou_thr}; it must be greater than 0 and at most 1")
    if jobs < 1:
        raise InputError(f"jobs is {jobs}; give the number of processes, 1 or more")
    require_backends(backends)
    rules = get_protocol(protocol)
    chosen = classes is not None
    require_iou_type(iou_type or "bbox", rules if iou_type is None else None)
    iou_type = iou_type or "bbox"
    names = list(rules.classes or truth.occurring_classes()) if classes is None else list(classes)
    if not chosen:
        truth.class_numbers(names, f"protocol {protocol} scores it: choose other classes (--classes)")
    _check(truth, tracks, names, rules)
    unscored = _unscored(truth, tracks, names, rules, chosen)
    if iou_type == "segm":
        require_masks(truth, tracks)
        truth, tracks, repairs = ready_masks(truth, tracks, rules.disjoint_masks)
        if str(repairs):
            progress(str(repairs))
    plans = plan_rows(truth, rules, names, distractors, iou_thr)
    counts = _count_all(truth, tracks, plans, tuple(backends), jobs, progress, iou_type)
    if unscored:  # last, where it stands beside the tables that it explains
        progress(unscored)
    easier = {level: _join(counts[level], names, rules, backends, {}, iou_type) for level in rules.easier_levels}
    return _join(counts[OVERALL], names, rules, backends, easier, iou_type)


def _check(truth: GroundTruth, tracks: Mapping[str, MotTable], classes: Sequence[str], protocol: Protocol) -> None:
    truth.require_scorable(classes)
    if protocol.easier_levels:
        truth.require_difficulties()
    for sequence, found in tracks.items():
        if sequence not in truth.sequences:
            raise InputError(f"{truth.source}: no sequence {sequence!r}; it has {', '.join(truth.sequences)}")
        if len(classes) > 1 and (found.class_ids == -1).any():
            raise InputError(f"{sequence}: predictions without a class cannot be scored for {', '.join(classes)}")
        check_tracks(sequence, truth.sequences[sequence], found)


def _unscored(
    truth: GroundTruth, tracks: Mapping[str, MotTable], classes: Sequence[str], protocol: Protocol, chosen: bool
) -> str:
    """Return one line about predictions that no row counts because of their class; empty where that is usual."""
    found = np.concatenate([empty_table().class_ids, *(table.class_ids for table in tracks.values())])
    left = found[~np.isin(found, (*truth.class_numbers(classes), -1))]
    usual = truth.known_numbers((*protocol.distractors, *protocol.regions))
    if len(left) == 0 or (len(left) < len(found) and (chosen or np.isin(left, usual).all())):
        return ""
    names = {number: name for name, number in truth.categories.items()}
    numbers, counts = np.unique(left, return_counts=True)
    parts = [f"{names.get(number, f'number {number}')} {count}" for number, count in zip(numbers.tolist(), counts)]
    what = f"{len(left)} of {len(found)} predictions are of classes that are not scored ({_listed(parts)})"
    return f"{what}; scored: {_listed(classes)}; check the predictions' class numbers, or choose other classes"


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:_SHOWN]) + (", ..." if len(words) > _SHOWN else "")


def plan_rows(
    truth: GroundTruth,
    protocol: Protocol,
    classes: Sequence[str],
    distractors: Sequence[str] | None,
    iou_thr: float | None,
) -> dict[str, Plan]:
    """Return for each level what counts in each row. OVERALL is the level of all objects."""
    rows = {name: [name] for name in classes}
    if len(classes) > 1:
        rows[CLASS_AGNOSTIC] = list(classes)
    removing = tuple(truth.distractor_numbers(distractors, protocol.distractors))
    regions = tuple(truth.known_numbers(protocol.regions))

    def rules(names: Sequence[str], hardest: int | None) -> Rules:
        least = protocol.iou_thr_for(names) if iou_thr is None else iou_thr
        numbers = tuple(truth.class_numbers(names))
        return Rules(numbers, removing, regions, protocol.joined_regions, protocol.unmarked_are_regions, least, hardest)

    levels: dict[str, int | None] = {OVERALL: None, **protocol.easier_levels}
    return {level: {row: rules(names, hardest) for row, names in rows.items()} for level, hardest in levels.items()}


def _count_all(
    truth: GroundTruth,
    tracks: Mapping[str, MotTable],
    plans: Mapping[str, Plan],
    backends: Sequence[str],
    jobs: int,
    progress: Callable[[str], None],
    iou_type: str,
) -> dict[str, dict[str, SequenceCounts]]:
    """Return level -> sequence -> counts, sequences in the order of ``truth``."""
    tasks = {
        name: (name, true, tracks.get(name, empty_table()), plans, backends, iou_type)
        for name, true in truth.sequences.items()
    }
    results: dict[str, dict[str, SequenceCounts]] = {}
    for index, (name, result) in enumerate(_run(tasks, jobs), start=1):
        progress(f"scored {name} ({index} of {len(tasks)})")
        results[name] = result
    return {level: {name: results[name][level] for name in tasks} for level in plans}


def _run(tasks: Mapping[str, tuple], jobs: int) -> Iterator[tuple[str, dict[str, SequenceCounts]]]:
    """Yield (sequence, counts) as they get ready. Large sequences go first, so that no process is left with one."""
    if min(jobs, len(tasks)) <= 1:
        yield from ((name, _count_sequence(*task)) for name, task in tasks.items())
        return
    # A forked process has the package already; others would first load it, and with it mmdet.
    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else None
    with ProcessPoolExecutor(min(jobs, len(tasks)), multiprocessing.get_context(method)) as pool:
        order = sorted(tasks, key=lambda name: -len(tasks[name][1].boxes))
        futures = {pool.submit(_count_sequence, *tasks[name]): name for name in order}
        for future in as_completed(futures):
            yield futures[future], future.result()


def _count_sequence(
    name: str,
    true: SequenceTruth,
    found: MotTable,
    plans: Mapping[str, Plan],
    backends: Sequence[str],
    iou_type: str,
) -> dict[str, SequenceCounts]:
    """Return level -> backend -> row -> counts. Overlaps are computed once, for all of them."""
    overlaps = MaskOverlaps(true, found) if iou_type == "segm" else Overlaps(true, found)
    result: dict[str, SequenceCounts] = {}
    for level, plan in plans.items():
        inputs = {row: prepare(overlaps, rules) for row, rules in plan.items()}
        result[level] = {
            backend: {row: BACKENDS[backend].count(name, data) for row, data in inputs.items()} for backend in backends
        }
    return result


def _join(
    by_sequence: Mapping[str, SequenceCounts],
    classes: Sequence[str],
    protocol: Protocol,
    backends: Sequence[str],
    easier: Mapping[str, TrackScores],
    iou_type: str,
) -> TrackScores:
    """Add up what was counted at one level, and read the metrics off it."""
    groups = {DETECTION_AVERAGE: tuple(classes), **protocol.groups} if len(classes) > 1 else {}
    by_backend, combined, kept = {}, {}, {}
    for name in backends:
        backend = BACKENDS[name]
        rows = _add_up(backend, {sequence: parts[name] for sequence, parts in by_sequence.items()}, classes, groups)
        scores = {
            row: {place: named_for(iou_type, backend.scores(part)) for place, part in parts.items()}
            for row, parts in rows.items()
        }
        by_backend[name] = {row: scores.pop(row) for row in classes}
        if len(classes) > 1:
            mean = backend.mean({row: rows[row][OVERALL] for row in classes})
            combined[name] = {CLASS_MEAN: {OVERALL: named_for(iou_type, mean)}, **scores}
        kept[name] = rows
    return TrackScores(by_backend, combined, easier, kept)


def _add_up(
    backend: Backend,
    by_sequence: Mapping[str, Mapping[str, Counts]],
    classes: Sequence[str],
    groups: Mapping[str, Sequence[str]],
) -> dict[str, dict[str, Counts]]:
    """Return row -> sequence or OVERALL -> counts, with a row for each group that has one of the classes."""
    rows = {
        row: {sequence: parts[row] for sequence, parts in by_sequence.items()}
        for row in next(iter(by_sequence.values()))
    }
    for parts in rows.values():
        parts[OVERALL] = backend.pool(dict(sorted(parts.items())))  # TrackEval's order, which decides the last bit
    for group, members in groups.items():
        chosen = {row: rows[row][OVERALL] for row in classes if row in members}
        if chosen:
            rows[group] = {OVERALL: backend.pool(chosen)}
    return rows
