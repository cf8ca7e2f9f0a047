"""Tests over data sets, of samples, and Bayesian ones: against published worked examples and others' implementations."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats

from bench.statistics import bayes, bootstrap, effects, factors, holm, ranks, samples

#: Demsar 2006, table 6: area under the ROC curve of C4.5 and three variants (minimal leaves m, confidence cf, both), on 14
#: data sets. On one of them his ranks tell two values apart that print alike (0.975): so one of these has a digit more.
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)


def test_demsars_friedman():
    found = ranks.friedman(DEMSAR.tolist())
    assert ranks.mean_ranks(DEMSAR.tolist()) == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    assert found.chi_squared == pytest.approx(9.28, abs=5e-3)
    assert found.f == pytest.approx(3.69, abs=5e-3)  # critical value of F(3, 39) is 2.85: rejected
    assert found.p_value < 0.05
    assert found.critical_difference == pytest.approx(1.25, abs=5e-3)
    assert ranks.critical_difference(14, 4, 0.10) == pytest.approx(1.12, abs=5e-3)


#: Demsar 2006, table 5a: q for two-tailed Nemenyi tests.
@pytest.mark.parametrize(
    ("k", "q_05", "q_10"),
    [(2, 1.960, 1.645), (3, 2.343, 2.052), (4, 2.569, 2.291), (5, 2.728, 2.459), (7, 2.949, 2.693), (10, 3.164, 2.920)],
)
def test_demsars_critical_values(k, q_05, q_10):
    scale = math.sqrt(k * (k + 1) / 6)  # one data set
    assert ranks.critical_difference(1, k, 0.05) / scale == pytest.approx(q_05, abs=1e-3)
    assert ranks.critical_difference(1, k, 0.10) / scale == pytest.approx(q_10, abs=1e-3)


def test_demsars_wilcoxon():
    """C4.5 against C4.5+m: R+ = 93 and R- = 12, so T = 12 is below 21, the critical value for 14 data sets at 0.05."""
    first, second = DEMSAR[:, 1], DEMSAR[:, 0]
    found = scipy.stats.wilcoxon(np.round(first - second, 12), zero_method="zsplit", method="approx", correction=False)
    assert found.statistic == 12
    assert abs(found.zstatistic) == pytest.approx(2.54, abs=5e-3)
    assert ranks.wilcoxon(first, second) == pytest.approx(0.0109, abs=2e-3)
    assert ranks.wilcoxon(first, second) < 0.05


@pytest.mark.parametrize("n", [5, 12, 30])
def test_wilcoxon_is_exact_without_ties(n):
    rng = np.random.default_rng(n)
    first, second = rng.normal(size=(2, n))
    assert ranks.wilcoxon(first, second) == pytest.approx(scipy.stats.wilcoxon(first, second, method="exact").pvalue)


@pytest.mark.parametrize(("n", "k"), [(4, 3), (10, 5), (25, 8)])
def test_friedman_and_nemenyi_are_those_of_scipy_and_scikit_posthocs(n, k):
    posthocs = pytest.importorskip("scikit_posthocs")
    scores = np.random.default_rng(n).normal(size=(n, k)) + np.linspace(0, 1, k)
    found = ranks.friedman(scores.tolist())
    assert found.chi_squared == pytest.approx(scipy.stats.friedmanchisquare(*scores.T).statistic)
    assert found.p_value == pytest.approx(scipy.stats.f.sf(found.f, k - 1, (k - 1) * (n - 1)))
    expected = posthocs.posthoc_nemenyi_friedman(scores).to_numpy()
    actual = np.array(ranks.nemenyi(ranks.mean_ranks(scores.tolist()), n))
    off = ~np.eye(k, dtype=bool)
    assert actual[off] == pytest.approx(expected[off], abs=2e-3)
    means = ranks.mean_ranks(scores.tolist())
    told_apart = np.abs(np.subtract.outer(means, means)) > found.critical_difference
    assert np.array_equal(told_apart[off], (actual < 0.05)[off])


def test_wilcoxon_holm_is_that_of_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    scores = {name: DEMSAR[:, i] for i, name in enumerate(["c45", "m", "cf", "m+cf"])}
    found = ranks.wilcoxon_holm(scores)
    raw = [ranks.wilcoxon(scores[a], scores[b]) for a, b in found]
    assert list(found.values()) == pytest.approx(multitest.multipletests(raw, method="holm")[1])
    assert set(found) == set(itertools.combinations(scores, 2))


def test_groups_hold_whom_the_critical_difference_does_not_part():
    rng = np.random.default_rng(0)
    for _ in range(50):
        means, difference = rng.uniform(1, 10, 8).tolist(), rng.uniform(0.5, 4)
        together = {frozenset(pair) for group in ranks.groups(means, difference) for pair in itertools.combinations(group, 2)}
        expected = {
            frozenset((i, j)) for i, j in itertools.combinations(range(8), 2) if abs(means[i] - means[j]) < difference
        }
        assert together == expected


def test_ranks_are_scipys():
    scores = [0.9, 0.8, 0.9, 0.7, 0.8, 0.8]
    assert ranks.ranks(scores) == scipy.stats.rankdata([-s for s in scores]).tolist()


@pytest.mark.parametrize(("b", "c"), [(1, 7), (0, 0), (0, 5), (30, 60), (500, 400), (4, 4)])
def test_mcnemar_is_the_exact_sign_test(b, c):
    expected = scipy.stats.binomtest(b, b + c, 0.5).pvalue if b + c else 1.0
    assert samples.mcnemar(b, c) == pytest.approx(expected)
    if b + c:
        tables = pytest.importorskip("statsmodels.stats.contingency_tables")
        assert samples.mcnemar(b, c) == pytest.approx(tables.mcnemar([[10, b], [c, 10]], exact=True).pvalue)


def test_mcnemar_of_a_published_example():
    """Airway responsiveness of 21 children before and after transplantation, 1 and 7 changed: exact p = 0.070 (Fagerland,
    Lydersen and Laake 2013, The McNemar test for binary matched-pairs data, BMC Medical Research Methodology 13:91)."""
    assert samples.mcnemar(1, 7) == pytest.approx(0.070, abs=5e-4)


@pytest.mark.parametrize(("only", "n"), [((0.08, 0.02), 200), ((0.05, 0.05), 500), ((0.01, 0.005), 2000)])
def test_the_interval_of_paired_shares_covers_the_truth(only, n):
    rng = np.random.default_rng(n)
    counts = rng.multinomial(n, [*only, 1 - sum(only)], 1000)
    truth = only[0] - only[1]
    found = [samples.compare_samples(int(b), int(c), n) for b, c, _ in counts]
    assert 0.93 <= np.mean([c.low <= truth <= c.high for c in found]) <= 0.985


def test_the_detectable_difference_of_samples_has_about_the_stated_power():
    n, disagree = 2000, 0.06
    detectable = samples.compare_samples(int(n * disagree / 2), int(n * disagree / 2), n).detectable
    only = (disagree + detectable) / 2, (disagree - detectable) / 2
    counts = np.random.default_rng(0).multinomial(n, [*only, 1 - disagree], 2000)
    assert np.mean([samples.mcnemar(int(b), int(c)) < 0.05 for b, c, _ in counts]) == pytest.approx(0.80, abs=0.04)


def test_accuracies_alone_never_claim_more_than_predictions():
    rng = np.random.default_rng(0)
    for _ in range(100):
        n = int(rng.integers(20, 400))
        first, second = rng.random(n) < rng.uniform(0.2, 1), rng.random(n) < rng.uniform(0.2, 1)
        known = samples.compare_samples(int((first & ~second).sum()), int((second & ~first).sum()), n)
        bound = samples.bounded(int((~first).sum()), int((~second).sum()), n)
        assert bound.difference == pytest.approx(known.difference)
        assert bound.p_value >= known.p_value - 1e-12
        assert bound.low <= known.low + 1e-12 and bound.high >= known.high - 1e-12


@pytest.mark.parametrize("rope", [0.0, 0.01])
@pytest.mark.parametrize("shift", [0.0, 0.008, -0.03])
def test_correlated_t_is_baycomps(rope, shift):
    baycomp = pytest.importorskip("baycomp")
    first, second = np.random.default_rng(3).normal(0.9, 0.02, (2, 100))
    first += shift
    expected = baycomp.CorrelatedTTest.probs(first, second, rope, runs=10)
    found = bayes.correlated_t(list(first - second), 1 / 9, rope=rope)
    actual = (found.better, found.same, found.worse) if rope else (found.better, found.worse)
    assert actual == pytest.approx(expected[::-1] if _right_is_first(baycomp) else expected, abs=1e-9)


def _right_is_first(baycomp) -> bool:
    return baycomp.CorrelatedTTest.probs(np.array([0.9, 0.91, 0.92]), np.array([0.1, 0.12, 0.11]), 0)[1] > 0.5


def test_correlated_t_without_margin_is_the_one_sided_corrected_t_test():
    from bench.statistics import compare_paired

    first, second = np.random.default_rng(4).normal(0.9, 0.02, (2, 10))
    found = bayes.correlated_t(list(first - second), 1 / 9, rope=0.0)
    assert 2 * min(found.better, found.worse) == pytest.approx(compare_paired(list(first), list(second), 1 / 9).p_value)


@pytest.mark.parametrize("shift", [0.0, 0.006, 0.015, -0.02])
def test_signed_rank_is_baycomps(shift):
    baycomp = pytest.importorskip("baycomp")
    first, second = np.random.default_rng(5).normal(0.9, 0.02, (2, 20))
    first += shift
    expected = baycomp.SignedRankTest.probs(first, second, 0.01, random_state=0)
    found = bayes.signed_rank(list(first - second))
    other_way = baycomp.SignedRankTest.probs(np.full(9, 0.9), np.full(9, 0.1), 0.01)[2] > 0.5
    assert (found.better, found.same, found.worse) == pytest.approx(expected[::-1] if other_way else expected, abs=0.015)


def test_bootstrap_over_data_sets_is_scipys_and_covers_about_as_often_as_it_says():
    rng = np.random.default_rng(6)
    covered = []
    for _ in range(300):
        _, low, high = bootstrap.over_datasets(rng.normal(0.02, 0.03, 20), n_draws=400)
        covered.append(low <= 0.02 <= high)
    assert 0.88 <= np.mean(covered) <= 0.98


def test_bootstrap_over_folds_has_the_corrected_standard_error():
    from bench.statistics import corrected_variance

    scores = np.random.default_rng(7).normal(0.9, 0.02, 30)
    _, low, high = bootstrap.over_folds(lambda w: w @ scores, 30, 1 / 9, n_draws=20_000)
    expected = 2 * 1.96 * math.sqrt(corrected_variance(list(scores), 1 / 9))
    assert high - low == pytest.approx(expected, rel=0.03)


def test_hedges_factor_and_g():
    assert effects.correction(10) == pytest.approx(1 - 3 / (4 * 10 - 1), abs=1e-3)  # Hedges' approximation
    differences = np.random.default_rng(8).normal(1.0, 1.0, (4000, 5))
    assert np.mean([effects.hedges_g(row) for row in differences]) == pytest.approx(1.0, abs=0.03)  # unbiased


def anova_shares(means):
    """Sums of squares by statsmodels' analysis of variance of the table of means."""
    pandas = pytest.importorskip("pandas")
    api = pytest.importorskip("statsmodels.formula.api")
    anova = pytest.importorskip("statsmodels.stats.anova")
    lines = [(f"f{i}", f"m{j}", v) for (i, j), v in np.ndenumerate(means)]
    table = pandas.DataFrame(lines, columns=["features", "model", "score"])
    squares = anova.anova_lm(api.ols("score ~ C(features) + C(model)", table).fit())["sum_sq"].to_numpy()
    return squares / squares.sum()


