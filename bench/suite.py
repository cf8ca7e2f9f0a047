"""A suite: what is run on what, as a person writes it in TOML. Every mistake is answered with the key and what it allows.

A shipped suite is asked for by its name (`depthbench run digits`), a person's own by its path (`depthbench run my.toml`).
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bench import datasets as data_sets
from bench.datasets.files import SUFFIXES, is_path
from bench.datasets.presets import parted
from bench.errors import InputError
from bench.features import get as feature_set
from bench.features import names as feature_set_names
from bench.metrics import OF_CLASSES
from bench.names import is_tuned, suggestion, unknown, untuned
from bench.splits import RULES
from models.catalog import names as model_names

SHIPPED = Path(__file__).parent / "suites"
BACKENDS = ("cython", "numba", "reference")

#: package.module:factory
OWN_MODEL = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def parse_bytes(value: Any) -> Any:
    """Turn ``"2GB"`` or ``"512M"`` into a number of bytes (a K is 1024); leave everything else to the validation.

    Examples
    --------
    >>> parse_bytes("2GB"), parse_bytes("512M"), parse_bytes(1000)
    (2147483648, 536870912, 1000)
    """
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?\s*", value, re.IGNORECASE)
    if match is None:
        raise ValueError(f"{value!r} is not a size; write a number of bytes, or like 2GB or 512MB")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def is_file(dataset: str) -> bool:
    """Whether the name of a data set is the path of a person's own file or folder, with or without a preset."""
    return is_path(parted(dataset)[0])


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _distinct(value: tuple) -> tuple:
    return tuple(dict.fromkeys(value))


def _names(kind: str, known: tuple[str, ...] | list[str], also=None):
    """Return a validator: each name is known (or `also` takes it, or says why not), "all" stands for all of them."""

    def check(values: tuple[str, ...]) -> tuple[str, ...]:
        found: list[str] = []
        for value in values:
            if value == "all":
                found += known
            elif value in known or (also is not None and also(value)):
                found.append(value)
            else:
                raise unknown(kind, value, known)
        return _distinct(tuple(found))

    return AfterValidator(check)


def _datasets(values: tuple[str, ...]) -> tuple[str, ...]:
    """Check the names of data sets; "all" stands for those that need no file."""
    found: list[str] = []
    for value in values:
        if value == "all":
            found += data_sets.embedded_names()
            continue
        if not is_file(value):
            data_sets.get(value)
        found.append(value)
    return _distinct(tuple(found))


def _is_model(value: str) -> bool:
    """Whether a name is that of a model, ours or a person's own, tuned or not."""
    return untuned(value) in model_names() or OWN_MODEL.fullmatch(untuned(value)) is not None


def _split(value: str) -> str:
    if value in ("kfold", "official") or re.fullmatch(r"group:.+", value):
        return value
    raise ValueError(f"{value!r} is not a split; allowed: {', '.join(RULES)}")


Names = Annotated[tuple[str, ...], BeforeValidator(_as_list), Field(min_length=1)]


