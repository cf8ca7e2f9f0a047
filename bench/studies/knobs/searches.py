"""Five ways to turn many knobs at once, written out; each sees a function of all weights and counts what it asks.

A search minimizes ``f``. One *evaluation* is one value of f; a gradient by one pass back counts as three (forwards, and about
twice as much backwards: Griewank & Walther, Evaluating Derivatives, 2nd ed. 2008, section 4.6). Each returns the best value so
far after each step, as (evaluations, value). Step sizes are part of a method, and each has one rule for all numbers of weights.

=================  ========================================================================================================
random_search      draws all weights anew each time (Bergstra & Bengio, JMLR 2012, on hyper-parameters)
hill_climbing      changes all weights a little, keeps what is better; the step grows by 1/5 rule (Rechenberg 1973)
evolution          moves the centre of a cloud towards its better half, steps as in CSA-ES (Hansen & Ostermeier, 2001)
finite_differences moves along the gradient, worked out by trying each weight by itself
gradient_descent   moves along the gradient of one pass back, by momentum (Rumelhart, Hinton & Williams, Nature 1986)
=================  ========================================================================================================

Legend: p weights; w (p,); b independent searches that run beside each other, W (b, p), so that a slow simulator is asked for
all of them at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

#: values of f for rows of weights: (b, p) -> (b,)
Function = Callable[[np.ndarray], np.ndarray]
#: yields evaluations spent by each search, and the best value of each (b,)
Steps = Iterator[tuple[int, np.ndarray]]
GRADIENT_COST = 3


def random_search(f: Function, starts: np.ndarray, random: np.random.Generator, *, scale: float = 1.0) -> Steps:
    """Draw all weights anew each time.

    Examples
    --------
    >>> steps = random_search(lambda W: (W**2).sum(axis=1), np.ones((1, 2)), np.random.default_rng(0))
    >>> next(steps)
    (1, array([2.]))
    """
    best, spent = f(starts), 1
    while True:
        yield spent, best.copy()
        best = np.minimum(best, f(scale * random.standard_normal(starts.shape)))
        spent += 1


def hill_climbing(f: Function, starts: np.ndarray, random: np.random.Generator, *, step: float = 0.3) -> Steps:
    """Change all weights a little, and keep the change where it is better; (1+1)-ES with the rule of one fifth."""
    W, n_weights = starts.copy(), starts.shape[1]
    best, spent = f(W), 1
    sigma = np.full((len(W), 1), step)
    damping = math.sqrt(n_weights + 1.0)
    while True:
        yield spent, best.copy()
        tried = W + sigma * random.standard_normal(W.shape)
        values = f(tried)
        spent += 1
        better = values < best
        W[better], best[better] = tried[better], values[better]
        sigma *= np.exp((better[:, None] - 0.2) / damping)


def evolution(f: Function, starts: np.ndarray, random: np.random.Generator, *, step: float = 0.3) -> Steps:
    """Move the centre of a cloud of tries to the weighted mean of its better half; the step follows the path's length.

    Cumulative step-size adaptation with the constants of Hansen, "The CMA evolution strategy: a tutorial" (2016, eq. 44 and
    table 1), without a covariance matrix, which thousands of weights do not allow.
    """
    b, p = starts.shape
    n_tries = 4 + int(3 * math.log(p))
    weight = math.log(n_tries / 2 + 0.5) - np.log(np.arange(1, n_tries // 2 + 1))
    weight /= weight.sum()
    mu = 1.0 / (weight**2).sum()
    c = (mu + 2.0) / (p + mu + 5.0)
    damping = 1.0 + 2.0 * max(0.0, math.sqrt((mu - 1.0) / (p + 1.0)) - 1.0) + c
    expected = math.sqrt(p) * (1.0 - 1.0 / (4.0 * p) + 1.0 / (21.0 * p**2))
    W, sigma, path = starts.copy(), np.full((b, 1), step), np.zeros((b, p))
    best, spent = f(W), 1
    while True:
        yield spent, best.copy()
        noise = random.standard_normal((n_tries, b, p))
        values = np.stack([f(W + sigma * z) for z in noise])
        spent += n_tries
        best = np.minimum(best, values.min(axis=0))
        order = np.argsort(values, axis=0)[: len(weight)]
        mean = np.einsum("k,kbp->bp", weight, np.take_along_axis(noise, order[:, :, None], axis=0))
        W += sigma * mean
        path = (1.0 - c) * path + math.sqrt(c * (2.0 - c) * mu) * mean
        length = np.linalg.norm(path, axis=1, keepdims=True)
        sigma *= np.exp(np.clip(c / damping * (length / expected - 1.0), -1.0, 1.0))


def finite_differences(
    f: Function, starts: np.ndarray, random: np.random.Generator, *, rate: float = 0.5, width: float = 1e-3,
    most: float = math.inf,
) -> Steps:
    """Try each weight by itself to get the gradient, then step along it; p + 1 evaluations a step, and `most` in all.

    Examples
    --------
    >>> steps = finite_differences(lambda W: (W**2).sum(axis=1), np.ones((1, 2)), np.random.default_rng(0), rate=0.1, most=6)
    >>> [spent for spent, _ in steps]
    [1, 4]
    """
    W, p = starts.copy(), starts.shape[1]
    velocity = np.zeros_like(W)
    value = f(W)
    best, spent = value.copy(), 1
    while True:
        yield spent, best.copy()
        if spent + p + 1 > most:  # with tens of thousands of weights a step takes a minute, and would not count
            return
        gradient = np.empty_like(W)
        for i in range(p):
            moved = W.copy()
            moved[:, i] += width
            gradient[:, i] = (f(moved) - value) / width
        velocity = 0.9 * velocity - rate * gradient
        W += velocity
        value = f(W)
        spent += p + 1
        best = np.minimum(best, value)


def gradient_descent(
    value_and_gradient: Callable[[np.ndarray], tuple[float, np.ndarray]], start: np.ndarray, *, rate: float = 0.5
) -> Iterator[tuple[int, float]]:
    """Step along the gradient that one pass back gives; one search.

    Examples
    --------
    >>> steps = gradient_descent(lambda w: (float(w @ w), 2 * w), np.array([1.0]), rate=0.1)
    >>> [round(value, 3) for _, (_, value) in zip(range(3), steps)]
    [1.0, 0.64, 0.212]
    """
    w, velocity, spent, best = start.copy(), np.zeros_like(start), 0, math.inf
    while True:
        value, gradient = value_and_gradient(w)
        spent += GRADIENT_COST
        best = min(best, value)
        yield spent, best
        velocity = 0.9 * velocity - rate * gradient
        w = w + velocity
