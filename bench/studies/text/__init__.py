"""Words to vectors: does a network that learns a vector for each word read better than a linear machine on counted words?

The network is a table of vectors, their mean, and a multi-layer perceptron (Iyyer et al., "Deep unordered composition rivals
syntactic methods for text classification", ACL 2015). Beside it stand counted words with logistic regression, words and pairs
weighed by how rare they are (TF-IDF) with a linear support vector machine, and NB-SVM (Wang & Manning, ACL 2012). What the
network learned about words is looked at too: which are nearest to each other, and a map of the most telling ones, the plane in
which their vectors differ most (principal components).
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import numpy as np

from bench.studies import charts, findings
from bench.studies.context import Context, fit_quietly
from bench.studies.entry import Figure, Measurements, Study, Table, Verdict
from bench.studies.text import corpora, readers

VECTORS = "vectors"
LINEAR = {
    "counted": "words counted, logistic regression",
    "weighed": "TF-IDF: words and pairs, rare ones weigh more, linear machine",
    "nb_svm": "NB-SVM: words and pairs weighed by class, linear machine",
}
WORDS = {**LINEAR, VECTORS: "a vector learned for each word, their mean, a network"}
#: The same in so few words that they fit beside a chart on a telephone.
SHORT = {"counted": "words counted", "weighed": "TF-IDF", "nb_svm": "NB-SVM", VECTORS: "word vectors"}
#: Of others, on the same sentences in 10 folds of their own: (who, accuracy, source).
PUBLISHED = {
    "rt_polarity": (
        ("NB-SVM", 0.794, "Wang & Manning, ACL 2012"),
        ("a ConvNet on vectors learned from other texts", 0.815, "Kim, EMNLP 2014"),
    )
}
#: Of each class so many words stand in the map and so many in the table; a word stands in at least so many texts.
MAPPED, TELLING, LEAST_TEXTS = 8, 2, 12
NEAREST = 5


def measure(ctx: Context) -> Measurements:
    """Fit every reader on every fold, and look at the words of the first fold's network."""
    from bench import splits
    from bench.datasets import CLASSIFICATION, Data
    from bench.plan import DatasetInfo

    s = ctx.settings
    corpus = corpora.load(s["corpus"], s.get("packages"), s.get("most"))
    n = len(corpus.texts)
    ctx.used[corpus.name] = asdict(DatasetInfo(CLASSIFICATION, n, 1, None, corpus.facts))
    data = Data(corpus.name, np.zeros((n, 1), np.float32), corpus.y, CLASSIFICATION, corpus.classes)
    folds = [
        (repeat, fold, train, test)
        for repeat in range(s["repeats"])
        for fold, (train, test) in enumerate(splits.split(data, "kfold", s["folds"], repeat, ctx.seed))
    ]

    def one(item: tuple[int, str]) -> dict[str, Any]:
        repeat, fold, train, test = folds[item[0]]
        seed = splits.derived_seed(ctx.seed, repeat, fold) % 2**31
        model = readers.make(item[1], s["network"], seed)
        texts = [corpus.texts[i] for i in train]
        start = time.perf_counter()
        fit_quietly(model, texts, corpus.y[train])
        spent = time.perf_counter() - start
        accuracy = float(np.mean(model.predict([corpus.texts[i] for i in test]) == corpus.y[test]))
        row = {"model": item[1], "repeat": repeat, "fold": fold, "accuracy": accuracy, "n_train": len(train),
               "n_test": len(test), "time_fit_s": spent}  # fmt: skip
        if item[1] == VECTORS and item[0] == 0:
            row["words"] = _words(model, texts, corpus.y[train], corpus.classes)
        return row

    rows = ctx.map("folds", one, [(i, name) for i in range(len(folds)) for name in s["readers"]])
    words = next(row.pop("words") for row in rows if "words" in row)
    return {
        "corpus": corpus.name, "texts": corpus.facts["texts"], "classes": list(corpus.classes), "rows": rows, **words,
        "share_of_most": float(np.bincount(corpus.y).max() / n),
    }  # fmt: skip


def _words(reader: readers.WordVectors, texts: list[list[str]], y: np.ndarray, classes: tuple[str, ...]) -> dict[str, Any]:
    """Return the nearest words of telling ones, and a map of more of them."""
    model, names = reader.model_, reader.words_
    frequent = np.array([i for i, n in enumerate(reader.times_) if n >= LEAST_TEXTS], int)
    telling = _telling(reader, texts, y, len(classes), frequent)
    nearest = [
        {"word": names[i], "class": classes[c], "near": [[names[j], cosine] for j, cosine in
                                                         model.nearest_words(i, NEAREST, among=frequent)]}
        for c, own in enumerate(telling) for i in own[:TELLING]
    ]  # fmt: skip
    shown = [(i, c) for c, own in enumerate(telling) for i in own[:MAPPED]]
    vectors = model.embedding_[[i for i, _ in shown]].astype(np.float64)
    u, size, _ = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    plane = u[:, :2] * size[:2]
    plane *= np.where(np.abs(plane).argmax(axis=0) == plane.argmax(axis=0), 1.0, -1.0)  # a sign that is always the same
    return {
        "nearest": nearest,
        "map": [{"word": names[i], "class": classes[c], "x": float(x), "y": float(v)}
                for (i, c), (x, v) in zip(shown, plane, strict=True)],
        "map_share": float((size[:2] ** 2).sum() / max((size**2).sum(), 1e-30)),
        "same_class": _same_class(model, shown),
    }  # fmt: skip


