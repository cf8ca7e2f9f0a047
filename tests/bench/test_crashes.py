"""What may happen to a run folder while it is written, each thing really done, many times, at random moments.

The processes are real and so are the signals, locks and the full disk (a small tmpfs where user namespaces are allowed, else
a limit on the size of files). Power cannot be cut in a test: what it leaves behind is made by hand, and that rows are
synced in time is seen by watching fsync. Seeds are fixed; the long versions are marked slow.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bench import appending, store
from bench.cell import Row
from bench.store import StoreError, Writer, read_run

ROOT = Path(__file__).parents[2]
N_ROWS = 400

#: Appends what is missing of N_ROWS rows, and says so of each after it stands: what was said must never be lost.
APPENDS = f"""
import sys
from bench.cell import Row
from bench.store import Writer
with Writer(sys.argv[1], {{"run_id": "a"}}) as writer:
    for fold in range({N_ROWS}):
        row = Row("iris", "raw", "lda", "sklearn", 1, 0, fold, 0, "ok", accuracy=0.5, message="x" * (fold * 37 % 900))
        if row.identity not in writer:
            writer.append(row)
            print(fold, flush=True)
"""


def row(fold: int, **values) -> Row:
    return Row("iris", "raw", "lda", "sklearn", 1, 0, fold, 0, **{"status": "ok", "accuracy": 0.5, **values})


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent)]), "COLUMNS": "80"}


def appends(folder: Path, **options) -> subprocess.Popen:
    command = [sys.executable, "-c", APPENDS, str(folder)]
    return subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def complete(folder: Path) -> None:
    process = appends(folder)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 0, errors


def folds_of(folder: Path) -> list[int]:
    """The rows that stand there; reading refuses a cell that stands twice."""
    return [r.fold for r in read_run(folder).rows]


# -- killed


@pytest.mark.parametrize("kills", [8, pytest.param(150, marks=pytest.mark.slow)])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
def test_what_a_killed_writer_said_was_written_is_there(tmp_path, kills, number):
    moments, said = random.Random(kills), set()
    folder = tmp_path / "a"
    for i in range(kills):
        if len(said) == N_ROWS:  # begin anew
            folder, said = tmp_path / f"a{i}", set()
        process = appends(folder)
        lines = [process.stdout.readline()]
        time.sleep(moments.random() * 0.004)
        process.send_signal(number)
        lines += process.communicate()[0].splitlines()
        said |= {int(line) for line in lines if line.strip()}
        there = folds_of(folder)
        assert said <= set(there), f"lost after kill {i}"
        said = set(there)  # one may stand there that it had no time to say
    complete(folder)
    assert sorted(folds_of(folder)) == list(range(N_ROWS))


@pytest.mark.parametrize("rounds", [1, pytest.param(12, marks=pytest.mark.slow)])
def test_several_that_want_the_same_folder_take_turns(tmp_path, rounds):
    """One writes and the others are told who does; together they write each row once."""
    for i in range(rounds):
        folder = tmp_path / str(i)
        refused, done = 0, False
        while not done:
            processes = [appends(folder) for _ in range(3)]
            for process in processes:
                errors = process.communicate(timeout=60)[1]
                if process.returncode:
                    refused += 1
                    assert "StoreError" in errors and "is being written by" in errors
                else:
                    done = True
        assert sorted(folds_of(folder)) == list(range(N_ROWS))


# -- power


def test_a_row_is_synced_within_a_second_though_none_follows(tmp_path, monkeypatch):
    synced = []
    real = os.fsync
    with Writer(tmp_path / "a", {"run_id": "a"}) as writer:
        monkeypatch.setattr(appending.os, "fsync", lambda fd: (real(fd), synced.append(time.monotonic())))
        for fold in range(3):
            start = time.monotonic()
            writer.append(row(fold))
            assert len(synced) == fold, "an append does not wait for the disk"
            while len(synced) == fold:
                assert time.monotonic() - start < 30
                time.sleep(0.01)
    assert appending._COLLECT_S <= 0.6 * appending.SYNC_WITHIN_S


def test_what_cannot_be_synced_is_said(tmp_path, monkeypatch):
    def broken(fd):
        raise OSError(5, "Input/output error")

    writer = Writer(tmp_path / "a", {"run_id": "a"})
    writer.append(row(0))
    monkeypatch.setattr(appending.os, "fsync", broken)
    with pytest.raises(StoreError, match="Input/output error"):
        writer.close()
    monkeypatch.undo()
    Writer(tmp_path / "a", {}).close()  # and the lock is free


def lost_pages(content: bytes, keep: int, seed: int) -> bytes:
    """What may be left of a file whose first `keep` bytes were synced: any later page may be zero, the end may be cut."""
    chance, page = random.Random(seed), 512
    pages = [content[i : i + page] for i in range(keep, len(content), page)]
    pages = [p if chance.random() < 0.5 else bytes(len(p)) for p in pages]
    rest = b"".join(pages)
    return content[:keep] + rest[: chance.randint(0, len(rest))]


@pytest.mark.parametrize("times", [40, pytest.param(2000, marks=pytest.mark.slow)])
def test_what_a_power_cut_leaves_is_read_and_completed(tmp_path, times):
    folder, path = tmp_path / "a", tmp_path / "a" / store.ROWS
    rows = [row(fold, message="ü" * (fold * 31 % 200)) for fold in range(20)]
    with Writer(folder, {"run_id": "a"}) as writer:
        for r in rows:
            writer.append(r)
    whole = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for seed in range(times):
        n_synced = random.Random(-seed).randint(0, len(rows))
        path.write_bytes(lost_pages(whole, ends[n_synced - 1] if n_synced else 0, seed))
        there = read_run(folder).rows
        assert there[:n_synced] == rows[:n_synced] and set(r.fold for r in there) <= set(range(20))
        with Writer(folder, {}) as writer:
            for r in rows:
                if r.identity not in writer:
                    writer.append(r)
        assert sorted(read_run(folder).rows, key=lambda r: r.fold) == rows
        assert len(path.read_bytes().splitlines()) == len(rows), "what was lost leaves no trace"


# -- a full disk

#: Runs a command inside of a small file system of its own: `sh -c SMALL size command...`; $DISK is where it is.
SMALL = """
DISK=$(mktemp -d); export DISK; mount -t tmpfs -o size=$0 none "$DISK" || exit 99
more() { mount -o remount,size=64m "$DISK"; }
"""


def on_a_small_disk(script: str, size: str, cwd: Path) -> subprocess.CompletedProcess:
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", SMALL + script, size]
    try:
        done = subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=300)
    except FileNotFoundError:
        pytest.skip("needs unshare (util-linux)")
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip(f"needs a file system of its own: {done.stderr.strip()[:100]}")
    return done


def test_a_full_disk_loses_nothing_and_the_run_is_finished_when_there_is_room(tmp_path):
    """The whole command, on a tmpfs with room for some of the rows."""
    (tmp_path / "t.toml").write_text(
        'name = "t"\ndatasets = ["breast_cancer"]\nmodels = ["own_models:fine", "gaussian_nb"]\nfolds = 12\n'
    )
    script = f"""
    run="{sys.executable} -m bench run t.toml -o $DISK --resume r"
    $run >out 2>&1; echo "first $?"
    cp $DISK/r/rows.jsonl rows.before
    more; $run >out3 2>&1; echo "room $?"
    cp $DISK/r/rows.jsonl rows.after; ls $DISK/r
    """
    done = on_a_small_disk(script, "36k", tmp_path)
    said = (tmp_path / "out").read_text()
    assert "first 2" in done.stdout, said
    assert "No space left" in said and "--resume" in said and "Traceback" not in said
    assert "room 0" in done.stdout and "report.html" in done.stdout, (tmp_path / "out3").read_text()
    before, after = ((tmp_path / f"rows.{name}").read_text().splitlines() for name in ("before", "after"))
    assert 0 < len(before) < len(after) == 24
    assert after[: len(before)] == before, "finished cells are kept as they were, and not run again"
    assert len({(r["model"], r["fold"]) for r in map(json.loads, after)}) == 24


def limit_files(n_bytes: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, resource.RLIM_INFINITY))


@pytest.mark.parametrize("n_bytes", [1500, 5000, 20_000, 50_001])
def test_a_line_that_finds_no_room_leaves_no_part_of_itself(tmp_path, n_bytes):
    pytest.importorskip("resource")
    process = appends(tmp_path / "a", preexec_fn=lambda: limit_files(n_bytes))
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and "StoreError" in errors and "File too large" in errors
    content = (tmp_path / "a" / store.ROWS).read_bytes()
    assert content.endswith(b"\n") and len(content.splitlines()) == len(said.splitlines())
    assert f"{len(said.splitlines())} finished cells" in errors
    complete(tmp_path / "a")
    assert folds_of(tmp_path / "a") == list(range(N_ROWS))


# -- any content at all

LINES = [json.dumps(row(fold).to_dict()).encode() for fold in range(4)]
PIECES = st.one_of(
    st.sampled_from(LINES),
    st.sampled_from([b"{}", b"[]", b"null", b'{"dataset": []}', b"[" * 9999, b"9" * 9999, b"\0" * 40, b"NaN", b'"\\ud800"']),
    st.builds(lambda line, a, b: line[:a] + line[b:], st.sampled_from(LINES), st.integers(0, 300), st.integers(0, 300)),
    st.builds(
        lambda name, value: json.dumps({**row(9).to_dict(), name: value}).encode(),
        st.sampled_from(list(row(9).to_dict())),
        st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=4),
    ),
    st.binary(max_size=60),
)


CONTENT = st.lists(st.tuples(PIECES, st.sampled_from([b"\n", b"\n", b"\n", b"", b"\r\n", b"\n\n"])), max_size=8)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(CONTENT)
@example([(json.dumps({**row(9).to_dict(), "dataset": []}).encode(), b"\n"), (LINES[0], b"\n")])
@example([(b"[" * 9999, b"\n")])
def test_any_content_is_read_or_refused_in_words(tmp_path_factory, pieces):
    check_any_content(tmp_path_factory, pieces)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
@given(CONTENT)
def test_very_much_content_is_read_or_refused_in_words(tmp_path_factory, pieces):
    check_any_content(tmp_path_factory, pieces)


def check_any_content(tmp_path_factory, pieces) -> None:
    folder = tmp_path_factory.mktemp("fuzz") / "a"
    Writer(folder, {"run_id": "a"}).close()
    (folder / store.ROWS).write_bytes(b"".join(piece + end for piece, end in pieces))
    try:
        before = read_run(folder).rows
    except StoreError as error:
        assert str(folder) in str(error)
        with pytest.raises(StoreError):  # and a writer does not touch what it cannot read
            Writer(folder, {})
        return
    with Writer(folder, {}) as writer:
        for fold in range(20, 23):
            writer.append(row(fold))
    assert read_run(folder).rows == [*before, row(20), row(21), row(22)]


# -- the whole command, killed and interrupted over and over until it is through


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_run_that_is_ended_again_and_again_completes(tmp_path, seed):
    import psutil

    chance = random.Random(seed)
    (tmp_path / "t.toml").write_text(
        'name = "t"\ndatasets = ["breast_cancer"]\nmodels = ["own_models:slow", "gaussian_nb", "lda"]\nfolds = 12\n'
        f"jobs = {1 + seed % 2}\n"
    )
    path, command = tmp_path / "r" / store.ROWS, [sys.executable, "-m", "bench", "run", "t.toml", "-o", ".", "--resume", "r"]
    after = b""
    for turn in range(40):
        before = after[: after.rfind(b"\n") + 1]  # what was torn may still be there, where a start ended before it was cut off
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        wait = chance.uniform(0.1, 3.0 + turn)  # a slow machine gets through as well
        try:
            errors = process.communicate(timeout=wait)[1]
        except subprocess.TimeoutExpired:
            number = chance.choice([signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
            children = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(number)
            errors = process.communicate(timeout=30)[1]
            # CPython ends by SIGINT, which a shell shows as 130 too, where an interrupt that was handled came inside the exec
            # of a string: dataclasses make their methods so. Before our handlers stand, the signal itself ends the process.
            ends = {-number} if number == signal.SIGKILL else {130, -signal.SIGINT, -number}
            assert process.returncode in ends, errors
            end = time.monotonic() + 10
            while any(c.is_running() and c.status() != psutil.STATUS_ZOMBIE for c in children):
                assert time.monotonic() < end, "a worker outlived its parent"
                time.sleep(0.02)
        else:
            assert process.returncode == 0, errors
            break
        after = path.read_bytes() if path.exists() else b""
        assert after.startswith(before), "a finished row was touched"
        if after and chance.random() < 0.5:  # the power went, too
            with open(path, "ab") as f:
                f.write(chance.choice([b'{"dataset": "brea', bytes(40), b'{"dataset": "breast_cancer", \0\0\0']))
    else:
        pytest.fail("40 tries, and not yet through")
    rows = read_run(tmp_path / "r").rows
    assert len(rows) == 36 and {r.status for r in rows} == {"ok"}
