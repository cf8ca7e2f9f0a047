"""A small simulated walker: a body that drags itself along with one arm of two joints.

The body slides on the ground. The arm's shoulder sits at its front, its hand reaches the ground or hangs in the air. Where
the hand is on the ground it stays where it is, and the body moves by what the hand would have moved: a step. The body is
heavy, so nothing swings, and where the hand is decides everything (a kinematic model; the robot is a classic of
reinforcement-learning courses). What a policy gains jumps when the hand touches the ground: there is no gradient to follow.

A policy is a network: what it sees are sine and cosine of both angles and whether the hand touches; what it says are the speeds
of both joints. All its weights are the knobs.

Legend: b policies beside each other, h hidden units.
"""

from __future__ import annotations

import numpy as np

#: Lengths of upper arm and forearm, and the shoulder's height, in body lengths.
UPPER, FORE, SHOULDER = 0.6, 0.6, 0.4
#: Joints, their range in radians (elevation of the upper arm; bend of the forearm), and the most they turn in a step.
LOW, HIGH, FASTEST = np.array([-0.6, -2.4]), np.array([0.9, 0.2]), 0.15
SEEN, TOLD = 5, 2


def n_weights(hidden: int) -> int:
    """Return how many knobs a policy has.

    Examples
    --------
    >>> n_weights(8)
    66
    """
    return (SEEN + 1) * hidden + (hidden + 1) * TOLD


def hand(angles: np.ndarray) -> np.ndarray:
    """Return where the hand is, (b, 2): ahead of the shoulder, and above the ground.

    Examples
    --------
    >>> hand(np.array([[0.0, 0.0]])).tolist()
    [[1.2, 0.4]]
    """
    whole = angles[:, 0] + angles[:, 1]
    ahead = UPPER * np.cos(angles[:, 0]) + FORE * np.cos(whole)
    above = SHOULDER + UPPER * np.sin(angles[:, 0]) + FORE * np.sin(whole)
    return np.stack([ahead, above], axis=1)


def distance(weights: np.ndarray, hidden: int, steps: int = 60) -> np.ndarray:
    """Return how far each policy gets, in body lengths.

    Parameters
    ----------
    weights : ndarray (b, n_weights(hidden))
    hidden : int
    steps : int

    Returns
    -------
    ndarray (b,)

    Examples
    --------
    >>> distance(np.zeros((2, n_weights(4))), 4)  # joints that stand still
    array([0., 0.])
    """
    b = len(weights)
    cut = SEEN * hidden
    first = weights[:, :cut].reshape(b, SEEN, hidden)
    bias = weights[:, cut : cut + hidden]
    last = weights[:, cut + hidden : cut + hidden + hidden * TOLD].reshape(b, hidden, TOLD)
    last_bias = weights[:, -TOLD:]
    angles = np.tile([0.3, -1.2], (b, 1))
    place = hand(angles)
    moved = np.zeros(b)
    for _ in range(steps):
        touches = place[:, 1] <= 0.0
        seen = np.concatenate([np.sin(angles), np.cos(angles), touches[:, None]], axis=1)
        inner = np.tanh((seen[:, None, :] @ first)[:, 0] + bias)
        told = np.tanh((inner[:, None, :] @ last)[:, 0] + last_bias)
        angles = np.clip(angles + FASTEST * told, LOW, HIGH)
        after = hand(angles)
        grips = touches & (after[:, 1] <= 0.0)
        moved += np.where(grips, place[:, 0] - after[:, 0], 0.0)
        place = after
    return moved
