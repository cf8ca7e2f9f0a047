"""Tokens -> layers: shapes and parameter counts of the named networks, and the messages for what does not fit."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from models.architectures import build, parse
from models.blocks import Residual
from models.layers import Conv2D, Dense, MaxPool2D
from models.named import ARCHITECTURES, BY_NAME
from models.normalization import BatchNorm


def resnet_count(n: int) -> int:
    """Parameters of He et al.'s network with 6 n + 2 layers; shortcuts have none (their option A)."""
    first, *stages = (27 + 2) * 16, *((2 * n - 1) * (9 * c + 2) * c + (9 * before + 2) * c for before, c in STAGES)
    return first + sum(stages) + 65 * 10


STAGES = ((16, 16), (16, 32), (32, 64))

# Parameters counted by hand: (kh * kw * c_in + 1) * c_out for convolutions, (d + 1) * u for dense layers.
COUNTS = {
    "lenet5": 26 * 6 + (25 * 6 + 1) * 16 + (400 + 1) * 120 + 121 * 84 + 85 * 10,
    "conv16_32": 10 * 16 + (9 * 16 + 1) * 32 + (128 + 1) * 10,
    "conv32_64": 10 * 32 + (9 * 32 + 1) * 64 + (3136 + 1) * 128 + 129 * 10,
    # a normalization has two per channel, and the layer before it no bias
    "conv48_96": (9 + 2) * 48 + (9 * 48 + 2) * 96 + (7 * 7 * 96 + 1) * 10,
    "vgg_small_bn": (27 + 2) * 32 + (288 + 2) * 32 + (288 + 2) * 64 + 2 * (576 + 2) * 64 + (576 + 2) * 64
                    + (2048 + 2) * 256 + 257 * 10,
    "vgg_tiny_bn": (9 + 2) * 32 + (288 + 2) * 32 + (288 + 2) * 64 + (576 + 2) * 64 + (64 + 1) * 10,
    "vgg_narrow_bn": (9 + 2) * 32 + (288 + 2) * 32 + (288 + 2) * 64 + (576 + 2) * 64 + (576 + 2) * 128 + (1152 + 2) * 128
                     + 129 * 10,
    "vgg_mid_bn": (9 + 2) * 48 + (432 + 2) * 48 + (432 + 2) * 96 + (864 + 2) * 96 + (864 + 2) * 192 + (1728 + 2) * 192
    + 193 * 10,
    "vgg_wide_bn": (9 + 2) * 64 + (576 + 2) * 64 + (576 + 2) * 128 + (1152 + 2) * 128 + (1152 + 2) * 256
                   + (2304 + 2) * 256 + 257 * 10,
    "alexnet_small": (75 + 1) * 64 + (1600 + 1) * 96 + (864 + 1) * 128 + (1152 + 1) * 128 + (1152 + 1) * 96
                     + (4 * 4 * 96 + 1) * 256 + 257 * 256 + 257 * 10,
    "resnet20": resnet_count(3), "resnet56": resnet_count(9), "resnet110": resnet_count(18),
    "vgg_small": 28 * 32 + 289 * 32 + 289 * 64 + 577 * 64 + 577 * 128 + (2048 + 1) * 256 + 257 * 10,
}


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda a: a.name)
def test_named_networks_fit_the_images_they_were_made_for(architecture):
    layers = build(architecture.name, architecture.made_for, 10)
    assert layers[-1].output_shape == (10,)
    assert sum(layer.n_parameters for layer in layers) == COUNTS[architecture.name]
    assert [layer.activation for layer in layers if isinstance(layer, (Conv2D, Dense))][-1] is None
    before_bn = {a for a, b in pairwise(layers) if isinstance(b, BatchNorm)}
    weighted = [a for a in layers[:-1] if isinstance(a, (Conv2D, Dense))]
    assert all(layer.activation == (None if layer in before_bn else "relu") for layer in weighted)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("c6k5p2 m2 120 out", ("c6k5p2", "m2", "120", "out")),
        (["c4k1", "out"], ("c4k1", "out")),
        (("m2", 30, "out"), ("m2", "30", "out")),
        ("out", ("out",)),
        ("lenet5", BY_NAME["lenet5"].tokens),
    ],
)
def test_parse(given, expected):
    assert parse(given) == expected


