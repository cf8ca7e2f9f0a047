"""The run folder: nothing written is lost, nothing stands twice, damage is either harmless or said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from bench import store
from bench.cell import SCHEMA_VERSION, Row
from bench.store import StoreError, Writer, find_run, read_run


def row(fold: int, **values) -> Row:
    return Row("iris", "raw", "lda", "sklearn", 1, 0, fold, 0, **{"status": "ok", "accuracy": 0.5, **values})


def make_run(folder, n_rows: int = 3, **manifest):
    with Writer(folder, {"run_id": folder.name, **manifest}) as writer:
        for fold in range(n_rows):
            writer.append(row(fold))
    return folder


def test_what_is_written_is_read(tmp_path):
    run = read_run(make_run(tmp_path / "a", 3, suite={"name": "s"}))
    assert run.run_id == "a"
    assert run.manifest["suite"] == {"name": "s"}
    assert run.manifest["schema_version"] == SCHEMA_VERSION
    assert run.rows == [row(0), row(1), row(2)]


def test_a_row_is_on_disk_before_the_writer_closes(tmp_path):
    with Writer(tmp_path / "a", {"run_id": "a"}) as writer:
        writer.append(row(0))
        assert read_run(tmp_path / "a").rows == [row(0)]


TORN = [b'{"dataset": "iris", "fea', b"{", b"\x00" * 300, b'{"dataset": "iris"}\n', b"\xff\n"]


@pytest.mark.parametrize("tail", TORN)
def test_a_torn_tail_is_passed_over_and_then_cut_off(tmp_path, tail):
    folder = make_run(tmp_path / "a", 2)
    with open(folder / store.ROWS, "ab") as f:
        f.write(tail)
    assert read_run(folder).rows == [row(0), row(1)]
    with Writer(folder, {}) as writer:
        assert not writer.is_new
        writer.append(row(2))
    assert read_run(folder).rows == [row(0), row(1), row(2)]
    lines = (folder / store.ROWS).read_text().splitlines()
    assert [json.loads(line)["fold"] for line in lines] == [0, 1, 2]


@pytest.mark.parametrize("keep", range(0, 700, 37))
def test_cut_anywhere_the_whole_lines_survive(tmp_path, keep):
    folder = make_run(tmp_path / "a", 4)
    content = (folder / store.ROWS).read_bytes()
    (folder / store.ROWS).write_bytes(content[:keep])
    ends = [i for i, byte in enumerate(content) if byte == ord("\n")]
    n_whole = sum(end <= keep for end in ends)  # a line that lacks only its newline is whole too
    assert len(read_run(folder).rows) == n_whole
    with Writer(folder, {}) as writer:
        for fold in range(4):
            if row(fold).identity not in writer:
                writer.append(row(fold))
    assert [r.fold for r in read_run(folder).rows] == [0, 1, 2, 3]


def test_damage_in_the_middle_is_said_with_its_line(tmp_path):
    folder = make_run(tmp_path / "a", 3)
    lines = (folder / store.ROWS).read_bytes().splitlines(True)
    (folder / store.ROWS).write_bytes(lines[0] + lines[1][:20] + b"\n" + lines[2])
    with pytest.raises(StoreError, match="line 2"):
        read_run(folder)


def test_a_cell_that_stands_twice_is_refused(tmp_path):
    folder = make_run(tmp_path / "a", 2)
    with Writer(folder, {}) as writer, pytest.raises(ValueError, match="already"):
        writer.append(row(1, accuracy=0.9))
    content = (folder / store.ROWS).read_bytes()
    (folder / store.ROWS).write_bytes(content + content.splitlines(True)[0])
    with pytest.raises(StoreError, match="twice"):
        read_run(folder)


def test_a_number_that_is_not_finite_is_refused(tmp_path):
    with Writer(tmp_path / "a", {}) as writer, pytest.raises(ValueError):
        writer.append(row(0, log_loss=float("nan")))
    assert read_run(tmp_path / "a").rows == []


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ('{"schema_version": 99}', "newer"),
        ('{"schema_version": "1"}', "schema_version"),
        ("{}", "schema_version"),
        ("[]", "object"),
        ('{"schema_', "not JSON"),
    ],
)
def test_a_manifest_that_cannot_be_understood(tmp_path, manifest, message):
    folder = make_run(tmp_path / "a")
    (folder / store.MANIFEST).write_text(manifest)
    with pytest.raises(StoreError, match=message):
        read_run(folder)


def test_a_newer_row_is_refused_and_an_unknown_key_is_not(tmp_path):
    folder = make_run(tmp_path / "a", 1)
    values = row(1).to_dict()
    with open(folder / store.ROWS, "a") as f:
        f.write(json.dumps({**values, "energy_j": 3.0}) + "\n")
    assert len(read_run(folder).rows) == 2
    with open(folder / store.ROWS, "a") as f:
        f.write(json.dumps({**values, "fold": 7, "schema_version": 99}) + "\n")
    with pytest.raises(StoreError, match="newer"):
        read_run(folder)


def test_runs_are_found_by_id_and_by_path(tmp_path):
    folder = make_run(tmp_path / "20260101-000000-digits-abcd")
    assert find_run(folder.name, tmp_path) == folder
    assert find_run(folder) == folder
    assert find_run(folder / store.ROWS) == folder
    with pytest.raises(StoreError, match=r"did you mean '20260101-000000-digits-abcd'"):
        find_run("20260101-000000-digits-abce", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match="not a run folder"):
        find_run(tmp_path / "empty")


def test_rows_without_a_manifest_start_afresh(tmp_path):
    folder = make_run(tmp_path / "a", 2)
    (folder / store.MANIFEST).unlink()
    with Writer(folder, {"run_id": "a"}) as writer:
        assert writer.is_new
        assert len(writer) == 0


def test_a_run_is_discarded_only_while_it_is_new_and_empty(tmp_path):
    writer = Writer(tmp_path / "a", {"run_id": "a"})
    writer.discard()
    assert not (tmp_path / "a").exists()
    make_run(tmp_path / "b", 1)
    with Writer(tmp_path / "b", {}) as writer, pytest.raises(ValueError):
        writer.discard()


@pytest.mark.skipif(not os.path.exists("/proc/self"), reason="needs a folder that even root cannot write to")
def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for target in (tmp_path / "file" / "run", "/proc/self/nowhere"):
        with pytest.raises(StoreError, match="cannot write"):
            Writer(target, {})


HOLD = """
import sys, time
from bench.store import Writer
writer = Writer(sys.argv[1], {"run_id": "a"})
print("held", flush=True)
time.sleep(60)
"""


def test_a_second_writer_is_told_who_holds_the_folder_and_a_dead_one_holds_nothing(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "a")], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreError, match=f"process {holder.pid} on"):
            Writer(tmp_path / "a", {})
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    with Writer(tmp_path / "a", {}) as writer:
        writer.append(row(0))
    assert len(read_run(tmp_path / "a").rows) == 1


def test_ids_are_plain_names_that_differ():
    ids = {store.new_run_id("../my suite/ü") for _ in range(20)}
    assert len(ids) > 1
    assert all(store.is_valid_run_id(i) for i in ids)
    assert not store.is_valid_run_id("../x")


def test_nested_values_come_back_as_they_were_and_take_little(tmp_path):
    """They are kept as text in memory, and nobody who reads a row sees it."""
    import copy
    import dataclasses
    import sys

    nested = {
        "confusion": [[5, 1], [0, 7]],
        "calibration": {"n_bins": 15, "ece": 0.1, "bins": [[14, 12, 11.5, 11]]},
        "predict_batches": [{"batch": 1, "p50_s": 1e-4}],
        "threads_before": {"openblas": 1},
        "threads_after": {"openblas": 1},
    }
    written = [row(fold, **nested) for fold in range(2)]
    with Writer(tmp_path / "a", {"run_id": "a"}) as writer:
        for r in written:
            writer.append(r)
    for n in range(2000):  # whatever the process has read before
        row(0).from_dict(row(0).to_dict() | {"threads_after": {"openblas": 2 + n}})
    read = read_run(tmp_path / "a").rows
    assert read == written and [r.to_dict() for r in read] == [r.to_dict() for r in written]
    for name, value in nested.items():
        assert getattr(read[0], name) == value
        slot = type(row(0)).__dict__[name]._slot
        assert type(slot.__get__(read[0])) is bytes, "kept as text"
    assert sys.getsizeof(slot.__get__(read[0])) < 80 and slot.__get__(read[0]) is slot.__get__(read[1]), "and once"
    read[0].confusion[0][0] = 99
    assert read[0].confusion == nested["confusion"], "what a reader does with it is its own"
    assert dataclasses.replace(read[0], fold=1) == read[1] == copy.deepcopy(read[1])
    with Writer(tmp_path / "b", {"run_id": "b"}) as writer:
        writer.append(read[0])
    assert (tmp_path / "b" / store.ROWS).read_bytes() == (tmp_path / "a" / store.ROWS).read_bytes().splitlines(True)[0]
