"""Charts: what is on the Pareto front, colours, file names, and that what they draw is a picture."""

import struct

import pytest

from bench.cell import Row
from bench.figures import charts, draw, points, shade, slugs, with_theme
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
    cells = [
        next(iter(report_of(("a", s, 1.0)).sections[0].table.cells.values())) for s in (0.0, 0.1, 0.5, 0.9, 0.99, 1.0)
    ]
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
    spec = charts(section)["pareto"].to_dict()
    light, dark = with_theme(spec, "light"), with_theme(spec, "dark")
    assert light["config"] != dark["config"]
    assert {k: v for k, v in light.items() if k != "config"} == {k: v for k, v in dark.items() if k != "config"}
