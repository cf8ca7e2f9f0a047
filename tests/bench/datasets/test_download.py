"""Files are brought whole or not at all: everything that can go wrong on the way, against a server on this machine."""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
import tarfile
import zipfile

import pytest

from bench.datasets import cache
from bench.datasets.archives import members
from bench.errors import InputError

CONTENT = bytes(range(256)) * 64


def test_a_file_is_brought_once_and_then_found(server, folder):
    file = server.file(CONTENT)
    path = cache.locate(file)
    assert path == folder / "set" / "file.bin"
    assert path.read_bytes() == CONTENT
    assert cache.locate(file) == path
    assert len(server.asked) == 1


def test_a_file_that_is_there_needs_neither_network_nor_a_folder_that_can_be_written(server, folder):
    file = server.file(CONTENT)
    (folder / "set").mkdir(parents=True)
    (folder / file.path).write_bytes(CONTENT)
    (folder / "set").chmod(0o500)
    assert cache.locate(file).read_bytes() == CONTENT
    assert server.asked == []
    assert [p.name for p in (folder / "set").iterdir()] == ["file.bin"], "something was written beside it"


def test_a_file_with_another_hash_is_brought_anew(server, folder):
    file = server.file(CONTENT)
    (folder / "set").mkdir(parents=True)
    (folder / file.path).write_bytes(CONTENT[:-1])
    assert cache.state(file) == "wrong"
    assert cache.locate(file).read_bytes() == CONTENT


def cut(handler):
    handler.send(CONTENT, 1000)


def fails(handler):
    handler.send_error(503)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (CONTENT + b"x", "another SHA-256"),
        (cut, "the connection was cut"),
        (None, "404"),
        (fails, "503"),
    ],
    ids=["wrong hash", "cut connection", "404", "503"],
)
def test_what_goes_wrong_is_said_and_leaves_nothing(server, folder, answer, message):
    file = server.file(CONTENT)
    server.answers = {"/set/file.bin": answer} if answer else {}
    with pytest.raises(InputError) as caught:
        cache.locate(file)
    assert message in str(caught.value)
    assert str(folder / file.path) in str(caught.value), "where to put it by hand"
    assert file.sha256 in str(caught.value)
    assert len(server.asked) == 1 + cache.RETRIES
    assert not [p.name for p in (folder / "set").iterdir() if not p.name.endswith(".lock")]


def test_no_server_is_said(server, monkeypatch):
    file = server.file(CONTENT)
    server.http.server_close()
    with pytest.raises(InputError, match="no connection"):
        cache.locate(file)


def test_a_broken_download_is_started_anew(server):
    file = server.file(CONTENT)

    def second_time_lucky(handler):
        handler.send(CONTENT, 1000 if len(server.asked) == 1 else None)

    server.answers["/set/file.bin"] = second_time_lucky
    assert cache.locate(file).read_bytes() == CONTENT
    assert len(server.asked) == 2


def test_a_progress_bar_counts_what_came_and_begins_anew(server, monkeypatch):
    import tqdm

    bars, real = [], tqdm.tqdm

    def visible(**options):
        bars.append(real(**{**options, "disable": False, "file": io.StringIO()}))
        return bars[-1]

    monkeypatch.setattr(tqdm, "tqdm", visible)
    file = server.file(CONTENT)
    server.answers["/set/file.bin"] = lambda handler: handler.send(CONTENT, 5000 if len(server.asked) == 1 else None)
    cache.locate(file)
    [bar] = bars
    assert (bar.n, bar.total) == (len(CONTENT), len(CONTENT))


def test_the_next_address_is_tried(server):
    file = server.file(CONTENT)
    first = server.address + "gone"
    both = type(file)(file.path, file.sha256, file.size_bytes, (first, *file.urls))
    assert cache.locate(both).read_bytes() == CONTENT


def test_a_full_disk_is_said_and_leaves_nothing(server, folder):
    file = server.file(CONTENT)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # the kernel refuses to write more, as on a full disk
    try:
        with pytest.raises(InputError, match="cannot write") as caught:
            cache.locate(file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert cache.VARIABLE in str(caught.value)
    assert not [p.name for p in (folder / "set").iterdir() if not p.name.endswith(".lock")]


def test_a_folder_that_cannot_be_made_is_said(server, folder):
    folder.write_bytes(b"a file, where a folder should be")
    with pytest.raises(InputError, match="cannot write"):
        cache.locate(server.file(CONTENT))


def test_a_file_without_an_address_says_where_to_put_it(server, folder):
    file = server.file(CONTENT, urls=())
    with pytest.raises(InputError, match="put it by hand at") as caught:
        cache.locate(file)
    assert str(folder / file.path) in str(caught.value)
    (folder / "set").mkdir(parents=True)
    (folder / file.path).write_bytes(b"something else")
    with pytest.raises(InputError, match="another file"):
        cache.locate(file)


def test_two_processes_that_want_the_same_file_download_it_once(server, folder):
    file = server.file(CONTENT)
    code = f"from bench.datasets import cache\nfrom bench.datasets.entry import File\nprint(cache.locate({file!r}))"
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [process.communicate(timeout=120)[0].strip() for process in running]
    assert answers == [str(folder / file.path)] * 3
    assert len(server.asked) == 1


# -- archives


def zip_of(names) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return buffer.getvalue()


def tar_of(names) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 1
            archive.addfile(member, io.BytesIO(b"x"))
    return buffer.getvalue()


@pytest.mark.parametrize("pack", [zip_of, tar_of])
@pytest.mark.parametrize("name", ["../outside", "a/../../outside", "/etc/outside"])
def test_an_archive_that_leads_outside_is_refused(server, tmp_path, pack, name):
    path = cache.locate(server.file(pack(["inside", name])))
    with pytest.raises(InputError, match="leads out of the archive"), members(path):
        pass
    assert not list(tmp_path.rglob("outside"))


@pytest.mark.parametrize("pack", [zip_of, tar_of])
def test_members_are_sorted_and_read(server, pack):
    path = cache.locate(server.file(pack(["b", "a/c"])))
    with members(path) as found:
        assert {name: read() for name, read in found.items()} == {"a/c": b"x", "b": b"x"}
        assert list(found) == ["a/c", "b"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", zip_of(["a"])[:-8], tar_of(["a"] * 50)[:90]])
def test_what_is_no_archive_is_said(tmp_path, content):
    (tmp_path / "archive").write_bytes(content)
    with pytest.raises(InputError, match="not a readable archive"), members(tmp_path / "archive") as found:
        [read() for read in found.values()]
