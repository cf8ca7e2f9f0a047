"""One implementation trains in a process of its own: ``python -m bench.studies.compute.child``, JSON in, JSON out.

Instruction set and threads are chosen by the environment that the process is started with. The clock runs while an epoch is
trained; loading, compiling, warming up and testing stand outside of it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

MOST_EPOCHS = 200


def train(job: dict[str, Any]) -> dict[str, Any]:
    """Train until the target or the last epoch; return seconds and accuracy of each epoch."""
    with np.load(job["data"], allow_pickle=False) as kept:
        data = dict(kept)
    setup = {"loops": _loops, "torch": _torch}.get(job["kind"], _ours)
    begun = time.perf_counter()
    epoch, predict = setup(job, data)
    ready = time.perf_counter() - begun
    seconds, accuracy = [], []
    for _ in range(job["epochs"] or MOST_EPOCHS):
        start = time.perf_counter()
        epoch()
        seconds.append(time.perf_counter() - start)
        accuracy.append(float(np.mean(predict() == data["y_test"])))
        if accuracy[-1] >= job["target"]:
            break
    return {"seconds": seconds, "accuracy": accuracy, "ready_s": ready}


Epoch = tuple[Callable[[], Any], Callable[[], np.ndarray]]


def _model(job: dict[str, Any], backend: str) -> Any:
    from models import MLPClassifier

    return MLPClassifier(
        (job["hidden"],), solver="sgd", momentum=0.0, nesterovs_momentum=False, alpha=0.0, learning_rate_init=job["rate"],
        batch_size=job["batch"], shuffle=False, random_state=job["seed"], backend=backend, n_jobs=job["threads"],
    )  # fmt: skip


def _ours(job: dict[str, Any], data: dict[str, np.ndarray]) -> Epoch:
    X, y = data["X_train"], data["y_train"]
    classes = np.unique(y)
    for _ in range(2):  # the first compiles what is compiled when it is first called
        _model(job, job["kind"]).partial_fit(X, y, classes=classes).predict(data["X_test"])
    model = _model(job, job["kind"])
    return lambda: model.partial_fit(X, y, classes=classes), lambda: model.predict(data["X_test"])


def _start(job: dict[str, Any], data: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Return the weights that all implementations start from: w1, b1, w2, b2."""
    model = _model(job, "reference").set_params(learning_rate_init=1e-30)
    model.partial_fit(data["X_train"][: job["batch"]], data["y_train"][: job["batch"]], classes=np.unique(data["y_train"]))
    return [model.coefs_[0], model.intercepts_[0], model.coefs_[1], model.intercepts_[1]]


def _loops(job: dict[str, Any], data: dict[str, np.ndarray]) -> Epoch:
    from bench.studies.compute import loops

    weights = tuple(a.astype(float).tolist() for a in _start(job, data))
    X, y, X_test = (data[name].tolist() for name in ("X_train", "y_train", "X_test"))

    def epoch() -> None:
        for at in range(0, len(X), job["batch"]):
            loops.step(X[at : at + job["batch"]], y[at : at + job["batch"]], weights, job["rate"])

    return epoch, lambda: np.array([int(np.argmax(loops.scores(x, weights)[1])) for x in X_test])


def _torch(job: dict[str, Any], data: dict[str, np.ndarray]) -> Epoch:
    import torch

    torch.set_num_threads(job["threads"])
    w1, b1, w2, b2 = (torch.tensor(a, dtype=torch.float32) for a in _start(job, data))

    def fresh() -> tuple[Any, Any]:
        net = torch.nn.Sequential(torch.nn.Linear(*w1.shape), torch.nn.ReLU(), torch.nn.Linear(*w2.shape))
        with torch.no_grad():
            for parameter, value in zip(net.parameters(), (w1.T, b1, w2.T, b2), strict=True):
                parameter.copy_(value)
        return net, torch.optim.SGD(net.parameters(), lr=job["rate"])

    X, y = torch.tensor(data["X_train"]), torch.tensor(data["y_train"])
    X_test, loss = torch.tensor(data["X_test"]), torch.nn.CrossEntropyLoss()

    def epoch(net: Any, optimizer: Any) -> None:
        for at in range(0, len(X), job["batch"]):
            optimizer.zero_grad()
            loss(net(X[at : at + job["batch"]]), y[at : at + job["batch"]]).backward()
            optimizer.step()

    def predict(net: Any) -> np.ndarray:
        with torch.no_grad():
            return net(X_test).argmax(dim=1).numpy()

    epoch(*fresh())
    net, optimizer = fresh()
    return lambda: epoch(net, optimizer), lambda: predict(net)


if __name__ == "__main__":
    sys.stdout.write(json.dumps([train(job) for job in json.load(sys.stdin)]))
