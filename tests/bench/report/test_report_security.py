"""Nothing that is read from a run folder is executed, shown as markup, or written outside of it."""

import ast
import base64
import hashlib
import html
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bench import report
from bench.report.shell import block_of
from bench.store import StoreError, is_valid_run_id

ROOT = Path(report.__file__).parents[2]
EVIL = "</script><script>window.hacked = 1</script>"


@pytest.fixture
def evil_folder(make_run, tmp_path):
    """Everything that a person may name is markup."""
    run = make_run(models={"lda": ("classical", 95.0, 0.1), "mlp": ("deep", 97.0, 0.1)}, features={"raw": 0.0, EVIL: 0.0})
    curve = {"epoch": [1, 2], "time_s": [0.1, 0.2], "score": [0.5, 0.9], EVIL: [EVIL]}
    run.rows[:] = [
        replace(
            r, model=EVIL + r.model, dataset=EVIL, backend=EVIL, family=EVIL, message=EVIL, traceback=EVIL, utc=EVIL,
            tuned_params={EVIL: EVIL}, curve=curve, confusion=[[5, 1], [2, 6]], x_train_sha256=EVIL, threads_before={EVIL: 1},
        )
        for r in run.rows
    ]  # fmt: skip
    run.manifest["datasets"] = {EVIL: {"classes": [EVIL, "cat"], "facts": {"about": EVIL, "preset": {"name": EVIL}}}}
    run.manifest |= {"suite": {**run.manifest["suite"], "name": EVIL}, "command": [EVIL], "run_id": EVIL}
    run.manifest["environment"] = {key: EVIL for key in run.manifest["environment"]}
    folder = run.write(tmp_path / "run")
    (folder / "profiles").mkdir()
    svg = "<svg xmlns='http://www.w3.org/2000/svg'><script>window.hacked = 1</script></svg>"
    profile = {"title": EVIL, "setting": EVIL, "sentence": EVIL, "plots": {EVIL: svg, "x": EVIL}}
    (folder / "profiles" / "p.json").write_text(json.dumps(profile))
    return folder


@pytest.fixture
def evil_page(evil_folder):
    return report.render(evil_folder, "html")


def test_the_page_holds_no_element_but_its_own(evil_page):
    scripts = re.findall(r"<script\b([^>]*)>", evil_page)
    blocks = [s for s in scripts if "text/plain" in s]
    assert all(re.fullmatch(r' type="text/plain" id="block-[\w-]+"', s) for s in blocks)
    assert [s for s in scripts if s not in blocks] == [' type="application/json" id="data"', ""]
    assert evil_page.count("</script>") == len(scripts)


def test_names_come_out_as_they_went_in(evil_page):
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', evil_page, re.S)[1])
    assert data["sections"][0]["dataset"] == EVIL
    cells = block_of(evil_page, "cells-0")
    assert any(EVIL in cell["name"] for cell in cells)
    folds = block_of(evil_page, "folds-0-0")
    assert EVIL in json.dumps(folds["cells"][0], ensure_ascii=False)


def test_the_policy_names_each_script_and_lets_no_other_run(evil_page):
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', evil_page)[1])
    directives = {name: values.split() for name, _, values in (d.strip().partition(" ") for d in policy.split(";"))}
    assert directives["default-src"] == ["'none'"]
    for word in ("'unsafe-inline'", "'unsafe-eval'", "http:", "https:", "*"):
        assert word not in directives["script-src"]
    own = re.findall(r"<script>(.*?)</script>", evil_page, re.S)
    vega = re.search(r'id="block-vega">([A-Za-z0-9+/=]*)<', evil_page)[1]
    import gzip

    for script in (*own, gzip.decompress(base64.b64decode(vega)).decode()):
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in directives["script-src"]
    assert len(directives["script-src"]) == len(own) + 1
    assert "connect-src" not in directives  # none, as by default


@pytest.mark.parametrize("format", ["md", "tex", "csv", "json"])
def test_other_formats_hold_no_markup(evil_folder, format):
    text = report.render(evil_folder, format)
    if format == "md":
        assert "<script" not in text
    if format == "tex":
        assert r"\textless{}/script" in text and "</script" not in text.split("\n", 1)[1]
    if format == "json":
        assert json.loads(text)["datasets"][0]["dataset"] == EVIL


