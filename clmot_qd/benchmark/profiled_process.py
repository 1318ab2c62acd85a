"""Run ``-m MODULE``, ``-c CODE`` or a script under a profiler: this module with FILE, KINDS and those words."""

from __future__ import annotations

import pstats
import runpy
import sys
from collections.abc import Callable

from clmot_qd.benchmark.profiling import function_lines, operator_lines, profile_functions, profile_operators
from clmot_qd.files import write_json


def main() -> None:
    """Write the hottest places, as lines of text, to FILE; KINDS is "functions" or "functions+operators"."""
    target, kinds, *arguments = sys.argv[1:]
    program = _program(arguments)
    functions: list[pstats.Stats] = []

    def run() -> None:
        functions.append(profile_functions(program))

    if "operators" in kinds:  # one run serves both: a process may take minutes
        operators = operator_lines(profile_operators(run))
    else:
        run()
        operators = []
    write_json(target, function_lines(functions[0]) + operators)


def _program(arguments: list[str]) -> Callable[[], None]:
    """The program as if it had been started by itself; its leaving is not ours."""
    kind = arguments[0] if arguments[0] in ("-m", "-c") else ""
    name, *rest = arguments[1:] if kind else arguments
    sys.argv[:] = ["-c" if kind == "-c" else name, *rest]

    def program() -> None:
        try:
            if kind == "-c":
                exec(compile(name, "<string>", "exec"), {"__name__": "__main__"})
            else:
                (runpy.run_module if kind else runpy.run_path)(name, run_name="__main__")
        except SystemExit as leaving:
            if leaving.code:
                raise

    return program


if __name__ == "__main__":
    main()
