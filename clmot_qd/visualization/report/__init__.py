"""One self-contained HTML page about one or several runs: scores, curves, tracks, identity switches, embeddings.

``request`` is what a user asks for, ``run_folder`` finds what a work_dir holds, ``history`` reads its logs. ``sources``
gets tracks: by the model (``measuring``, which keeps embeddings by ``kept``) or from result files (``result_folders``);
``rules`` says how they are scored, ``timeline`` who was matched with whom. ``tables``, ``figures``, ``timeline_chart``,
``thumbnails`` and ``comparison`` make the parts, ``page`` puts them together, ``collecting`` is behind the command.
Needs jinja2 and scikit-learn (``pip install clmot_qd[report]``).
"""

from .page import Limits, ReportRun, write_report

__all__ = ["Limits", "ReportRun", "write_report"]
