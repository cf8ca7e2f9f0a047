"""All formats of a report: complete, escaped, the same numbers, and never a crash for want of data."""

import csv
import html
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bench import report
from bench.cell import STATUSES
from bench.report.export import COLUMNS
from bench.report.text import escape_latex, escape_markdown
from bench.store import StoreError

EVIL = "</script><img src=x onerror=alert(1)>|[bold]$\\_{%&#*`"
ROOT = Path(report.__file__).parents[2]


def printed(folder, width=80, **options):
    console = Console(width=width, file=io.StringIO(), **options)
    report.print_table(folder, console)
    return console.file.getvalue()


def csv_rows(folder):
    return list(csv.DictReader(io.StringIO(report.render(folder, "csv"))))


def test_write_report_writes_every_file(run_folder):
    before = {name: (run_folder / name).read_bytes() for name in ("run.json", "rows.jsonl")}
    report.write_report(run_folder)
    names = {p.relative_to(run_folder).as_posix() for p in run_folder.rglob("*") if p.is_file()}
    figures = {f"figures/digits-{chart}.{kind}" for chart in ("heatmap", "pareto") for kind in ("svg", "png")}
    assert (
        names == {"run.json", "rows.jsonl", "table.md", "table.csv", "report.html"} | figures
    )  # no temporary file left
    assert before == {name: (run_folder / name).read_bytes() for name in before}
    for name, format in (("table.md", "md"), ("table.csv", "csv"), ("report.html", "html")):
        assert (run_folder / name).read_text(encoding="utf-8") == report.render(run_folder, format)


@pytest.mark.skipif(os.name != "posix", reason="permission bits")
def test_files_are_readable_by_whom_the_umask_lets(run_folder):
    before = os.umask(0o022)
    try:
        report.write_report(run_folder)
    finally:
        os.umask(before)
    assert (run_folder / "table.md").stat().st_mode & 0o777 == 0o644


def test_a_failing_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "table.md"
    path.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        report.write_atomically(path, b"new")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_the_verdict_opens_every_format(run_folder):
    headline = json.loads(report.render(run_folder, "json"))["datasets"][0]["verdict"]["headline"]
    assert "knn on raw" in headline
    for text in (report.render(run_folder, "md"), report.render(run_folder, "html"), report.render(run_folder, "tex")):
        assert text.index(headline) < text.index("nearest")
    assert printed(run_folder).index(headline) < printed(run_folder).index("nearest")


def test_csv_is_long_and_exact(run_folder):
    rows = csv_rows(run_folder)
    assert tuple(rows[0]) == COLUMNS
    assert COLUMNS[:6] == ("dataset", "feature_set", "model", "family", "backend", "n")
    assert len(rows) == 18 * 5
    best = next(r for r in rows if r["best"] == "true")
    assert best["rank"] == "1" and best["p_adjusted"] == "" and best["distinguishable_from_best"] == ""
    assert 0 < float(best["accuracy_ci_low"]) < float(best["accuracy_mean"]) < float(best["accuracy_ci_high"]) <= 1


def test_what_was_not_measured_is_empty_and_never_zero(run_folder):
    skipped = next(r for r in csv_rows(run_folder) if r["model"] == "conv16_32" and r["feature_set"] == "hog")
    assert skipped["n"] == "0" and skipped["n_skipped"] == "5"
    assert "needs pixels" in skipped["footnotes"]
    for name in (
        "accuracy_mean",
        "accuracy_ci_low",
        "log_loss_mean",
        "r2_mean",
        "time_fit_s",
        "peak_memory_bytes",
        "rank",
    ):
        assert skipped[name] == ""
    svc = next(r for r in csv_rows(run_folder) if r["model"] == "linear_svc")
    assert svc["accuracy_mean"] and svc["log_loss_mean"] == ""


