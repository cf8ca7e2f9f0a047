"""The calls that break kernels: sizes around a register tile, primes, empty axes, every option, special values.

Small each, so that all of them run on every backend, dtype and instruction set. :func:`kernels.cases.edge_cases` hands
them out. What is odd about the memory of an array (strides, alignment, order) is not here: any case can be given any
layout, and the tests do.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kernels.cases import (
    Build,
    Case,
    Conv,
    Pool,
    adam_build,
    bias_build,
    conv_builds,
    elementwise_builds,
    embedding_builds,
    gemm_build,
    norm_builds,
    pool_builds,
    sgd_build,
    softmax_build,
)
from kernels.spec import BY_NAME

#: (name, M, K, N, what else). 12x32 and the like are register tiles; 1 more and 1 less leaves ragged edges.
_GEMM = (
    ("dot", 1, 997, 1, {}),
    ("dot_bias", 1, 131, 1, {"bias": True, "activation": "relu"}),
    ("dot_beta", 1, 7, 1, {"alpha": 0.5, "beta": 2.0, "out": "normal"}),
    ("one_column", 67, 301, 1, {}),
    ("one_column_bias", 67, 31, 1, {"bias": True}),
    ("one_column_transposed_a", 45, 130, 1, {"transpose_a": True}),
    ("one_column_transposed_b", 45, 130, 1, {"transpose_b": True, "beta": 0.5, "out": "normal"}),
    ("few_columns_1", 3, 77, 5, {"transpose_b": True}),
    ("few_columns_2", 2, 300, 7, {"transpose_b": True, "bias": True}),
    ("few_columns_3", 4, 9, 15, {"transpose_b": True, "transpose_a": True}),
    ("shared_row", 1, 797, 147, {"bias": True, "activation": "relu", "out": "nan"}),  # enough for two threads
    ("shared_rows_transposed_b", 3, 330, 131, {"transpose_b": True, "out": "normal", "beta": 0.5, "activation": "tanh"}),
    ("shared_rows_transposed_both", 4, 260, 150, {"transpose_a": True, "transpose_b": True}),
    ("outer_wide", 19, 1, 35, {}),
    ("outer_bias", 33, 1, 17, {"bias": True, "activation": "tanh", "alpha": -0.5}),
    ("outer_beta", 7, 1, 64, {"transpose_a": True, "beta": 1.0, "out": "normal"}),
    ("outer_transposed_b", 9, 1, 40, {"transpose_b": True}),
    ("one", 1, 1, 1, {}),
    ("primes", 7, 13, 5, {}),
    ("row", 1, 37, 19, {}),
    ("column", 29, 31, 1, {}),
    ("outer", 17, 1, 23, {}),
    ("tile_exact", 24, 16, 64, {}),
    ("tile_ragged", 25, 33, 65, {"bias": True}),
    ("blocks_ragged", 131, 521, 67, {}),
    ("long_sum", 3, 2003, 5, {}),
    ("long_positive_sum", 5, 1543, 9, {"positive": True}),
    ("few_rows_long_sum", 5, 4099, 9, {"out": "normal", "alpha": -1.5, "beta": 0.5, "bias": True, "activation": "tanh"}),
    ("blocks_of_rows", 247, 531, 71, {"bias": True, "activation": "relu"}),
    ("blocks_of_columns", 5, 531, 2083, {"bias": True}),
    # B read where it lies: its rows near each other; farther apart, and all of it in the second-level cache; not so.
    ("b_near", 60, 530, 70, {"bias": True, "out": "nan"}),
    ("b_farther", 61, 300, 200, {"out": "normal", "beta": 0.5}),
    ("b_large", 60, 1030, 256, {}),
    ("wide", 4, 3, 1031, {"bias": True}),
    ("tall", 521, 5, 3, {}),
    # C narrower than a vector, or than half of one: rows may be written over each other's ends, but not the last.
    ("narrow_2", 61, 17, 2, {"bias": True}),
    ("narrow_3", 13, 9, 3, {"bias": True, "activation": "relu"}),
    ("narrow_4", 36, 25, 4, {"activation": "relu"}),
    ("narrow_6", 49, 25, 6, {}),
    ("narrow_6_relu", 24, 25, 6, {"bias": True, "activation": "relu", "out": "nan"}),
    ("narrow_6_beta", 25, 25, 6, {"beta": 0.5, "out": "normal", "bias": True, "activation": "relu"}),
    ("narrow_6_add", 37, 12, 6, {"beta": 1.0, "out": "normal"}),
    ("narrow_6_two_blocks", 25, 519, 6, {"bias": True, "activation": "sigmoid"}),
    ("narrow_6_transposed_a", 25, 600, 6, {"transpose_a": True}),
    ("narrow_7_transposed_b", 48, 16, 7, {"transpose_b": True, "activation": "tanh"}),
    ("narrow_8", 23, 70, 8, {"bias": True}),
    ("narrow_9", 35, 16, 9, {"transpose_b": True}),
    ("narrow_10", 84, 128, 10, {"transpose_a": True, "transpose_b": True}),
    ("narrow_17", 29, 9, 17, {"alpha": 2.0, "out": "nan"}),
    ("last_panel_of_half", 26, 10, 84, {"transpose_b": True, "beta": -1.0, "out": "normal"}),
    # Last rows that a tile of a third, or two, of the rows computes; a transposed b that no whole blocks hold.
    ("rest_of_4", 28, 19, 47, {"bias": True, "activation": "relu"}),
    ("rest_of_5", 53, 19, 90, {"transpose_b": True}),
    ("rest_of_8", 32, 35, 80, {"bias": True, "alpha": 2.0, "beta": 0.5, "out": "normal"}),
    ("rest_of_8_two_blocks", 32, 521, 33, {"bias": True, "activation": "sigmoid", "transpose_b": True}),
    ("rest_of_4_transposed_a", 64, 50, 105, {"transpose_a": True, "out": "nan"}),
    ("rest_of_1_add", 49, 77, 14, {"transpose_a": True, "beta": 1.0, "out": "normal"}),
    # Few columns of a transposed a: computed as rows.
    ("turned_10", 128, 33, 10, {"transpose_a": True, "out": "nan"}),
    ("turned_10_both", 96, 130, 10, {"transpose_a": True, "transpose_b": True, "alpha": -2.0}),
    ("turned_6", 165, 521, 6, {"transpose_a": True}),
    ("turned_5", 64, 7, 5, {"transpose_a": True, "transpose_b": True}),
    ("transpose_a", 19, 23, 33, {"transpose_a": True}),
    ("transpose_b", 19, 23, 33, {"transpose_b": True}),
    ("transpose_both", 37, 41, 43, {"transpose_a": True, "transpose_b": True, "bias": True, "activation": "relu"}),
    ("alpha", 11, 13, 17, {"alpha": -0.5}),
    ("alpha_zero", 11, 13, 17, {"alpha": 0.0, "bias": True}),
    ("alpha_nan", 11, 13, 17, {"alpha": float("nan")}),
    ("out_holds_nan", 13, 11, 35, {"out": "nan"}),
    ("beta_one", 13, 517, 35, {"out": "normal", "beta": 1.0}),
    ("alpha_beta", 13, 11, 35, {"out": "normal", "alpha": 2.5, "beta": -0.75, "transpose_b": True}),
    ("alpha_beta_bias_tanh", 26, 515, 31, {"out": "normal", "alpha": 0.01, "beta": 0.5, "bias": True, "activation": "tanh"}),
    ("bias_relu", 31, 29, 37, {"bias": True, "activation": "relu"}),
    ("relu", 31, 29, 37, {"activation": "relu"}),
    ("bias_sigmoid", 14, 29, 34, {"bias": True, "activation": "sigmoid"}),
    ("bias_tanh", 14, 29, 34, {"bias": True, "activation": "tanh"}),
    ("no_rows", 0, 5, 7, {"bias": True}),
    ("no_columns", 5, 7, 0, {}),
    ("no_sum", 5, 0, 7, {}),
    ("no_sum_bias_relu", 5, 0, 7, {"bias": True, "activation": "relu"}),
    ("no_sum_beta", 5, 0, 7, {"out": "normal", "beta": 2.0}),
    ("no_sum_out_nan", 5, 0, 7, {"out": "nan"}),
    ("nothing", 0, 0, 0, {}),
)  # fmt: skip

_CONV = (
    Conv("one_pixel", (1, 1, 1), (1, 1), 1, {}, None, False),
    Conv("kernel_1", (5, 7, 3), (1, 1), 17, {}, "relu"),
    Conv("kernel_1_stride_2", (5, 7, 3), (1, 1), 5, {"stride": 2}, None),
    Conv("kernel_is_image", (5, 3, 2), (5, 3), 4, {}, "sigmoid"),
    Conv("primes", (11, 13, 5), (3, 3), 7, {"padding": 1}, None, False),
    Conv("tile_exact", (8, 8, 8), (3, 3), 32, {"padding": 1}),
    Conv("tile_ragged", (7, 9, 3), (3, 3), 33, {"padding": 1}),
    Conv("long_sum", (5, 5, 67), (3, 3), 9, {"padding": 1}, None),
    Conv("non_square", (6, 11, 3), (2, 5), 4, {"padding": (1, 2)}, "tanh"),
    Conv("stride_2", (9, 10, 3), (3, 3), 6, {"stride": 2, "padding": 1}),
    Conv("stride_pair", (11, 8, 2), (3, 2), 5, {"stride": (3, 1)}, None),
    Conv("stride_past_kernel", (13, 11, 2), (2, 2), 3, {"stride": 4}, None),
    Conv("stride_past_image", (4, 4, 2), (2, 2), 3, {"stride": 100}, None),
    Conv("pad_asymmetric", (6, 7, 3), (3, 3), 5, {"padding": ((2, 0), (1, 3))}),
    Conv("pad_past_kernel", (4, 5, 2), (2, 3), 3, {"padding": (3, 4)}, None),
    Conv("same", (7, 8, 3), (4, 2), 5, {"padding": "same"}),
    Conv("same_stride_2", (8, 7, 3), (3, 5), 5, {"padding": "same", "stride": 2}),
    Conv("valid", (7, 8, 3), (4, 2), 5, {"padding": "valid"}, None, False),
    Conv("dilation", (11, 12, 2), (3, 3), 5, {"dilation": 2, "padding": 2}),
    Conv("dilation_pair_stride", (13, 12, 2), (3, 2), 5, {"dilation": (2, 3), "stride": (2, 1)}, None),
    Conv("dilation_same", (9, 9, 2), (3, 3), 4, {"dilation": (3, 2), "padding": "same"}, None, False),
    Conv("groups", (6, 7, 6), (3, 3), 9, {"groups": 3, "padding": 1}),
    Conv("groups_wide", (5, 5, 8), (3, 3), 68, {"groups": 2}, None),
    Conv("groups_stride_dilation", (9, 11, 4), (2, 3), 6, {"groups": 2, "stride": 2, "dilation": 2, "padding": 2}),
    Conv("wide", (4, 4, 48), (3, 3), 37, {"padding": 1}),
    Conv("wide_asymmetric", (6, 5, 19), (3, 3), 21, {"padding": ((2, 0), (0, 3))}, None),
    Conv("wide_dilation_groups", (7, 6, 34), (3, 2), 10, {"groups": 2, "dilation": 2, "padding": (1, 2)}),
    Conv("stride_2_many_filters", (5, 6, 3), (2, 3), 419, {"stride": 2, "padding": 1}, None),
    Conv("stride_2_many_taps", (5, 4, 233), (3, 3), 5, {"stride": 2, "padding": 1}, None),
    Conv("vectors_of_channels", (9, 11, 16), (3, 3), 32, {"padding": 1}, "tanh"),
    Conv("vectors_of_channels_asymmetric", (15, 13, 32), (3, 3), 48, {"padding": ((2, 0), (0, 1))}, None, False),
    Conv("vectors_of_channels_valid", (17, 16, 16), (3, 3), 16),
    Conv("vectors_of_channels_padded", (8, 7, 48), (3, 3), 16, {"padding": 2}),
    Conv("vectors_of_channels_blocks", (21, 20, 16), (3, 3), 80, {"padding": "same"}),
    Conv("few_filters", (13, 11, 2), (3, 5), 3, {"padding": (1, 2)}, "sigmoid"),
    Conv("few_filters_dilation", (14, 9, 3), (3, 2), 2, {"padding": ((3, 0), (1, 0)), "dilation": (2, 1)}),
    Conv("few_filters_seven", (9, 21, 1), (4, 3), 7, {"padding": "same"}, None, False),
    Conv("depthwise", (7, 6, 5), (3, 3), 5, {"groups": 5, "padding": 1}),
    Conv("depthwise_multiplier", (7, 6, 3), (3, 3), 6, {"groups": 3, "stride": 2, "padding": 1}, None),
)
_BATCHES = (3, 1, 2)  # of the convolutions and poolings above and below, in turn

_POOL = (
    Pool("kernel_1", (5, 7, 3), 1),
    Pool("window_2", (6, 8, 5), 2),
    Pool("ragged", (7, 9, 3), 2),
    Pool("channels_17", (6, 6, 17), 2),
    Pool("channels_67", (4, 4, 67), 2, {"stride": 1}),
    Pool("whole_vectors", (6, 8, 32), 2),
    Pool("whole_vectors_ragged", (7, 9, 16), 2),
    Pool("whole_vectors_overlap", (5, 7, 16), 3, {"stride": 2}),  # as many windows as pairs of pixels, but other ones
    Pool("whole_vectors_gaps", (6, 8, 16), 1, {"stride": 2}),
    Pool("overlap", (7, 8, 3), 3, {"stride": 1}),
    Pool("overlap_2", (9, 9, 3), 3, {"stride": 2, "padding": 1}),
    Pool("non_square", (6, 11, 2), (2, 3), {"stride": (1, 2)}),
    Pool("gaps", (11, 9, 2), 2, {"stride": 3}),
    Pool("whole_image", (5, 7, 3), (5, 7)),
    Pool("stride_past_image", (4, 5, 2), 2, {"stride": 50}),
    Pool("pad_full", (5, 6, 3), 3, {"padding": 2, "stride": 1}),
    Pool("pad_full_included", (5, 6, 3), 3, {"padding": 2, "stride": 1}, True),
    Pool("pad_asymmetric", (5, 6, 3), (3, 4), {"padding": ((2, 0), (1, 3)), "stride": 2}),
    Pool("pad_asymmetric_included", (5, 6, 3), (3, 4), {"padding": ((2, 0), (1, 3)), "stride": 2}, True),
    Pool("pad_only_windows", (1, 1, 2), 3, {"padding": 2, "stride": 2}),
    Pool("same", (7, 8, 3), 3, {"padding": "same", "stride": 2}),
    Pool("same_included", (7, 8, 3), 2, {"padding": "same"}, True),
    Pool("ties", (9, 9, 3), 3, {"stride": 2, "padding": 1}, fill="ties"),
    Pool("ties_all", (6, 6, 2), 2, {"stride": 1}, fill="all 0"),
    Pool("nan", (9, 9, 3), 3, {"stride": 2, "padding": 1}, fill="nan"),
    Pool("nan_all", (5, 5, 2), 3, {"stride": 1, "padding": 1}, fill="all nan"),
    Pool("minus_inf", (9, 9, 17), 3, {"stride": 2, "padding": 2}, fill="-inf"),
    Pool("minus_inf_all", (5, 5, 2), 3, {"stride": 1, "padding": 2}, fill="all -inf"),
    Pool("inf", (6, 6, 3), 2, fill="inf"),
)

_SHAPES = ((), (1,), (2,), (7,), (31,), (64,), (1031,), (3, 5), (2, 3, 5, 7), (0,), (4, 0, 3))

#: What an exponential must survive, in either dtype; with the neighbours of each.
_EXTREMES = (
    0.0, -0.0, np.inf, -np.inf, np.nan, 1e30, -1e30, 1e300, -1e300, 1e-30, -1e-30, 1e-300, -1e-300, 1e-7, -1e-7, 1e-4,
    -1e-4, 0.3, -0.3, 0.625, 1.0, -1.0, 8.5, -8.5, 17.0, -17.0, 20.0, -20.0, 44.0, -44.0, 87.0, -87.0, 88.5, -88.5,
    89.0, -89.0, 103.0, -103.0, 104.0, -104.0, 350.0, -350.0, 709.0, -709.0, 710.0, -710.0, 745.0, -745.0, 746.0,
)  # fmt: skip


def _extremes(rng, dtype):
    with np.errstate(over="ignore"):  # 1e300 is inf in float32, and is meant to be
        return (np.array(_EXTREMES).astype(dtype),), {}


def _special_backward(rng, dtype):
    values = np.array([0.0, -0.0, 1.0, 0.5, np.nan, np.inf, 1e-30, -2.0])
    dy, y = np.meshgrid(values, np.array([0.0, -0.0, 1.0, 0.5, np.nan, 1e-30]))
    return (dy.ravel().astype(dtype), y.ravel().astype(dtype)), {}


def _with_options(plain: Build, **more) -> Build:
    """The same call with options set."""

    def build(rng, dtype):
        arguments, options = plain(rng, dtype)
        return arguments, {**options, **more}

    return build


def _with_nan(plain: Build) -> Build:
    """NaN in one element of each large array: it may reach its channel, or its row, and nothing else."""

    def build(rng, dtype):
        arguments, options = plain(rng, dtype)
        for i, array in enumerate(a for a in arguments if a.ndim > 1):
            array[3 * i + 1, 2 * i] = np.nan
        return arguments, options

    return build


def _with_equal_rows(plain: Build) -> Build:
    """Channels without any variance, whose mean is no number of the dtype's."""

    def build(rng, dtype):
        arguments, options = plain(rng, dtype)
        arguments[min(1, len(arguments) - 1) if arguments[1:] and arguments[1].ndim > 1 else 0][...] = np.asarray(0.1, dtype)
        return arguments, options

    return build