class Suite(BaseModel):
    """What is run on what.

    Examples
    --------
    >>> suite = Suite(name="mine", datasets=["iris"], models=["lda", "knn"])
    >>> suite.features, suite.folds, suite.threads
    (('raw',), 5, (1,))
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)

    name: Annotated[str, Field(min_length=1, max_length=80)]
    description: str = ""
    datasets: Annotated[Names, AfterValidator(_datasets)]
    target: str | None = None  # the target column of a person's own file
    preset: Literal["S", "M", "L"] | None = None  # of the data sets that do not name one: fashion_mnist@S
    features: Annotated[Names, _names("feature set", feature_set_names(), feature_set)] = ("raw",)
    models: Annotated[Names, _names("model", model_names(), _is_model)]
    backends: Annotated[Names, _names("backend", BACKENDS)] = ("cython",)
    split: Annotated[str, AfterValidator(_split)] = "kfold"
    folds: Annotated[int, Field(ge=2, le=1000)] = 5
    repeats: Annotated[int, Field(ge=1, le=10_000)] = 1
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    threads: Annotated[
        tuple[Annotated[int, Field(ge=1, le=1024)], ...],
        BeforeValidator(_as_list),
        Field(min_length=1),
        AfterValidator(_distinct),
    ] = (1,)
    tune: Annotated[int, Field(ge=2, le=10_000)] | None = None  # configurations that each search may try
    tune_s: Annotated[float, Field(gt=0, le=7 * 86400)] | None = None  # or the seconds that it may take
    metric: Literal[OF_CLASSES] = "accuracy"  # what tables rank classifiers by
    tune_metric: Literal["accuracy", "balanced_accuracy"] = "accuracy"  # what a search judges classifiers by
    timeout_s: Annotated[float, Field(gt=0, le=7 * 86400)] = 60.0
    memory_bytes: Annotated[Annotated[int, Field(ge=1 << 20)] | None, BeforeValidator(parse_bytes)] = None
    jobs: Annotated[int, Field(ge=1, le=1024)] = 1
    pin: bool = False  # each worker to processors of its own
    predict_batches: bool = True  # time predictions of several batch sizes too, on the first fold: about half a second a model

    @property
    def tunes(self) -> bool:
        """Whether there is a budget for tuning."""
        return self.tune is not None or self.tune_s is not None

    @property
    def dataset_files(self) -> dict[str, str | None]:
        """Names as they stand in rows, with the file of those that are a person's own."""
        found: dict[str, str | None] = {}
        for dataset in self.datasets:
            base, preset = parted(dataset)
            file = base if is_path(base) else None
            if file is not None:
                base = Path(file).stem if file.lower().endswith(SUFFIXES) else Path(file).name
            preset = preset or self.preset
            found[f"{base}@{preset}" if preset else base] = file
        return found


#: Keys that say how a run goes, not what it is: they may change when it is resumed.
HOW = ("timeout_s", "memory_bytes", "jobs", "pin", "metric", "description", "name")


def shipped() -> list[str]:
    """Return the names of the suites that come with depthbench."""
    return sorted(p.stem for p in SHIPPED.glob("*.toml"))


def load(name_or_path: str, **overrides: Any) -> Suite:
    """Read a shipped suite by its name or a person's own by its path, and set the keys in `overrides`.

    Raises
    ------
    InputError
        No such suite, a file that cannot be read, TOML that does not parse, an unknown key, a value that is not allowed.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml" and not path.exists():
        if name_or_path not in shipped():
            error = unknown("suite", name_or_path, shipped())
            raise InputError(f"{error} (or the path of a .toml file)")
        path = SHIPPED / f"{name_or_path}.toml"
    values = _read_toml(path)
    if isinstance(values.get("datasets"), list):
        # a file is named as seen from the suite that names it
        values["datasets"] = [
            str((path.parent / d).absolute()) if isinstance(d, str) and is_file(d) else d for d in values["datasets"]
        ]
    return validated({"name": path.stem, **values, **overrides}, str(path))


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise InputError(f"cannot read the suite {path}: {e.strerror or e}") from e
    except UnicodeDecodeError as e:
        raise InputError(f"the suite {path} is not a text file in UTF-8") from e
    except tomllib.TOMLDecodeError as e:
        raise InputError(f"the suite {path} is not valid TOML: {e}") from e


def validated(values: dict[str, Any], where: str) -> Suite:
    """Return the suite of these values.

    Raises
    ------
    InputError
        Names every key that is wrong and what it allows.
    """
    try:
        suite = Suite(**values)
    except ValidationError as e:
        problems = [_explain(error) for error in e.errors()]
        raise InputError("\n".join(f"{where}: {problem}" for problem in problems)) from None
    searched = [model for model in suite.models if is_tuned(model)]
    if searched and not suite.tunes:
        raise InputError(f"{where}: key 'models': {searched[0]!r} needs a budget: tune = configurations, or tune_s = seconds")
    if len(suite.dataset_files) < len(suite.datasets):
        raise InputError(f"{where}: key 'datasets': two of them would have the same name in the tables")
    return suite


def _explain(error: Any) -> str:
    """Put one of pydantic's errors into words."""
    location, kind, given = error["loc"], error["type"], error.get("input")
    key = str(location[0]) if location else ""
    if kind == "extra_forbidden":
        keys = list(Suite.model_fields)
        return f"unknown key {key!r}{suggestion(key, keys)} Allowed: {', '.join(keys)}"
    if kind == "missing":
        return f"key {key!r} is missing"
    if kind == "value_error":
        return f"key {key!r}: {error['ctx']['error']}"
    if kind == "too_short":
        return f"key {key!r}: must not be empty"
    message = error["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    return f"key {key!r}: must be {message}, not {given!r}"