def test_columns_are_described():
    text = (ROOT / "docs" / "columns.md").read_text(encoding="utf-8")
    parts = re.split(r"^## (.+)$", text, flags=re.M)  # what --format json adds stands in a part of its own
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    tables = "".join(sections[name] for name in ("rows.jsonl", "tuning.jsonl", "table.csv"))
    described = set(re.findall(r"^\| `(\w+)`", tables, re.M))
    from bench.cell import Row
    from bench.tuning.search import Trial

    row_keys = {*Row.__dataclass_fields__, *Trial.__dataclass_fields__, "metric"}  # rows.jsonl and tuning.jsonl
    expected = {
        re.sub(r"^n_(ok|failed|timeout|out_of_memory|diverged|skipped|invalid)$", "n_STATUS", c) for c in COLUMNS
    }
    assert expected | row_keys <= described | {"n_STATUS"}
    assert described <= expected | row_keys | {f"n_{s}" for s in STATUSES}


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1", "\n=1"])
def test_formulas_in_csv_are_neutralized(make_run, tmp_path, start):
    run = make_run(models={"lda": ("classical", 95.0, 0.1)}, features={"raw": 0.0})
    run.rows[:] = [replace(r, model=start, dataset=start) for r in run.rows]
    row = csv_rows(run.write(tmp_path / "run"))[0]
    shown = "'" + start.replace("\r", " ").replace("\n", " ")
    assert row["model"] == shown and row["dataset"] == shown


@pytest.fixture
def evil_folder(make_run, tmp_path):
    run = make_run(
        models={"lda": ("classical", 95.0, 0.1), "knn": ("classical", 98.0, 0.1)}, features={"raw": 0.0, "pca": 0.0}
    )
    names = {"lda": EVIL}
    run.rows[:] = [replace(r, model=names.get(r.model, r.model), dataset=EVIL) for r in run.rows]
    run.rows[:3] = [replace(r, status="failed", accuracy=None, message=EVIL, traceback=EVIL) for r in run.rows[:3]]
    run.manifest["suite"]["name"] = EVIL
    run.manifest["command"] = ["depthbench", EVIL]
    run.manifest["environment"]["cpu"] = EVIL
    return run.write(tmp_path / "run")


def test_html_shows_markup_as_text(evil_folder):
    text = report.render(evil_folder, "html")
    assert "<img" not in text and "onerror=alert(1)>" not in text
    assert text.count("&lt;/script&gt;") >= 5
    # the data script ends where the template ends it, and is JSON
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1]
    assert json.loads(data)["sections"][0]["dataset"] == EVIL


def test_html_is_self_contained(run_folder):
    text = report.render(run_folder, "html")
    assert not re.search(r"<(?:script|img|link|iframe)[^>]*\b(?:src|href)\s*=\s*[\"']?(?:https?:)?//", text)
    assert "default-src 'none'" in html.unescape(text)
    assert text.count('id="block-vega"') == 1  # the library stands there once


def test_markdown_cells_stay_cells(evil_folder):
    text = report.render(evil_folder, "md")
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1
    assert "<img" not in text


def test_latex_is_escaped(evil_folder):
    text = report.render(evil_folder, "tex")
    assert r"\textbackslash{}" in text and r"\$" in text and r"\%" in text
    body = text.split("\n", 1)[1]
    assert not re.search(r"(?<!\\)[%#]", body)
    assert r"\toprule" in text and r"\bottomrule" in text


def test_the_terminal_shows_markup_as_text(evil_folder):
    assert "[bold]" in printed(evil_folder, width=200)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a|b", r"a\|b"),
        ("svc_rbf", "svc_rbf"),
        ("_x_", r"\_x\_"),
        ("a\nb", "a b"),
        ("<i>", "&lt;i&gt;"),
        ("`x`", r"\`x\`"),
    ],
)
def test_escape_markdown(text, expected):
    assert escape_markdown(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("a_b", r"a\_b"), ("5 %", r"5 \%"), ("\\", r"\textbackslash{}"), ("R²", "R$^2$")]
)
def test_escape_latex(text, expected):
    assert escape_latex(text) == expected


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_terminal_keeps_its_width(run_folder, width):
    lines = printed(run_folder, width=width).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= width
    assert sum(line.startswith("hist_gradient") for line in lines) >= 2


