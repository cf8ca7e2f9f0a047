"""The framework of studies: parts survive an interruption, one that fails costs no other, bad input is answered."""

import re
from dataclasses import replace

import altair as alt
import numpy as np
import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.errors import InputError
from bench.studies import catalog, charts, findings, runner, writing
from bench.studies.context import Context
from bench.studies.entry import Figure, Study, Table, Verdict
from bench.studies.variants import FirstSamples, Variant, balanced_order, variant

CALLS = []


def measure(ctx):
    def square(i):
        CALLS.append(i)
        if ctx.settings.get("fails") == i:
            raise ctx.settings["error"]
        return i * i

    return {"rows": [{"i": i, "value": v} for i, v in enumerate(ctx.map("square", square, range(3)))]}


def a_study(name="demo", **changes):
    def figures(m):
        return [Figure("f", "A figure", "Three bars, each a square.", alt.Chart(alt.Data(values=m["rows"])).mark_bar())]

    made = Study(
        name=name, question="Does it?", claim="It does.", source="Nobody 2020", refuted_if="It does not.",
        method="It is tried.", presets={preset: {} for preset in ("XS", "S", "M", "L")}, measure=measure,
        verdict=lambda m: Verdict("supported", f"{len(m['rows'])} values.", "1 to 2", "f"),
        tables=lambda m: [Table("Values", ["i", "value"], [[str(r["i"]), str(r["value"])] for r in m["rows"]])],
        figures=figures, examples=dict,
    )  # fmt: skip
    return replace(made, **changes)


def failing(error, name="demo"):
    def measure_and_fail(ctx):
        ctx.settings = {"fails": 2, "error": error}
        return measure(ctx)

    measure_and_fail.__module__ = __name__
    return a_study(name, measure=measure_and_fail)


@pytest.fixture(autouse=True)
def no_calls_yet():
    CALLS.clear()


def test_an_interrupted_study_goes_on_behind_its_last_part(tmp_path):
    contexts = [Context("demo", "S", {}, tmp_path, b"code") for _ in range(2)]

    def interrupted(i):
        if i == 2:
            raise KeyboardInterrupt
        return i

    with pytest.raises(KeyboardInterrupt):
        contexts[0].map("m", interrupted, range(4))
    assert contexts[1].map("m", lambda i: -i, range(4)) == [0, 1, -2, -3]
    assert contexts[1].n_kept == 2


@pytest.mark.parametrize("other", [{"code": b"other"}, {"preset": "M"}, {"settings": {"n": 2}}])
def test_parts_of_other_code_or_settings_are_not_taken_up(tmp_path, other):
    def context(code=b"code", preset="S", settings=None):
        return Context("demo", preset, settings or {}, tmp_path, code)

    assert context().part("p", lambda: 1) == 1
    assert context(**other).part("p", lambda: 2) == 2
    assert context().part("p", lambda: 3) == 1


def test_arrays_come_back_as_they_were(tmp_path):
    kept = {"a": np.arange(3, dtype=np.float32), "b": np.array(["x"])}
    for make in (lambda: kept, dict):
        found = Context("demo", "S", {}, tmp_path, b"").arrays("p", make)
        assert all(np.array_equal(found[k], v) and found[k].dtype == v.dtype for k, v in kept.items())


def test_measurements_that_are_not_finite_are_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        Context("demo", "S", {}, tmp_path, b"").part("p", lambda: float("nan"))
    assert not list(tmp_path.glob("*.json"))


def test_one_that_fails_costs_no_other(tmp_path, capsys):
    studies = [
        a_study("first"), failing(InputError("fetch it: depthbench data fetch x"), "second"),
        failing(ZeroDivisionError("no"), "third"), a_study("fourth"),
    ]  # fmt: skip
    failed = runner.run_all(studies, "S", tmp_path, ["x"], runner.Teller())
    assert failed == {"second": "fetch it: depthbench data fetch x", "third": "ZeroDivisionError: no"}
    page = runner.write_page(tmp_path, studies, failed).read_text()
    assert "fetch it: depthbench data fetch x" in page and page.count('<article class="study"') == 2
    assert "Traceback" in capsys.readouterr().err
    assert not (tmp_path / runner.PROGRESS).exists()