@pytest.mark.parametrize(
    ("token", "shape", "expected"),
    [
        ("c16k3", (8, 6, 1), (6, 4, 16)),
        ("c16k3p1", (8, 6, 1), (8, 6, 16)),
        ("c16k3s2p1", (8, 6, 1), (4, 3, 16)),
        ("c16k3p1s2", (8, 6, 1), (4, 3, 16)),
        ("c16k3d2", (8, 6, 1), (4, 2, 16)),
        ("c16k3g2", (8, 6, 4), (6, 4, 16)),
        ("c2k1p0", (1, 1, 1), (1, 1, 2)),
        ("m2", (9, 7, 3), (4, 3, 3)),
        ("m3s2p1", (9, 7, 3), (5, 4, 3)),
        ("a3s1", (9, 7, 3), (7, 5, 3)),
    ],
)
def test_shapes(token, shape, expected):
    layer = build([token, "out"], shape, 2)[0]
    assert layer.output_shape == expected


def test_flops_of_one_image():
    convolution, pool, *_ = build("c6k5 m2 out", (28, 28, 1), 10)
    assert convolution.flops == 24 * 24 * 6 * (2 * 25 + 1)
    assert isinstance(pool, MaxPool2D)
    assert pool.flops == 12 * 12 * 6 * 4
    assert build("out", (784,), 10)[0].flops == 10 * (2 * 784 + 1)


@pytest.mark.parametrize(
    ("architecture", "error", "message"),
    [
        ("lenet6", ValueError, r"'lenet6' is neither a network \(lenet5, .*did you mean 'lenet5'.*Tokens: c<filters>"),
        ("", ValueError, "architecture is empty"),
        ([], ValueError, "architecture is empty"),
        (["c6k5", "relux", "out"], ValueError, "unknown token 'relux'. Tokens: c<filters>k<size>"),
        (["c6k", "out"], ValueError, "unknown token 'c6k'"),
        (["C6K5", "out"], ValueError, "unknown token 'C6K5'"),
        (["c6k5 ", "out"], ValueError, "unknown token 'c6k5 '"),
        (["-3", "out"], ValueError, "unknown token '-3'"),
        ([-3, "out"], ValueError, "unknown token '-3'"),
        (["m2d2", "out"], ValueError, "unknown token 'm2d2'"),
        (["c6k5", "m2"], ValueError, "must end with the token 'out', got 'm2'"),
        (["out", "out"], ValueError, "'out' stands last, and once"),
        ([3.5, "out"], TypeError, "tokens are strings or numbers of units, got float 3.5"),
        ([True, "out"], TypeError, "got bool True"),
        ([None], TypeError, "got NoneType"),
        (7, TypeError, "a list of them, got int"),
        ({"c6k5"}, TypeError, "a list of them, got set"),
    ],
)
def test_parse_refuses(architecture, error, message):
    with pytest.raises(error, match=message):
        parse(architecture)


