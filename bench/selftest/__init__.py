"""Whether the harness can be trusted here and now: ``depthbench check``, and its short form at the start of each run.

::

    same.py       A/A: the same work as two contestants; the noise floor
    machine.py    who else uses the machine, whether it is slowed down, on battery
    overhead.py   what the harness itself takes of a cell
    short.py      the three above in about a second, for run.json
    start.py      kernels and gradients in about a second, at each run's start
    gradients.py  derivatives of kernels and networks against central differences
    command.py    all of it, and the kernels against the reference, as the command
"""
