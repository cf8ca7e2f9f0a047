"""The study of texts: where they come from, and its own readers against what one can work out by hand."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.naive_bayes import MultinomialNB
from sklearn.svm import LinearSVC

from bench.datasets import cache
from bench.errors import InputError
from bench.studies.text import corpora, readers

ALPHA = '''"""Alpha: reads the first of many words!"""
class A:
    """Too short here."""
    async def f(self):
        """This one is written down twice, in two places."""
    def g(self):
        """Opens the alpha and closes it again, later."""
'''
BETA = '''import nothing_of_that_name
def f():
    """This one is written down twice, in two places."""
    def g():
        """A function within another: five words at least."""
raise SystemExit("it must never run")
'''


@pytest.fixture
def stdlib(tmp_path):
    """A small standard library: two packages, a folder that is none, tests, and a file that is no Python."""
    for path, text in {
        "alpha/__init__.py": ALPHA, "alpha/tests/__init__.py": ALPHA.replace("Alpha", "Other"), "beta/__init__.py": "",
        "beta/one.py": BETA, "beta/wrong.py": "def (", "plain/one.py": ALPHA, "test/__init__.py": ALPHA,
    }.items():  # fmt: skip
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


@pytest.mark.parametrize("packages", [2, ["alpha", "beta"]])
def test_docstrings_are_read_and_not_run(stdlib, packages):
    corpus = corpora.docstrings(packages, stdlib=stdlib)
    assert corpus.classes == ("alpha", "beta") and corpus.y.tolist() == [0, 0, 1]
    assert corpus.texts[0] == ["reads", "the", "first", "of", "many", "words", "!"], "without the package's own name"
    assert corpus.texts[1][:2] == ["opens", "the"], "one that stands in two packages is left out"
    assert corpus.texts[2][0] == "a" and corpus.facts["texts"] == {"alpha": 2, "beta": 1}
    assert corpora.docstrings(packages, stdlib=stdlib).facts == corpus.facts


@pytest.mark.parametrize(("packages", "says"), [(2, "standard library is not in"), (["alpha", "gamma"], "of gamma")])
def test_a_library_without_its_source_is_said(stdlib, tmp_path, packages, says):
    empty = stdlib if packages != 2 else tmp_path / "nothing"
    with pytest.raises(InputError, match=says):
        corpora.docstrings(packages, stdlib=empty)


def test_the_real_library_is_there():
    corpus = corpora.load("docstrings", ["asyncio", "email"], most=20)
    assert np.bincount(corpus.y).tolist() == [20, 20] and min(map(len, corpus.texts)) >= corpora.LEAST_WORDS


def test_film_reviews_that_are_not_at_hand_are_said_to_be_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))

    def no_network(file):
        raise InputError(f"{file.path} is not here and cannot be downloaded")

    monkeypatch.setattr(cache, "_download", no_network)
    with pytest.raises(InputError, match=r"rt-polarity\.neg"):
        corpora.rt_polarity()


def test_film_reviews():
    if not all(cache.is_here([f]) for f in corpora.RT_POLARITY.values()):
        pytest.skip("rt-polarity is not at hand: set DEPTHBENCH_DATA to a folder that has text/rt-polarity.neg and .pos")
    corpus = corpora.rt_polarity()
    assert np.bincount(corpus.y).tolist() == [5331, 5331], "as published"


def counts(n=60, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    X = rng.poisson(0.3 + 1.5 * (np.arange(9) // 3 == y[:, None]))
    return scipy.sparse.csr_matrix(X), y


@pytest.mark.parametrize("n_classes", [2, 3])
def test_nb_svm(n_classes):
    """With no word weighed differently (beta 0) its directions are naive Bayes', whose log ratios scikit-learn knows."""
    X, y = counts()
    X, y = X[y < n_classes], y[y < n_classes]
    model = readers.NBSVM(beta=0.0).fit(X, y)
    for row, c in zip(model.coef_, [1] if n_classes == 2 else range(3), strict=True):
        bayes = MultinomialNB().fit(X > 0, y == c)
        ratio = bayes.feature_log_prob_[1] - bayes.feature_log_prob_[0]
        np.testing.assert_allclose(row / np.linalg.norm(row), ratio / np.linalg.norm(ratio), rtol=1e-10)
        if n_classes == 2:  # beta 1 is a plain machine on what is weighed so
            ones = (X > 0).multiply(ratio).tocsr()
            plain = LinearSVC(random_state=0).fit(ones, y == c).decision_function(ones)
            whole = readers.NBSVM(beta=1.0).fit(X, y)
            np.testing.assert_allclose((X > 0) @ whole.coef_[0] + whole.intercept_[0], plain, rtol=1e-8, atol=1e-10)
    mixed = readers.NBSVM().fit(X, y)
    assert np.mean(mixed.predict(X) == y) > 0.85
    np.testing.assert_array_equal(mixed.predict(X), mixed.predict(3 * X))  # how often does not matter


def test_words_of_the_test_fold_are_unknown():
    texts = [["good", "film", "once"], ["bad", "film"], ["good", "one"], ["bad", "one"]] * 4
    y = np.array([1, 0, 1, 0] * 4)
    settings = {"embedding_size": 4, "hidden_layer_sizes": (), "max_iter": 30, "learning_rate_init": 0.05, "random_state": 0}
    reader = readers.WordVectors(settings).fit([*texts, ["never"]], np.append(y, 0))
    assert "never" not in reader.words_ and reader.words_[0] == ""
    assert reader.words_[1:3] == ["bad", "film"], "frequent ones first, then by the alphabet"
    np.testing.assert_array_equal(reader.predict([["good", "unheard"], ["unheard", "bad"]]), [1, 0])
    assert len(reader.predict([["unheard"], []])) == 2
