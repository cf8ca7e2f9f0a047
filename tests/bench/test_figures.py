"""Charts: what is on the Pareto front, colours, file names, and that what they draw is a picture."""

import struct
from dataclasses import replace

import pytest

from bench.cell import Row
from bench.figures import charts, draw, run_charts, slugs
from bench.figures.classes import class_names, confused, confusion
from bench.figures.curves import lines
from bench.figures.scores import points, shade
from bench.figures.theme import with_theme
from bench.report.content import make
from bench.store import Run


def report_of(*contestants, metric="accuracy"):
    """Build a report of (model, score, seconds to fit) with three folds each."""
    rows = [
        Row(
            "d",
            "raw",
            model,
            "x",
            1,
            0,
            fold,
            0,
            "ok",
            time_fit_s=fit_s,
            n_test=100,
            family="classical",
            **{metric: score},
        )
        for model, score, fit_s in contestants
        for fold in range(3)
    ]
    return make(Run("run", None, {}, rows))


@pytest.mark.parametrize(
    ("contestants", "front"),
    [
        ([("a", 0.9, 1.0), ("b", 0.8, 2.0)], {"a"}),
        ([("a", 0.9, 2.0), ("b", 0.8, 1.0)], {"a", "b"}),
        ([("a", 0.9, 1.0), ("b", 0.9, 2.0)], {"a"}),
        ([("a", 0.9, 3.0), ("b", 0.95, 2.0), ("c", 0.7, 0.1), ("d", 0.6, 0.2)], {"b", "c"}),
    ],
)
def test_pareto_front(contestants, front):
    (section,) = report_of(*contestants).sections
    assert {p["model"] for p in points(section) if p["front"]} == front


def test_the_time_to_train_includes_the_features():
    rows = [Row("d", "hog", "a", "x", 1, 0, 0, 0, "ok", accuracy=0.9, time_fit_s=1.0, time_features_s=2.0)]
    (section,) = make(Run("run", None, {}, rows)).sections
    assert points(section)[0]["train_s"] == 3.0


def test_a_perfect_score_has_a_place_on_a_log_axis():
    (section,) = report_of(("a", 1.0, 1.0)).sections
    assert points(section)[0]["y"] > 0


def test_shade_rises_with_the_score_and_stays_within_0_and_1():
    cells = [next(iter(report_of(("a", s, 1.0)).sections[0].table.cells.values())) for s in (0.0, 0.1, 0.5, 0.9, 0.99, 1.0)]
    shades = [shade(c) for c in cells]
    assert shades == sorted(shades) and shades[0] == 0.0 and shades[-1] == 1.0


@pytest.mark.parametrize("metric", ["accuracy", "r2"])
def test_each_chart_becomes_svg_and_png(metric):
    files = draw(report_of(("a", 0.9, 1.0), ("<b>", 0.8, 0.5), metric=metric))
    assert set(files) == {f"d-{chart}.{kind}" for chart in ("heatmap", "pareto") for kind in ("svg", "png")}
    for name, content in files.items():
        if name.endswith("svg"):
            text = content.decode()
            assert text.startswith("<svg") and "&lt;b&gt;" in text and "<b>" not in text
        else:
            assert content.startswith(b"\x89PNG")
            width, height = struct.unpack(">II", content[16:24])
            assert width > 100 and height > 100


def test_nothing_measured_no_charts():
    rows = [Row("d", "raw", "a", "x", 1, 0, 0, 0, "failed", message="no")]
    (section,) = make(Run("run", None, {}, rows)).sections
    assert charts(section) == {}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["../../etc/passwd"], ["etc_passwd"]),
        (["a", "a!", "a?"], ["a", "a-2", "a-3"]),
        (["", "é"], ["dataset", "dataset-2"]),
    ],
)
def test_file_names_stay_in_the_folder_and_apart(names, expected):
    assert slugs(names) == expected


def test_themes_differ_and_leave_the_data_alone():
    (section,) = report_of(("a", 0.9, 1.0)).sections
    spec = charts(section)["pareto"].spec()
    light, dark = with_theme(spec, "light"), with_theme(spec, "dark")
    assert light["config"] != dark["config"]
    assert {k: v for k, v in light.items() if k != "config"} == {k: v for k, v in dark.items() if k != "config"}


@pytest.mark.parametrize("metric", ["accuracy", "r2"])
def test_every_chart_is_valid_vega_lite_and_has_its_numbers(metric, rich_report):
    """Altair's schema, which making a report does without: it would take most of the time."""
    report = rich_report(metric)
    found = {**charts(report.sections[0]), **run_charts(report)}
    expected = {"heatmap", "pareto", "time", "learning", "loss", "samples-d"}
    classes = {"confusion_deep", "confusion_classical", "reliability"}
    assert set(found) == expected | (classes if metric == "accuracy" else set())
    for chart in found.values():
        assert chart.chart.to_dict(validate=True)["$schema"]
        assert chart.rows and all(len(row) == len(chart.header) for row in chart.rows), chart.name
        assert all(isinstance(word, str) for row in chart.rows for word in row), chart.name


