"""``depthbench compare A B``: what got worse from A to B, beyond noise; made to be a gate in a build.

    measurements.py   read a result: kernel benchmarks, a profile, or a run, as timings with their noise
    times.py          which timings changed beyond that noise
    scores.py         which contestants of two runs changed: what became of them, scores, times; on the same samples only
    show.py           the answer as a table, as Markdown or as JSON
    command.py        the command

What counts as slower (``times.py``) must pass three gates: the change is larger than any that unchanged code showed, larger
than ``--threshold``, and the middle halves of the two samples of rounds do not overlap. Unchanged code is twofold: the same
backend against itself in each result (A/A pairs, measured beside the others), and the reference backend in the one result
against the other. The first gate is the one that matters: rounds of one process share its luck, so a test on rounds alone
finds differences between two runs of the same program. Taking the largest of those ratios, and not a quantile, keeps
the promise when hundreds of benchmarks are compared at once.
"""
