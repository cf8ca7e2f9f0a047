"""Statistics against SciPy, a published worked example, hand-made cases, and simulation of what they promise."""

import math

import numpy as np
import pytest
import scipy.stats

from bench import statistics as st

RATIO = 0.25


@pytest.mark.parametrize("n", [3, 5, 10, 50])
def test_without_overlap_the_test_is_the_ordinary_paired_t_test(n):
    rng = np.random.default_rng(n)
    first, second = rng.normal(0.95, 0.02, (2, n))
    expected = scipy.stats.ttest_rel(first, second)
    low, high = expected.confidence_interval(0.95)
    actual = st.compare_paired(list(first), list(second), 0.0)
    assert actual.p_value == pytest.approx(expected.pvalue, rel=1e-10)
    assert (actual.low, actual.high) == pytest.approx((low, high), rel=1e-10)


@pytest.mark.parametrize(("n", "ratio"), [(5, 0.25), (10, 1 / 9), (100, 1 / 9), (15, 0.5)])
def test_the_correction_shrinks_t_by_the_factor_of_nadeau_and_bengio(n, ratio):
    rng = np.random.default_rng(n)
    first, second = rng.normal(0.95, 0.02, (2, n))
    t = scipy.stats.ttest_rel(first, second).statistic * math.sqrt((1 / n) / (1 / n + ratio))
    expected = 2 * scipy.stats.t.sf(abs(t), n - 1)
    assert st.compare_paired(list(first), list(second), ratio).p_value == pytest.approx(expected, rel=1e-10)


def test_the_worked_example_of_scikit_learns_user_guide():
    """ "Statistical comparison of models using grid search" prints t = 0.750 and p = 0.227 (one-sided)."""
    from sklearn.datasets import make_moons
    from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
    from sklearn.svm import SVC

    X, y = make_moons(noise=0.352, random_state=1, n_samples=100)
    folds = RepeatedStratifiedKFold(n_splits=10, n_repeats=10, random_state=0)
    rbf, linear = (
        cross_val_score(SVC(kernel=kernel, random_state=0), X, y, scoring="roc_auc", cv=folds)
        for kernel in ("rbf", "linear")
    )
    actual = st.compare_paired(list(rbf), list(linear), 10 / 90)
    assert actual.p_value / 2 == pytest.approx(0.227, abs=5e-4)
    assert scipy.stats.t.isf(actual.p_value / 2, 99) == pytest.approx(0.750, abs=1e-3)


def test_an_interval_and_a_p_value_say_the_same():
    rng = np.random.default_rng(0)
    for _ in range(200):
        c = st.compare_paired(list(rng.normal(0.003, 0.01, 5)), [0.0] * 5, RATIO)
        assert c.conclusive == (c.p_value < 0.05)


def test_fixed_sequence_stops_at_the_first_that_holds():
    assert st.fixed_sequence([0.01, 0.2, 0.001]) == [0.01, 0.2, 0.2]


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan")])
def test_what_is_no_p_value_is_refused(bad):
    with pytest.raises(ValueError, match=r"0\.\.1"):
        st.adjust_in_order([0.5, bad])


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ([0.001, 0.02, 0.6, 0.001], [0.002, 0.04, 1.0, 0.004]),  # Benjamini-Hochberg: .002 .0267 .6 .002
        ([0.2, 0.0001, 0.0001], [0.4, 0.0003, 0.0003]),  # the walk stops at once
        ([0.01, 0.02, 0.03], [0.02, 0.04, 0.06]),
        ([], []),
    ],
)
def test_adjusting_in_order(p_values, expected):
    assert st.adjust_in_order(p_values) == pytest.approx(expected)


@pytest.mark.parametrize("true_first", [0, 3, 9])
def test_the_walk_passes_over_no_equal_in_more_than_its_share_of_runs(true_first):
    """Ten hypotheses, those from ``true_first`` on true, the rest false beyond doubt."""
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(4000):
        p = np.full(10, 1e-9)
        p[true_first:] = rng.uniform(size=10 - true_first)
        adjusted = st.adjust_in_order(list(p))
        wrong += next((i for i, a in enumerate(adjusted) if a >= 0.05), 10) > true_first
    assert wrong / 4000 < 0.025 + 3 * math.sqrt(0.025 * 0.975 / 4000)


@pytest.mark.parametrize("n_true", [10, 45, 80])
def test_of_those_called_worse_few_are_not(n_true):
    rng = np.random.default_rng(2)
    shares = []
    for _ in range(2000):
        p = np.concatenate([rng.uniform(size=n_true), rng.beta(0.1, 5, size=90 - n_true)])
        order = rng.permutation(90)
        called = np.array(st.adjust_in_order(list(p[order]))) < 0.05
        shares.append((called & (order < n_true)).sum() / max(1, called.sum()))
    assert np.mean(shares) < 0.05


def test_what_stops_the_walk_is_never_called_worse():
    rng = np.random.default_rng(3)
    for _ in range(500):
        p = list(rng.beta(0.2, 3, size=30))
        adjusted = st.adjust_in_order(p)
        stop = next((i for i, value in enumerate(p) if value >= 0.025), None)
        assert stop is None or adjusted[stop] >= 0.05