def test_every_chart_is_drawn_as_svg_and_png(rich_report):
    report = rich_report("accuracy")
    files = draw(report)
    names = {f"d-{name}" for name in charts(report.sections[0])} | {"d_S-heatmap", "all-samples-d"}
    assert names <= {name.rpartition(".")[0] for name in files}
    assert {name.rpartition(".")[2] for name in files} == {"svg", "png"}
    assert all(len(content) < 150_000 for content in files.values())


@pytest.fixture
def rich_report():
    """A data set in two sizes; a network with curves, a classical model, probabilities and confusions."""

    def build(metric):
        rows = []
        for dataset, n_train, loss in (("d", 400, 0.0), ("d@S", 100, 0.05)):
            for fold in range(3):
                common = dict(
                    dataset=dataset, feature_set="raw", threads=1, repeat=0, fold=fold, seed=0, status="ok", n_test=100,
                    n_train=n_train, time_features_s=0.1,
                )  # fmt: skip
                if metric == "accuracy":
                    bins = [[9, 40, 0.62, 0.5], [14, 60, 0.98, 1.0]]
                    calibration = {"n_bins": 15, "ece": 0.1, "bins": bins}
                    common |= {"confusion": [[45, 5], [15, 35]], "calibration": calibration}
                scores = [0.5, 0.7, 0.88 + fold / 100]
                curve = {"epoch": [1, 2, 4], "time_s": [0.5, 1.0, 2.0], "loss": [2.0, 1.0, 0.5], "score": scores}
                lda = {"model": "lda", "backend": "sklearn", "family": "classical", "time_fit_s": 0.2, metric: 0.9 - loss}
                mlp = {"model": "mlp_100", "backend": "cython", "family": "deep", "time_fit_s": 2.5, "curve": curve}
                rows += [Row(**lda, **common), Row(**mlp, n_epochs=5, **{metric: 0.92 - loss}, **common)]
        return make(Run("run", None, {}, rows))

    return build


def test_a_curve_is_the_median_time_and_mean_score_of_the_folds(rich_report):
    (line,) = lines(rich_report("accuracy").sections[0])
    assert (line.name, line.epochs, line.times_s) == ("mlp_100 on raw", (1, 2, 4), (0.5, 1.0, 2.0))
    assert line.scores == pytest.approx((0.5, 0.7, 0.89))


def test_deep_epochs_and_one_shot_fits_stand_on_one_axis(rich_report):
    chart = charts(rich_report("accuracy").sections[0])["time"]
    assert ("mlp_100 on raw", "1", "0.60", "50.0 %") in chart.rows  # features included
    assert ("mlp_100 on raw", "end", "2.6", "92.0 %") in chart.rows  # where the fit ended, later than the last point
    assert ("lda on raw", "one fit", "0.30", "90.0 ±0.0") in chart.rows


def test_epochs_that_not_all_folds_came_to_are_left_out(rich_report):
    report = rich_report("accuracy")
    rows = list(report.run.rows)
    i = next(i for i, row in enumerate(rows) if row.curve)
    rows[i] = replace(rows[i], curve={"epoch": [1, 2], "time_s": [0.1, 0.2], "score": [0.5, 0.6]})
    (line,) = lines(make(Run("run", None, {}, rows)).sections[0])
    assert line.epochs == (1, 2) and line.losses == (None, None)


@pytest.mark.parametrize(
    "value", [3, [], [[1]], [[1, 2]], [[1, 2], [3]], [["1", 2], [3, 4]], [[-1, 2], [3, 4]], [[0.5, 1], [1, 1]]]
)
def test_a_damaged_confusion_matrix_is_passed_over(rich_report, value):
    report = rich_report("accuracy")
    rows = [replace(row, confusion=value) if row.fold == 0 else row for row in report.run.rows]
    summary = make(Run("run", None, {}, rows)).sections[0].table.ranked[0]
    if value != [[1]]:
        assert confusion(summary) == [[90, 10], [30, 70]]
    assert charts(make(Run("run", None, {}, rows)).sections[0])


def test_confusions_over_all_folds_by_how_often(rich_report):
    section = rich_report("accuracy").sections[0]
    matrix = confusion(section.table.ranked[0])
    assert matrix == [[135, 15], [45, 105]]
    assert confused(matrix, ["cat", "dog"]) == [("dog", "cat", 45, 0.3), ("cat", "dog", 15, 0.1)]


@pytest.mark.parametrize(
    ("classes", "expected"),
    [(("cat", "dog"), ["cat", "dog"]), (("cat",), ["0", "1"]), (("x", "x"), ["0", "1"]), ((), ["0", "1"])],
)
def test_classes_have_their_names_where_these_are_known(rich_report, classes, expected):
    assert class_names(replace(rich_report("accuracy").sections[0], classes=classes), 2) == expected
