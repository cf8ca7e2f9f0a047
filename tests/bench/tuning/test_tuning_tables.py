"""Default and tuned side by side: in the summary, in every format, beside each other, behind each other in simplicity."""

import json
from dataclasses import replace

import pytest

from bench.cell import IDENTITY, Cell, Row
from bench.names import is_tuned, tuned, untuned
from bench.plan import DatasetInfo, OwnModel, family, plan, reason_to_skip, with_tuned
from bench.report import print_table, render, write_report
from bench.report.shell import block_of
from bench.simplicity import simplicity
from bench.statistics import compare_paired
from bench.suite import Suite, validated
from bench.tables import build_tables
from bench.tuning.summary import params_words, tuning_lines, without_space
from bench.tuning.trials import TrialLog
from bench.verdict import judge

FOLDS = 5
DEFAULT = [0.90, 0.91, 0.89, 0.92, 0.90]
TUNED = [0.93, 0.92, 0.93, 0.94, 0.92]


def row(model="svc_rbf", feature_set="raw", fold=0, accuracy=0.9, **changes):
    values = dict(
        dataset="d", feature_set=feature_set, model=model, backend="sklearn", threads=1, repeat=0, fold=fold, seed=0,
        status="ok", family="classical", accuracy=accuracy, n_train=80, n_test=20, time_fit_s=0.1, time_predict_s=0.01,
        x_train_sha256=f"{feature_set}-train-{fold}", x_test_sha256=f"{feature_set}-test-{fold}", y_sha256=f"y-{fold}",
        split_sha256=f"split-{fold}",
    )  # fmt: skip
    if is_tuned(model):
        values |= dict(tuned_params={"C": 1.5 + fold}, time_tune_s=2.0 + fold, n_trials=8, n_configurations=4 + fold % 2)
    return Row(**{**values, **changes})


def rows(default=DEFAULT, searched=TUNED):
    found = [row("dummy", fold=i, accuracy=0.5) for i in range(FOLDS)]
    found += [row(fold=i, accuracy=a) for i, a in enumerate(default)]
    return found + [row("svc_rbf+tuned", fold=i, accuracy=a) for i, a in enumerate(searched)]


def trials(fold):
    seconds = {"time_fit_s": 0.25, "time_predict_s": 0.25}
    return [
        {"configuration": 0, "rung": 0, "inner_fold": 0, "params": {"C": 10.0}, "status": "ok", "score": 0.8, **seconds},
        {"configuration": 0, "rung": 1, "inner_fold": 1, "params": {"C": 10.0}, "status": "ok", "score": 0.6, **seconds},
        {"configuration": 1, "rung": 0, "inner_fold": 0, "params": {"C": 1.5 + fold}, "status": "ok", "score": 0.9},
        {"configuration": 2, "rung": 0, "inner_fold": 0, "params": {"C": 1e9}, "status": "failed", "message": "<b>no</b>"},
    ]


def write(folder, found, suite=None):
    folder.mkdir()
    suite = suite or {"name": "s", "models": ["dummy", "svc_rbf"], "tune": 4}
    (folder / "run.json").write_text(json.dumps({"schema_version": 1, "run_id": "r", "utc_end": "x", "suite": suite}))
    (folder / "rows.jsonl").write_text("".join(json.dumps(r.to_dict()) + "\n" for r in found))
    log = TrialLog(folder)
    for r in found:
        if is_tuned(r.model):
            for trial in trials(r.fold):
                log.append(Cell(*r.identity), trial)
    return folder


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "run", rows())


# -- the summary


def test_a_line_compares_tuned_with_default_by_the_corrected_test():
    [line] = tuning_lines(build_tables(rows())[0])
    assert line.comparison == compare_paired(TUNED, DEFAULT, 0.25, n_test=20)
    assert (line.label, line.feature_set) == ("svc_rbf", "raw")
    assert (line.n_configurations, line.n_trials, line.time_tune_s) == ((4, 5), (8, 8), 4.0)
    assert line.chosen[1] == ("fold 1", "C=2.5")