@pytest.mark.parametrize(("share", "n"), [(0.8, 10), (0.0, 20), (1.0, 360), (0.987, 360)])
def test_wilson(share, n):
    k = round(share * n)
    expected = scipy.stats.binomtest(k, n).proportion_ci(method="wilson")
    actual = st.wilson_interval(k / n, n)
    assert (actual.low, actual.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("n", [3, 5, 20, 100])
@pytest.mark.parametrize("confidence", [0.95, 0.975])
def test_the_detectable_difference_has_the_stated_power(n, confidence):
    rng = np.random.default_rng(n)
    c = st.compare_paired(list(rng.normal(0, 0.01, n)), [0.0] * n, RATIO, confidence=confidence)
    error = (c.high - c.low) / 2 / scipy.stats.t.ppf(0.5 + confidence / 2, n - 1)
    critical = scipy.stats.t.ppf(0.5 + confidence / 2, n - 1)
    # SciPy's nct wants a little care in the far tail; the near one is the power
    assert scipy.stats.nct.sf(critical, n - 1, c.detectable / error) == pytest.approx(0.80, abs=1e-6)


def correlated_folds(rng, n, ratio, runs):
    """Scores whose correlation is what the correction assumes: rho / (1 - rho) = n_test / n_train."""
    rho = ratio / (1 + ratio)
    return math.sqrt(rho) * rng.normal(size=(runs, 1)) + math.sqrt(1 - rho) * rng.normal(size=(runs, n))


@pytest.mark.parametrize(("n", "ratio"), [(3, 0.5), (5, 0.25), (50, 0.25)])
def test_the_interval_covers_the_truth_in_95_of_100_runs(n, ratio):
    runs = 4000
    scores = correlated_folds(np.random.default_rng(2), n, ratio, runs)

    def coverage(used_ratio):
        intervals = [st.mean_interval(list(row), used_ratio) for row in scores]
        return sum(i.low <= 0.0 <= i.high for i in intervals) / runs

    assert coverage(ratio) == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / runs))
    assert coverage(0.0) < 0.90  # and the correction is what does it


@pytest.mark.slow
def test_on_real_folds_equal_models_are_seldom_told_apart():
    """Two decision trees that differ in their seed alone, on fresh samples each time: at most 5 % false alarms."""
    from sklearn.model_selection import cross_val_score
    from sklearn.tree import DecisionTreeClassifier

    rng = np.random.default_rng(3)
    alarms = 0
    for seed in range(300):
        X = rng.normal(size=(120, 6))
        y = (X[:, 0] + rng.normal(size=120) > 0).astype(int)
        a, b = (
            cross_val_score(DecisionTreeClassifier(random_state=2 * seed + i, max_features=2), X, y, cv=5)
            for i in (0, 1)
        )
        c = st.compare_paired(list(a), list(b), RATIO, n_test=24)
        alarms += c.p_value is not None and c.p_value < 0.05
    assert alarms <= 300 * 0.05 + 3 * math.sqrt(300 * 0.05 * 0.95)


def test_scores_that_coincide_are_no_proof():
    """One sample of thirty more in each of five folds: a sign test would say p = 0.06, t alone p = 0."""
    ahead = st.compare_paired([29 / 30] * 5, [28 / 30] * 5, RATIO, n_test=30)
    assert ahead.p_value > 0.05 and not ahead.conclusive
    far_ahead = st.compare_paired([0.9] * 5, [0.1] * 5, RATIO, n_test=30)
    assert far_ahead.p_value < 0.01
    nothing_known = st.compare_paired([0.9] * 5, [0.1] * 5, RATIO)
    assert nothing_known.p_value is None and nothing_known.low is None


@pytest.mark.parametrize("scores", [[0.9] * 5, [0.91, 0.95, 0.93]])
def test_the_same_scores_do_not_differ(scores):
    c = st.compare_paired(scores, scores, RATIO, n_test=30)
    assert (c.difference, c.p_value, c.conclusive) == (0.0, 1.0, False)


@pytest.mark.parametrize("n", [1, 2])
def test_few_folds_claim_nothing(n):
    c = st.compare_paired([0.99] * n, [0.10] * n, RATIO, n_test=1000)
    assert c.p_value is None and c.low is None and not c.conclusive
    assert c.difference == pytest.approx(0.89)


def test_an_interval_stays_within_what_a_score_can_be():
    interval = st.mean_interval([1.0, 1.0, 0.97], RATIO, bounds=(0, 1))
    assert interval.high == 1.0 and interval.mean + interval.half_width > 1.0


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: st.mean_interval([], RATIO), "at least one"),
        (lambda: st.corrected_variance([1.0], RATIO), "at least two"),
        (lambda: st.corrected_variance([1.0, 2.0], -1.0), "test_train_ratio"),
        (lambda: st.corrected_variance([1.0, 2.0], float("nan")), "test_train_ratio"),
        (lambda: st.compare_paired([1.0], [1.0, 2.0], RATIO), "1 and 2 folds"),
        (lambda: st.compare_paired([], [], RATIO), "share no fold"),
        (lambda: st.wilson_interval(1.2, 10), "0..1"),
        (lambda: st.wilson_interval(0.5, 0), "at least one sample"),
    ],
)
def test_bad_input_is_refused(call, match):
    with pytest.raises(ValueError, match=match):
        call()


@pytest.mark.parametrize(
    ("n_train", "n_test", "n_folds", "expected"),
    [([80, 80], [20, 20], 5, 0.25), ([None, 80], [20, 20], 5, 0.25), ([], [], 1, 1.0), ([60000], [10000], 1, 1 / 6)],
)
def test_ratio_of_sizes(n_train, n_test, n_folds, expected):
    assert st.test_train_ratio(n_train, n_test, n_folds) == pytest.approx(expected)