def test_all_passes_over_what_an_interrupted_start_finished(tmp_path):
    studies = [a_study("first"), failing(KeyboardInterrupt(), "second")]
    with pytest.raises(KeyboardInterrupt):
        runner.run_all(studies, "S", tmp_path, ["x"], runner.Teller())
    assert CALLS == [0, 1, 2, 0, 1, 2]
    CALLS.clear()
    assert runner.run_all([a_study("first"), a_study("second")], "S", tmp_path, ["x"], runner.Teller()) == {}
    assert CALLS == [2], "the first was not run again, and of the second only what was not there"
    CALLS.clear()
    runner.run_all([a_study("first")], "S", tmp_path, ["x"], runner.Teller())
    assert len(CALLS) == 3, "a finished `all` begins anew"


def test_a_verdict_must_refer_to_a_figure_that_is_there():
    study = a_study(verdict=lambda m: Verdict("refuted", "1.", "1 to 2", "elsewhere"))
    with pytest.raises(ValueError, match="elsewhere"):
        _ = writing.finished(study, {"rows": []}, {"preset": "S"}).sentence
    with pytest.raises(ValueError, match="outcome"):
        Verdict("maybe", "", "", "")


def test_the_page_escapes_what_it_is_told(tmp_path):
    study = a_study(question="<script>alert(1)</script>?", figures=lambda m: [
        Figure("f", "</script>", "<img src=x onerror=alert(1)>", alt.Chart(alt.Data(values=[{"a": "</script><b>"}])).mark_bar())
    ])  # fmt: skip
    runner.run_study(study, "S", tmp_path / "demo", ["x"], runner.Teller())
    page = runner.write_page(tmp_path, [study]).read_text()
    assert "<script>alert" not in page and "<img src=x" not in page and "</script><b>" not in page


def test_no_two_parts_of_the_page_have_one_name(tmp_path):
    """A study may be called as a part of the page would be: "data"."""
    from bench.studies.page import to_html

    found = [writing.finished(s, s.examples()["supported"], {"preset": "XS", "seconds": 1}) for s in catalog.STUDIES]
    page = to_html(found, {})
    ids = re.findall(r'\sid="([^"]+)"', re.sub(r"<script.*?</script>", lambda m: m[0].partition(">")[0], page, flags=re.DOTALL))
    assert len(ids) == len(set(ids)) and {"data", "chart-data"} <= set(ids)


def command(*arguments):
    return CliRunner().invoke(app, ["study", *arguments])


def test_an_unknown_study_is_answered_with_the_list():
    result = command("depht")
    assert result.exit_code == 2
    assert "unknown study 'depht'" in result.stderr
    assert all(study.question in result.stderr for study in catalog.STUDIES)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("starts", "--preset", "Q"), "unknown preset 'Q'"), (("starts", "-o", __file__), "cannot write to")],
)
def test_bad_input(arguments, words):
    result = command(*arguments)
    assert (result.exit_code, words in result.stderr) == (2, True)


def test_redrawing_measures_nothing(tmp_path, monkeypatch):
    study = a_study()
    monkeypatch.setattr(catalog, "STUDIES", (study,))
    runner.run_study(study, "S", tmp_path / "demo", ["x"], runner.Teller())
    before = {path: path.read_bytes() for path in sorted((tmp_path / "demo").rglob("*")) if path.is_file()}
    CALLS.clear()
    for path in before:
        if path.name != writing.STUDY:
            path.unlink()
    result = command("all", "--redraw", "-o", str(tmp_path))
    assert result.exit_code == 0 and not CALLS
    assert {path: path.read_bytes() for path in before} == before
    assert "Does it?" in (tmp_path / runner.PAGE).read_text()
    result = command("demo", "--redraw", "-o", str(tmp_path / "elsewhere"))
    assert result.exit_code == 2 and "no study.json of demo in" in result.stderr


