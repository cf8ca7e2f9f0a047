"""What Numba compiled for a kernel: the functions, their parallel diagnostics and their machine code.

Which functions belong to a kernel is found by running it: every function of the backend that has a signature afterwards which
it had not before was compiled for this case. So this runs before anything else has called the kernels; in a process that has,
the functions that were compiled before for numbers of this type are shown instead.
"""

from __future__ import annotations

import contextlib
import html
import importlib
import inspect
import io
import pkgutil
import re
from typing import Any

from bench.profiling.source import Line, Side, SourceFunction, assembly, hottest_first
from kernels import Kernels
from kernels.cases import Case

PACKAGE = "kernels.numba_backend"


def _dispatchers() -> dict[str, Any]:
    """Return the compiled functions of the backend by module and name."""
    from numba.core.dispatcher import Dispatcher

    found = {}
    package = importlib.import_module(PACKAGE)
    for entry in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{PACKAGE}.{entry.name}")
        for name, value in vars(module).items():
            if isinstance(value, Dispatcher) and value.py_func.__module__ == module.__name__:
                found[f"{entry.name}.{name}"] = value
    return found


def side(case: Case, backend: Kernels, dtype: str, n_threads: int = 1) -> Side:
    """Run a case and return Numba's half of the page."""
    import llvmlite.binding
    import numba

    functions = _dispatchers()
    before = {name: len(f.signatures) for name, f in functions.items()}
    arguments, options = case.make(dtype)
    getattr(backend, case.kernel)(*arguments, **options, n_threads=n_threads)
    used = {name: f for name, f in functions.items() if len(f.signatures) > before[name]}
    notes = []
    if not used:  # all of it was compiled before: what is there for this dtype
        used = {name: f for name, f in functions.items() if any(_mentions(s, dtype) for s in f.signatures)}
        notes.append("the kernel had been compiled before in this process: functions of other kernels may stand here too")
    shown = [_function(name, f, dtype) for name, f in used.items()]
    setting = f"Numba {numba.__version__}, LLVM for {llvmlite.binding.get_host_cpu_name()}, case {case.name}"
    return Side("numba", setting, hottest_first(shown), tuple(notes))


def _mentions(signature: tuple, dtype: str) -> bool:
    return dtype in str(signature)


def _function(name: str, dispatcher: Any, dtype: str) -> SourceFunction:
    lines, first = inspect.getsourcelines(dispatcher.py_func)
    signatures = [s for s in dispatcher.signatures if _mentions(s, dtype)] or list(dispatcher.signatures)
    signature = signatures[-1]
    return SourceFunction(
        name.partition(".")[2],
        name.partition(".")[0] + ".py",
        tuple(Line(first + i, html.escape(line.rstrip("\n"))) for i, line in enumerate(lines)),
        _machine_code(dispatcher, signature),
        (f"compiled for ({', '.join(map(str, signature))})", _parallel_diagnostics(dispatcher, signature)),
    )


def _machine_code(dispatcher: Any, signature: tuple) -> assembly.Code | None:
    """Return the function's own code: the listing also holds its wrappers for Python and C, and all that it calls."""
    own = re.compile(rf"(?<!\d)\d+{re.escape(dispatcher.py_func.__name__)}B")
    pieces = assembly.parse_gas(dispatcher.inspect_asm(signature))
    candidates = [s for s in pieces if own.search(s) and not s.startswith(("_ZN7cpython", "cfunc."))]
    if not candidates:
        return None
    return max((assembly.code(s, pieces[s]) for s in candidates), key=lambda piece: piece.density)


def _parallel_diagnostics(dispatcher: Any, signature: tuple) -> str:
    if not dispatcher.targetoptions.get("parallel"):
        return (
            "parallel diagnostics: not compiled with parallel=True, there are no parallel loops inside; "
            "the work is divided among threads outside (parallel.py)"
        )
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        dispatcher.parallel_diagnostics(signature, level=4)
    return out.getvalue().strip()
