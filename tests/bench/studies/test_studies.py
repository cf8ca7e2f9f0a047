"""All studies alike: each verdict gives each outcome on constructed measurements, and each study runs on its XS preset."""

import json
import re

import pytest

from bench.studies import catalog, charts, runner, writing
from bench.studies.context import plain
from bench.studies.entry import OUTCOMES, PRESETS

BY_NAME = {study.name: study for study in catalog.STUDIES}
EXAMPLES = [(name, outcome) for name in BY_NAME for outcome in OUTCOMES]
QUICK = [pytest.param(name, marks=[pytest.mark.slow] if study.slow else []) for name, study in BY_NAME.items()]


@pytest.mark.parametrize("name", BY_NAME)
def test_it_says_what_it_is(name):
    study = BY_NAME[name]
    assert re.fullmatch("[a-z_]+", name) and study.question.endswith("?")
    assert set(study.presets) == set(PRESETS) and set(study.examples()) == set(OUTCOMES)
    for text in (study.claim, study.source, study.refuted_if, study.method, study.limits):
        assert text.strip()
    assert re.search(r"\b(1[89]|20)\d\d\b", study.source), "a source has a year"
    assert json.loads(json.dumps(study.presets))


@pytest.mark.parametrize(("name", "outcome"), EXAMPLES)
def test_verdict_gives_each_outcome(name, outcome):
    study = BY_NAME[name]
    measurements = json.loads(json.dumps(plain(study.examples()[outcome]), allow_nan=False))
    verdict = study.verdict(measurements)
    assert verdict.outcome == outcome
    assert study.verdict(measurements) == verdict, "the same measurements, the same verdict"


@pytest.mark.parametrize("name", BY_NAME)
def test_an_answer_names_number_interval_figure_and_source(name):
    study = BY_NAME[name]
    for outcome in OUTCOMES:
        found = writing.finished(study, study.examples()[outcome], {"preset": "XS"})
        assert re.search(r"\d", found.verdict.answer), "a measured number"
        assert re.search(r"\d.* to .*\d|no interval", found.verdict.interval)
        assert study.source in found.sentence and found.verdict.answer in found.sentence


@pytest.mark.parametrize("name", QUICK)
def test_it_runs_and_writes_all_it_should(name, tmp_path):
    study = BY_NAME[name]
    found = runner.run_study(study, "XS", tmp_path / name, ["depthbench", "study", name], runner.Teller())
    written = json.loads((tmp_path / name / writing.STUDY).read_text())
    assert written["answer"] == found.sentence == (tmp_path / name / writing.ANSWER).read_text().strip()
    assert written["manifest"]["environment"]["packages"] and written["manifest"]["settings"] == plain(study.presets["XS"])
    assert not (tmp_path / name / runner.PARTS).exists()
    assert found.sentence in (tmp_path / name / writing.TABLE).read_text()
    for figure in found.figures:
        assert re.fullmatch("[a-z0-9_]+", figure.name) and len(figure.alt) > 40
        for suffix in ("svg", "png"):
            assert (tmp_path / name / writing.FIGURES / f"{figure.name}.{suffix}").stat().st_size > 500
        assert (figure.chart is None) == bool(figure.pictures)
        if figure.chart is not None:
            assert charts.themed(figure.chart, "dark") != charts.themed(figure.chart, "light")
    again = writing.read(tmp_path / name, study)
    assert again.sentence == found.sentence, "what was stored gives the same answer"
    page = runner.write_page(tmp_path, catalog.STUDIES).read_text()
    assert study.question.replace("'", "&#39;") in page
    assert "://" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL), "the page asks the network for nothing"
