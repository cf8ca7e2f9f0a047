"""The rules of the house, held by a test: which way imports run, what stays light, how long a file may be.

    kernels <- models <- bench        store, statistics, tables, figures, report: neither kernels nor models

So a run can be read where no compiler is, and a kernel can be understood without knowing what trains on it.
"""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("kernels", "models", "bench")
MAX_LINES = 450

#: package -> packages that it must not import, anywhere, not even inside a function.
FORBIDDEN = {"kernels": {"models", "bench"}, "models": {"bench"}}
#: Modules of bench that read a run, and must do so without kernels and models.
READERS = (
    "store", "statistics", "tables", "analysis", "verdict", "figures", "report", "identity", "noise", "payback", "explain",
)  # fmt: skip
#: What `--help` does without: all of it is slow to import.
HEAVY = ("numpy", "scipy", "sklearn", "skimage", "numba", "pandas", "altair", "jinja2", "torch", "matplotlib", "pytest")


def sources(*suffixes: str) -> list[Path]:
    """Files of the project, as git knows them; in an unpacked archive, all that lie in its folders."""
    folders = (*PACKAGES, "tests")
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 0 and done.stdout:
        files = [ROOT / line for line in done.stdout.splitlines()]
    else:
        files = [p for folder in folders for p in (ROOT / folder).rglob("*") if "__pycache__" not in p.parts]
        files += [p for p in ROOT.iterdir() if p.is_file()]
    return [p for p in files if p.suffix in suffixes and p.is_file()]


def modules(package: str) -> list[Path]:
    return [p for p in sources(".py") if p.relative_to(ROOT).parts[0] == package]


def dotted(path: Path) -> str:
    """The name that a file of the project is imported under."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_by(code: str, name: str, *, is_package: bool = False) -> set[str]:
    """Names of all modules that a module of this code and name imports, inside functions or out."""
    package = name.split(".") if is_package else name.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module" and node.args:
            found |= {node.args[0].value} if isinstance(node.args[0], ast.Constant) else set()
    return found


@functools.cache
def imports(path: Path) -> frozenset[str]:
    code = path.read_text(encoding="utf-8")
    return frozenset(imported_by(code, dotted(path), is_package=path.name == "__init__.py"))


@functools.cache
def by_name() -> dict[str, Path]:
    return {dotted(path): path for package in PACKAGES for path in modules(package)}


def reached(start: str) -> set[str]:
    """All modules of the project that importing or using `start` may import, functions included."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in seen or name not in by_name():
            continue
        seen.add(name)
        waiting += [".".join(name.split(".")[: i + 1]) for i in range(name.count("."))]  # its packages
        waiting += list(imports(by_name()[name]))
    return seen


@pytest.mark.parametrize("package", FORBIDDEN)
def test_arrows_run_one_way(package):
    assert modules(package)
    wrong = [
        f"{dotted(path)} imports {name}"
        for path in modules(package)
        for name in sorted(imports(path))
        if name.split(".")[0] in FORBIDDEN[package]
    ]
    assert not wrong, "\n".join(wrong)


def test_no_package_imports_the_tests():
    files = [path for package in PACKAGES for path in modules(package)]
    assert not [dotted(path) for path in files if "tests" in {name.split(".")[0] for name in imports(path)}]


@pytest.mark.parametrize("reader", READERS)
def test_readers_reach_neither_kernels_nor_models(reader):
    """Directly or through others, at import or later."""
    assert f"bench.{reader}" in by_name()
    starts = [name for name in by_name() if name == f"bench.{reader}" or name.startswith(f"bench.{reader}.")]
    wrong = {name for start in starts for name in reached(start) if name.split(".")[0] in ("kernels", "models")}
    assert not wrong


def run(code: str) -> str:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("reader", READERS)
def test_readers_import_neither_kernels_nor_models(reader):
    """What Python itself says of it."""
    loaded = run(f"import sys, bench.{reader}; print(*sys.modules)").split()
    assert f"bench.{reader}" in loaded
    assert not {name for name in loaded if name.split(".")[0] in ("kernels", "models")}


