"""The folder of stored features: what is in it is right or is made again, and nothing that befalls it fails a cell.

Processes are real ones here, killed with SIGKILL and stopped by a real limit on file sizes.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from bench import features
from bench.errors import InputError
from bench.features import cache
from bench.features.cache import FeatureCache

ROOT = Path(__file__).parents[3]
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")


def matrices(value=1.0, n=4):
    return np.full((n, 3), value, np.float32), np.full((2, 3), value, np.float64)


def never():
    raise AssertionError("made a second time")


def entries(folder: Path) -> list[str]:
    return sorted(p.stem for p in folder.glob("*.features"))


def start(code: str, folder: Path) -> subprocess.Popen:
    """Run code in a process of its own; `folder` and what it needs are there already."""
    head = (
        "import os, signal, sys, time\nimport numpy as np\nfrom pathlib import Path\n"
        "from bench.features import cache\nfrom bench.features.cache import FeatureCache\n"
        f"folder = Path({str(folder)!r})\n"
        "def matrices(n=4):\n    return np.ones((n, 3), np.float32), np.ones((2, 3), np.float32)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", head + code], env=environment, **pipes)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} never came"
        time.sleep(0.01)


# -- what is found is what was stored


def test_a_second_worker_gets_the_identical_matrix(tmp_path):
    one = FeatureCache(tmp_path).get("key", matrices)
    other = FeatureCache(tmp_path).get("key", never)
    assert other.x_train_sha256 == one.x_train_sha256 == features.sha256(one.X_train)
    assert np.array_equal(other.X_test, one.X_test)
    assert other.X_test.dtype == one.X_test.dtype == np.float32
    assert other.time_features_s == one.time_features_s > 0
    for X in (one.X_train, other.X_train):
        assert X.flags.c_contiguous
        assert not X.flags.writeable, "a model could change what the next one sees"


def test_what_is_cheap_is_not_stored(tmp_path):
    store = FeatureCache(tmp_path)
    store.get("key", matrices, stored=False)
    assert not list(tmp_path.iterdir())
    assert store.get("key", never, stored=False).X_train.shape == (4, 3), "but kept in memory"


def test_without_a_folder_or_without_room_all_stays_in_memory(tmp_path):
    for store in (FeatureCache(None), FeatureCache(tmp_path, limit_bytes=0)):
        store.get("key", matrices)
        store.get("key", never)
    assert not list(tmp_path.iterdir())


def test_memory_is_bounded(monkeypatch):
    store = FeatureCache(None)
    for key in "abcd":
        store.get(key, matrices)
    assert list(store._recent) == ["b", "c", "d"]
    monkeypatch.setattr(cache, "_IN_MEMORY_BYTES", 2 * store.get("b", never).n_bytes)
    store.get("d", never)
    assert list(store._recent) == ["b", "d"], "the last one used, and as many before as there is room for"
    monkeypatch.setattr(cache, "_IN_MEMORY_BYTES", 1)
    store.get("b", never)
    assert list(store._recent) == ["b"], "the last one always"


# -- damage


def test_every_altered_byte_is_seen(tmp_path):
    FeatureCache(tmp_path).get("key", matrices)
    [path] = tmp_path.glob("*.features")
    content = path.read_bytes()
    assert cache.read(path) is not None
    for position in range(len(content)):
        for flip in (0x01, 0x80):
            altered = bytearray(content)
            altered[position] ^= flip
            path.write_bytes(altered)
            assert cache.read(path) is None, f"byte {position}: {altered[position : position + 1]!r}"


@pytest.mark.parametrize("length", [0, 1, 100, -1, -4, -70])
def test_every_cut_is_seen_and_mended(tmp_path, length):
    FeatureCache(tmp_path).get("key", matrices)
    [path] = tmp_path.glob("*.features")
    path.write_bytes(path.read_bytes()[:length])
    again = FeatureCache(tmp_path).get("key", lambda: matrices(2.0))
    assert again.X_train[0, 0] == 2.0
    assert FeatureCache(tmp_path).get("key", never).X_train[0, 0] == 2.0


@pytest.mark.parametrize("content", [b"\n", b"null \n", b"{} x\n", b"\x80\x04N.", b"x" * 10_000, b"\x93NUMPY\x01\x00"])
def test_what_is_no_entry_is_none(tmp_path, content):
    path = tmp_path / "key.features"
    path.write_bytes(content)
    assert cache.read(path) is None


def test_more_than_was_written_is_seen(tmp_path):
    FeatureCache(tmp_path).get("key", matrices)
    [path] = tmp_path.glob("*.features")
    path.write_bytes(path.read_bytes() + b"\0")
    assert cache.read(path) is None


# -- no room, no right


def failing(error: int):
    def fail(*_, **__):
        raise OSError(error, os.strerror(error))

    return fail


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("bench.features.cache._write", errno.ENOSPC),
        ("os.replace", errno.ENOSPC),
        ("builtins.open", errno.EROFS),
        ("pathlib.Path.mkdir", errno.ENOSPC),
        ("pathlib.Path.iterdir", errno.EACCES),
        ("filelock.FileLock.acquire", errno.ENOLCK),
        ("filelock.FileLock.acquire", errno.EROFS),
    ],
)
def test_whatever_the_system_refuses_costs_the_cache_and_nothing_else(tmp_path, monkeypatch, capsys, target, error):
    with monkeypatch.context() as patch:
        patch.setattr(target, failing(error))
        store = FeatureCache(tmp_path / "folder")
        for key in "ab":
            assert store.get(key, matrices).X_train.shape == (4, 3)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1, "once, not for every cell"
    assert "not stored" in said[0]
    assert os.strerror(error) in said[0]
    assert not list(tmp_path.rglob("*.part"))
    assert not entries(tmp_path / "folder") if (tmp_path / "folder").exists() else True


def test_a_folder_that_is_a_file(tmp_path, capsys):
    (tmp_path / "folder").write_text("in the way")
    assert FeatureCache(tmp_path / "folder").get("key", matrices).X_train.shape == (4, 3)
    assert "not stored" in capsys.readouterr().err


@POSIX
def test_a_folder_that_may_only_be_read(capsys):
    with tempfile.TemporaryDirectory() as name:  # not below pytest's, which nobody else may enter
        folder = Path(name) / "features"
        FeatureCache(folder).get("there", matrices)
        os.chmod(name, 0o755)
        os.chmod(folder, 0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)  # root may write anywhere
        try:
            with pytest.raises(OSError, match="denied"):
                (folder / "x").touch()
            store = FeatureCache(folder)
            assert store.get("there", never).X_train.shape == (4, 3), "what is there is read all the same"
            assert store.get("new", matrices).X_train.shape == (4, 3)
        finally:
            if root:
                os.seteuid(0)
            os.chmod(folder, 0o755)
        assert entries(folder) == ["there"]
    assert "not stored" in capsys.readouterr().err


@POSIX
def test_a_real_limit_on_what_may_be_written(tmp_path):
    code = (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "store = FeatureCache(folder)\n"
        "print(store.get('large', lambda: matrices(100_000)).X_train.shape, store.get('small', matrices).X_train.shape)\n"
    )
    process = start(code, tmp_path)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.split("\n")[0] == "(100000, 3) (4, 3)"
    assert "not stored" in err
    assert entries(tmp_path) == ["small"]
    assert not list(tmp_path.glob("*.part"))


# -- several at once


def test_three_processes_make_it_once(tmp_path):
    code = (
        "def make():\n"
        "    with open(folder / 'made.log', 'a') as f:\n        f.write('made\\n')\n"
        "    time.sleep(0.5)\n    return matrices()\n"
        "(folder / f'ready-{os.getpid()}').touch()\n"
        "while not (folder / 'go').exists():\n    time.sleep(0.005)\n"
        "print(FeatureCache(folder).get('key', make).x_train_sha256)\n"
    )
    processes = [start(code, tmp_path) for _ in range(3)]
    for process in processes:
        wait_for(tmp_path / f"ready-{process.pid}")
    (tmp_path / "go").touch()
    answers = {process.communicate(timeout=60)[0] for process in processes}
    assert (tmp_path / "made.log").read_text() == "made\n"
    assert answers == {features.sha256(matrices()[0]) + "\n"}


def test_a_wait_ends(tmp_path, capsys):
    """Whoever makes it may take for ever; then it is made here, and left to them to store."""
    from filelock import FileLock

    with FileLock(tmp_path / "key.lock"):
        store = FeatureCache(tmp_path, wait_s=0.1)
        assert store.get("key", matrices).X_train.shape == (4, 3)
    assert "for 0.1 s; they are made here too" in capsys.readouterr().err
    assert not entries(tmp_path)
    FeatureCache(tmp_path, wait_s=0.1).get("key", matrices)
    assert entries(tmp_path) == ["key"]


@POSIX
def test_the_lock_of_a_killed_process_is_free(tmp_path):
    code = "FeatureCache(folder).get('key', lambda: ((folder / 'begun').touch(), time.sleep(600)))\n"
    process = start(code, tmp_path)
    wait_for(tmp_path / "begun")
    process.kill()
    process.communicate()
    began = time.monotonic()
    FeatureCache(tmp_path, wait_s=60).get("key", matrices)
    assert time.monotonic() - began < 30, "waited for a process that is dead"
    assert entries(tmp_path) == ["key"]


@POSIX
def test_killed_in_the_middle_of_writing(tmp_path):
    """Half a file is never taken for a whole one, and is cleared away once it is nobody's."""
    code = (
        "def half(file, head, found):\n"
        "    file.write(head + b'\\0' * 1000)\n    file.flush()\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "cache._write = half\n"
        "FeatureCache(folder).get('key', lambda: matrices(1000))\n"
    )
    process = start(code, tmp_path)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    [part] = tmp_path.glob("*.part")
    assert part.stat().st_size > 1000
    assert not entries(tmp_path)
    assert FeatureCache(tmp_path).get("key", lambda: matrices(2.0)).X_train[0, 0] == 2.0
    assert part.exists(), "another process may be writing it"
    os.utime(part, (time.time() - 7200,) * 2)
    FeatureCache(tmp_path).get("other", matrices)
    assert not part.exists()
    assert entries(tmp_path) == ["key", "other"]


