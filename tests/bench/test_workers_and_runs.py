"""Workers, as they are: spawned, killed, replaced. Whatever a model does, its cell is a row and the run goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import app

psutil = pytest.importorskip("psutil")
ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), str(HERE), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "COLUMNS": "80"}


def depthbench(*arguments, cwd, **options):
    command = [sys.executable, "-m", "bench", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=240, **options)


def start(*arguments, cwd):
    command = [sys.executable, "-m", "bench", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=cwd, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def suite(folder: Path, **keys) -> Path:
    values = {"name": "t", "datasets": ["breast_cancer"], "features": ["raw"], "folds": 2, "timeout_s": 30, **keys}
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    path = folder / "t.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def rows_of(folder: Path) -> list[dict]:
    [run] = [p for p in folder.iterdir() if (p / "run.json").exists()]
    return [json.loads(line) for line in (run / "rows.jsonl").read_text().splitlines()]


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """One run with every kind of model that misbehaves."""
    folder = tmp_path_factory.mktemp("zoo")
    names = "fine raises exits diverges no_memory dies killed spins sleeps many_threads nan_predictions too_few_predictions"
    models = ["gaussian_nb", *(f"own_models:{name}" for name in names.split()), "lda"]
    done = depthbench("run", suite(folder, models=models, timeout_s=4), "-o", "runs", cwd=folder)
    rows = rows_of(folder / "runs")
    return done, {(r["model"].removeprefix("own_models:"), r["fold"]): r for r in rows}, len(rows)


@pytest.mark.parametrize(
    ("model", "status", "message"),
    [
        ("gaussian_nb", "ok", None),
        ("lda", "ok", None),
        ("fine", "ok", None),
        ("raises", "failed", "a <b>bad</b> model"),
        ("exits", "failed", "SystemExit"),
        ("diverges", "diverged", "non-finite"),
        ("no_memory", "out_of_memory", "1 TiB"),
        ("dies", "failed", "7"),
        ("killed", "failed", "SIGKILL"),
        ("spins", "timeout", "limit of 4 s"),
        ("sleeps", "timeout", "limit of 4 s"),
        ("many_threads", "invalid", "openmp ran 2 after the fit"),
        ("nan_predictions", "diverged", ""),
        ("too_few_predictions", "failed", ""),
    ],
)
def test_whatever_a_model_does_is_a_row_with_its_reason(zoo, model, status, message):
    _, rows, _ = zoo
    for fold in (0, 1):
        row = rows[model, fold]
        assert row["status"] == status, row.get("message")
        assert "accuracy" in row if status == "ok" else "accuracy" not in row
        if message is not None:
            assert message in row["message"]


def test_the_run_went_on_and_says_that_cells_failed(zoo):
    done, rows, count = zoo
    assert done.returncode == 1, done.stdout + done.stderr
    assert count == len(rows) == 14 * 2
    assert "Traceback" not in done.stderr


def test_all_models_of_a_fold_saw_the_same(zoo):
    _, rows, _ = zoo
    for key in ("x_train_sha256", "x_test_sha256", "y_sha256", "split_sha256"):
        for fold in (0, 1):
            seen = {r[key] for (_, f), r in rows.items() if f == fold and key in r}
            assert len(seen) == 1
    assert rows["lda", 0]["x_train_sha256"] != rows["lda", 1]["x_train_sha256"]


def test_an_ok_row_has_every_key_that_others_rely_on(zoo):
    _, rows, _ = zoo
    expected = set(
        "schema_version run_id utc dataset feature_set model family backend threads repeat fold seed status accuracy "
        "balanced_accuracy log_loss x_train_sha256 x_test_sha256 y_sha256 split_sha256 time_import_s time_warmup_s "
        "time_features_s time_fit_s time_predict_s time_predict_one_s threads_effective n_workers".split()
    )
    row = rows["lda", 0]
    assert expected - set(row) == set()
    assert row["threads_effective"] == row["threads"] == 1
    assert all(row[key] >= 0 for key in row if key.endswith("_s"))
    if sys.platform.startswith("linux"):
        assert row["peak_memory_bytes"] > 1 << 20


def test_a_limit_on_memory_is_kept(tmp_path):
    path = suite(tmp_path, models=["own_models:hoards", "lda"], memory_bytes=600 << 20)
    done = depthbench("run", path, "-o", "runs", cwd=tmp_path)
    status = {r["model"]: r["status"] for r in rows_of(tmp_path / "runs")}
    assert status == {"own_models:hoards": "out_of_memory", "lda": "ok"}, done.stdout
    assert done.returncode == 1


def test_two_workers_give_what_one_gives(tmp_path):
    scores = []
    for jobs in (1, 2):
        folder = tmp_path / str(jobs)
        depthbench("run", suite(tmp_path, models=["lda", "mlp_100", "own_models:slow"], jobs=jobs), "-o", folder, cwd=tmp_path)
        rows = rows_of(folder)
        assert {r["n_workers"] for r in rows} == {jobs}
        scores.append({(r["model"], r["fold"]): (r["accuracy"], r["x_train_sha256"]) for r in rows})
    assert scores[0] == scores[1]


# -- interrupted, killed, resumed

SLOW = {"models": ["lda", "own_models:slow", "gaussian_nb"], "folds": 8}
N_CELLS = 24


def resumed(folder: Path, cwd: Path) -> list[dict]:
    [run] = list(folder.iterdir())
    done = depthbench("run", "--resume", run, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return rows_of(folder)


def check_complete(rows):
    identities = [(r["model"], r["fold"]) for r in rows]
    assert len(identities) == len(set(identities)) == N_CELLS
    assert {r["status"] for r in rows} == {"ok"}


def kill_run_after(tmp_path: Path, n_rows: int) -> Path:
    process = start("run", suite(tmp_path, **SLOW), "-o", "runs", cwd=tmp_path)
    folder = tmp_path / "runs"

    def far_enough():
        files = list(folder.glob("*/rows.jsonl"))
        return files and len(files[0].read_bytes().splitlines()) >= n_rows

    wait_for(far_enough)
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    process.stdout.close()
    wait_for(lambda: not any(c.is_running() and c.status() != psutil.STATUS_ZOMBIE for c in children), 10)
    return folder


def test_a_killed_run_leaves_no_worker_and_is_finished_by_resume(tmp_path):
    folder = kill_run_after(tmp_path, 4)
    [run] = list(folder.iterdir())
    before = (run / "rows.jsonl").read_bytes()
    with open(run / "rows.jsonl", "ab") as f:
        f.write(b'{"dataset": "breast_cancer", "mod')  # the power went in the middle of a line
    rows = resumed(folder, tmp_path)
    check_complete(rows)
    assert (run / "rows.jsonl").read_bytes().startswith(before), "a finished row was touched"
    assert {"table.md", "table.csv", "report.html"} <= {p.name for p in run.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("n_rows", [0, 1, 2, 3, 5, 8, 11, 16, 20, 22])
def test_killed_at_any_moment(tmp_path, n_rows):
    check_complete(resumed(kill_run_after(tmp_path, n_rows), tmp_path))


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(tmp_path):
    import signal

    process = start("run", suite(tmp_path, **SLOW), "-o", "runs", cwd=tmp_path)
    folder = tmp_path / "runs"
    wait_for(lambda: any(p.stat().st_size for p in folder.glob("*/rows.jsonl")))
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130, output
    assert "--resume" in output
    assert all(r["status"] == "ok" for r in rows_of(folder))
    check_complete(resumed(folder, tmp_path))


def test_the_folder_is_there_at_once_and_a_second_run_is_refused(tmp_path):
    process = start("run", suite(tmp_path, **SLOW), "-o", "runs", cwd=tmp_path)
    try:
        folder = tmp_path / "runs"
        wait_for(lambda: list(folder.glob("*/run.json")) and list(folder.glob("*/rows.jsonl")), 20)
        [run] = list(folder.iterdir())
        json.loads((run / "run.json").read_text())
        second = depthbench("run", "--resume", run, cwd=tmp_path)
        assert second.returncode == 2
        assert str(process.pid) in second.stderr + second.stdout, "the holder of the lock is named"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    check_complete(resumed(tmp_path / "runs", tmp_path))  # a dead holder's lock is taken over


# -- bad input and the other commands


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "diggits"], 2, "did you mean 'digits'"),
        (["run", "digits", "-m", "svc_rfb"], 2, "did you mean 'svc_rbf'"),
        (["run", "digits", "--folds", "1"], 2, "folds"),
        (["run", "digits", "--threads", "zero"], 2, "threads"),
        (["run", "--resume", "no-such-run"], 2, "no-such-run"),
        (["run", "digits", "-m", "lda", "-f", "raw", "-o", "/proc/nowhere"], 2, "/proc/nowhere"),
        (["run", "digits", "-m", "no.such.module:make", "-f", "raw"], 2, "no.such.module"),
        (["run", "--data", "nothere.csv", "--target", "y"], 2, "nothere.csv"),
        (["run", "digits", "-m", "conv16_32", "-f", "pca", "-o", "."], 3, "skipped"),
        (["report", "no-such-run"], 2, "no-such-run"),
        (["report", ".", "--format", "docx"], 2, "docx"),
        (["list", "modles"], 2, "models"),
        (["frobnicate"], 2, "frobnicate"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_exit_codes_and_messages(tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == code, done.output
    assert message in done.output.replace("\n", " ")


@pytest.mark.parametrize("what", ["datasets", "features", "models", "architectures", "kernels", "backends", "suites"])
def test_list_prints_one_name_and_its_line_per_row(what):
    done = CliRunner().invoke(app, ["list", what])
    assert done.exit_code == 0
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    assert lines
    assert all(len(line.split(maxsplit=1)) == 2 for line in lines)


def test_help_lists_what_works_and_imports_nothing_heavy(tmp_path):
    code = (
        "import sys, bench.cli\n"
        "heavy = {'numpy', 'scipy', 'sklearn', 'numba', 'pandas', 'altair', 'skimage', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment(), check=True)
    done = depthbench("--help", cwd=tmp_path)
    commands = [line.split()[0] for line in done.stdout.split("Commands:")[1].splitlines() if line.strip()]
    names = [c for c in commands if c.isidentifier() and c.islower()]
    assert {"run", "list", "report", "profile", "kernels", "env"} <= set(names)
    assert max(len(line) for line in done.stdout.splitlines()) <= 80


def test_env_tells_the_machine(tmp_path):
    out = depthbench("env", cwd=tmp_path).stdout
    assert all(word in out for word in ("python", "cpu", "backends", "threads", "numpy"))