def _telling(reader, texts, y, n_classes: int, frequent: np.ndarray) -> list[list[int]]:
    """Return for each class the frequent words that stand in it more often than elsewhere, the most telling first.

    By the log-likelihood ratio of Dunning, Computational Linguistics 19, 1993: a word must be both frequent and one-sided.
    """
    counts = np.zeros((n_classes, len(reader.words_)))
    for words, c in zip(texts, y, strict=True):
        counts[c, [i for word in dict.fromkeys(words) if (i := reader._number.get(word))]] += 1
    total, sizes = counts.sum(axis=0), np.bincount(y, minlength=n_classes)
    taken, found = set(), []
    for c in range(n_classes):
        expected = np.maximum(total * sizes[c] / sizes.sum(), 1e-30)
        others = np.maximum(total - expected, 1e-30)
        inside, outside = counts[c], total - counts[c]
        score = inside * np.log(np.maximum(inside, 1e-30) / expected) + outside * np.log(np.maximum(outside, 1e-30) / others)
        order = sorted(frequent[inside[frequent] > expected[frequent]], key=lambda i: (-score[i], i))
        found.append([int(i) for i in order if i not in taken][:MAPPED])
        taken.update(found[-1])
    return found


def _same_class(model, shown: list[tuple[int, int]]) -> float:
    """Return how many of the mapped words have, of all of them, one of their own class as the nearest."""
    numbers, of = np.array([i for i, _ in shown]), dict(shown)
    return float(np.mean([of[model.nearest_words(int(i), 1, among=numbers)[0][0]] == of[i] for i in numbers]))


# -- what follows is made of the measurements alone


def _of(m: Measurements, model: str) -> list[dict[str, Any]]:
    return findings.only(m["rows"], model=model)


def _best_linear(m: Measurements) -> str:
    return max((n for n in LINEAR if _of(m, n)), key=lambda name: findings.mean_of(_of(m, name)).mean)


def verdict(m: Measurements) -> Verdict:
    """The network is better than the best of the linear machines."""
    rival = _best_linear(m)
    found = findings.compare(_of(m, VECTORS), _of(m, rival))
    score = {name: findings.percent(findings.mean_of(_of(m, name)).mean) for name in (VECTORS, rival)}
    answer = (
        f"A network that learns a vector for each word puts {score[VECTORS]} of the texts into the right one of "
        f"{len(m['classes'])} classes, the best linear machine ({LINEAR[rival]}) {score[rival]}: a difference of "
        f"{findings.points(found.difference)} points."
    )
    return Verdict(findings.outcome(found.low, found.high), answer, findings.interval_of_points(found), "scores")


def tables(m: Measurements) -> list[Table]:
    """Return the scores, beside what others published, and the nearest words."""
    scores = []
    for name in (n for n in WORDS if _of(m, n)):
        rows = _of(m, name)
        spent = findings.number(float(np.median([r["time_fit_s"] for r in rows])))
        scores.append([WORDS[name], "measured here", findings.plus_minus(findings.mean_of(rows)), spent])
    scores.append(["always the most frequent class", "by counting", f"{100 * m['share_of_most']:.1f}", "-"])
    for who, accuracy, source in PUBLISHED.get(m["corpus"], ()):
        scores.append([who, f"published: {source}; not measured here", f"{100 * accuracy:.1f}", "-"])
    near = [
        [row["word"], row["class"], ", ".join(f"{word} {cosine:.2f}" for word, cosine in row["near"])] for row in m["nearest"]
    ]
    n = sum(m["texts"].values())
    return [
        Table(f"{m['corpus']}: {n:,} texts of {len(m['classes'])} classes, percent right",
              ["who reads", "from", "percent right", "fit s"], scores, n_text=2),
        Table("Nearest words in the learned space (cosine of the angle; 1: the same direction)",
              ["word", "typical of", "nearest"], near, n_text=3),
    ]  # fmt: skip


