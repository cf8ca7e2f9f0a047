"""What all tests share: how hypothesis searches, and the backends that are usable here."""

from __future__ import annotations

import os

# Before NumPy is imported: two cores full of waiting OpenBLAS threads make the reference ten times slower.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import hypothesis
import pytest

import kernels

# No deadline: the first call of a kernel may compile it. The same examples at every run, so that a fresh clone passes
# or fails for what it is; the long searches (marker `slow`) run in processes of their own and draw new ones.
hypothesis.settings.register_profile("repeatable", deadline=None, database=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("repeatable")


def pytest_make_parametrize_id(val) -> str | None:
    """Bytes are named by their number: packed ones hold the time, and the processes of one test run must agree on the names."""
    return f"{len(val)}_bytes" if isinstance(val, bytes) else None


@pytest.fixture(params=kernels.backends(), scope="session")
def backend(request) -> kernels.Kernels:
    """The kernels of each backend that is usable here."""
    return kernels.load(request.param)


@pytest.fixture(scope="session", autouse=True)
def commands_of_their_own():
    """Commands that a test starts are no part of this test run: pytest-benchmark would measure nothing in them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("PYTEST_XDIST")]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory):
    """Features that a test stores go to a temporary folder, never to the one that this user's runs share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEPTHBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def no_noise_check():
    """Runs of tests do not compare the machine with itself for a second each; the tests of that comparison do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEPTHBENCH_NOISE_S", "0")
        yield
