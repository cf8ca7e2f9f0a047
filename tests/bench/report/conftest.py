"""A run as the harness would write it, made up from seeded numbers: 18 models x 5 feature sets x 5 folds of digits."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from bench.cell import Row

#: name -> (family, accuracy on raw in percent, seconds to fit)
MODELS = {
    "dummy": ("classical", 10.1, 0.0004),
    "nearest_centroid": ("classical", 89.9, 0.0011),
    "gaussian_nb": ("classical", 83.5, 0.0019),
    "lda": ("classical", 95.3, 0.021),
    "qda": ("classical", 97.9, 0.024),
    "knn": ("classical", 98.7, 0.0009),
    "logistic_regression": ("classical", 96.6, 0.13),
    "linear_svc": ("classical", 95.1, 0.11),
    "svc_rbf": ("classical", 98.9, 0.061),
    "decision_tree": ("classical", 85.2, 0.012),
    "random_forest": ("classical", 97.5, 0.29),
    "extra_trees": ("classical", 98.0, 0.21),
    "hist_gradient_boosting": ("classical", 97.2, 1.4),
    "sklearn_mlp_100": ("classical", 97.9, 0.62),
    "mlp_100": ("deep", 97.8, 0.21),
    "mlp_100_100": ("deep", 98.1, 0.33),
    "mlp_sigmoid_4": ("deep", 55.0, 0.41),
    "conv16_32": ("deep", 99.0, 1.1),
}
FEATURES = {"raw": 0.0, "standardized": -0.4, "pca": -0.6, "hog": -1.1, "learned": 0.3}


@dataclass
class FakeRun:
    rows: list = field(default_factory=list)
    manifest: dict = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "run.json").write_text(json.dumps(self.manifest), encoding="utf-8")
        lines = [json.dumps(row.to_dict()) + "\n" for row in self.rows]
        (folder / "rows.jsonl").write_text("".join(lines), encoding="utf-8")
        return folder


def sha(*parts) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def fake_run(models=MODELS, features=FEATURES, folds=5, repeats=1, seed=0) -> FakeRun:
    rng = np.random.default_rng(seed)
    luck = rng.normal(0, 0.004, (repeats, folds))
    rows = []
    for feature_set, shift in features.items():
        for model, (family, percent, fit_s) in models.items():
            own = rng.normal(0, 0.003)
            for repeat in range(repeats):
                for fold in range(folds):
                    common = dict(
                        dataset="digits", feature_set=feature_set, model=model, threads=1, repeat=repeat, fold=fold,
                        seed=0, backend="cython" if family == "deep" else "sklearn", family=family,
                        run_id="20261120-120000-digits-1f3a", utc="2026-11-20T12:00:00+00:00", n_workers=1,
                        y_sha256=sha("y", repeat, fold), split_sha256=sha("split", repeat, fold),
                    )  # fmt: skip
                    if model == "conv16_32" and feature_set in ("pca", "hog", "learned"):
                        why = f"needs pixels; {feature_set} has none"
                        rows.append(Row(**common, status="skipped", message=why))
                        continue
                    if model == "mlp_sigmoid_4" and feature_set == "raw" and fold == 2:
                        why = "the loss became NaN in epoch 3: lower learning_rate_init"
                        rows.append(Row(**common, status="diverged", message=why))
                        continue
                    if model == "hist_gradient_boosting" and feature_set == "hog":
                        rows.append(Row(**common, status="timeout", message=f"took longer than 60 s (fold {fold})"))
                        continue
                    gain = shift / 100 if percent > 50 else 0.0
                    accuracy = min(
                        1.0, max(0.0, percent / 100 + gain + own + luck[repeat, fold] + rng.normal(0, 0.004))
                    )
                    accuracy = round(accuracy * 359) / 359
                    slow = rng.lognormal(0, 0.15)
                    rows.append(
                        Row(
                            **common,
                            status="ok",
                            accuracy=accuracy,
                            balanced_accuracy=accuracy - 0.0004,
                            log_loss=None if model == "linear_svc" else round(1.1 - accuracy, 4),
                            n_train=1438,
                            n_test=359,
                            n_features=64,
                            time_fit_s=fit_s * slow,
                            time_predict_s=0.0004 + 0.02 * fit_s * slow,
                            time_predict_one_s=0.00004 + 0.0002 * fit_s * slow,
                            time_features_s={"learned": 1.2, "hog": 0.4}.get(feature_set, 0.001),
                            peak_memory_bytes=int(150e6 + 1e6 * fit_s * 40),
                            threads_effective=1,
                            converged=not (model == "mlp_100" and fold == 1 and feature_set == "raw"),
                            x_train_sha256=sha("train", feature_set, repeat, fold),
                            x_test_sha256=sha("test", feature_set, repeat, fold),
                        )
                    )
    manifest = {
        "schema_version": 1,
        "run_id": "20261120-120000-digits-1f3a",
        "utc_start": "2026-11-20T12:00:00+00:00",
        "utc_end": "2026-11-20T12:02:03+00:00",
        "command": ["depthbench", "run", "digits"],
        "suite": {
            "name": "digits", "datasets": ["digits"], "features": list(features), "models": list(models),
            "folds": folds,
        },
        "environment": {
            "cpu": "AMD EPYC 9R45", "cores": 2, "isa": "v4", "python": "3.11.2", "platform": "Linux-6.1-x86_64",
            "memory_bytes": 8 << 30, "git": {"commit": "0123456789abcdef", "dirty": True},
            "packages": {"numpy": "2.4.6", "scikit-learn": "1.9.1", "numba": "0.68.1"},
        },
    }  # fmt: skip
    return FakeRun(rows, manifest)


@pytest.fixture(scope="session")
def make_run():
    return fake_run


@pytest.fixture
def run_folder(tmp_path):
    return fake_run().write(tmp_path / "run")
