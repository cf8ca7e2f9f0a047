"""The data sets that have a name of their own, as data: what each is, its files, terms, citation, and scores of others.

``pmlb:<name>`` and ``openml:<id>`` are not here: their entries are made when they are named.
"""

from __future__ import annotations

from dataclasses import replace

from bench.datasets import drawn, embedded, images, sources, tables
from bench.datasets.entry import Dataset
from bench.datasets.references import REFERENCES

_UCI = "CC BY 4.0 (as UCI states it)"
_CIFAR = "none stated; free for research with citation"
_KRIZHEVSKY = "Krizhevsky, Learning multiple layers of features from tiny images, 2009"
_STALLKAMP = "Stallkamp et al., Man vs. computer, Neural Networks 32 (2012)"
_GTSRB_TERMS = "none stated with these files; the official set is free with citation"
_BLACKARD = "Blackard & Dean, Computers and Electronics in Agriculture 24 (1999)"
_OTHER_DATA = "no score published for the original compares with one on this"
_BY_TRACK = 'official split; for validation split = "group:track", as frames of one track look alike and must not part'

#: All but the published scores, which stand in references.py.
_ENTRIES = (
    Dataset(
        "digits", "1797 handwritten digits, 8x8 pixels, 10 classes", embedded.digits, _UCI,
        "Alpaydin & Kaynak, Optical recognition of handwritten digits, UCI 1998",
        note="the test part of UCI's set alone: scores published for the whole do not compare",
    ),
    Dataset(
        "iris", "150 flowers, 4 measures, 3 classes", embedded.iris, _UCI,
        "Fisher, The use of multiple measurements in taxonomic problems, Annals of Eugenics 7 (1936)",
    ),
    Dataset("wine", "178 wines, 13 measures, 3 classes", embedded.wine, _UCI, "Aeberhard & Forina, Wine, UCI 1991"),
    Dataset(
        "breast_cancer", "569 tumours, 30 measures, 2 classes", embedded.breast_cancer, _UCI,
        "Wolberg, Mangasarian, Street & Street, Breast cancer Wisconsin (diagnostic), UCI 1993",
    ),
    Dataset(
        "diabetes", "442 patients, 10 measures, regression", embedded.diabetes, "none stated",
        "Efron, Hastie, Johnstone & Tibshirani, Least angle regression, Annals of Statistics 32 (2004)",
        note="its columns come centred and scaled over all samples, test folds included",
    ),
    Dataset(
        "drawn_signs", "1500 traffic signs drawn by a program, 32x32 pixels in colour: stop sign or not", drawn.drawn_signs,
        "that of this project; backgrounds: CC BY 2.0 (scikit-learn's sample images)", "drawn by bench/datasets/drawn.py, 2026",
        note="drawn, not photographed: no score says how well a model does on a road",
    ),
    Dataset(
        "mnist", "70000 handwritten digits, 28x28 pixels, 10 classes, official split", images.mnist,
        "CC BY-SA 3.0 (as commonly stated; none with the files)",
        "LeCun, Bottou, Bengio & Haffner, Proceedings of the IEEE 86 (1998)", (sources.MNIST,),
    ),
    Dataset(
        "fashion_mnist", "70000 articles of clothing, 28x28 pixels, 10 classes, official split", images.fashion_mnist, "MIT",
        "Xiao, Rasul & Vollgraf, arXiv:1708.07747 (2017)", (sources.FASHION_MNIST,),
    ),
    Dataset(
        "kmnist", "70000 cursive Japanese characters, 28x28 pixels, 10 classes, official split", images.kmnist, "CC BY-SA 4.0",
        'Clanuwat et al., arXiv:1812.01718 (2018); "KMNIST Dataset" (created by CODH), adapted from "Kuzushiji Dataset" '
        "(created by NIJL and others), doi:10.20676/00000341", (sources.KMNIST,),
    ),
    Dataset(
        "cifar10", "60000 photographs, 32x32 pixels in colour, 10 classes, official split", images.cifar10, _CIFAR, _KRIZHEVSKY,
        ((sources.CIFAR10,),),
    ),
    Dataset(
        "cifar10_jpeg", f"{images.RE_ENCODED}: 60000 photographs, 32x32 pixels in colour, 10 classes, official split",
        images.cifar10_jpeg, _CIFAR, _KRIZHEVSKY, ((sources.CIFAR10_JPEG,),),
        note=f"{images.RE_ENCODED}, with losses: {_OTHER_DATA}",
    ),
    Dataset(
        "cats_vs_dogs", f"12000 cats and dogs of CIFAR-10 ({images.RE_ENCODED}, where only that is at hand), official split",
        images.cats_vs_dogs, _CIFAR, _KRIZHEVSKY, ((sources.CIFAR10,), (sources.CIFAR10_JPEG,)),
    ),
    Dataset(
        "dogs_vs_horses",
        f"12000 dogs and horses of CIFAR-10 ({images.RE_ENCODED}, where only that is at hand), official split",
        images.dogs_vs_horses, _CIFAR, _KRIZHEVSKY, ((sources.CIFAR10,), (sources.CIFAR10_JPEG,)),
    ),
    Dataset(
        "gtsrb_subset", "12052 German traffic signs, 32x32 pixels in colour, 43 classes, official split, groups: track",
        images.gtsrb_subset, _GTSRB_TERMS, _STALLKAMP, ((sources.GTSRB_SUBSET,),),
        note=f"a part of GTSRB, scaled to 32x32: {_OTHER_DATA}. {_BY_TRACK}",
    ),
    Dataset(
        "stop_sign", "12052 German traffic signs: stop sign or not, official split, groups: track", images.stop_sign,
        _GTSRB_TERMS, _STALLKAMP, ((sources.GTSRB_SUBSET,),),
        note=f"unbalanced: one in 48 is a stop sign, so look at balanced accuracy. {_BY_TRACK}",
    ),
    Dataset(
        "california_housing", "20640 blocks of houses, 8 measures, regression", tables.california_housing, "none stated",
        "Pace & Barry, Sparse spatial autoregressions, Statistics & Probability Letters 33 (1997)",
        ((sources.CALIFORNIA_HOUSING,),), note="the target is in 100,000 dollars",
    ),
    Dataset(
        "adult", "48842 people, 6 numbers and 8 categories with gaps, 2 classes, official split", tables.adult, _UCI,
        "Becker & Kohavi, Adult, UCI 1996", ((sources.ADULT_TRAIN, sources.ADULT_TEST),),
    ),
    Dataset(
        "covertype", "581012 pieces of forest, 54 measures, 7 classes", tables.covertype, _UCI, _BLACKARD,
        ((sources.COVERTYPE,),),
    ),
    Dataset(
        "covertype_15k", "15120 pieces of forest, 54 measures, 7 classes, balanced", tables.covertype_15k,
        f"{_UCI}; obtained through a competition", _BLACKARD, ((sources.COVERTYPE_15K, sources.COVERTYPE_15K_HEADER),),
        note=f"a balanced draw: {_OTHER_DATA}",
    ),
)  # fmt: skip


DATASETS = tuple(replace(entry, references=REFERENCES.get(entry.name, ())) for entry in _ENTRIES)
