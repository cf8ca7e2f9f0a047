"""The search on constructed scores: who is tried where, who is promoted, who is chosen, and when the budget is spent."""

import itertools
import math
import random

import pytest

from bench.tuning.search import Budget, Candidate, Trial, choose, promote, rungs, search


def configurations(n=None):
    numbers = itertools.count() if n is None else range(n)
    return ({"x": i} for i in numbers)


def evaluator(score=lambda number, fold: 0.5, seconds=lambda number: 1.0):
    """Return a function that scores by number and fold (None fails), and the list of what it was asked."""
    asked = []

    def evaluate(candidate, rung, fold):
        asked.append((candidate.number, rung, fold))
        value = score(candidate.number, fold)
        status = "ok" if value is not None else "failed"
        return Trial(candidate.number, rung, fold, candidate.params, status, value, seconds(candidate.number), 0.0)

    return evaluate, asked


def folds_seen(asked):
    found = {}
    for number, _, fold in asked:
        found.setdefault(number, []).append(fold)
    return found


@pytest.mark.parametrize(
    ("n", "seen"),
    [
        (2, [2, 2, 2, 2]),
        (3, [3, 2, 2, 2]),
        (4, [4, 2, 2, 2]),
        (8, [8, 4, 2, 2]),
        (16, [16, 8, 4, 4]),
        (17, [17, 9, 5, 5]),
        (100, [100, 50, 25, 25]),
    ],
)
def test_each_rung_halves_the_configurations(n, seen):
    evaluate, asked = evaluator(score=lambda number, fold: number / n)
    found = search(configurations(), evaluate, Budget(n))
    counted = [sum(f == fold for _, _, f in asked) for fold in range(4)]
    assert counted == seen
    assert len(found.candidates) == n
    assert len(found.trials) == len(asked) == len(set(asked))


def test_the_best_reaches_the_end_and_the_default_is_asked_everywhere():
    evaluate, asked = evaluator(score=lambda number, fold: {0: 0.1, 5: 0.9}.get(number, 0.5))
    found = search(configurations(), evaluate, Budget(8))
    seen = folds_seen(asked)
    assert seen[0] == seen[5] == [0, 1, 2, 3]
    assert found.chosen.number == 5
    first_of_rung = [next(number for number, r, _ in asked if r == rung) for rung in range(3)]
    assert first_of_rung == [0, 0, 0]


def test_what_is_lucky_on_the_first_fold_alone_is_not_chosen():
    def score(number, fold):
        return {0: 0.8, 3: 1.0 if fold == 0 else 0.6}.get(number, 0.5)

    found = search(configurations(), evaluator(score)[0], Budget(8))
    assert found.chosen.number == 0


@pytest.mark.parametrize("seed", range(20))
def test_tuned_is_never_worse_than_the_default_on_the_inner_folds(seed):
    rng = random.Random(seed)
    scores = {(number, fold): rng.random() for number in range(30) for fold in range(4)}
    scores |= {place: None for place in rng.sample(sorted(scores), 20) if place[0] != 0}
    budget = rng.choice([Budget(rng.randint(2, 30)), Budget(seconds=rng.uniform(3, 60)), Budget(12, rng.uniform(3, 40))])
    evaluate, _ = evaluator(lambda number, fold: scores[number, fold], seconds=lambda number: 0.5 + number % 3)
    found = search(configurations(30), evaluate, budget)
    chosen, default = found.chosen, found.candidates[0]
    together = min(len(chosen.trials), len(default.trials))
    assert not chosen.has_failed
    assert chosen.mean(together) >= default.mean(together)


def test_a_failure_counts_as_worst_and_is_not_asked_again():
    evaluate, asked = evaluator(score=lambda number, fold: None if number in (1, 2) else 0.5 + number / 100)
    found = search(configurations(), evaluate, Budget(4))
    assert folds_seen(asked)[1] == folds_seen(asked)[2] == [0]
    assert found.chosen.number == 3


def test_a_default_that_fails_gives_way():
    found = search(configurations(), evaluator(lambda number, fold: None if number == 0 else 0.1)[0], Budget(4))
    assert found.chosen.number != 0


def test_where_everything_fails_the_default_stays():
    evaluate, asked = evaluator(lambda number, fold: None)
    found = search(configurations(), evaluate, Budget(6))
    assert found.chosen.number == 0
    assert len(asked) == 6


def test_of_equals_the_default_stays():
    assert search(configurations(), evaluator()[0], Budget(16)).chosen.number == 0


def test_a_challenger_that_fails_late_is_not_chosen():
    evaluate, _ = evaluator(lambda number, fold: None if (number, fold) == (1, 3) else (0.9 if number == 1 else 0.5))
    assert search(configurations(), evaluate, Budget(4)).chosen.number == 0


