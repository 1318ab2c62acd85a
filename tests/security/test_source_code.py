"""What the package's own code never does: shells, evaluated text, pickles, guessable temporary names, plain http."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from locations import REPOSITORY

FILES = sorted(
    path
    for folder in ("clmot_qd", "tools", "configs")
    for path in (REPOSITORY / folder).rglob("*.py")
    if ".mim" not in path.parts
)
SCRIPTS = sorted((REPOSITORY / "tools").rglob("*.sh"))
# Calls that run what they are given, or trust it.
FORBIDDEN = {
    *("eval", "exec", "compile", "__import__", "execfile", "os.system", "os.popen", "os.startfile", "pty.spawn"),
    *("subprocess.getoutput", "subprocess.getstatusoutput", "asyncio.create_subprocess_shell"),
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.load", "marshal.loads", "shelve.open"),
    *("dill.load", "dill.loads", "cloudpickle.load", "cloudpickle.loads", "joblib.load", "pandas.read_pickle"),
    *("yaml.load", "yaml.unsafe_load", "yaml.full_load", "jsonpickle.decode", "mmengine.load", "torch.hub.load"),
    *("tempfile.mktemp", "os.tempnam", "torch.hub.load_state_dict_from_url", "urllib.request.urlretrieve"),
    *("xml.etree.ElementTree.parse", "xml.dom.minidom.parse", "xml.sax.parse", "ssl._create_unverified_context"),
    *("hashlib.md5", "hashlib.sha1", "telnetlib.Telnet", "ftplib.FTP"),
}
METHODS = {"extractall", "unpack_archive"}
# Where it has to be, and why it is right there.
ALLOWED = {
    ("clmot_qd/benchmark/profiled_process.py", "exec"),  # the program to profile, from the operator's command line
    ("clmot_qd/benchmark/profiled_process.py", "compile"),
    ("clmot_qd/datasets/frame_store.py", "pickle.loads"),  # bytes that this very object has made
    ("clmot_qd/checkpoints/unpickling.py", "torch.load"),  # the file whose content the user trusts by name
}


def imported(tree: ast.AST) -> dict[str, str]:
    """Name in a module -> full name of what it stands for."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {(alias.asname or alias.name).split(".")[0]: alias.name.split(".")[0] for alias in node.names}
            names |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def full_name(node: ast.AST, names: dict[str, str]) -> str:
    if isinstance(node, ast.Attribute):
        return f"{full_name(node.value, names)}.{node.attr}"
    return names.get(node.id, node.id) if isinstance(node, ast.Name) else "?"


def is_constant(call: ast.Call, keyword: str, value: object) -> bool:
    return any(
        given.arg == keyword and isinstance(given.value, ast.Constant) and given.value.value is value
        for given in call.keywords
    )


def findings(source: str) -> Iterator[tuple[int, str]]:
    """(line, what) of everything that is forbidden."""
    tree = ast.parse(source)
    names = imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name) and full_name(node, names) in FORBIDDEN - {"compile"}:
            yield node.lineno, full_name(node, names)  # also handed on without being called
        if not isinstance(node, ast.Call):
            continue
        name = full_name(node.func, names)
        if name == "compile" or name.rpartition(".")[2] in METHODS:
            yield node.lineno, name
        if any(given.arg == "shell" for given in node.keywords) and not is_constant(node, "shell", False):
            yield node.lineno, f"{name} with shell"
        if name == "torch.load" and not is_constant(node, "weights_only", True):
            yield node.lineno, name
        if name == "numpy.load" and not is_constant(node, "allow_pickle", False):
            yield node.lineno, name
        if name.endswith("Environment") and name.startswith("jinja2") and not is_constant(node, "autoescape", True):
            yield node.lineno, f"{name} without autoescape"
        if any(given.arg == "verify" and is_constant(node, "verify", False) for given in node.keywords):
            yield node.lineno, f"{name} without verification"


def test_nothing_runs_what_it_is_given() -> None:
    wrong = []
    for path in FILES:
        place = path.relative_to(REPOSITORY).as_posix()
        found = findings(path.read_text(encoding="utf-8"))
        wrong += [f"{place}:{line}: {what}" for line, what in found if (place, what) not in ALLOWED]
    assert len(FILES) > 400
    assert wrong == []


def test_what_is_allowed_is_there() -> None:
    for place, what in ALLOWED:
        assert what in [found for _, found in findings((REPOSITORY / place).read_text(encoding="utf-8"))], place
    # One way alone leads to an unsafe load.
    unsafe = [path.name for path in FILES if "weights_only=False" in path.read_text(encoding="utf-8")]
    assert unsafe == ["unpickling.py"]


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.system('x')",
        "from os import system as go\ngo('x')",
        "import subprocess as s\ns.run(command, shell=True)",
        "import subprocess\nsubprocess.run(command, shell=flag)",
        "eval(text)",
        "list(map(eval, texts))",
        "import pickle\npickle.load(file)",
        "from pickle import loads\nloads(data)",
        "import torch\ntorch.load(path)",
        "import torch as t\nt.load(path, weights_only=False)",
        "import torch\ntorch.load(path, weights_only=flag)",
        "import numpy as np\nnp.load(path)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import yaml\nyaml.load(text)",
        "import tempfile\ntempfile.mktemp()",
        "archive.extractall(folder)",
        "from jinja2 import Environment\nEnvironment()",
        "requests.get(url, verify=False)",
        "def f():\n    import torch.hub\n    torch.hub.load_state_dict_from_url(url)",
    ],
)
def test_the_search_finds_it(source: str) -> None:
    assert list(findings(source))


def test_names_of_the_page_reach_html_escaped() -> None:
    template = (REPOSITORY / "clmot_qd/visualization/report/templates/report.html.j2").read_text(encoding="utf-8")
    assert re.findall(r"\{\{[^}]*\|\s*safe", template) == ["{{ style|safe", "{{ script|safe"]
    assert "autoescape false" not in template


def test_no_address_is_plain_http() -> None:
    for path in [*FILES, *SCRIPTS]:
        text = path.read_text(encoding="utf-8")
        found = re.findall(r"http://[^\s'\"`)]*", text)
        # Prefixes that are compared, and this computer.
        assert [
            address for address in found if not re.match(r"http://($|127\.0\.0\.1|localhost|www\.w3\.org)", address)
        ] == [], path


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_shell_scripts_evaluate_nothing(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"^\s*eval\b|\|\s*(ba)?sh\b|curl[^\n]*--insecure|--trusted-host", text, flags=re.M)
    assert re.search(r"^set -[a-z]*e", text, flags=re.M)
