"""Estimators in files: as they were, and as ONNX models that another runtime agrees with."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from models import ConvNetClassifier, MLPClassifier, MLPRegressor, checkpoints

RNG = np.random.RandomState(0)
X = RNG.rand(40, 36).astype(np.float32)
NAMES = np.array(["no", "yes", "perhaps"])[np.arange(40) % 3]
SEVERAL = (RNG.rand(40, 3) > 0.5).astype(int)

FITTED = {
    "convnet": lambda: ConvNetClassifier("c4k3p1 bn m2 drop25 8 out", (6, 6), max_iter=2, random_state=0).fit(X, NAMES),
    "convnet_colour": lambda: ConvNetClassifier(
        "bn c6k3p1 bn ( c6k3p1 bn c6k3p1 bn ) ( c8k3s2p1 bn c8k3p1 bn ) gap out", (3, 4, 3), max_iter=2, random_state=0
    ).fit(X, np.arange(40) % 4),
    "convnet_odd": lambda: ConvNetClassifier(
        ["c4k3s2p1d1", "ln", "gelu", "a2s1p1", "c4k3p2d2g2", "leaky_relu", "drop10", 7, "ln", "tanh", ["7"], "out"],
        (6, 6), max_iter=2, random_state=np.random.RandomState(3), standardize=False, class_weight={0: 2.0, 1: 1.0},
    ).fit(X, np.arange(40) % 2),
    "classifier": lambda: MLPClassifier((5, 4), max_iter=3, random_state=0).fit(X, NAMES),
    "two_classes": lambda: MLPClassifier((5,), activation="tanh", max_iter=3, random_state=0).fit(X, NAMES == "no"),
    "several_labels": lambda: MLPClassifier((5,), activation="logistic", max_iter=3, random_state=0).fit(X, SEVERAL),
    "regressor": lambda: MLPRegressor(hidden_layer_sizes=(5,), activation="identity", max_iter=3).fit(X, X[:, 0]),
    "two_outputs": lambda: MLPRegressor(hidden_layer_sizes=(5,), max_iter=3).fit(*(a.astype(float) for a in (X, X[:, :2]))),
    "poisson": lambda: MLPRegressor(hidden_layer_sizes=(5,), loss="poisson", max_iter=3, random_state=0).fit(X, X[:, 0]),
}  # fmt: skip
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def answers(model) -> list[np.ndarray]:
    return [model.predict(X), *([model.predict_proba(X)] if hasattr(model, "predict_proba") else [])]


@pytest.mark.parametrize("name", FITTED)
def test_what_comes_back_is_what_was_saved(name, tmp_path):
    model = FITTED[name]()
    model.save(tmp_path / "model.safetensors")
    twin = type(model).load(tmp_path / "model.safetensors")
    for expected, actual in zip(answers(model), answers(twin), strict=True):
        assert expected.dtype == actual.dtype
        np.testing.assert_array_equal(expected, actual)
    assert twin.get_params().keys() == model.get_params().keys()
    assert (twin.n_iter_, twin.loss_curve_, twin.n_features_in_) == (model.n_iter_, model.loss_curve_, model.n_features_in_)
    y = {"several_labels": SEVERAL, "two_outputs": X[:, :2]}.get(name)
    if y is None:
        y = X[:, 0] if name in ("regressor", "poisson") else model.classes_[np.arange(40) % len(model.classes_)]
    twin.partial_fit(X, y)
    twin.fit(X, y)


def test_what_was_never_fitted_cannot_be_saved(tmp_path):
    for write in ("save", "to_onnx"):
        with pytest.raises(NotFittedError):
            getattr(ConvNetClassifier(), write)(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "other_class", "no_model", "parameter", "method"])
def test_files_that_are_no_model(damage, tmp_path):
    path = tmp_path / "model.safetensors"
    FITTED["classifier"]().save(path)
    content = path.read_bytes()
    if damage in ("cut", "empty", "text"):
        path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "text": b"hello, world, how are you"}[damage])
    elif damage == "other_class":
        FITTED["regressor"]().save(path)
    else:
        arrays, metadata = checkpoints.read_file(path)
        inside = json.loads(metadata["content"])
        if damage == "parameter":
            inside["parameters"]["evil"] = 1
        elif damage == "method":
            inside["attributes"]["predict"] = 1
        else:
            metadata["format"] = "something else"
        checkpoints.write_file(path, {**metadata, "content": json.dumps(inside)}, arrays)
    expected = {
        "other_class": "holds a MLPRegressor; load it with", "no_model": "no saved model", "parameter": "evil",
        "method": "would set 'predict'",
    }.get(damage, "safetensors")
    with pytest.raises(ValueError, match=expected):
        MLPClassifier.load(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        MLPClassifier.load(tmp_path / "model.safetensors")


@pytest.mark.peers
@pytest.mark.parametrize("name", FITTED)
def test_another_runtime_agrees(name, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    model = FITTED[name]()
    model.to_onnx(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    [actual] = session.run(["output"], {"x": X.astype(model.coefs_[0].dtype)})
    expected = model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)
    if name == "two_classes":
        expected = expected[:, 1]
    np.testing.assert_allclose(actual.reshape(expected.shape), expected, rtol=1e-4, atol=1e-6)
    classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
    assert classes == getattr(model, "classes_", np.array([])).tolist()


def test_summary_counts_what_there_is():
    model = FITTED["convnet_colour"]()
    lines = model.summary().splitlines()
    total = sum(a.size for a in (*model.coefs_, *model.intercepts_))
    assert f"{total:,}" in lines[-1] and len({len(line) for line in lines}) == 1 and len(lines[0]) <= 100
