"""Backends have one face and no arithmetic in common; what is asked twice is answered twice alike."""

from __future__ import annotations

import importlib
import inspect
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kernels
from kernels.api import ACTIVATIONS, IMPLEMENTATION, Kernels
from kernels.api.binding import Binder
from kernels.cases import cases, edge_cases
from kernels.spec import BY_NAME, SPECS
from kernels.validation import disagreement, outputs

ROOT = Path(__file__).parents[2]
KERNELS = [spec.name for spec in SPECS]
FOLDERS = {"cython": "cython_backend", "numba": "numba_backend", "reference": "reference"}


def implementation(name: str):
    return importlib.import_module(f"kernels.{FOLDERS[name]}.implementation")


# -- one face ----------------------------------------------------------------------------------------------------------


def test_specs_implementation_and_methods_are_one_list():
    public = [name for name, _ in inspect.getmembers(Kernels, inspect.isfunction) if not name.startswith("_")]
    methods = [name for name in public if name not in vars(Binder)]
    assert sorted(methods) == sorted(IMPLEMENTATION) == sorted(KERNELS) == sorted(BY_NAME)
    assert len(set(KERNELS)) == len(KERNELS)


@pytest.mark.parametrize("kernel", KERNELS)
def test_backends_take_the_same_arguments(kernel):
    """Where a function can be looked into, it takes as many arguments, by the same names, as the reference's."""
    expected = list(inspect.signature(getattr(implementation("reference"), kernel)).parameters)
    for name in kernels.backends():
        module = implementation(name)
        assert callable(getattr(module, kernel))
        found = inspect.signature(getattr(module, kernel)).parameters
        if not any(p.kind is p.VAR_POSITIONAL for p in found.values()):
            assert list(found) == expected, name


@pytest.mark.parametrize("kernel", KERNELS)
def test_public_signatures(kernel):
    """Options are keyword-only; every kernel takes n_threads, and `out` unless it works in place."""
    parameters = inspect.signature(getattr(Kernels, kernel)).parameters
    assert parameters["n_threads"].default == 1
    assert parameters["n_threads"].kind is inspect.Parameter.KEYWORD_ONLY
    assert ("out" in parameters) != bool(BY_NAME[kernel].in_place)
    for name in BY_NAME[kernel].in_place:
        assert parameters[name].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_kernel_is_documented_with_an_example(kernel):
    text = inspect.getdoc(getattr(Kernels, kernel))
    assert "Examples\n--------" in text
    assert f".{kernel}(" in text


def test_a_backend_without_a_kernel_is_refused():
    class Lacking:
        gemm = None

    with pytest.raises(ImportError, match=r"lacks the kernels.*conv2d"):
        Kernels("lacking", Lacking)


def test_load(backend):
    assert kernels.load(backend.name) is backend
    assert pickle.loads(pickle.dumps(backend)) is backend
    assert backend.name in repr(backend)


@pytest.mark.parametrize(
    ("name", "error", "match"),
    [
        ("cyton", ValueError, r"unknown backend 'cyton'; did you mean 'cython'\?.*reference"),
        ("", ValueError, "unknown backend ''"),
        ("REFERENCE", ValueError, "unknown backend"),
        (None, TypeError, "name must be a string, got NoneType"),
        (["cython"], TypeError, "name must be a string, got list"),
    ],
)
def test_load_of_an_unknown_name(name, error, match):
    with pytest.raises(error, match=match):
        kernels.load(name)


def test_backends_are_those_usable_here():
    found = kernels.backends()
    assert found == [name for name in ("cython", "numba", "reference") if name in found]
    assert "reference" in found
    found.append("changed by a caller")
    assert "changed by a caller" not in kernels.backends()


# -- no arithmetic in common -------------------------------------------------------------------------------------------


def test_implementations_are_different_files_and_functions():
    modules = [implementation(name) for name in kernels.backends()]
    assert len({module.__file__ for module in modules}) == len(modules)
    for kernel in KERNELS:
        functions = [getattr(module, kernel) for module in modules]
        assert len({id(f) for f in functions}) == len(functions)
        bodies = [_code(f) for f in functions]
        assert len(set(bodies)) == len(bodies), f"{kernel} is the same code in two backends"


