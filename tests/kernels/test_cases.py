"""The cases are what they promise: seeded, fresh, different from each other, drawn from a range that is not empty."""

from __future__ import annotations

import numpy as np
import pytest

import kernels
from kernels.cases import PRESETS, Case, cases, edge_cases
from kernels.spec import BY_NAME, SPECS

KERNELS = [spec.name for spec in SPECS]


def small_cases(kernel: str) -> list[Case]:
    return [*cases(kernel, "S"), *edge_cases(kernel)]


def arrays(case: Case, dtype="float32", seed=0) -> list[np.ndarray]:
    arguments, options = case.make(dtype, seed)
    return [v for v in (*arguments, *options.values()) if isinstance(v, np.ndarray)]


@pytest.mark.parametrize("kernel", KERNELS)
def test_names_are_unique_and_each_preset_has_some(kernel):
    assert all(cases(kernel, preset) for preset in PRESETS)
    for group in (*(cases(kernel, preset) for preset in PRESETS), edge_cases(kernel)):
        names = [case.name for case in group]
        assert len(set(names)) == len(names)
        assert all(case.kernel == kernel for case in group)


@pytest.mark.parametrize("kernel", KERNELS)
def test_same_seed_same_values_in_fresh_memory(kernel):
    for case in small_cases(kernel):
        once, again = arrays(case), arrays(case)
        for a, b in zip(once, again, strict=True):
            np.testing.assert_array_equal(a, b)
            assert not np.may_share_memory(a, b)
            assert a.flags.writeable


@pytest.mark.parametrize("kernel", KERNELS)
def test_values_vary_with_seed_case_and_place(kernel):
    """An input drawn from an empty range, or the same for every case, tests nothing."""
    seen = set()
    for case in cases(kernel, "S"):
        first = arrays(case)[0]
        assert len(np.unique(first)) > 1
        assert not np.array_equal(first, arrays(case, seed=1)[0])
        seen.add(first.tobytes())
    assert len(seen) == len(cases(kernel, "S"))


@pytest.mark.parametrize("kernel", KERNELS)
def test_float32_is_float64_rounded(kernel):
    with np.errstate(over="ignore"):
        for case in small_cases(kernel):
            for single, double in zip(arrays(case), arrays(case, "float64"), strict=True):
                np.testing.assert_array_equal(single, double.astype(single.dtype))


@pytest.mark.parametrize("kernel", KERNELS)
def test_costs_of_every_case_are_positive_integers(kernel):
    """FLOPs, bytes and lengths of sums follow from the arguments of a call; only an empty one costs nothing."""
    spec = BY_NAME[kernel]
    for case in small_cases(kernel):
        arguments, options = case.make("float32")
        result = getattr(kernels.load("reference"), kernel)(*arguments, **options)
        flops, terms = spec.flops(*arguments, **options), spec.terms(*arguments, **options)
        assert int(flops) == flops >= 0 and int(terms) == terms >= 0
        assert spec.bytes_moved(arguments, options, result) >= 0
        if case in cases(kernel, "S"):
            assert flops > 0 and terms > 0


TEXTS, LENGTHS = np.array([[1, 3, 0], [3, 0, 0]]), np.array([2, 1])


@pytest.mark.parametrize(
    ("kernel", "arguments", "options", "flops", "bytes_moved"),
    [
        ("gemm", ((2, 3), (3, 5)), {}, 2 * 2 * 3 * 5, 4 * (6 + 15 + 10)),
        ("gemm", ((3, 2), (5, 3)), {"transpose_a": True, "transpose_b": True}, 60, 4 * (6 + 15 + 10)),
        ("conv2d", ((1, 4, 4, 2), (3, 3, 2, 8)), {"padding": 1}, 2 * 16 * 8 * 18, 4 * (32 + 144 + 128)),
        ("conv2d", ((1, 4, 4, 2), (3, 3, 1, 8)), {"padding": 1, "groups": 2}, 2 * 16 * 8 * 9, 4 * (32 + 72 + 128)),
        ("max_pool2d", ((1, 4, 4, 3), 2), {}, 4 * 3 * 4, 4 * (48 + 12 + 12)),
        ("relu", ((7,),), {}, 7, 4 * 14),
        ("sgd_update", ((5,), (5,), (5,)), {"learning_rate": 0.1}, 30, 4 * 25),
        # three words of two texts, two of them different: those two rows are read, the padding is not
        ("embedding_mean", ((9, 4), TEXTS, LENGTHS), {}, (3 + 2) * 4, 4 * (2 * 4 + 2 * 4) + 8 * (3 + 2)),
        ("embedding_mean_backward", ((2, 4), TEXTS, LENGTHS, 9), {}, (3 + 2) * 4, 4 * (2 * 4 + 9 * 4) + 8 * (3 + 2)),
        ("adam_update", ((5,), (5,), (5,), (5,)), {"learning_rate": 0.1, "step": 1}, 70, 4 * 35),
    ],
)
def test_costs_by_hand(kernel, arguments, options, flops, bytes_moved):
    made = tuple(np.ones(v, np.float32) if isinstance(v, tuple) else v for v in arguments)
    result = getattr(kernels.load("reference"), kernel)(*made, **options)
    assert BY_NAME[kernel].flops(*made, **options) == flops
    assert BY_NAME[kernel].bytes_moved(made, options, result) == bytes_moved


def test_unknown_names_are_told():
    with pytest.raises(ValueError, match=r"unknown kernel 'gem'.*gemm"):
        cases("gem", "S")
    with pytest.raises(ValueError, match=r"unknown kernel 'gem'.*gemm"):
        edge_cases("gem")
    with pytest.raises(ValueError, match=r"unknown preset 'XL'.*S, M, L"):
        cases("gemm", "XL")