def test_only_folds_that_both_finished_are_compared():
    found = [r for r in rows() if not (r.model == "svc_rbf" and r.fold == 2)]
    found.append(row(fold=2, accuracy=None, status="failed", message="no"))
    [line] = tuning_lines(build_tables(found)[0])
    assert line.comparison.n == 4


@pytest.mark.parametrize("gone", ["svc_rbf", "nothing in common"])
def test_without_a_default_there_is_no_difference(gone):
    found = [r for r in rows() if r.model != "svc_rbf"]
    if gone == "nothing in common":
        found += [row(fold=i, accuracy=None, status="failed", message="no") for i in range(FOLDS)]
    [line] = tuning_lines(build_tables(found)[0])
    assert line.comparison is None and line.tuned.mean == pytest.approx(0.928)


def test_what_was_skipped_is_no_line():
    found = rows() + [row("qda+tuned", fold=i, accuracy=None, status="skipped", message="no") for i in range(FOLDS)]
    assert [line.label for line in tuning_lines(build_tables(found)[0])] == ["svc_rbf"]


def test_who_has_no_space_is_named_where_others_were_tuned():
    assert without_space(build_tables(rows())[0]) == ["dummy"]
    assert without_space(build_tables(rows()[: 2 * FOLDS])[0]) == []


def test_what_was_tried_is_summed_up_by_configuration():
    identity = row("svc_rbf+tuned").identity
    [line] = tuning_lines(build_tables(rows())[0], {identity: trials(0)})
    default, chosen, failed = line.tried
    assert (default.n_inner_folds, default.score, default.seconds) == (2, pytest.approx(0.7), 1.0)
    assert (chosen.params, chosen.is_chosen, default.is_chosen) == ("C=1.5", True, False)
    assert (failed.status, failed.score, failed.message) == ("failed", None, "<b>no</b>")


def test_that_the_default_was_chosen_is_said():
    found = [replace(r, tuned_params={"C": 10.0}) if r.tuned_params else r for r in rows()]
    [line] = tuning_lines(build_tables(found)[0], {row("svc_rbf+tuned").identity: trials(0)})
    assert line.chosen[:2] == (("fold 0", "C=10 (the default)"), ("fold 1", "C=10"))


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"C": 0.000123456, "n": 3}, "C=0.000123, n=3"),
        ({"w": None, "b": True, "s": "auto"}, "w=None, b=True, s=auto"),
        ({"h": [25, 1.23456]}, "h=(25, 1.23)"),
        ({}, ""),
        (None, ""),
    ],
)
def test_parameters_in_words(params, words):
    assert params_words(params) == words


@pytest.mark.parametrize("change", [{"tuned_params": "C"}, {"time_tune_s": "long"}, {"n_trials": True}])
def test_rows_that_somebody_edited_do_not_break_the_report(tmp_path, change):
    folder = write(tmp_path / "edited", [replace(r, **change) if is_tuned(r.model) else r for r in rows()])
    with open(folder / "tuning.jsonl", "ab") as f:
        identity = dict(zip(IDENTITY, row("svc_rbf+tuned").identity, strict=True))
        for more in ({}, {"configuration": "x"}, {"configuration": 5, "score": "good", "time_fit_s": None, "params": 3}):
            f.write(json.dumps({**identity, **more}).encode() + b"\n")
    for format in ("md", "html", "json", "csv"):
        assert "svc_rbf" in render(folder, format)


# -- formats


def test_markdown_has_the_table_and_what_was_chosen(folder):
    text = render(folder, "md")
    assert "Each search was given 4 configurations" in text and "No search space: dummy." in text
    line = next(line for line in text.splitlines() if line.startswith("| svc_rbf ") and "4 to 5" in line)
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1:4] == ["raw", "90.4", "92.8"] and cells[5:] == ["4 to 5", "8", "4.0"]
    assert cells[4].startswith("+2.40 (") and " to " in cells[4]
    assert "    - fold 4: C=5.5" in text


