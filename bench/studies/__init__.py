"""Studies: questions about learning, each answered by measurements, with the uncertainty of the answer.

A study is one module (or folder) here that ends in one `Study`: a question, a claim and who made it, what would refute it,
and four functions. ``measure`` fills a long table; ``verdict``, ``tables`` and ``figures`` are pure functions of it.

::

    entry.py      Study, Verdict, Table, Figure: what a study consists of        catalog.py   all studies, in reading order
    context.py    what `measure` is given: folds, cells, parts that are kept    variants.py  models of a study as data
    findings.py   intervals, comparisons and outcomes from rows; numbers in words
    charts.py     one style for all charts and picture grids
    runner.py     one study, or all, into a folder; go on after an interruption
    writing.py    study.json, table.md, answer.md, figures/                      page.py      index.html for newcomers
    command.py    `depthbench study`

To add a study: CONTRIBUTING.md.
"""
