"""Tables of the Penn Machine Learning Benchmarks (Romano et al. 2021), as ``pmlb:<name>``.

The repository keeps its tables in Git LFS: what lies in it is a pointer, three lines that hold the table's SHA-256 and size. Of
the tables below the hash is known here. Of any other the pointer is fetched first, kept beside the table, and the table
verified against it. Columns are numbers throughout: categories come coded, and are taken as the numbers they are.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

from bench.datasets import cache
from bench.datasets.entry import CLASSIFICATION, REGRESSION, Data, Dataset, File, Reference
from bench.datasets.references import AUTOML
from bench.errors import InputError

PREFIX = "pmlb:"

#: Pointers and descriptions; the tables behind the pointers. `{name}` is the table's.
POINTERS = "https://raw.githubusercontent.com/EpistasisLab/pmlb/master/datasets/{name}/"
TABLES = "https://media.githubusercontent.com/media/EpistasisLab/pmlb/master/datasets/{name}/{name}.tsv.gz"

#: name: (samples, columns without the target, classes or 0 for a number to predict, bytes, SHA-256)
KNOWN = {
    "_deprecated_german": (1000, 20, 2, 12179, "c1f93ad10392a83fbcba5af44580193e7a99faf782264f082e32aa293554b137"),
    "197_cpu_act": (8192, 21, 0, 381809, "d00fd6bac2eda0821a04ff10277663d211127745a19a474c0feee41a16914fdc"),
    "537_houses": (20640, 8, 0, 504222, "d383fd58bb79760ffaf0b615942fd47d926a19e75a8f980b79fbe9ad479d9cbf"),
    "564_fried": (40768, 10, 0, 1484936, "f64bb4a6d214a59a50b70b0f3270e334725b6cc010443a484cc751b595a46fe9"),
    "adult": (48842, 14, 2, 497131, "fb8bc76eafa39558b6044907f23416faf99099cefb8afd06a2cf5afbdae1b506"),
    "chess": (3196, 36, 2, 16702, "9ae5108706e2d98e5fe27f4bcbe1cc73183be680bb94257989b26da6522a729a"),
    "coil2000": (9822, 85, 2, 209415, "849976657dc371578819f225ce81eb9a76bd084ce743b5ff6753e415567c68dd"),
    "ionosphere": (351, 34, 2, 31351, "adb6fc877404f2b55f6d59fc7322265c733f5cf0ae6d7c2e52c3468733630023"),
    "letter": (20000, 16, 26, 213271, "f8ffe4f9920dc63fb85b864cc1afffb66e45c6e302d175905fd7db04ba67b8c6"),
    "magic": (19020, 10, 2, 656465, "c823ea26d676538f9194d41f290798ff2f3fe59255c340418fd9439d8fc9c07f"),
    "mushroom": (8124, 22, 2, 36294, "d8daa6822f14604f8567a5a8e5dfa93db6c383cf01aac01812c0ebdce3ab158a"),
    "optdigits": (5620, 64, 10, 184828, "b70b7ac68a54d1ccd41bd24f11324c3af96b67541791fb9d8684cbdf151533c3"),
    "pendigits": (10992, 16, 10, 200229, "73294fc30c2c50bf737c954d04cca3a1be69508535d3d52e2512ec88fefaad3f"),
    "satimage": (6435, 36, 6, 106809, "1ee8cf9693351db7afe68f6fc32942845caae3e1030c688efa6c5d0b24229f46"),
    "segmentation": (2310, 19, 7, 111831, "980ba4342d2fe489793cc3431678318f8d1467fe6bf6a687eb18bfc2267a049f"),
    "sonar": (208, 60, 2, 28731, "64378cabaecdb50e2e1e644c1d6bc359f0627ebe313870ad09e1e41ed972529b"),
    "spambase": (4601, 57, 2, 132367, "735e8d43f7ee78ac54ca17404510e95f4c8b364a721e4d9532a1b3221ed70961"),
    "splice": (3188, 60, 3, 69522, "30f7c126059de9f5962c41bbfbdee2926ea9432e4d620930ce6db79a43885510"),
    "vehicle": (846, 18, 4, 19819, "dad03273414ae7127e30b6e4e66df90319a148b37ead5dd376dd140be5baedc4"),
    "waveform_21": (5000, 21, 3, 180509, "7c2cc6b218c3c4868ccc2edcf6a637c796f4e6bf4ad9f0994e95a260bfe3aabc"),
    "wine_quality_red": (1599, 11, 6, 23999, "6402396156d04f7269074f4e58fa40ad1147f9298179bf388962d6ef9f916824"),
}

_REFERENCES = {
    "vehicle": (Reference("RandomForest", 0.751, AUTOML),),
    "segmentation": (Reference("RandomForest", 0.981, f"{AUTOML}; task segment"),),
    "chess": (Reference("RandomForest", 0.991, f"{AUTOML}; task kr-vs-kp"),),
    "adult": (Reference("RandomForest", 0.858, AUTOML),),
}


def entry(name: str) -> Dataset:
    """Return the registry's entry of ``pmlb:<name>``; nothing is fetched.

    Raises
    ------
    InputError
        A name that no table can have.

    Examples
    --------
    >>> entry("letter").line
    '20000 samples, 16 columns, 26 classes'
    """
    if re.fullmatch(r"\w[\w.\-]*", name) is None or ".." in name:
        raise InputError(f"dataset {PREFIX + name!r}: expected {PREFIX}<name of a table>, such as {PREFIX}letter")
    line = "a table of the Penn Machine Learning Benchmarks"
    if name in KNOWN:
        n_samples, n_columns, n_classes, *_ = KNOWN[name]
        line = f"{n_samples} samples, {n_columns} columns, {f'{n_classes} classes' if n_classes else 'regression'}"
    file = _known_file(name)
    return Dataset(
        PREFIX + name,
        line,
        functools.partial(load, name),
        "MIT (the collection); each table has the terms of its source",
        "Romano et al., PMLB v1.0, Bioinformatics 38 (2021); Olson et al., BioData Mining 10:36 (2017)",
        sources=((file,),) if file else (),
        references=_REFERENCES.get(name, ()),
        fetch=functools.partial(fetch, name),
    )


def stored() -> list[str]:
    """Return the names of the tables that lie in the cache folder."""
    return sorted(path.name.removesuffix(".tsv.gz") for path in (cache.folder() / "pmlb").glob("*.tsv.gz"))


def load(name: str) -> Data:
    """Return a table; download it where it is not at hand.

    Raises
    ------
    InputError
        It cannot be had, or is no table with a column ``target``.
    """
    import numpy as np
    import pandas as pd

    from bench.datasets.table import labels

    path = fetch(name)[0]
    try:
        table = pd.read_csv(path, sep="\t", dtype="float64")
    except (OSError, EOFError, ValueError) as e:
        raise InputError(f"{path} is not a readable table: {e}") from e
    if "target" not in table:
        raise InputError(f"{path} has no column 'target'")
    y, task, classes = labels(table.pop("target").to_numpy(), _task(name))
    return Data(PREFIX + name, np.ascontiguousarray(table.to_numpy(np.float32)), y, task, classes)


def fetch(name: str) -> list[Path]:
    """Return the table's file, verified; bring it, and what is needed to verify it, where it is not at hand."""
    file = _known_file(name)
    if file is None:
        pointer = cache.read_text(f"{POINTERS.format(name=name)}{name}.tsv.gz")
        file = _file_of(name, pointer)
        _write(_beside(name, "pointer"), pointer)
    return [cache.locate(file)]