def test_without_a_name_the_studies_are_listed():
    result = command()
    assert result.exit_code == 0 and all(study.question in result.stdout for study in catalog.STUDIES)


def test_data_that_are_not_there_are_asked_for(tmp_path, monkeypatch):
    from bench.datasets import cache

    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "nothing"))

    def no_network(*args, **kwargs):
        raise InputError("cannot be had; put it there by hand")

    monkeypatch.setattr(cache, "locate", no_network)
    with pytest.raises(InputError, match="by hand"):
        Context("demo", "S", {}, tmp_path, b"").data("fashion_mnist")
    with pytest.raises(InputError, match=r"pip install 'depthbench\[peers\]'"):
        Context.require("no_such_module_here", "peers")


def test_cells_are_the_harness_rows(tmp_path):
    """Also of variants; in this process and in a worker the scores are the same."""
    rows = {}
    for preset in ("XS", "S"):
        ctx = Context("demo", preset, {}, tmp_path / preset, b"")
        rows[preset] = ctx.cells("c", datasets=["digits@S"], models=["lda", "bench.studies.centroid:tiny"], folds=3)
        assert ctx.used["digits@S"]["n_samples"] == 1000
    assert sorted((r["fold"], r["model"]) for r in rows["S"]) == [(f, m) for f in range(3) for m in ("lda", "tiny")]
    assert [r["accuracy"] for r in rows["XS"]] == [r["accuracy"] for r in rows["S"]]
    assert {r["status"] for r in rows["S"]} == {"ok"} and rows["S"][0]["x_train_sha256"] == rows["XS"][0]["x_train_sha256"]
    gain = findings.compare(findings.only(rows["S"], model="lda"), findings.only(rows["S"], model="tiny"))
    assert gain.n == 3 and gain.low < gain.difference < gain.high


def test_larger_draws_contain_the_smaller():
    y = np.repeat([0, 1, 2], [50, 30, 5])
    order = balanced_order(y, 3)
    assert sorted(order) == list(range(85))
    assert set(y[order[:3]]) == {0, 1, 2} and np.bincount(y[order[:15]]).tolist() == [5, 5, 5]
    few = FirstSamples(Variant("lda")(), 1000).fit(np.eye(85), y)
    assert few.n_used_ == 85


def test_an_unknown_variant_is_no_attribute():
    assert variant({"a": Variant("lda")}, "a").estimator == "lda"
    with pytest.raises(AttributeError):
        variant({}, "__path__")


def test_a_variant_takes_what_its_estimator_takes():
    import inspect

    def takes(v):
        return list(inspect.signature(v).parameters)

    assert takes(Variant("models:ConvNetClassifier")) == ["seed", "n_threads", "backend", "image_shape"]
    assert takes(Variant("lda")) == [] and takes(Variant("sklearn.svm:SVC")) == ["seed"]
    assert Variant("mlp_100", {"max_iter": 3})(seed=1, n_threads=1, backend="reference").max_iter == 3
    assert Variant("mlp_100").family == "deep" and Variant("lda").family == "classical"


@pytest.mark.parametrize("signed", [False, True])
def test_pictures_are_what_they_show(signed):
    import base64
    import io

    from PIL import Image

    image = np.array([[-1.0, 0.0], [0.5, 1.0]])
    found = np.asarray(Image.open(io.BytesIO(base64.b64decode(charts.png(image, signed=signed)))))
    if signed:
        assert found[0, 1].tolist() == [255, 255, 255] and found[0, 0, 2] > found[0, 0, 0] and found[1, 1, 0] > found[1, 1, 2]
    else:
        assert found.tolist() == [[0, 128], [191, 255]]