@pytest.mark.parametrize("n_folds", [2, 3, 4])
def test_fewer_inner_folds_make_fewer_rungs(n_folds):
    evaluate, asked = evaluator()
    search(configurations(), evaluate, Budget(8), n_folds)
    assert {fold for _, _, fold in asked} == set(range(n_folds))
    assert sorted(itertools.chain(*rungs(n_folds))) == list(range(n_folds))


def test_a_space_that_ends_ends_the_search():
    found = search(configurations(3), evaluator()[0], Budget(100))
    assert len(found.candidates) == 3 and found.chosen.number == 0
    assert search(configurations(1), evaluator()[0], Budget(100)).chosen.number == 0


@pytest.mark.parametrize(("seconds", "fit_s"), [(30.0, 1.0), (30.0, 0.1), (7.0, 1.0), (100.0, 7.0), (1.0, 0.3)])
def test_time_is_divided_over_the_rungs_and_never_overdrawn_by_more_than_a_rung_step(seconds, fit_s):
    evaluate, asked = evaluator(score=lambda number, fold: number / 1000, seconds=lambda number: fit_s)
    found = search(configurations(), evaluate, Budget(seconds=seconds))
    spent = [fit_s * sum(r <= rung for _, r, _ in asked) for rung in range(3)]
    for rung in range(3):
        assert spent[rung] <= seconds * (rung + 1) / 3 + 2 * fit_s + 1e-9, "the last that has begun is finished, no more"
    assert found.cost_s == pytest.approx(spent[-1])
    assert {rung for _, rung, _ in asked} == {0, 1, 2} or seconds < 10 * fit_s


def test_the_default_alone_may_use_up_the_time():
    evaluate, asked = evaluator(seconds=lambda number: 50.0)
    found = search(configurations(), evaluate, Budget(seconds=10.0))
    assert asked == [(0, 0, 0)] and found.chosen.number == 0


def test_a_slow_default_still_meets_a_challenger():
    evaluate, asked = evaluator(score=lambda number, fold: number, seconds=lambda number: 5.0 if number == 0 else 0.5)
    found = search(configurations(), evaluate, Budget(seconds=10.0))
    assert [number for number, _, _ in asked][:2] == [0, 1]
    assert found.chosen.number == 1


def test_both_limits_hold():
    evaluate, _ = evaluator(seconds=lambda number: 0.001)
    assert len(search(configurations(), evaluate, Budget(6, 1000.0)).candidates) == 6
    evaluate, _ = evaluator(seconds=lambda number: 1.0)
    assert len(search(configurations(), evaluate, Budget(1000, 9.0)).candidates) == 3


def candidate(number, *scores):
    trials = [Trial(number, 0, i, {}, "failed" if score is None else "ok", score) for i, score in enumerate(scores)]
    return Candidate(number, {}, trials)


@pytest.mark.parametrize(
    ("scores", "promoted"),
    [
        ([0.1], [0]),
        ([0.9, 0.1], [0, 1]),
        ([0.1, 0.9, 0.8], [0, 1]),
        ([0.1, 0.7, 0.9, 0.8], [0, 2]),
        ([0.9, 0.1, 0.2, 0.3, 0.4], [0, 4, 3]),
        ([0.5, None, None, None], [0]),
        ([None, 0.1, 0.2, None], [0, 2]),
        ([0.5, 0.7, 0.7, 0.7], [0, 1]),
    ],
)
def test_who_is_promoted(scores, promoted):
    assert [c.number for c in promote([candidate(i, s) for i, s in enumerate(scores)])] == promoted


@pytest.mark.parametrize(
    ("pool", "number"),
    [
        ([candidate(0, 0.5)], 0),
        ([candidate(0, 0.5), candidate(1, 0.6)], 1),
        # rivals are compared on what both have seen
        ([candidate(0, 0.5, 0.9, 0.9, 0.9), candidate(1, 0.6)], 1),
        ([candidate(0, 0.5, 0.9, 0.9), candidate(1, 0.6, 0.7), candidate(2, 0.99)], 0),
        ([candidate(0, None), candidate(1, 0.2)], 1),
        ([candidate(0, None), candidate(1, None)], 0),
        ([candidate(0, 0.5, 0.5), candidate(1, 0.5, None)], 0),
    ],
)
def test_who_is_chosen(pool, number):
    assert choose(pool).number == number


def test_the_mean_of_nothing_is_worst():
    assert candidate(0).mean() == candidate(0, 0.5, None).mean() == -math.inf


def test_a_trial_comes_back_from_its_line():
    trial = Trial(3, 1, 2, {"C": 1.0}, "failed", message="singular")
    assert Trial.from_dict({**trial.to_dict(), "dataset": "iris"}) == trial
    assert "score" not in trial.to_dict()