def test_pictures_hold_no_script(evil_folder):
    report.write_report(evil_folder)
    pictures = sorted((evil_folder / "figures").glob("*.svg"))
    assert pictures
    for path in pictures:
        text = path.read_text(encoding="utf-8")
        assert ("<script" not in text and "&lt;script" in text) or "heatmap" not in path.name


def test_half_a_character_is_no_reason_to_fail(make_run, tmp_path):
    """A lone surrogate is legal in JSON and in no encoding."""
    run = make_run(models={"lda": ("classical", 95.0, 0.1)}, features={"raw": 0.0})
    run.rows[:] = [replace(r, model="a\ud800", message="\udfff") for r in run.rows]
    folder = run.write(tmp_path / "run")
    report.write_report(folder)
    assert report.render(folder, "csv") and report.render(folder, "tex")


def test_files_are_written_in_the_run_folder_alone(make_run, tmp_path):
    run = make_run(models={"lda": ("classical", 95.0, 0.1)}, features={"raw": 0.0})
    run.rows[:] = [replace(r, dataset="../../up" if r.fold else "/absolute") for r in run.rows]
    folder = run.write(tmp_path / "a" / "b" / "run")
    report.write_report(folder)
    outside = [p for p in tmp_path.rglob("*") if p.is_file() and folder not in p.parents]
    assert outside == []
    assert {p.name for p in (folder / "figures").iterdir()} >= {"up-heatmap.svg", "absolute-heatmap.svg"}


@pytest.mark.skipif(os.name != "posix", reason="symbolic links")
def test_a_folder_of_pictures_that_is_a_link_is_refused(run_folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "digits-heatmap.svg").write_text("mine")
    (run_folder / "figures").symlink_to(elsewhere)
    with pytest.raises(StoreError, match="link"):
        report.write_report(run_folder)
    assert [(p.name, p.read_text()) for p in elsewhere.iterdir()] == [("digits-heatmap.svg", "mine")]


def test_pictures_of_an_earlier_report_go_and_those_of_others_stay(run_folder):
    figures = run_folder / "figures"
    figures.mkdir()
    for name in ("gone-heatmap.svg", "mine.svg", "notes.txt"):
        (figures / name).write_text("x")
    report.write_report(run_folder)
    assert {"mine.svg", "notes.txt"} <= {p.name for p in figures.iterdir()}
    assert not (figures / "gone-heatmap.svg").exists()


@pytest.mark.parametrize("name", ["../x", "a/b", "/x", "", ".", "..", "a\\b", "-x", "a\nb"])
def test_no_run_id_leaves_its_folder(name):
    assert not is_valid_run_id(name)


#: What turns data into code, or hands it to a shell.
CALLS = {"eval", "exec", "__import__"}
MODULES = {"pickle", "cPickle", "dill", "marshal", "shelve", "joblib", "cloudpickle", "yaml"}


def dangers(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            found += [name for name in names if name.partition(".")[0] in MODULES]
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            found += [name] if name in CALLS and isinstance(node.func, ast.Name) else []
            for keyword in node.keywords:
                if keyword.arg in ("allow_pickle", "shell") and getattr(keyword.value, "value", None) is True:
                    found.append(f"{name}({keyword.arg}=True)")
    return found


def test_nothing_that_reads_turns_data_into_code():
    files = [p for package in ("bench", "models") for p in (ROOT / package).rglob("*.py")]
    assert len(files) > 100
    assert {p.relative_to(ROOT).as_posix(): found for p in files if (found := dangers(p))} == {}


def test_the_search_for_dangers_finds_them(tmp_path):
    path = tmp_path / "x.py"
    path.write_text("import pickle\neval('1')\nnp.load(f, allow_pickle=True)\nrun('x', shell=True)\n")
    assert dangers(path) == ["pickle", "eval", "load(allow_pickle=True)", "run(shell=True)"]