@pytest.mark.parametrize(
    ("architecture", "shape", "message"),
    [
        (["c6k5", "out"], (1, 1, 1), "'c6k5' (layer 1) does not fit: the shape here is 1x1: kernel 5 does not fit"),
        (["m2", "c6k5p1", "out"], (5, 8, 1), "'c6k5p1' (layer 2) does not fit: the shape here is 2x4 (padded by 1)"),
        (["m2", "out"], (1, 9, 1), "the shape here is 1x9: window 2 does not fit"),
        (["c6k3d3", "out"], (6, 6, 1), "the shape here is 6x6: kernel 3 does not fit"),
        (["32", "c6k3", "out"], (6, 6, 1), "it needs an image, but the shape here is 32 values"),
        (["c6k3", "out"], (6,), "it needs an image, but the shape here is 6 values"),
        (["c6k3g4", "out"], (6, 6, 2), "groups must divide the channels here (2) and the filters (6), got 4"),
        (["m2p2", "out"], (6, 6, 2), "padding must be smaller than the window (2), got 2"),
        (["c6k3s1s2", "out"], (6, 6, 2), "s (stride) stands twice"),
        (["c6k3s0", "out"], (6, 6, 2), "stride must lie in 1.."),
        (["c0k3", "out"], (6, 6, 2), "filters must lie in 1.."),
        (["c6k0", "out"], (6, 6, 2), "kernel must lie in 1.."),
        (["0", "out"], (6, 6, 2), "units must lie in 1.."),
        (["m0", "out"], (6, 6, 2), "window must lie in 1.."),
        (["9" * 5000, "out"], (6, 6, 2), "units must lie in 1.."),
        (["c99999999k3", "out"], (6, 6, 2), "filters must lie in 1.."),
    ],
)
def test_build_refuses(architecture, shape, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        build(architecture, shape, 10)


@pytest.mark.parametrize(
    ("tokens", "kinds"),
    [
        ("c4k3p1 bn m2 out", ["Conv2D:", "BatchNorm:relu", "MaxPool2D:", "Flatten:", "Dense:"]),
        ("c4k3p1 bn tanh out", ["Conv2D:", "BatchNorm:tanh", "Flatten:", "Dense:"]),
        ("c4k3p1 gelu out", ["Conv2D:", "Activation:", "Flatten:", "Dense:"]),
        ("8 linear 7 sigmoid out", ["Flatten:", "Dense:", "Dense:sigmoid", "Dense:"]),
        ("bn 8 ln leaky_relu out", ["BatchNorm:", "Flatten:", "Dense:", "LayerNorm:", "Activation:", "Dense:"]),
        ("c4k3p1 ( c4k3p1 bn c4k3p1 bn ) gap out", ["Conv2D:relu", "Residual:relu", "GlobalAvgPool2D:", "Dense:"]),
        (["c4k3p1", ["c4k3p1"], "linear", "gap", "out"], ["Conv2D:relu", "Residual:", "GlobalAvgPool2D:", "Dense:"]),
        ("9 drop25 ( 9 ) out", ["Flatten:", "Dense:relu", "Dropout:", "Residual:relu", "Dense:"]),
    ],
    ids=str,
)
def test_where_activations_go(tokens, kinds):
    layers = build(tokens, (6, 6, 2), 3)
    assert [f"{type(layer).__name__}:{layer.activation or ''}" for layer in layers] == kinds
    for layer in layers:
        if isinstance(layer, Residual):
            assert layer.body[-1].activation is None, "the last activation of a block follows the sum"


def test_what_a_normalization_takes_away_is_not_there():
    """A bias before a normalization would be subtracted again with the mean."""
    conv, norm, *_ = build("c4k3 bn out", (6, 6, 2), 3)
    assert [p.is_weight for p in conv.parameters] == [True]
    assert [p.initial for p in norm.parameters] == [1.0, 0.0]
    assert conv.feeds == "relu", "its starting weights are those for relu"


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ("( c4k3p1 out", "out|without its"),
        ("c4k3p1 ) out", "'\\)' without its"),
        ("( ( 4 ) ) out", "blocks do not nest"),
        ("c4k3 ( ) out", "nothing in it"),
        ("( c4k3 ) out", "residual block adds its input"),
        ("( c1k3p1 ) out", "residual block adds its input"),
        ("relu out", "'relu' .* must follow"),
        ("m2 relu out", "'relu' .* must follow"),
        ("5 gap out", "'gap' .* needs an image"),
        ("drop100 out", "unknown token 'drop100'"),
        ("mlp_residual_0", "depth must lie in 1..1000"),
        ("mlp_residual_x", "neither a network"),
    ],
)
def test_blocks_and_words_that_do_not_fit(tokens, message):
    with pytest.raises(ValueError, match=message):
        build(tokens, (6, 6, 2), 3)


@pytest.mark.parametrize("depth", [1, 2, 128])
@pytest.mark.parametrize("kind", ["relu", "sigmoid", "residual"])
def test_networks_of_any_depth(kind, depth):
    layers = build(f"mlp_{kind}_{depth}", (20,), 3)
    assert len(layers) == depth + 1
    assert sum(layer.n_parameters for layer in layers) == 21 * 100 + (depth - 1) * 101 * 100 + 303


def test_a_layer_knows_its_token():
    """`transform` takes positions and tokens; what a token has not made by itself belongs to the layer before."""
    layers = build("c4k3p1 bn tanh m2 ( c4k3p1 bn ) gelu drop10 5 out", (6, 6, 2), 3)
    made = [(type(layer).__name__, layer.position) for layer in layers]
    assert made == [
        ("Conv2D", 0), ("BatchNorm", 1), ("MaxPool2D", 3), ("Residual", 4), ("Activation", 4), ("Dropout", 9),
        ("Flatten", 10), ("Dense", 10), ("Dense", 11),
    ]  # fmt: skip
