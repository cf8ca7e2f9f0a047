"""What the tables of a run say beyond their numbers, as plain values that every format can set.

    pairs       each contestant against each other: difference, interval, p-value, effect size
    ranking     ranks over data sets under two policies for failures, and where these disagree
    gains       how much of a gain is owed to the features, and how much to the classifier
    backends    same seed, other backend: how many predictions differ, and whether that matters
    predictions correct and differing predictions of two rows of one fold, from what the rows keep
    choose      the best contestant within limits on latency, fit time, memory and accuracy
    whole       all of it for a table, and for a run
    extended    what ``--statistics`` adds: Wilcoxon-Holm, Bayesian tests with a margin, bootstrap

All take `bench.tables.DatasetTable` and use ``bench.statistics``; the verdict (``bench.verdict``) stands apart, as it decides.
"""
