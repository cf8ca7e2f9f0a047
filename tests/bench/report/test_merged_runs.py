"""Several runs in one report: each cell once, the last one counting, and no times of another machine."""

import io
from dataclasses import replace

import pytest
from rich.console import Console
from typer.testing import CliRunner

from bench import report
from bench.cli import app
from bench.report.merging import merge
from bench.store import read_run

FEW = {"lda": ("classical", 95.0, 0.1), "knn": ("classical", 98.0, 0.1), "mlp_100": ("deep", 97.0, 0.2)}
RAW = {"raw": 0.0}


@pytest.fixture
def two(make_run, tmp_path):
    """Two runs of one machine: one of lda and knn, the other of knn and mlp_100, with another score of knn."""
    first, second = make_run(models=FEW, features=RAW), make_run(models=FEW, features=RAW)
    first.rows[:] = [r for r in first.rows if r.model != "mlp_100"]
    second.rows[:] = [replace(r, accuracy=0.5) if r.model == "knn" else r for r in second.rows if r.model != "lda"]
    second.manifest |= {"run_id": "second", "suite": {**second.manifest["suite"], "models": ["mlp_100", "knn"]}}
    return first, second, tmp_path


def folders(two):
    first, second, tmp_path = two
    return [first.write(tmp_path / "a"), second.write(tmp_path / "b")]


def test_each_cell_stands_once_and_the_last_run_counts(two):
    runs = [read_run(folder) for folder in folders(two)]
    merged = merge(runs)
    identities = [row.identity for row in merged.run.rows]
    assert len(identities) == len(set(identities)) == 15
    assert {row.accuracy for row in merged.run.rows if row.model == "knn"} == {0.5}
    assert merged.notes == ("5 cells stand in more than one of these runs: the one named last counts.",)
    assert {row.accuracy for row in merge(runs[::-1]).run.rows if row.model == "knn"} != {0.5}


def test_both_stand_in_one_table(two):
    text = report.render(folders(two), "csv")
    assert {line.split(",")[2] for line in text.splitlines()[1:]} == {"lda", "knn", "mlp_100"}
    assert "second" in report.render(folders(two), "md")


def test_times_of_another_machine_are_left_out_and_said(two):
    two[1].manifest["environment"] = {**two[1].manifest["environment"], "cpu": "another CPU"}
    runs = [read_run(folder) for folder in folders(two)]
    merged = merge(runs)
    mlp = [row for row in merged.run.rows if row.model == "mlp_100"]
    assert all(row.accuracy and row.time_fit_s is None and row.time_predict_s is None for row in mlp)
    assert all(row.time_fit_s for row in merged.run.rows if row.model == "lda")
    assert "another CPU" in merged.notes[0] and "Times of second are left out" in merged.notes[0]
    for format in ("md", "html", "json"):
        assert "another machine" in report.render(folders(two), format)
    console = Console(width=80, file=io.StringIO())
    report.print_table(folders(two), console)
    assert "another machine" in " ".join(console.file.getvalue().split())


def test_runs_that_saw_other_data_are_not_ranked(two):
    two[1].rows[:] = [replace(r, y_sha256="0" * 64) for r in two[1].rows]
    assert "not ranked" in report.render(folders(two), "md")


def test_a_run_that_has_not_ended_makes_the_whole_unfinished(two):
    two[1].manifest["utc_end"] = None
    assert not merge([read_run(folder) for folder in folders(two)]).run.finished


def test_one_run_is_what_it_was(run_folder):
    run = read_run(run_folder)
    assert merge([run]).run is run


def test_the_command_merges_and_writes_only_where_it_is_told(two):
    first, second = folders(two)
    before = sorted(p.name for p in first.iterdir())
    done = CliRunner().invoke(app, ["report", str(first), str(second), "--format", "csv"])
    assert done.exit_code == 0 and "mlp_100" in done.output and "lda" in done.output
    done = CliRunner().invoke(app, ["report", str(first), str(second)])
    assert done.exit_code == 0 and "mlp_100" in done.output
    assert sorted(p.name for p in first.iterdir()) == before
    into = two[2] / "merged"
    done = CliRunner().invoke(app, ["report", str(first), str(second), "--into", str(into)])
    assert done.exit_code == 0
    assert {"table.md", "table.csv", "report.html", "figures"} <= {p.name for p in into.iterdir()}
    assert sorted(p.name for p in first.iterdir()) == before


def test_a_newer_schema_among_them_is_refused(two):
    two[1].manifest["schema_version"] = 99
    done = CliRunner().invoke(app, ["report", *map(str, folders(two))])
    assert done.exit_code == 2