def test_a_run_without_tuning_has_no_such_table(tmp_path):
    folder = write(tmp_path / "plain", rows()[: 2 * FOLDS], {"name": "s", "models": ["dummy", "svc_rbf"]})
    assert "Tuning" not in render(folder, "md")
    assert 'class="tuning"' not in render(folder, "html")
    assert "tuning" not in json.loads(render(folder, "json"))["datasets"][0]


def test_json_has_it_unrounded(folder):
    [tuning] = json.loads(render(folder, "json"))["datasets"][0]["tuning"]
    assert tuning["model"] == "svc_rbf+tuned" and tuning["tuned_minus_default"]["n"] == FOLDS
    assert [fold["tuned_params"] for fold in tuning["folds"]] == [{"C": 1.5 + i} for i in range(FOLDS)]


def test_csv_has_the_time(folder):
    header, *lines = render(folder, "csv").splitlines()
    place = header.split(",").index("time_tune_s")
    times = {line.split(",")[2]: line.split(",")[place] for line in lines}
    assert times == {"dummy": "", "svc_rbf": "", "svc_rbf+tuned": "4.0"}


def test_the_page_has_the_table_and_all_that_was_tried(folder):
    write_report(folder)
    page = (folder / "report.html").read_text()
    table = page.split('class="tuning"')[1].split("</table>")[0]
    assert "+2.40 (" in table and "<dd>C=5.5</dd>" in table and "5 folds" in table
    assert "<b>no</b>" not in page, "a message is no markup"
    cells = block_of(page, "cells-0")
    [cell] = [cell for cell in cells if "tried" in cell]
    assert cell["name"] == "svc_rbf+tuned on raw"
    assert cell["tried"][0] == ["fold 0", "0 (default)", "C=10", 2, "70.0", "1.0", ""]
    assert cell["tried"][1][1] == "1 ★" and cell["tried"][2][4:] == ["failed", "0", "<b>no</b>"]
    index = cells.index(cell)
    assert f'data-cell="{index}">92.8</button>' in table, "its button opens the right cell"


@pytest.mark.parametrize(("width", "encoding"), [(80, "utf-8"), (200, "utf-8"), (80, "ascii")])
def test_the_terminal_shows_it_within_its_width(folder, width, encoding):
    import io

    from rich.console import Console

    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding=encoding) as out:
        print_table(folder, Console(file=out, width=width, legacy_windows=False))
        out.flush()
        lines = raw.getvalue().decode(encoding).splitlines()
    line = next(line for line in lines if line.startswith("svc_rbf") and "4 to 5" in line)
    assert "90.4" in line and "92.8" in line and "+2.40" in line
    assert max(map(len, lines)) <= width


# -- names, order and plan


def test_names():
    assert tuned("a.b:make") == "a.b:make+tuned" == tuned("a.b:make+tuned")
    assert untuned("lda+tuned") == untuned("lda") == "lda"
    assert [is_tuned(name) for name in ("lda", "lda+tuned", "lda+tuned@S")] == [False, True, False]


@pytest.mark.parametrize(
    ("models", "order"),
    [
        (["lda", "svc_rbf"], ["lda", "lda+tuned", "svc_rbf", "svc_rbf+tuned"]),
        (["svc_rbf", "lda"], ["svc_rbf", "svc_rbf+tuned", "lda", "lda+tuned"]),
        (["svc_rbf+tuned", "lda", "svc_rbf", "lda+tuned"], ["svc_rbf+tuned", "lda", "svc_rbf", "lda+tuned"]),
    ],
)
def test_tuned_stands_behind_its_default_in_tables(models, order):
    names = ["svc_rbf+tuned", "lda+tuned", "lda", "svc_rbf"]
    found = [row(name, fold=i) for name in names for i in range(2)]
    assert [line[0] for line in build_tables(found, {"suite": {"models": models}})[0].lines] == order


