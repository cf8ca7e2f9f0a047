"""Tuning, fairly: the same budget for every model, by random search with successive halving on inner folds.

::

    space.py     from a declared search space to configurations: number 0 is the default, the rest is drawn
    search.py    the search itself, on scores alone: rungs, who is promoted, who is chosen
    inner.py     inner folds of a training part, and the score that they are judged by
    tuner.py     one search in a worker: fits and scores the configurations
    trials.py    tuning.jsonl: what was tried, a line for each fit
    summary.py   default and tuned side by side, for the reports

``trials`` and ``summary`` are for readers of a run and import neither kernels nor models.
"""
