"""The README shows what is stored under results/, to the letter, and its examples run."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TABLES = re.findall(r"<!-- table: (\S+) -->\n(.*?)<!-- end of table -->", README, re.DOTALL)


def test_readme_has_tables():
    assert len(TABLES) >= 2


@pytest.mark.parametrize(("path", "text"), TABLES, ids=[path for path, _ in TABLES])
def test_every_line_of_a_table_stands_in_the_stored_result(path, text):
    stored = (ROOT / path).read_text().splitlines()
    lines = [line for line in text.splitlines() if line.strip()]
    assert lines, f"the README shows nothing of {path}"
    missing = [line for line in lines if line not in stored]
    assert not missing, f"not in {path}: {missing[:3]}"


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_links_lead_somewhere(link):
    assert (ROOT / link).exists()


def test_python_example_runs_and_leaves_its_file_where_it_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    example = next(block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "load_digits" in block)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # stopped before convergence: said in the row of a run, not here
        exec(compile(example, "README.md", "exec"), {})
    assert [path.name for path in tmp_path.iterdir()] == ["digits.safetensors"]