def figures(m: Measurements) -> list[Figure]:
    """Return the scores, and the map of words."""
    import altair as alt

    rows = []
    for name in (n for n in WORDS if _of(m, n)):
        found = findings.mean_of(_of(m, name))
        rows.append({"who": SHORT[name], "accuracy": found.mean, "low": found.low, "high": found.high})
    classes = m["classes"]
    base = alt.Chart(alt.Data(values=list(m["map"])))
    colour = alt.Color("class:N", title=None, sort=classes, scale=alt.Scale(domain=classes),
                       legend=alt.Legend(orient="bottom", columns=4, symbolLimit=0))  # fmt: skip
    x, y = (alt.X(**charts.axis("x", "first direction")), alt.Y(**charts.axis("y", "second direction")))
    chart = charts.over(
        base.mark_point(filled=True, size=18, opacity=1).encode(x=x, y=y, color=colour),
        base.mark_text(dx=4, dy=-5, align="left", fontSize=10).encode(x=x, y=y, color=colour, text="word:N"), height=460,
    )  # fmt: skip
    return [
        Figure(
            "scores", "Who reads better",
            "The share of texts that each reader puts into the right class, with its 95 % interval: "
            + ", ".join(f"{r['who']} {findings.percent(r['accuracy'])}" for r in rows) + ".",
            charts.intervals(rows, charts.axis("accuracy", "texts in the right class", percent=True), "who"),
        ),
        Figure(
            "words", "A map of words, as the network sees them",
            f"The {len(m['map'])} most telling words of the classes, at their places in the plane in which their learned "
            f"vectors differ most ({findings.percent(m['map_share'], 0)} of all differences lie in it). Of "
            f"{findings.percent(m['same_class'], 0)} of them the nearest word is typical of the same class.",
            chart,
        ),
    ]  # fmt: skip


def examples() -> dict[str, Measurements]:
    """Return constructed measurements for each outcome."""

    def made(vectors: list[float]) -> Measurements:
        scores = {"counted": 0.80, "weighed": 0.84, "nb_svm": 0.83}
        rows = [
            {"model": model, "repeat": 0, "fold": f, "accuracy": score, "n_train": 800, "n_test": 200, "time_fit_s": 0.1}
            for f, value in enumerate(vectors)
            for model, score in {**{k: v + 0.001 * f for k, v in scores.items()}, VECTORS: value}.items()
        ]
        places = [{"word": w, "class": c, "x": float(i), "y": float(i % 3)} for i, (w, c) in
                  enumerate([("socket", "net"), ("header", "mail"), ("loop", "net"), ("address", "mail")])]  # fmt: skip
        near = [{"word": "socket", "class": "net", "near": [["loop", 0.9], ["header", -0.2]]}]
        return {"corpus": "docstrings", "texts": {"net": 500, "mail": 500}, "classes": ["net", "mail"], "rows": rows,
                "nearest": near, "map": places, "map_share": 0.8, "same_class": 0.5, "share_of_most": 0.5}  # fmt: skip

    return {
        "supported": made([0.87, 0.88, 0.87, 0.88, 0.87]),
        "refuted": made([0.81, 0.82, 0.80, 0.81, 0.82]),
        "undecided": made([0.87, 0.81, 0.85, 0.82, 0.86]),
    }


_ALL = list(WORDS)
STUDY = Study(
    name="text",
    question="Can a computer learn what words mean, and does it read better then?",
    claim="A network that learns a vector for each word, and averages these, puts texts into classes better than a linear "
    "machine on counted words.",
    source="Iyyer, Manjunatha, Boyd-Graber and Daumé, Deep Unordered Composition Rivals Syntactic Methods for Text "
    "Classification, ACL 2015",
    refuted_if="The best of three linear machines on counted words is better than the network: the 95 % interval of the "
    "difference lies below zero.",
    method="Each reader learns from the training folds, whose words alone it knows, and is tested on the other fold. Linear "
    "ones see how often each word (or pair of neighbours) stands in a text. The network gives each word a row of numbers, its "
    "vector, at first at random; a text is the mean of its words' vectors, and a network behind that decides. Training moves "
    "the vectors too, so that words that speak for the same come to point the same way; how alike two point says the cosine of "
    "the angle between them. The small texts are docstrings of Python's standard library, to be told apart by their package "
    "(whose own name is taken out); the others are sentences of film reviews, for or against.",
    presets={
        "XS": {"corpus": "docstrings", "packages": ["asyncio", "email", "unittest"], "most": 120, "folds": 3, "repeats": 1,
               "readers": ["counted", VECTORS],
               "network": {"embedding_size": 8, "hidden_layer_sizes": [], "max_iter": 8, "batch_size": 32,
                           "learning_rate_init": 0.02}},
        "S": {"corpus": "docstrings", "packages": 8, "folds": 5, "repeats": 1, "readers": _ALL,
              "network": {"embedding_size": 32, "hidden_layer_sizes": [32], "max_iter": 12, "batch_size": 32}},
        "M": {"corpus": "rt_polarity", "folds": 10, "repeats": 1, "readers": _ALL,
              "network": {"embedding_size": 50, "hidden_layer_sizes": [50], "max_iter": 6, "batch_size": 64,
                          "learning_rate_init": 0.002}},
        "L": {"corpus": "rt_polarity", "folds": 10, "repeats": 3, "readers": _ALL,
              "network": {"embedding_size": 300, "hidden_layer_sizes": [300, 300], "max_iter": 6, "batch_size": 64,
                          "learning_rate_init": 0.001}},
    },
    measure=measure,
    verdict=verdict,
    tables=tables,
    figures=figures,
    examples=examples,
    limits="Two of the linear machines see pairs of neighbours (not bad), where a mean of vectors knows no order at all. All "
    "vectors here are learned from these few thousand texts alone; networks that lead today have read millions of other texts "
    "before, and read words in their order, and of those this says nothing. The published figures have other folds.",
)  # fmt: skip