def _known_file(name: str) -> File | None:
    """Return the file where its hash is known, from the list above or from a pointer that was fetched before."""
    if name in KNOWN:
        *_, size_bytes, sha256 = KNOWN[name]
        return File(f"pmlb/{name}.tsv.gz", sha256, size_bytes, (TABLES.format(name=name),))
    pointer = _beside(name, "pointer")
    return _file_of(name, pointer.read_text(encoding="utf-8")) if pointer.is_file() else None


def _file_of(name: str, pointer: str) -> File:
    sha256, size = re.search(r"^oid sha256:([0-9a-f]{64})$", pointer, re.M), re.search(r"^size (\d+)$", pointer, re.M)
    if sha256 is None or size is None:
        raise InputError(f"dataset {PREFIX + name!r}: what the repository has there is not a Git LFS pointer")
    published = "published: the repository's Git LFS pointer"
    return File(f"pmlb/{name}.tsv.gz", sha256[1], int(size[1]), (TABLES.format(name=name),), published)


def _task(name: str) -> str:
    """Return what is to be predicted; of a table not known here its description says it."""
    if name in KNOWN:
        return CLASSIFICATION if KNOWN[name][2] else REGRESSION
    path = _beside(name, "metadata.yaml")
    text = path.read_text(encoding="utf-8") if path.is_file() else None
    if text is None:
        text = cache.read_text(f"{POINTERS.format(name=name)}metadata.yaml")
        _write(path, text)
    found = re.search(rf"^task:\s*({CLASSIFICATION}|{REGRESSION})\s*$", text, re.M)
    if found is None:
        raise InputError(f"{path} does not say `task: classification` or `task: regression`")
    return found[1]


def _beside(name: str, what: str) -> Path:
    return cache.folder() / "pmlb" / f"{name}.{what}"


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as e:
        raise InputError(f"cannot write {path}: {e.strerror or e}; set {cache.VARIABLE} to a folder that can be written") from e