# -- the limit


def test_what_was_used_longest_ago_makes_room(tmp_path):
    def get(key, make=matrices):
        FeatureCache(tmp_path, limit_bytes=limit).get(key, make)
        for path in tmp_path.glob("*.features"):  # times of a file system may be too coarse for a test
            used = path.stat().st_mtime
            os.utime(path, (used - 100,) * 2)

    limit = 1 << 20
    get("a")
    limit = 3 * (tmp_path / "a.features").stat().st_size + 10
    get("b")
    get("c")
    assert entries(tmp_path) == ["a", "b", "c"]
    get("a", never)  # used again
    get("d")
    assert entries(tmp_path) == ["a", "c", "d"]


def test_a_matrix_larger_than_the_limit_is_not_stored(tmp_path, capsys):
    FeatureCache(tmp_path).get("there", matrices)
    store = FeatureCache(tmp_path, limit_bytes=1000)
    assert store.get("large", lambda: matrices(n=1000)).X_train.shape == (1000, 3)
    assert entries(tmp_path) == ["there"], "nothing made room for it"
    assert "DEPTHBENCH_CACHE_BYTES allows 1000" in capsys.readouterr().err


def test_locks_without_an_entry_go_after_a_while(tmp_path):
    for name, age in (("old", 7200), ("new", 10)):
        (tmp_path / f"{name}.lock").touch()
        os.utime(tmp_path / f"{name}.lock", (time.time() - age,) * 2)
    FeatureCache(tmp_path).get("key", matrices)
    assert not (tmp_path / "old.lock").exists()
    assert (tmp_path / "new.lock").exists()


