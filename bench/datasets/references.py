"""Scores that others published, by data set: what one of ours can be set beside, each with where it stands.

None was measured here. A score is listed where data set and protocol are the same as here, or the source says in what they
differ. Where it says "best parameters", they were chosen on the test part by its authors.
"""

from __future__ import annotations

from bench.datasets.entry import Reference

_XIAO = "Xiao et al., arXiv:1708.07747v1, table 3: official split, mean of 5, best parameters of each"
_FASHION = f"{_XIAO}; before duplicates were removed on 2017-08-31"
_README = "README of github.com/zalandoresearch/fashion-mnist, a submission its authors did not test"
_KMNIST = "README of github.com/rois-codh/kmnist: official split"
_RTDL = "Gorishniy et al., NeurIPS 2021 (arXiv:2106.11959), mean of 15 seeds, tuned; figures of their repository"
_RTDL_OWN_SPLIT = f"{_RTDL}; a split of their own"
AUTOML = "OpenML AutoML Benchmark 2019 (Gijsbers et al., arXiv:1907.00909), 10-fold, mean over its time limits"
_HE = "He et al., CVPR 2016 (arXiv:1512.03385), table 6: official split, with augmentation"
_UCI_WINE = "description of the set at UCI: leave-one-out"

#: (classifier, its best on Fashion-MNIST, its best on MNIST)
_XIAO_BEST = (
    ("SVC", 0.897, 0.978),
    ("GradientBoostingClassifier", 0.880, 0.969),
    ("RandomForestClassifier", 0.873, 0.971),
    ("MLPClassifier (100)", 0.871, 0.972),
    ("KNeighborsClassifier", 0.854, 0.959),
    ("LogisticRegression", 0.842, 0.917),
    ("LinearSVC", 0.836, 0.919),
    ("SGDClassifier", 0.819, 0.914),
    ("DecisionTreeClassifier", 0.798, 0.886),
    ("Perceptron", 0.782, 0.887),
    ("PassiveAggressiveClassifier", 0.776, 0.880),
    ("ExtraTreeClassifier", 0.775, 0.847),
    ("GaussianNB", 0.511, 0.524),
)


def _rtdl(source: str, metric: str, mlp: float, resnet: float, ft: float, xgboost: float, catboost: float):
    scores = {"MLP": mlp, "ResNet": resnet, "FT-Transformer": ft, "XGBoost": xgboost, "CatBoost": catboost}
    return tuple(Reference(model, value, source, metric) for model, value in scores.items())


REFERENCES: dict[str, tuple[Reference, ...]] = {
    "wine": (
        Reference("QDA", 0.994, _UCI_WINE),
        Reference("LDA", 0.989, _UCI_WINE),
        Reference("1-nearest neighbour, standardized", 0.961, _UCI_WINE),
    ),
    "breast_cancer": (
        Reference("separating plane on 3 of the columns", 0.975, "description of the set at UCI: repeated 10-fold"),
    ),
    "fashion_mnist": (
        *(Reference(model, fashion, _FASHION) for model, fashion, _ in _XIAO_BEST),
        Reference("2 convolutions + 3 dense, 0.5M parameters", 0.934, f"{_README}; with augmentation"),
        Reference("2 convolutions + pooling", 0.916, _README),
        Reference("HOG + SVM", 0.926, _README),
        Reference("MLP 256-128-100", 0.8833, _README),
        Reference("RandomForest", 0.887, f"{AUTOML} over all 70,000 images"),
    ),
    "mnist": (
        *(Reference(model, mnist, _XIAO) for model, _, mnist in _XIAO_BEST),
        Reference("LeNet-5", 0.9905, "LeCun et al., Proceedings of the IEEE 86 (1998): official split, no distortions"),
        Reference("PreActResNet-18", 0.9956, _KMNIST),
        Reference("4-nearest neighbours", 0.9714, _KMNIST),
    ),
    "kmnist": (
        Reference("4-nearest neighbours", 0.9156, _KMNIST),
        Reference("simple ConvNet (Keras)", 0.9512, _KMNIST),
        Reference("PreActResNet-18", 0.9782, _KMNIST),
        Reference("PreActResNet-18 + manifold mixup", 0.9883, _KMNIST),
    ),
    "cifar10": (
        Reference("ResNet-20", 0.9125, _HE),
        Reference("ResNet-56", 0.9303, _HE),
        Reference("ResNet-110", 0.9357, _HE),
    ),
    "adult": (
        *_rtdl(f"{_RTDL}; official split", "accuracy", 0.852, 0.854, 0.859, 0.872, 0.873),
        Reference("RandomForest", 0.858, f"{AUTOML} over both parts"),
    ),
    "california_housing": _rtdl(_RTDL_OWN_SPLIT, "rmse", 0.499, 0.486, 0.459, 0.433, 0.431),
    "covertype": (
        *_rtdl(_RTDL_OWN_SPLIT, "accuracy", 0.962, 0.964, 0.970, 0.969, 0.966),
        Reference("RandomForest", 0.959, AUTOML),
    ),
}