def _code(function):
    """File and line of a Python function; the object itself where it is compiled."""
    function = inspect.unwrap(getattr(function, "py_func", function))
    code = getattr(function, "__code__", None)
    return (code.co_filename, code.co_firstlineno) if code is not None else id(function)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_backend_works_while_all_others_are_broken(backend, kernel, monkeypatch):
    """So it computes itself: it neither calls nor wraps another backend."""
    case = cases(kernel, "S")[0]
    arguments, options = case.make("float32")
    expected = outputs(backend, kernel, arguments, options)
    again = case.make("float32")

    def broken(*_, **__):
        raise AssertionError("called another backend")

    others = [name for name in kernels.backends() if name != backend.name]
    for module in map(implementation, others):
        for name, _ in inspect.getmembers(module, callable):
            monkeypatch.setattr(module, name, broken)
    if backend.name != "reference":  # nor does it leave the work to NumPy
        for name in ("matmul", "dot", "einsum", "tensordot", "exp", "tanh", "maximum"):
            monkeypatch.setattr(np, name, broken)
    actual = outputs(backend, kernel, *again)
    monkeypatch.undo()
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(a, e)


# -- the same at every call --------------------------------------------------------------------------------------------


def _moved(value, i: int):
    """A copy that begins at another place of a cache line than the last one."""
    if not isinstance(value, np.ndarray):
        return value
    room = np.empty(value.size + 32, value.dtype)
    view = room[i % 17 : i % 17 + value.size].reshape(value.shape)
    view[...] = value
    return view


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("kernel", KERNELS)
def test_twenty_calls_give_the_same_bits(backend, kernel, n_threads):
    """Wherever the arrays lie: allocators give other alignments at every run."""
    large = {"gemm": "blocks_ragged", "max_pool2d": "lenet5_m1_b8"}.get(kernel)
    case = next((c for c in (*edge_cases(kernel), *cases(kernel, "S")) if c.name == large), cases(kernel, "S")[1])
    arguments, options = case.make("float32")
    seen = set()
    for i in range(20):
        call = tuple(_moved(v, i) for v in arguments)
        result = outputs(backend, kernel, call, {**options, "n_threads": n_threads})
        seen.add(b"".join(np.asarray(v).tobytes() for v in result))
    assert len(seen) == 1


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_fused_activation_is_the_activation(backend, activation, rng):
    """gemm and conv2d with bias and activation give what the separate kernels give."""
    a, b, bias = (rng.standard_normal(shape) for shape in ((7, 5), (5, 35), (35,)))
    plain = backend.gemm(a, b) + bias
    expected = plain if activation is None else getattr(backend, activation)(plain)
    np.testing.assert_allclose(backend.gemm(a, b, bias=bias, activation=activation), expected, rtol=1e-12, atol=1e-14)
    x, w = a.reshape(1, 1, 7, 5), b.reshape(1, 1, 5, 35)
    actual = backend.conv2d(x, w, bias, activation=activation)[0, 0]
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-14)


def test_more_threads_than_work_and_than_cores(backend):
    """A thousand threads for one row; in a process of its own, since a runtime that cannot start them may end it."""
    code = (
        "import numpy as np, kernels\n"
        f"k = kernels.load({backend.name!r})\n"
        "a, x, w = (np.ones(s, np.float32) for s in ((64, 96), (2, 9, 9, 8), (3, 3, 8, 8)))\n"
        "for n in (1, 2, 7, 64, 1024):\n"
        "    assert (k.gemm(a, a.T, n_threads=n) == 96).all()\n"
        "    assert (k.gemm(a[:1], a[:1].T, n_threads=n) == 96).all()\n"
        "    assert (k.conv2d(x, w, n_threads=n) == 72).all()\n"
        "    assert (k.bias_backward(x, n_threads=n) == 162).all()\n"
        "    assert (k.relu(x, n_threads=n) == 1).all()\n"
        "    k.softmax_cross_entropy(a, np.zeros(64, int), n_threads=n)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# -- documentation -----------------------------------------------------------------------------------------------------


def test_doctests_of_the_kernels():
    """All examples in ``kernels/`` run, in a process of their own, so that no setting of this one helps them."""
    command = [sys.executable, "-m", "pytest", "-q", "--doctest-modules", "-p", "no:cacheprovider", "kernels"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    assert int(done.stdout.split(" passed")[0].split()[-1]) >= len(KERNELS)


def test_disagreement_takes_options(backend):
    assert disagreement(backend, cases("gemm", "S")[0], "float64", seed=3, n_threads=2) is None