def test_at_80_columns_five_feature_sets_stand_side_by_side(run_folder):
    header = [line for line in printed(run_folder).splitlines() if line.startswith("model")]
    assert len(header) == 3  # one block of scores, one of times, and each model at its best
    assert all(name in header[0] for name in ("raw", "standardized", "pca", "hog", "learned"))


def test_a_terminal_without_unicode_gets_ascii(run_folder):
    class Latin(io.StringIO):
        encoding = "ascii"

    console = Console(width=80, file=Latin())
    report.print_table(run_folder, console)
    text = console.file.getvalue()
    assert text.isascii() and "98.2 +0.9" in text


def test_control_characters_do_not_reach_the_terminal(make_run, tmp_path):
    run = make_run(models={"lda": ("classical", 95.0, 0.1)}, features={"raw": 0.0})
    run.rows[:] = [replace(r, model="a\x1b[2Jb") for r in run.rows]
    assert "\x1b[2J" not in printed(run.write(tmp_path / "run"))


def no_rows(run):
    run.rows.clear()


def only_failures(run):
    run.rows[:] = [
        replace(r, status="failed", accuracy=None, r2=None, time_fit_s=None, message="ValueError: no") for r in run.rows
    ]


def one_fold(run):
    run.rows[:] = [r for r in run.rows if r.fold == 0]


def no_times(run):
    run.rows[:] = [replace(r, time_fit_s=None, time_predict_s=None, time_features_s=None) for r in run.rows]


def other_hash(run):
    run.rows[3] = replace(run.rows[3], y_sha256="0" * 64)


def bare_manifest(run):
    run.manifest = {"schema_version": 1}


def odd_manifest(run):
    run.manifest |= {"suite": "digits", "environment": None, "models": [1], "command": []}


@pytest.mark.parametrize(
    "change", [no_rows, only_failures, one_fold, no_times, other_hash, bare_manifest, odd_manifest]
)
def test_any_run_gives_a_readable_report(make_run, tmp_path, change):
    run = make_run()
    change(run)
    folder = run.write(tmp_path / "run")
    report.write_report(folder)
    for format in report.FORMATS:
        assert report.render(folder, format)
    assert printed(folder)


def test_differing_hashes_are_shown_loudly_and_unranked(make_run, tmp_path):
    run = make_run()
    other_hash(run)
    folder = run.write(tmp_path / "run")
    assert "rows with different data stand in this table" in report.render(folder, "md")
    assert 'role="alert"' in report.render(folder, "html")
    assert "NOT RANKED" in printed(folder)
    assert {(r["rank"], r["best"]) for r in csv_rows(folder)} == {("", "")}
    assert any(r["accuracy_mean"] for r in csv_rows(folder))  # the numbers are there all the same


def test_no_rows_says_so(make_run, tmp_path):
    run = make_run()
    no_rows(run)
    folder = run.write(tmp_path / "run")
    assert "No cell has finished yet" in report.render(folder, "md")
    assert "No cell has finished yet" in printed(folder)


def test_an_unknown_format_lists_those_there_are(run_folder):
    with pytest.raises(ValueError, match="html, md, csv, tex, json, parquet"):
        report.render(run_folder, "pdf")


def test_no_run_there(tmp_path):
    with pytest.raises(StoreError, match=r"run\.json"):
        report.write_report(tmp_path)


