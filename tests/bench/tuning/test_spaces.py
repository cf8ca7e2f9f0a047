"""Search spaces: every model has one, its defaults lie in it, and what is drawn from it can be fitted."""

import warnings
from itertools import islice

import numpy as np
import pytest

from bench.errors import InputError
from bench.tuning.space import alternatives, configurations, contains, draw, names, plain
from models import catalog
from models.classical import PUBLISHED_MODELS
from models.entry import Choice, IntLogUniform, IntUniform, LogUniform, Uniform

#: Models with nothing to tune, and why.
WITHOUT = {"dummy": "it looks at no column, so no parameter of it is better than another"} | {
    model.name: "a published table's parameters are the point of it" for model in PUBLISHED_MODELS
}

CASES = [
    (model, task)
    for model in catalog.MODELS
    for task in ("classification", "regression")
    if model.estimator(task) and model.name not in WITHOUT
]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0].name}-{case[1]}")
def case(request):
    return request.param


def build(model, task):
    image_shape = (12, 12, 1) if model.accepts == "image" else None
    return model.build(task, seed=0, n_threads=1, backend="reference", image_shape=image_shape)


def defaults(model, task):
    parameters = build(model, task).get_params()
    return {name: parameters[name] for name in names(model.search_space(task))}


def test_only_the_named_models_have_no_space():
    empty = {m.name for m in catalog.MODELS for task in ("classification", "regression") if not m.search_space(task)}
    assert empty == set(WITHOUT)


def test_the_default_lies_in_the_space(case):
    model, task = case
    space, default = model.search_space(task), defaults(*case)
    wrong = [
        {name: default[name] for name, distribution in part.items() if not contains(distribution, default[name])}
        for part in space
    ]
    assert {} in wrong, f"in none of the alternatives of {model.name}: {wrong}"


def test_twenty_draws_build_and_fit(case):
    """Values within a parameter's range may still not suit 60 samples; what no draw may be is a mistake of its name or type."""
    model, task = case
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 144)).astype(np.float32)
    y = np.arange(60) % 3 if task == "classification" else X[:, 0].astype(np.float64)
    drawn = list(islice(configurations(model.search_space(task), defaults(*case), seed=1), 21))
    assert drawn[0] == {} and len(drawn) == 21, "a space of so few values is hardly one"
    for params in drawn[1:]:
        estimator = build(model, task).set_params(**params)
        if "hidden_layer_sizes" in params or model.accepts == "image":
            estimator.set_params(max_iter=1)
        if "min_samples_leaf" in params and "max_iter" in params:
            estimator.set_params(max_iter=2)
        if "n_neighbors" in params:
            estimator.set_params(n_neighbors=min(params["n_neighbors"], 60))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one epoch does not converge, and the like
            assert estimator.fit(X, y).predict(X[:3]).shape == (3,), params


def test_both_perceptrons_of_100_have_one_space():
    ours, theirs = catalog.get("mlp_100"), catalog.get("sklearn_mlp_100")
    for task in ("classification", "regression"):
        assert ours.search_space(task) == theirs.search_space(task)


def test_networks_change_in_width_only():
    for name, depth in (("mlp_100", 1), ("mlp_100_100", 2), ("mlp_sigmoid_4", 4)):
        drawn = islice(configurations(catalog.get(name).search_space("classification"), {}, 0), 1, 30)
        assert {len(params["hidden_layer_sizes"]) for params in drawn} == {depth}


@pytest.mark.parametrize(
    ("distribution", "low", "high", "middle"),
    [
        (Uniform(0.1, 1.0), 0.1, 1.0, 0.55),
        (LogUniform(1e-4, 1e4), 1e-4, 1e4, 1.0),
        (IntUniform(1, 20), 1, 20, 10.5),
        (IntLogUniform(1, 99), 1, 99, 9.5),
    ],
    ids=lambda value: type(value).__name__,
)
def test_draws_fill_their_range(distribution, low, high, middle):
    rng = np.random.RandomState(0)
    values = [draw(distribution, rng) for _ in range(4000)]
    assert low <= min(values) and max(values) <= high
    assert 0.45 < np.mean(np.array(values) < middle) < 0.55
    assert all(contains(distribution, value) for value in values)
    whole = isinstance(distribution, IntUniform | IntLogUniform)
    assert {type(value) for value in values} == {int if whole else float}
    if whole:
        assert {low, high} <= set(values), "both ends are drawn"