def _with_steps(plain: Build) -> Build:
    """Rows that rise in three steps, each far above the last."""

    def build(rng, dtype):
        (x,), options = plain(rng, np.float64)
        steps = np.repeat([0.0, 300.0, -500.0], [len(x) // 2, len(x) // 4, len(x) - len(x) // 2 - len(x) // 4])
        return (np.asarray(x + steps[:, None], dtype),), options

    return build


def _gemm_special(value: float) -> Build:
    """One special value in a and one in b: it may spread along its row or column, and nowhere else."""
    plain = gemm_build(14, 9, 35)

    def build(rng, dtype):
        (a, b), options = plain(rng, dtype)
        a[3, 4], b[5, 33] = value, -value
        return (a, b), options

    return build


def _conv_special(channels: int, filters: int) -> Iterator[tuple[str, Build]]:
    """NaN and infinity in single pixels: they may reach the windows that see them, and nothing else."""
    builds = conv_builds(Conv("", (11, 9, channels), (3, 3), filters, {"padding": 1}), 2)
    for kernel, plain in builds.items():

        def build(rng, dtype, plain=plain, image=int(kernel == "conv2d_backward_weight")):
            arguments, options = plain(rng, dtype)
            arguments[image][0, 0, 0, 0], arguments[image][1, 4, 5, -1] = np.nan, np.inf
            return arguments, options

        yield kernel, build


def _logits(*rows, labels) -> Build:
    return lambda rng, dtype: ((np.array(rows).astype(dtype), np.array(labels)), {})


_INF, _NAN = np.inf, np.nan
_SOFTMAX: tuple[tuple[str, Build], ...] = (
    ("one_class", softmax_build(5, 1)),
    ("one_row", softmax_build(1, 7)),
    ("ten", softmax_build(13, 10)),
    ("seventeen", softmax_build(7, 17)),
    ("many", softmax_build(3, 1031)),
    ("labels_uint8", softmax_build(5, 3, np.uint8)),
    ("labels_int32", softmax_build(5, 3, np.int32)),
    ("no_rows", softmax_build(0, 4)),
    ("huge", _logits([1e30, -1e30, 0.0], [-1e30, -1e30, -1e30], [5e37, 4e37, 1.0], labels=[0, 1, 0])),
    ("huge_loss", _logits([1e4, -1e4, 0.0], [1e3, 0.0, 0.0], labels=[1, 2])),
    ("minus_inf", _logits([-_INF, 1.0, 2.0], [0.0, -_INF, -_INF], labels=[1, 0])),
    ("minus_inf_label", _logits([-_INF, 1.0, 2.0], [0.0, 1.0, 2.0], labels=[0, 1])),
    ("nan_row", _logits([_NAN, 1.0, 2.0], [0.0, 1.0, 2.0], [2.0, 1.0, 0.0], labels=[1, 1, 1])),
    ("inf_row", _logits([0.0, 1.0, 2.0], [_INF, 1.0, 2.0], labels=[1, 0])),
    ("minus_inf_row", _logits([-_INF, -_INF], [1.0, 2.0], labels=[0, 0])),
)

_BIAS = ((1,), (5, 7), (1, 33), (2003, 3), (3, 4, 5, 17), (2, 3, 4, 67), (0, 5), (5, 0), (3, 0, 2))

#: (shape, what else): few channels and many, around a line of vectors; one row; rows that lie far from 0; nothing.
_NORM = (
    ((1, 1), {}),
    ((1, 5), {"activation": None}),
    ((7, 1), {}),
    ((5, 7), {"activation": "tanh"}),
    ((1, 33), {}),
    ((2003, 3), {"activation": None}),
    ((67, 16), {}),
    ((3, 4, 5, 17), {"activation": "sigmoid"}),
    ((2, 3, 5, 7), {"epsilon": 0.1}),
    ((2, 3, 4, 67), {}),
    ((4, 9, 9, 32), {}),
    ((131, 64), {"offset": 300.0, "activation": None}),
    ((601, 84), {"offset": 5.0}),
    ((1101, 16), {}),
    ((5, 521), {}),
    ((3, 1031), {"offset": -20.0}),
    ((0, 5), {}),
    ((5, 0), {}),
    ((3, 0, 2), {}),
    ((5,), {}),
)

#: Texts, words of the longest, words there are, length of a vector: around a line of vectors; one word; nothing at all.
_TEXTS = (
    (1, 1, 1, 1), (2, 3, 5, 7), (5, 4, 1, 3), (7, 9, 31, 16), (3, 40, 11, 33), (13, 6, 97, 64), (4, 5, 6, 67), (2, 300, 3, 131),
    (11, 17, 64, 150), (0, 5, 4, 3), (5, 0, 4, 3), (3, 0, 0, 2), (0, 0, 0, 0), (4, 3, 5, 0),
)  # fmt: skip


def _bags(*texts, n_rows: int = 5, width: int = 9, dtype: type = np.int64, special: bool = False) -> dict[str, Build]:
    """Texts given word by word; with `special`, row 2 of the table (text 2 of the gradient) is not finite."""
    steps = max(map(len, texts))

    def arguments(rng):
        indices = np.array([[*words, *[0] * (steps - len(words))] for words in texts], dtype)
        return indices, np.array([len(words) for words in texts], dtype)

    def floats(rng, t, n):
        x = rng.standard_normal((n, width)).astype(t)
        if special:
            x[2, :3] = np.nan, np.inf, -np.inf
        return x

    return {
        "embedding_mean": lambda r, t: ((floats(r, t, n_rows), *arguments(r)), {}),
        "embedding_mean_backward": lambda r, t: ((floats(r, t, len(texts)), *arguments(r), n_rows), {}),
    }


_UPDATE_SHAPES = ((), (1,), (7,), (64,), (1031,), (3, 3, 5, 7), (0, 4))
_SGD = (
    ("plain", {"momentum": 0.0}),
    ("momentum", {}),
    ("nesterov", {"nesterov": True}),
    ("weight_decay", {"weight_decay": 0.1}),
    ("nesterov_weight_decay", {"nesterov": True, "weight_decay": 0.01}),
    ("no_learning", {"learning_rate": 0.0}),
)
_ADAM = (
    ("plain", {}),
    ("first_step", {"step": 1}),
    ("late_step", {"step": 100_000}),
    ("weight_decay", {"weight_decay": 0.1}),
    ("betas", {"beta_1": 0.5, "beta_2": 0.75, "epsilon": 1e-3}),
    ("beta_zero", {"beta_1": 0.0, "beta_2": 0.0, "step": 2}),
)


def _shape_name(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _all():
    """Yield (kernel, name, build)."""
    for name, m, k, n, options in _GEMM:
        yield "gemm", name, gemm_build(m, k, n, **options)
    yield "gemm", "nan", _gemm_special(np.nan)
    yield "gemm", "inf", _gemm_special(np.inf)
    for i, conv in enumerate(_CONV):
        yield from ((kernel, conv.name, b) for kernel, b in conv_builds(conv, _BATCHES[i % 3]).items())
    no_images = Conv("no_images", (5, 5, 3), (3, 3), 4, {"padding": 1})
    yield from ((kernel, "no_images", build) for kernel, build in conv_builds(no_images, 0).items())
    for channels, filters in ((3, 33), (32, 16), (1, 6), (3, 2)):
        name = f"special_values_{channels}_{filters}"
        yield from ((kernel, name, build) for kernel, build in _conv_special(channels, filters))
    for i, pool in enumerate(_POOL):
        yield from ((kernel, pool.name, b) for kernel, b in pool_builds(pool, _BATCHES[i % 3]).items())
    yield from ((k, "no_images", b) for k, b in pool_builds(Pool("", (4, 4, 3), 2), 0).items())
    for shape in _SHAPES:
        yield from ((kernel, _shape_name(shape), build) for kernel, build in elementwise_builds(shape).items())
    yield from ((kernel, "extremes", _extremes) for kernel in ("relu", "sigmoid", "tanh"))
    yield from ((f"{kernel}_backward", "special_values", _special_backward) for kernel in ("relu", "sigmoid", "tanh"))
    yield from ((kernel, "extremes", _extremes) for kernel in ("leaky_relu", "gelu"))
    yield "leaky_relu_backward", "special_values", _special_backward
    yield "gelu_backward", "special_values", _special_backward
    for slope in (0.0, 0.3, 1.0):
        for kernel, build in elementwise_builds((67,)).items():
            if kernel.startswith("leaky"):
                yield kernel, f"slope_{slope}", _with_options(build, slope=slope)
    for activation in (None, "sigmoid", "tanh"):
        build = elementwise_builds((5, 131))["add"]
        yield "add", f"activation_{activation}", _with_options(build, activation=activation)
    yield "add", "special_values", _special_backward
    for shape, options in _NORM:
        yield from ((kernel, _shape_name(shape), build) for kernel, build in norm_builds(shape, **options).items())
    for kernel, build in norm_builds((9, 21), epsilon=0.0).items():
        yield kernel, "nan", _with_nan(build)
    for kernel, build in norm_builds((700, 18)).items():
        yield kernel, "equal_rows", _with_equal_rows(build)
    for shape in ((700, 18), (1100, 64)):
        yield "batch_norm_statistics", f"steps_{_shape_name(shape)}", _with_steps(norm_builds(shape)["batch_norm_statistics"])
    yield "batch_norm_backward", "count", _with_options(norm_builds((9, 21))["batch_norm_backward"], count=20)
    for sizes in _TEXTS:
        yield from ((kernel, _shape_name(sizes), build) for kernel, build in embedding_builds(*sizes).items())
    for name, builds in (
        ("repeated", _bags([3] * 50, [3, 3, 1, 3], [1])),
        ("no_words", _bags([], [], [4], [])),
        ("int32", _bags([0, 4], [2], [1, 1, 1], dtype=np.int32)),
        ("uint8", _bags([0, 4], [2], [1, 1, 1], dtype=np.uint8)),
        ("special_values", _bags([0, 1], [2, 1], [3, 2, 2], [4], width=21, special=True)),
    ):
        yield from ((kernel, name, build) for kernel, build in builds.items())
    yield from (("softmax_cross_entropy", name, build) for name, build in _SOFTMAX)
    yield from (("bias_backward", _shape_name(shape), bias_build(*shape)) for shape in _BIAS)
    for kernel, build, variants in (("sgd_update", sgd_build, _SGD), ("adam_update", adam_build, _ADAM)):
        yield from ((kernel, f"shape_{_shape_name(shape)}", build(shape)) for shape in _UPDATE_SHAPES)
        yield from ((kernel, name, build((37,), **options)) for name, options in variants)


def _by_kernel() -> dict[str, tuple[Case, ...]]:
    found: dict[str, list[Case]] = {name: [] for name in BY_NAME}
    for kernel, name, build in _all():
        found[kernel].append(Case(kernel, name, build))
    return {kernel: tuple(made) for kernel, made in found.items()}


#: Edge cases of each kernel, in the order of the specs.
EDGE_CASES: dict[str, tuple[Case, ...]] = _by_kernel()