# -- where and how large


def test_the_environment_says_where(monkeypatch, tmp_path):
    monkeypatch.setenv("DEPTHBENCH_CACHE", str(tmp_path / "mine"))
    assert cache.default_folder() == tmp_path / "mine" / "features"
    monkeypatch.delenv("DEPTHBENCH_CACHE")
    if sys.platform.startswith("linux"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "platform"))
        assert cache.default_folder() == tmp_path / "platform" / "depthbench" / "features"
    assert cache.default_folder().is_absolute()


@pytest.mark.parametrize(("value", "n_bytes"), [(None, 4 << 30), ("", 4 << 30), ("2GB", 2 << 30), ("1000", 1000), ("0", 0)])
def test_the_environment_says_how_large(monkeypatch, value, n_bytes):
    monkeypatch.delenv("DEPTHBENCH_CACHE_BYTES", raising=False)
    if value is not None:
        monkeypatch.setenv("DEPTHBENCH_CACHE_BYTES", value)
    assert cache.default_limit() == n_bytes


def test_a_size_that_is_none(monkeypatch):
    monkeypatch.setenv("DEPTHBENCH_CACHE_BYTES", "much")
    with pytest.raises(InputError, match="DEPTHBENCH_CACHE_BYTES: 'much' is not a size"):
        cache.default_limit()