def test_readers_work_where_kernels_and_models_are_not_there():
    """Neither can be imported, as on a machine with no compiler, and all readers still are."""
    run(
        "import sys\n"
        "sys.modules['kernels'] = sys.modules['models'] = None\n"
        f"import {', '.join(f'bench.{reader}' for reader in READERS)}\n"
    )


def test_help_imports_nothing_heavy():
    """`--help` answers at once because of what it does not import; a time would measure the machine."""
    code = (
        "import sys\n"
        "from bench.cli import main\n"
        "sys.argv = ['depthbench', '--help']\n"
        "try:\n"
        "    main()\n"
        "except SystemExit:\n"
        "    pass\n"
        "print('LOADED', *sys.modules)\n"
    )
    text, loaded = run(code).split("LOADED")
    assert "run" in text
    names = {name.split(".")[0] for name in loaded.split()}
    assert not names.intersection(HEAVY)
    assert not names.intersection(("kernels", "models"))


def test_kernels_import_nothing_heavy():
    """`import kernels` looks for backends without loading them."""
    loaded = run("import sys, kernels; kernels.backends(); print(*sys.modules)").split()
    assert not {name.split(".")[0] for name in loaded}.intersection({"numba", "sklearn", "scipy", "pandas", "torch"})


def test_files_are_short_enough_to_hold_in_mind():
    files = sources(".py", ".pyx", ".pxi", ".h")
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert lengths
    long = [f"{path.relative_to(ROOT)}: {n} lines" for path, n in lengths.items() if n > MAX_LINES]
    assert not long, f"more than {MAX_LINES} lines:\n" + "\n".join(long)


def test_modules_open_with_what_they_are_for():
    texts = {p: p.read_text(encoding="utf-8") for package in PACKAGES for p in modules(package)}
    assert not [dotted(p) for p, text in texts.items() if text.strip() and not ast.get_docstring(ast.parse(text))]


#: What must not stand in a file of the project, and why.
TRACES = {
    r"(?<![\w./-])/(home|Users|root|mnt)/\w+": "the path of one machine",
    r"(?<![\w.])/work/": "the path of one machine",
    r"\bTODO\b|\bFIXME\b|\bXXX\b": "work left undone",
    r"<<<<<<< |>>>>>>> ": "a conflict of a merge",
    r"\beval\(|\bpickle\.load\(": "code or objects read from data",
}


@pytest.mark.parametrize("pattern", TRACES, ids=TRACES.get)
def test_no_traces(pattern):
    kinds = (".py", ".pyx", ".pxi", ".h", ".toml", ".md", ".cfg", ".html", ".css", ".js")
    wrong = [
        f"{path.relative_to(ROOT)}:{i}: {line.strip()[:100]}"
        for path in sources(*kinds)
        if path != Path(__file__) and "results" not in path.relative_to(ROOT).parts
        for i, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(pattern, line)
    ]
    assert not wrong, f"{TRACES[pattern]}:\n" + "\n".join(wrong)


def test_tests_have_names_of_their_own():
    """With import-mode importlib and no __init__.py, two tests of one name would hide each other in reports."""
    tests = [p for p in sources(".py") if p.relative_to(ROOT).parts[0] == "tests"]
    names = [p.name for p in tests if p.name != "conftest.py"]
    assert not {name for name in names if names.count(name) > 1}
    assert "__init__.py" not in names


def test_every_form_of_an_import_is_seen():
    code = (
        "import kernels.spec as s\nfrom models import mlp\nfrom .. import store\nfrom .near import x\n"
        "def f():\n    import importlib\n    importlib.import_module('bench.cli')\n    from kernels import load\n"
    )
    expected = {"kernels.spec", "models.mlp", "bench.store", "bench.imagined.near", "bench.cli", "kernels.load"}
    assert expected <= imported_by(code, "bench.imagined.module")
    assert "bench.imagined.store" in imported_by("from . import store", "bench.imagined", is_package=True)
