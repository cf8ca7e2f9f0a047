"""What statistics add to a report: blocks in Markdown and on a terminal, numbers in JSON, --statistics, --under."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from rich.console import Console

from bench import predictions, report
from bench.cell import Row
from bench.cli import main
from bench.report import content, numbers, terminal
from bench.report.blocks import Block
from bench.report.text import to_markdown
from bench.store import Run

MODELS = {"nearest_centroid": 0.86, "lda": 0.90, "svc_rbf": 0.94, "mlp_100": 0.945}
BACKENDS = {"mlp_100": ("cython", "numba")}


def rows_of(datasets=("d1",), failed=(), n_folds=6, n_test=200):
    rng = np.random.default_rng(0)
    rows = []
    for dataset in datasets:
        for fold in range(n_folds):
            hard = rng.random(n_test)
            for features, gain in (("raw", 0.0), ("pca", 0.02)):
                for model, mean in MODELS.items():
                    right = hard < mean + gain + rng.normal(0, 0.004)
                    for backend in BACKENDS.get(model, ("sklearn",)):
                        rows.append(row(dataset, features, model, backend, fold, right, (dataset, model, fold) in failed))
    return rows


def row(dataset, features, model, backend, fold, right, is_failed):
    family = "deep" if model in BACKENDS else "classical"
    if is_failed:
        return Row(dataset, features, model, backend, 1, 0, fold, 0, "timeout", family=family, message="over 1 s")
    y_test = np.arange(len(right)) % 10
    packed = predictions.pack(np.where(right, y_test, (y_test + 1) % 10), y_test, 10)
    return Row(
        dataset, features, model, backend, 1, 0, fold, 0, "ok", family=family, accuracy=float(np.mean(right)),
        n_train=1000, n_test=len(right), n_classes=10, predictions=packed, y_sha256=dataset,
        split_sha256=f"{dataset} {fold}", time_fit_s=0.1, time_predict_s=0.01, time_predict_one_s=0.0005,
    )  # fmt: skip


def made(rows, tmp_path, **options):
    return content.make(Run("run", tmp_path, {"run_id": "run"}, rows), **options)


def on_terminal(made_report):
    out = io.StringIO()
    terminal.show(made_report, Console(file=out, width=80))
    return out.getvalue()


def test_one_data_set(tmp_path):
    markdown = to_markdown(made(rows_of(), tmp_path))
    for heading in ("### Features or classifier?", "### Pairs", "### Same seed, other backend"):
        assert heading in markdown
    assert "Backends do not change the answer" in markdown
    assert "What failures do" not in markdown and "## Over" not in markdown and "in probabilities" not in markdown
    assert "of 10 pairs are told apart" in markdown


def test_several_data_sets_are_ranked_and_failures_said(tmp_path):
    sets = tuple(f"d{i}" for i in range(5))
    failed = {("d0", "mlp_100", fold) for fold in range(6)}
    markdown = to_markdown(made(rows_of(sets, failed), tmp_path))
    assert "## Over 5 data sets" in markdown and "Nemenyi" in markdown
    assert "### What failures do to the order" in markdown
    assert "policies for failures" in markdown


def test_statistics_are_added_where_asked_for(tmp_path):
    sets = tuple(f"d{i}" for i in range(5))
    without, with_them = (made(rows_of(sets), tmp_path, statistics=s) for s in (False, True))
    assert "in probabilities" not in to_markdown(without)
    markdown = to_markdown(with_them)
    assert "Against mlp_100 (cython) on pca, in probabilities" in markdown
    assert "Wilcoxon" in markdown and "Bayesian signed ranks" in markdown
    found = numbers.of_run(with_them.overall)
    assert all(0.0 <= line["p_adjusted"] <= 1.0 for line in found["over_datasets"])
    assert set(numbers.of_run(without.overall)) == {"ranks"}


def test_numbers_are_json(tmp_path):
    made_report = made(rows_of(failed={("d1", "lda", 0)}), tmp_path, statistics=True)
    values = json.loads(json.dumps(numbers.of_section(made_report.sections[0]), allow_nan=False))
    assert set(values) == {"factor_split", "pairs", "backends", "ranks", "against_best"}
    gain = values["factor_split"]["gain"]
    assert gain["features"]["difference"] + gain["models"]["difference"] == pytest.approx(gain["total"]["difference"])
    assert values["backends"][0]["predictions"]["n"] == 6 * 200


def test_the_terminal_breaks_no_cell(tmp_path):
    shown = on_terminal(made(rows_of(), tmp_path, statistics=True))
    assert "Features or classifier?" in shown and "in probabilities" in shown
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert "of 10 pairs are told apart" in shown
    assert "Pairs" not in on_terminal(made(rows_of(), tmp_path))  # long: in table.md


def test_what_is_too_wide_for_a_terminal_is_set_in_parts():
    block = Block("pairs", "Pairs", (), ("", *"abcdefghijklmno"), tuple((f"model {i}", *["+11.11"] * 15) for i in range(3)))
    out = io.StringIO()
    terminal.show_block(block, Console(file=out, width=80))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80 and out.getvalue().count("+11.11") == 45
    assert [line.split() for line in lines if "a" in line.split() or "o" in line.split()] == [[*"abcdefghij"], [*"klmno"]]


def stored(folder, rows):
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"schema_version": 1, "run_id": folder.name}))
    (folder / "rows.jsonl").write_text("".join(json.dumps(r.to_dict()) + "\n" for r in rows))
    return folder


@pytest.mark.parametrize(("under", "says"), [("latency=1ms", "limits cost nothing"), ("fit=1ms", "None of 10 contestants")])
def test_the_chooser_answers(tmp_path, under, says):
    assert says in report.choose(stored(tmp_path / "run", rows_of()), under)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--under", "latency=1ms"], 0, "latency at most 1ms"),
        (["--under", "latency=soon"], 2, "expected a number"),
        (["--under", "latency=1ms", "--format", "csv"], 2, "not as csv"),
        (["--statistics", "--format", "md"], 0, "in probabilities"),
    ],
)
def test_the_command(tmp_path, monkeypatch, capsys, arguments, code, says):
    folder = stored(tmp_path / "run", rows_of())
    monkeypatch.setattr("sys.argv", ["depthbench", "report", str(folder), *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert (ended.value.code or 0) == code
    assert says in " ".join((out + err).split())
