"""What a study's `measure` is given: its settings, folds and cells of the harness, and parts that survive an interruption.

A *part* is one piece of work whose result is kept in the study's folder as soon as it is there: as JSON, or as arrays in an
.npz (never pickle). Its file is named by a hash of the part's name and parameters, the study's code and its settings; so a
study that was interrupted goes on behind its last part, and one whose code was changed begins anew. `cells` runs models on
folds by the harness itself (`bench.runs`), whose rows are kept the same way.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from bench.datasets import Data
    from bench.execution import Bench

SEED = 0
#: A cell may take this long before it is killed.
TIMEOUT_S = 600.0


@dataclass(frozen=True, eq=False)
class Fold:
    """Samples to learn from and samples to test on; no model sees others."""

    X_train: np.ndarray  # (n_train, d) float32
    y_train: np.ndarray
    X_test: np.ndarray  # (n_test, d) float32
    y_test: np.ndarray
    data: Data
    repeat: int
    index: int
    seed: int  # derived from the study's seed, repeat and index

    @property
    def test_train_ratio(self) -> float:
        return len(self.y_test) / len(self.y_train)


class Context:
    """The hands of a study.

    Parameters
    ----------
    name : str
        Of the study.
    preset : {"XS", "S", "M", "L"}
    settings : mapping
        Of that preset.
    folder : Path
        Where parts are kept.
    code : bytes
        What the study is made of: parts of other code are not taken up.
    say : callable, optional
        Told in a few words how far it is.

    Attributes
    ----------
    settings : mapping
        The study's settings for this preset.
    seed : int
        What all random numbers derive from.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as tmp:
    ...     ctx = Context("demo", "XS", {}, Path(tmp), b"")
    ...     first = ctx.part("sum", lambda: 1 + 1)
    ...     again = Context("demo", "XS", {}, Path(tmp), b"").part("sum", lambda: 1 / 0)  # not called: it is there
    >>> first, again
    (2, 2)
    """

    def __init__(
        self, name: str, preset: str, settings: Mapping[str, Any], folder: Path, code: bytes, *, jobs: int = 1,
        say: Callable[[str], None] = lambda text: None,
    ):  # fmt: skip
        self.name, self.preset, self.settings, self.folder = name, preset, settings, folder
        self.seed, self.jobs, self.say = SEED, jobs, say
        self.used: dict[str, Any] = {}  # data set -> facts, for the manifest
        self.n_kept = 0  # parts that an earlier start had finished
        self._key = hashlib.sha256(code + _stable((name, preset, settings, SEED))).hexdigest()
        self._data: dict[str, Data] = {}

    # -- parts that are kept

    def part(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
        """Return ``function(*args)``, which JSON can hold; from the folder, if it was finished before.

        Parameters
        ----------
        name : str
            With `args` it says which part this is.
        args
            Plain data.
        """
        return self._kept(name, args, ".json", lambda: function(*args))

    def arrays(self, name: str, function: Callable[..., Mapping[str, np.ndarray]], *args: Any) -> dict[str, np.ndarray]:
        """Return a mapping of names to arrays; the same as `part` for what is too large for JSON."""
        return self._kept(name, args, ".npz", lambda: function(*args))

    def map(self, name: str, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        """Return ``[function(item) for item in items]``, each item a `part` of its own."""
        items = list(items)
        found = []
        for i, item in enumerate(items, start=1):
            found.append(self.part(name, function, item))
            self.say(f"{name} {i}/{len(items)}")
        return found

    def _kept(self, name: str, args: tuple, suffix: str, make: Callable[[], Any]) -> Any:
        import numpy as np

        digest = hashlib.sha256(_stable((self._key, name, args))).hexdigest()[:24]
        path = self.folder / f"{digest}{suffix}"
        if path.exists():
            self.n_kept += 1
            if suffix == ".json":
                return json.loads(path.read_text(encoding="utf-8"))
            with np.load(path, allow_pickle=False) as kept:
                return dict(kept)
        value = make()
        self.folder.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{digest}.new{suffix}")
        if suffix == ".json":
            text = json.dumps(plain(value), allow_nan=False)
            new.write_text(text, encoding="utf-8")
            value = json.loads(text)  # the first time gives what every later time gives
        else:
            value = {key: np.asarray(array) for key, array in value.items()}
            np.savez(new, **value)
        os.replace(new, path)
        return value

    # -- data

    def data(self, name: str) -> Data:
        """Return a data set of the registry, checked; its facts go into the study's manifest.

        Raises
        ------
        InputError
            It is not at hand and cannot be fetched; the message says what to do.
        """
        from dataclasses import asdict

        from bench import datasets
        from bench.plan import DatasetInfo

        if name not in self._data:
            data = datasets.load(name)
            data.X.flags.writeable = data.y.flags.writeable = False
            self._data[name] = data
            self.used[name] = asdict(DatasetInfo(data.task, *data.X.shape, data.image_shape, dict(data.facts)))
        return self._data[name]

    def folds(self, dataset: str, *, split: str = "kfold", folds: int = 5, repeats: int = 1) -> list[Fold]:
        """Return the folds of a data set: the very splits that cells of this data set, rule and seed have."""
        from bench import splits

        data, found = self.data(dataset), []
        for repeat in range(repeats):
            for index, (train, test) in enumerate(splits.split(data, split, folds, repeat, self.seed)):
                X_train, X_test = data.fold(train, test)
                seed = splits.derived_seed(self.seed, repeat, index) % 2**31
                found.append(Fold(X_train, data.y[train], X_test, data.y[test], data, repeat, index, seed))
        return found

    # -- cells

    def cells(
        self, name: str, *, datasets: Sequence[str], models: Sequence[str], features: Sequence[str] = ("raw",), folds: int = 5,
        repeats: int = 1, split: str = "kfold", backends: Sequence[str] = ("cython",), threads: int = 1,
        timeout_s: float = TIMEOUT_S,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Run models on folds of data sets by the harness; return one mapping per cell, what a `Row` holds.

        ``model`` is without its module where it is a variant of the study. In preset XS the cells run in this process, in
        the others in worker processes. A cell that failed is there too, with its ``status`` and ``message``.

        Raises
        ------
        InputError
            The suite cannot be run: an unknown name, files that are not there.
        """
        from bench.suite import Suite

        suite = Suite(
            name=f"{self.name}_{name}", datasets=tuple(datasets), models=tuple(models), features=tuple(features), folds=folds,
            repeats=repeats, split=split, backends=tuple(backends), threads=(threads,), seed=self.seed, timeout_s=timeout_s,
            jobs=self.jobs, predict_batches=False,
        )  # fmt: skip
        for dataset in suite.datasets:
            self.data(dataset)
        rows = self.part(f"cells {name}", lambda _: self._run(suite), suite.model_dump(mode="json", exclude={"jobs"}))
        return [{**row, "model": row["model"].rpartition(":")[2]} for row in rows]

    def _run(self, suite: Any) -> list[dict[str, Any]]:
        if self.preset == "XS":
            return self._run_here(suite)
        from io import StringIO

        from rich.console import Console

        from bench import runs, store

        folder = self.folder / hashlib.sha256(_stable((self._key, suite.name))).hexdigest()[:24]
        self.say(f"cells {suite.name}")
        text = StringIO()
        code = runs.run(suite, runs.Target(folder.name, folder), Console(file=text, width=100), [], report=False)
        if code == runs.INTERRUPTED:
            raise KeyboardInterrupt
        if code == runs.NOTHING_RAN:
            raise InputError(f"study {self.name!r}: {text.getvalue().strip().splitlines()[-1]}")
        return [row.to_dict() for row in store.read_run(folder).rows]

    def _run_here(self, suite: Any) -> list[dict[str, Any]]:
        from bench.execution import Bench
        from bench.execution import Context as BenchContext
        from bench.plan import plan, reason_to_skip
        from bench.runs import suite_context

        worker: Bench = Bench(BenchContext(**suite_context(suite)))
        infos, rows = worker.check(), []
        own = worker.own_models
        for cell in plan(suite, own):
            if (reason := reason_to_skip(cell, infos[cell.dataset], own)) is not None:
                rows.append({**cell.__dict__, "status": "skipped", "message": reason})
            else:
                rows.append(worker.execute(cell, worker.prepare(cell)).to_dict())
        return rows

    @staticmethod
    def require(module: str, extra: str) -> Any:
        """Import a module of one of depthbench's extras.

        Raises
        ------
        InputError
            It is not installed; the message says how to.
        """
        import importlib

        try:
            return importlib.import_module(module)
        except ImportError:
            raise InputError(f"this needs {module}, which is not installed: pip install 'depthbench[{extra}]'") from None


def plain(value: Any) -> Any:
    """Return `value` with NumPy's numbers and arrays turned into Python's.

    Examples
    --------
    >>> import numpy as np
    >>> plain({"a": np.float32(0.5), "b": np.arange(2)})
    {'a': 0.5, 'b': [0, 1]}
    """
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value.tolist() if hasattr(value, "tolist") else value


def fit_quietly(model: Any, X: np.ndarray, y: np.ndarray) -> Any:
    """Return ``model.fit(X, y)`` without the warnings that say what is known.

    That it stopped before it converged (the epochs are fixed on purpose), and that some pixels of a class never change.
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message=".*zero standard deviation", category=UserWarning)
        return model.fit(X, y)


def _stable(value: Any) -> bytes:
    return json.dumps(plain(value), sort_keys=True, ensure_ascii=False, default=str).encode()
