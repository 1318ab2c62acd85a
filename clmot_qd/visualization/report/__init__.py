"""One self-contained HTML page about one or several runs: scores, curves, tracks, identity switches, embeddings.

``run_folder`` finds what a work_dir holds, ``history`` reads its logs, ``measuring`` and ``result_folders`` get tracks
(from the model, or from result files), ``timeline`` says who was matched with whom, ``tables``, ``figures``,
``timeline_chart`` and ``thumbnails`` make the parts, ``page`` puts them together, ``collecting`` is behind the command.
Needs jinja2 and scikit-learn (``pip install clmot_qd[report]``).
"""

from .page import Limits, ReportRun, write_report

__all__ = ["Limits", "ReportRun", "write_report"]