def test_how_the_table_was_made_stands_below_it(run_folder):
    text = report.render(run_folder, "md")
    made = text[text.index("## How this table was made") :]
    for part in (
        "depthbench run digits",
        "AMD EPYC 9R45",
        "v4",
        "0123456789abcdef (with uncommitted changes)",
        "2026-11-20",
        "numpy 2.4.6",
    ):
        assert part in made
    assert "1 thread, 1 worker" in text


def test_reading_a_run_imports_neither_kernels_nor_models(run_folder):
    """On a machine with no compiler these packages cannot be imported at all: None in sys.modules refuses them."""
    code = (
        "import sys\n"
        "sys.modules['kernels'] = sys.modules['models'] = None\n"
        "import bench.report, io\n"
        "from rich.console import Console\n"
        "bench.report.write_report(sys.argv[1])\n"
        "[bench.report.render(sys.argv[1], f) for f in bench.report.FORMATS]\n"
        "bench.report.print_table(sys.argv[1], Console(file=io.StringIO()))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(run_folder)], check=True, cwd=ROOT, timeout=120)


def test_importing_the_report_is_light():
    code = (
        "import sys, bench.report\n"
        "print([m for m in ('altair', 'vl_convert', 'pandas', 'scipy', 'jinja2', 'rich', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_100_000_cells_are_reported_in_reasonable_time(make_run, tmp_path):
    from dataclasses import asdict

    run = make_run(folds=10, repeats=2)
    rows = [replace(r, dataset=f"d{i}") for i in range(56) for r in run.rows]
    assert len(rows) > 100_000 and asdict(rows[0])
    run.rows[:] = rows
    folder = run.write(tmp_path / "run")
    assert len(report.render(folder, "csv").splitlines()) == 56 * 90 + 1
    assert report.render(folder, "html")


@pytest.mark.parametrize("breaks", [None, "no process", "not its answer"])
def test_the_chart_library_is_made_ready_beside_and_here_where_that_fails(breaks, monkeypatch):
    """Once is enough: what stands in for the process says whether it was asked, and what came of it."""
    from bench.report import library

    answer = {"packed": "AAAA", "digest": "sha256-x"}

    def run(command, **options):
        if breaks == "no process":
            raise OSError("no more processes")
        return subprocess.CompletedProcess(command, 0, b"oops" if breaks else json.dumps(answer).encode())

    monkeypatch.setattr(library.subprocess, "run", run)
    monkeypatch.setattr(library, "make", lambda: "made here")
    library.packed.cache_clear()
    try:
        library.start()
        assert library.packed() == ("made here" if breaks else library.Library(**answer))
        library.start()
        assert not library._started  # it is there
    finally:
        library.packed.cache_clear()


def test_the_process_answers_with_the_library():
    from bench.report import library

    done = subprocess.run([sys.executable, "-m", "bench.report.library"], capture_output=True, check=True, cwd=ROOT)
    assert library.Library(**json.loads(done.stdout)) == library.packed()


def test_a_page_holds_score_and_times_of_each_of_many_folds_and_some_in_full(make_run, tmp_path, monkeypatch):
    from bench.report.shell import block_of

    monkeypatch.setattr("bench.report.folds.MOST_FOLDS", 4)
    run = make_run(models={"lda": ("classical", 95.0, 0.1)}, features={"raw": 0.0}, repeats=3)
    run.rows[11] = replace(run.rows[11], status="timeout", accuracy=None, message="too slow")
    page = report.render(run.write(tmp_path / "run"), "html")
    cell = block_of(page, "folds-0-0")["cells"][0]
    assert len(cell["folds"]) == len(cell["hashes"]) == 4
    assert "too slow" in json.dumps(cell["folds"])
    assert cell["all"]["status"].count("timeout") == 1 and cell["all"]["accuracy"].count(None) == 1
    rows = sorted(run.rows, key=lambda row: (row.repeat, row.fold))
    assert cell["all"]["time_fit_s"] == [float(f"{row.time_fit_s:.6g}") for row in rows]
    assert "those that did not end well, then the first" in page
