"""Do the fast kernels learn as well as the reference? ``python -m bench.learning -o results/learning``

Each network is trained ten times with the Cython kernels and ten times with the NumPy reference, from the same seeds on the
same samples of scikit-learn's digits (enlarged where the network was made for larger images). The accuracies on the
samples that neither saw are compared in pairs. What such a comparison can show is stated with it: the smallest true
difference that ten pairs of this spread would have found in four of five cases.
"""

from __future__ import annotations

import json
import statistics
import time
import warnings
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

#: network -> (samples, epochs, size of the images): few and small enough for the reference, enough to be learned
SETTINGS = {
    "mlp": (1797, 20, 8), "conv16_32": (1797, 12, 8), "lenet5": (1200, 14, 28), "conv32_64": (700, 8, 28),
    "vgg_small": (600, 16, 16),
}  # fmt: skip
#: With the estimators' own rate, some starts of vgg_small on so few samples never leave chance, whatever the backend.
RATES = {"vgg_small": 0.002}
SEEDS, TEST_SHARE = 10, 0.3


def digits_for(network: str, n_samples: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return digits as images (n, size, size, C) with as many channels as a network was made for, or flat for the MLP."""
    from skimage.transform import resize
    from sklearn.datasets import load_digits

    from models.named import BY_NAME

    x, y = load_digits(return_X_y=True)
    x, y = (x[:n_samples] / 16.0).astype(np.float32), y[:n_samples]
    if network == "mlp":
        return x, y
    images = x.reshape(-1, 8, 8)
    if size != 8:
        images = resize(images, (len(images), size, size), order=1).astype(np.float32)
    return np.repeat(images[..., None], BY_NAME[network].made_for[2], axis=3), y


def accuracy(network: str, backend: str, seed: int, n_samples: int, epochs: int, size: int) -> float:
    """Train once and return the accuracy on the samples that were held back."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import train_test_split

    from models import ConvNetClassifier, MLPClassifier

    x, y = digits_for(network, n_samples, size)
    parts = train_test_split(x, y, test_size=TEST_SHARE, random_state=seed, stratify=y)
    common = {"max_iter": epochs, "n_iter_no_change": epochs, "random_state": seed, "backend": backend}
    if network == "mlp":
        model = MLPClassifier((64, 32), **common)
    else:
        rate = {"learning_rate_init": RATES[network]} if network in RATES else {}
        model = ConvNetClassifier(architecture=network, batch_size=32, **rate, **common)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is fixed on purpose
        model.fit(parts[0], parts[2])
    return float(model.score(parts[1], parts[3]))


def compare(network: str, fast: str, n_samples: int, epochs: int, size: int, seeds: int) -> dict:
    """Return the paired comparison of a backend with the reference."""
    from bench.statistics import compare_paired

    scores = {
        backend: [accuracy(network, backend, seed, n_samples, epochs, size) for seed in range(seeds)]
        for backend in (fast, "reference")
    }
    n_test = round(TEST_SHARE * n_samples)
    found = compare_paired(scores[fast], scores["reference"], TEST_SHARE / (1 - TEST_SHARE), n_test=n_test)
    return {
        "network": network, "backend": fast, "n_samples": n_samples, "n_test": n_test, "epochs": epochs, "size": size,
        "seeds": seeds,
        "accuracy": scores, "difference": found.difference, "low": found.low, "high": found.high, "p_value": found.p_value,
        "detectable": found.detectable,
    }  # fmt: skip


def markdown(results: list[dict], command: str, machine: dict) -> str:
    """Return the results as a table."""
    lines = [
        "# Learning with fast kernels and with the reference", "",
        "| network | samples | size | epochs | seeds | reference | fast | difference | 95 % interval | p | detectable |",
        "|---|--:|--:|--:|--:|--:|--:|--:|---|--:|--:|",
    ]  # fmt: skip
    for r in results:
        means = {name: statistics.fmean(values) for name, values in r["accuracy"].items()}
        interval = "-" if r["low"] is None else f"{100 * r['low']:+.2f} .. {100 * r['high']:+.2f}"
        p = "-" if r["p_value"] is None else f"{r['p_value']:.2f}"
        seen = "-" if r["detectable"] is None else f"{100 * r['detectable']:.2f}"
        lines.append(
            f"| {r['network']} | {r['n_samples']} | {r['size']} | {r['epochs']} | {r['seeds']} | {means['reference']:.4f} | "
            f"{means[r['backend']]:.4f} | {100 * r['difference']:+.2f} | {interval} | {p} | {seen} |"
        )
    about = f"Made by `{command}` on {machine['cpu']}, instruction set {machine['isa']}."
    how = (
        "Mean accuracy on held-back digits, differences in points; "
        "the same seeds, samples and starting weights on both sides. Interval and p: "
        "corrected resampled t-test on the pairs. Detectable: the true difference, in points, that these pairs would show with "
        "80 % probability."
    )
    return "\n".join([*lines, "", how, "", about]) + "\n"


def main(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for table.md and learning.json.")],
    networks: Annotated[str, typer.Option(help="Comma-separated.")] = ",".join(SETTINGS),
    backend: Annotated[str, typer.Option("-b", "--backend", help="The fast backend.")] = "cython",
    seeds: Annotated[int, typer.Option(min=3, help="Trainings of each network on each side.")] = SEEDS,
) -> None:
    """Train each network on both backends, and compare what they learned."""
    import sys

    from bench.profiling.machine import cpu_name, instruction_set

    results = []
    for network in networks.split(","):
        start = time.perf_counter()
        results.append(compare(network, backend, *SETTINGS[network], seeds))
        typer.echo(f"{network}: {results[-1]['difference']:+.4f} in {time.perf_counter() - start:.0f} s", err=True)
    machine = {"cpu": cpu_name(), "isa": instruction_set()}
    command = " ".join(["python -m bench.learning", *sys.argv[1:]])
    output.mkdir(parents=True, exist_ok=True)
    values = {"command": command, "machine": machine, "results": results}
    (output / "learning.json").write_text(json.dumps(values, indent=1) + "\n")
    (output / "table.md").write_text(markdown(results, command, machine), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
