"""The measure of a large run: it runs, with few cells, and its table says what was measured and what was asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import scale
from bench.plan import OwnModel, plan

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("n", [1000, 100_000])
def test_the_suite_has_as_many_cells_as_asked_for(n):
    suite = scale.suite_of(n)
    n_models, n_features = len(suite.models), len(suite.features)
    assert suite.repeats * suite.folds * n_models * n_features == n
    if n == 1000:
        assert len(plan(suite, {scale.MODELS[-1]: OwnModel("classical", False)})) == n


def test_the_table_says_what_is_not_met():
    found = {name: bar * (2 if name == "report" else 0.5) for name, (_, bar) in scale.BARS.items()}
    found |= {"cells": 100_000, "measured": 70, "memories": dict.fromkeys(scale.STEPS, 100.0), "command": "c"}
    found |= {"rows_bytes": 1e6, "report_bytes": 1e6, "machine": {"cpu": "x", "cores": 2}}
    lines = [line for line in scale.markdown(found).splitlines() if line.endswith(("| yes |", "| no |"))]
    assert [line.endswith("no |") for line in lines] == [False, False, False, True, False]


@pytest.mark.slow
def test_it_is_measured(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DEPTHBENCH_NOISE_S": "0", "DEPTHBENCH_CACHE": str(tmp_path / "c")}
    command = [sys.executable, "-m", "bench.scale", "-o", str(tmp_path), "--cells", "1000", "--run", "120"]
    subprocess.run(command, env=environment, check=True, timeout=600, stdout=subprocess.DEVNULL)
    found = json.loads((tmp_path / "scale.json").read_text())
    assert found["cells"] == 1000 and found["measured"] > 10
    assert all(found[name] > 0 for name in scale.BARS)
    assert "planning 1,000 cells" in (tmp_path / "table.md").read_text()