def test_shares_are_those_of_an_analysis_of_variance():
    scores = np.random.default_rng(9).normal(0.9, 0.03, (4, 6, 10))
    found = factors.shares(scores, 1 / 9)
    actual = [found.features.value, found.models.value, found.interaction.value]
    assert actual == pytest.approx(anova_shares(scores.mean(axis=2)).tolist())
    assert sum(actual) == pytest.approx(1.0)
    for part in (found.features, found.models, found.interaction):
        assert 0.0 <= part.low <= part.value <= part.high <= 1.0


@pytest.mark.parametrize(("by_features", "by_model", "both"), [(0.04, 0.02, 0.0), (0.0, 0.05, 0.0), (0.03, 0.01, 0.02)])
def test_a_gain_falls_into_the_parts_that_made_it(by_features, by_model, both):
    rng = np.random.default_rng(10)
    base = 0.9 + rng.normal(0, 0.003, 10)
    noise = rng.normal(0, 0.0005, (3, 10))
    found = factors.split_gain(
        base, base + by_features + noise[0], base + by_model + noise[1], base + by_features + by_model + both + noise[2], 1 / 9
    )
    assert found.features.difference + found.models.difference == pytest.approx(found.total.difference)
    truths = by_features + both / 2, by_model + both / 2, both
    for part, truth in zip((found.features, found.models, found.interaction), truths, strict=True):
        assert part.low <= truth <= part.high


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: ranks.friedman([[0.1, 0.2, 0.3]]), "at least 2 data sets"),
        (lambda: samples.mcnemar(-1, 2), "negative"),
        (lambda: samples.compare_samples(5, 6, 10), "5 and 6 of 10"),
        (lambda: bayes.signed_rank([]), "at least one"),
        (lambda: bayes.correlated_t([0.1, 0.2], 0.1, rope=-1), "practical equivalence"),
        (lambda: bootstrap.over_folds(lambda w: w, 1, 0.1), "two folds"),
        (lambda: factors.shares(np.zeros((1, 3, 5)), 0.1), "shape"),
        (lambda: holm([1.5]), "0..1"),
    ],
)
def test_what_cannot_be_tested_is_refused(call, match):
    with pytest.raises(ValueError, match=match):
        call()