def test_tuned_is_less_simple_than_its_default_and_simpler_than_the_next_model():
    names = ["svc_rbf+tuned", "random_forest", "svc_rbf", "knn+tuned", "sklearn_mlp_100+tuned", "mlp_100_100", "mlp_100"]
    # the searched network fits faster than it does untuned; that makes it no simpler
    times = {"sklearn_mlp_100+tuned": 0.001}
    found = [
        row(n, fold=i, time_fit_s=times.get(n, 0.1), family="deep" if n.startswith("mlp") else "classical")
        for n in names
        for i in range(2)
    ]
    order = [s.model for s in sorted(build_tables(found)[0].cells.values(), key=simplicity)]
    networks = ["mlp_100", "sklearn_mlp_100+tuned", "mlp_100_100"]
    assert order == ["knn+tuned", "svc_rbf", "svc_rbf+tuned", "random_forest", *networks]


def test_what_depth_costs_counts_the_search():
    found = rows(searched=[0.99] * FOLDS) + [row("mlp_100", fold=i, family="deep", accuracy=0.8) for i in range(FOLDS)]
    verdict = judge(build_tables(found)[0])
    assert verdict.best_classical.time_train_s == pytest.approx(4.1)
    assert "0.10 s against 4.1 s (0.024 times) to fit, tuning included" in verdict.sentences["cost"]


GOOD = {"name": "t", "datasets": ["iris"], "models": ["dummy", "lda", "my.mod:make"], "folds": 2}
OWN = {"my.mod:make": OwnModel("deep", True, has_space=True)}


@pytest.mark.parametrize(
    ("change", "planned"),
    [
        ({}, ["dummy", "lda", "my.mod:make"]),
        ({"tune": 8}, ["dummy", "lda", "lda+tuned", "my.mod:make", "my.mod:make+tuned"]),
        ({"tune_s": 5.0}, ["dummy", "lda", "lda+tuned", "my.mod:make", "my.mod:make+tuned"]),
        ({"tune": 8, "models": ["lda", "svc_rbf+tuned"]}, ["lda", "svc_rbf+tuned"]),
        ({"tune": 8, "models": "my.mod:make+tuned"}, ["my.mod:make+tuned"]),
    ],
)
def test_who_is_tuned(change, planned):
    suite = validated({**GOOD, **change}, "t.toml")
    assert with_tuned(suite, OWN) == planned
    assert [c.model for c in plan(suite, OWN) if c.fold == 0 and c.backend in ("sklearn", "cython")] == planned


def test_an_own_model_without_a_space_is_not_tuned():
    suite = validated({**GOOD, "tune": 8}, "t.toml")
    own = {"my.mod:make": OwnModel("classical", False)}
    assert with_tuned(suite, own) == ["dummy", "lda", "lda+tuned", "my.mod:make"]


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("dummy+tuned", "dummy declares no search space"),
        ("conv16_32+tuned", "conv16_32 needs images"),
        ("lda+tuned", None),
        ("my.mod:make+tuned", None),
        ("my.mod:other+tuned", "declares no search space"),
    ],
)
def test_what_cannot_be_tuned_has_a_reason(model, reason):
    own = {**OWN, "my.mod:other": OwnModel("classical", False)}
    found = reason_to_skip(Cell("d", "raw", model, "sklearn", 1, 0, 0, 0), DatasetInfo("classification", 100, 64), own)
    assert (found is None) if reason is None else (reason in found)


def test_a_tuned_model_is_of_its_models_family_and_backends():
    assert family("mlp_100+tuned", {}) == family("my.mod:make+tuned", OWN) == "deep"
    suite = Suite(name="t", datasets=["iris"], models=["mlp_100+tuned"], tune=4, backends=["cython", "reference"], folds=2)
    assert {c.backend for c in plan(suite, {})} == {"cython", "reference"}
