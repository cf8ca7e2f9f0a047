"""What all tests share: how hypothesis searches, and the backends that are usable here."""

from __future__ import annotations

import os

# Before NumPy is imported: two cores full of waiting OpenBLAS threads make the reference ten times slower.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import hypothesis
import pytest

import kernels

# No deadline: the first call of a kernel may compile it. In CI the same examples at every run; elsewhere new ones, so
# that the search goes on. Nothing is stored: tests leave no files behind.
hypothesis.settings.register_profile("home", deadline=None, database=None, print_blob=True)
hypothesis.settings.register_profile("ci", parent=hypothesis.settings.get_profile("home"), derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "home")


@pytest.fixture(params=kernels.backends(), scope="session")
def backend(request) -> kernels.Kernels:
    """The kernels of each backend that is usable here."""
    return kernels.load(request.param)