@pytest.mark.parametrize(
    ("distribution", "value", "expected"),
    [
        (Choice(None, LogUniform(0.01, 1)), None, True),
        (Choice(None, LogUniform(0.01, 1)), 0.5, True),
        (Choice(None, LogUniform(0.01, 1)), 2.0, False),
        (Choice(1, 2), True, False),
        (Choice(True, False), 1, False),
        (IntUniform(1, 5), 2.0, False),
        (Uniform(0, 1), True, False),
        (Uniform(0, 1), "0.5", False),
    ],
    ids=repr,
)
def test_what_a_distribution_contains(distribution, value, expected):
    assert contains(distribution, value) is expected


@pytest.mark.parametrize("kind", [Uniform, LogUniform, IntUniform, IntLogUniform])
@pytest.mark.parametrize("ends", [(2, 1), (1, 1), (float("nan"), 1)])
def test_a_range_without_inside_is_refused(kind, ends):
    with pytest.raises(ValueError, match="low < high"):
        kind(*ends)


@pytest.mark.parametrize("kind", [LogUniform, IntLogUniform])
def test_a_logarithm_needs_a_positive_range(kind):
    with pytest.raises(ValueError, match="0 < low"):
        kind(0, 1)


def test_a_choice_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        Choice()


SPACE = ({"C": LogUniform(1e-4, 1e4), "p": Choice(1, 2)},)


def test_configurations_begin_with_the_default_and_repeat_themselves():
    one, again, other = (list(islice(configurations(SPACE, {"C": 1.0, "p": 2}, seed), 30)) for seed in (0, 0, 1))
    assert one == again != other
    assert one[0] == {}
    assert len({str(c) for c in one}) == 30


def test_no_configuration_comes_twice_and_a_small_space_ends():
    space = ({"p": Choice(1, 2), "w": Choice("a", "b", "c")},)
    found = list(configurations(space, {"p": 2, "w": "a"}, 0))
    assert len(found) == 6 and {"p": 2, "w": "a"} not in found


def test_what_an_alternative_leaves_out_stays_as_it_is():
    space = ({"solver": Choice("svd"), "shrinkage": Choice(None)}, {"solver": Choice("lsqr"), "shrinkage": Choice("auto", 0.5)})
    found = list(configurations(space, {"solver": "svd", "shrinkage": None}, 0))
    assert {(c.get("solver"), c.get("shrinkage")) for c in found} == {(None, None), ("lsqr", "auto"), ("lsqr", 0.5)}


def test_a_persons_space_may_hold_lists_and_scipys_distributions():
    from scipy.stats import loguniform

    space = alternatives({"C": loguniform(0.1, 10), "weights": ("uniform", "distance"), "n": range(3)}, "mine")
    for params in islice(configurations(space, {}, 0), 1, 20):
        assert 0.1 <= params["C"] <= 10 and params["weights"] in ("uniform", "distance") and params["n"] in range(3)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (5, "expected a mapping"),
        ("C", "expected a mapping"),
        ([1], "expected a mapping"),
        ({1: [2]}, "has 1 for a parameter name"),
        ({"C": []}, "parameter 'C'"),
        ({"C": 3.0}, "parameter 'C': 3.0; expected a list"),
        ({"C": "abc"}, "parameter 'C'"),
    ],
    ids=repr,
)
def test_what_is_no_space_is_named(space, message):
    with pytest.raises(InputError, match=message) as caught:
        alternatives(space, "my:make")
    assert "'my:make'" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (float("nan"), "nan"),
        ((np.int64(1), None), [1, None]),
        ({"a": (1,)}, {"a": [1]}),
        (object(), "<object object>"),
        (np.bool_(True), True),
    ],
)
def test_values_that_json_can_hold(value, expected):
    found = plain(value)
    assert found == expected and type(found) is type(expected)
