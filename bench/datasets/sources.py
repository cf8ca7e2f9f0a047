"""The files that data sets are read from, with addresses and SHA-256: what `depthbench data fetch` downloads.

A hash was computed from the file itself, or, where the file has not been at hand, copied from a published source, which is
then named and shown. Addresses are tried in their order; a file without one cannot be downloaded and is put there by hand.
"""

from __future__ import annotations

from bench.datasets.entry import CHECKED, File

_IDX_NAMES = (
    "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz",
)  # fmt: skip

_FASHION = "github.com/zalandoresearch/fashion-mnist/raw/b2617bb6d3ffa2e429640350f613e3291e10b141/data/fashion/"
_KMNIST_HASHES = "published: TensorFlow Datasets, url_checksums/kmnist.txt"


def _idx_files(folder: str, bases: tuple[str, ...], facts: tuple[tuple[str, int], ...], hash_from: str) -> tuple[File, ...]:
    return tuple(
        File(f"{folder}/{name}", sha256, size, tuple(base + name for base in bases), hash_from)
        for name, (sha256, size) in zip(_IDX_NAMES, facts, strict=True)
    )


MNIST = _idx_files(
    "mnist",
    ("https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"),
    (
        ("440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609", 9_912_422),
        ("3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c", 28_881),
        ("8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6", 1_648_877),
        ("f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6", 4_542),
    ),
    CHECKED,
)
FASHION_MNIST = _idx_files(
    "fashion_mnist",
    (f"https://{_FASHION}", "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"),
    (
        ("3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", 26_421_880),
        ("a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", 29_515),
        ("346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", 4_422_102),
        ("67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", 5_148),
    ),
    CHECKED,
)
KMNIST = _idx_files(
    "kmnist",
    ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
    (
        ("51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4", 18_165_135),
        ("e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17", 29_497),
        ("edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5", 3_041_136),
        ("20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c", 5_120),
    ),
    _KMNIST_HASHES,
)
CIFAR10 = File(
    "cifar10/cifar-10-binary.tar.gz",
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    170_052_171,
    ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
    "published: TensorFlow Datasets, url_checksums/cifar10.txt",
)
CIFAR10_JPEG = File(
    "cifar10_jpeg/cifar10_jpeg.zip", "9294c4b94cc019840ec8e67eb8afa3476f734cf3a37901c7a94bfb70a0aeb469", 53_544_702
)
GTSRB_SUBSET = File(
    "gtsrb_subset/gtsrb_subset_32x32.npz", "efe05905cb4246b2f6e182c19bb9ca84665bf217462cf2e452716a86fa84271a", 29_600_146
)

_ADULT = "https://raw.githubusercontent.com/jbrownlee/Datasets/d20fcb6402ae34e653d4513b00f39257bb37ed7f/"
#: UCI's adult.data, and its adult.test without the comment that is its first line.
ADULT_TRAIN = File(
    "adult_raw/adult-train.csv",
    "5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d",
    3_974_305,
    (f"{_ADULT}adult-train.csv", "https://archive.ics.uci.edu/ml/machine-learning-databases/adult/adult.data"),
)
ADULT_TEST = File(
    "adult_raw/adult-test.csv",
    "72567b94f5c1a6f8501377dd80f93892c3848ff071cf91ba47e00b0785a28074",
    2_003_132,
    (f"{_ADULT}adult-test.csv",),
)
COVERTYPE = File(
    "covertype/covtype.data.gz",
    "614360d0257557dd1792834a85a1cdebfadc3c4f30b011d56afee7ffb5b15771",
    None,
    ("https://ndownloader.figshare.com/files/5976039",),
    "published: scikit-learn, datasets/_covtype.py",
)
COVERTYPE_15K = File(
    "covertype_15k/train.m", "4fd23b92f4079863ae31de04ab695a33b08b6ab0ca8757d86ed43c60779ad9fc", 2_028_655
)
COVERTYPE_15K_HEADER = File(
    "covertype_15k/header.csv", "e9b1b48f34488a2026cbd429b6ecb91579c76a8141ff50d3cc502d3d0ed07eaa", 750
)
CALIFORNIA_HOUSING = File(
    "california_housing/cal_housing.tgz",
    "aaa5c9a6afe2225cc2aed2723682ae403280c4a3695a2ddda4ffb5d8215ea681",
    None,
    ("https://ndownloader.figshare.com/files/5976036",),
    "published: scikit-learn, datasets/_california_housing.py",
)
