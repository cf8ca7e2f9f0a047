"""docs/kernels.md is what the list of kernels says."""

from pathlib import Path

from kernels.docs import page
from kernels.spec import SPECS

DOCS = Path(__file__).parents[2] / "docs" / "kernels.md"


def test_page_on_disk_is_the_one_the_list_makes():
    assert DOCS.read_text() == page(), "run `python -m kernels.docs > docs/kernels.md`"


def test_page_shows_every_kernel_with_an_example():
    sections = page().split("\n## ")[1:]
    assert [s.split("\n", 1)[0] for s in sections] == [spec.name for spec in SPECS]
    assert all(">>> " in s for s in sections)
