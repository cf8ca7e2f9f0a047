"""What is not at hand is read from small files of its format, brought by a server on this machine: no result is claimed."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile

import numpy as np
import pytest

from bench import datasets
from bench.datasets import cache, images, openml, pmlb, tables
from bench.errors import InputError


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return gzip.compress(head + array.tobytes())


def tar(contents: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


# -- images


def idx_files(server, y_train=(0, 1, 2)):
    X_train, X_test = (np.arange(n * 4, dtype=np.uint8).reshape(n, 2, 2) for n in (3, 2))
    parts = X_train, np.array(y_train, np.uint8), X_test, np.array([1, 0], np.uint8)
    return tuple(server.file(idx(part), f"kmnist/{i}.gz") for i, part in enumerate(parts))


def test_kmnist(server, monkeypatch):
    monkeypatch.setattr(images, "KMNIST", idx_files(server))
    data = datasets.check(images.kmnist())
    assert data.X.dtype == np.uint8
    assert data.X[2].tolist() == [8, 9, 10, 11]
    assert data.y.tolist() == [0, 1, 2, 1, 0]
    assert data.is_test.tolist() == [False] * 3 + [True] * 2
    assert data.image_shape == (2, 2, 1)
    assert data.classes[:3] == ("o", "ki", "su")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not gzip", "cannot read"),
        (gzip.compress(b"\x00\x00\x0d\x01"), "not an IDX file"),
        (gzip.compress(b"\x00\x00\x08\x02\x00\x00"), "not an IDX file"),
        (gzip.compress(b"\x00\x00\x08\x01\x00\x00\x00\x05abc"), "but 3 values follow"),
        (idx(np.zeros(9, np.uint8))[:-12], "cannot read"),
    ],
)
def test_a_file_that_is_no_idx(tmp_path, content, message):
    (tmp_path / "file.gz").write_bytes(content)
    with pytest.raises(InputError, match=message):
        images.read_idx(tmp_path / "file.gz")


def cifar_record(label: int) -> bytes:
    planes = np.zeros((3, 32, 32), np.uint8)
    planes[0, 0, 1], planes[2, 31, 31] = 200, label
    return bytes([label]) + planes.tobytes()


def test_cifar10(server, monkeypatch):
    batches = {f"cifar-10-batches-bin/data_batch_{i}.bin": cifar_record(i) * 2 for i in (1, 2)}
    content = tar({**batches, "cifar-10-batches-bin/test_batch.bin": cifar_record(9), "cifar-10-batches-bin/readme.html": b""})
    monkeypatch.setattr(images, "CIFAR10", server.file(content, "cifar10/c.tar.gz"))
    data = images.cifar10()
    assert data.y.tolist() == [1, 1, 2, 2, 9]
    assert data.is_test.tolist() == [False] * 4 + [True]
    image = data.X[-1].reshape(32, 32, 3)
    assert (image[0, 1].tolist(), image[31, 31].tolist()) == ([200, 0, 0], [0, 0, 9])


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"data_batch_1.bin": cifar_record(1)}, "lacks data_batch"),
        ({"data_batch_1.bin": cifar_record(1)[:-1], "test_batch.bin": cifar_record(1)}, "not a multiple of 3073"),
        ({"../data_batch_1.bin": cifar_record(1)}, "leads out of the archive"),
    ],
)
def test_an_archive_that_is_not_cifar10(server, monkeypatch, contents, message):
    monkeypatch.setattr(images, "CIFAR10", server.file(tar(contents), "cifar10/c.tar.gz"))
    with pytest.raises(InputError, match=message):
        images.cifar10()


def test_cats_vs_dogs_prefers_the_original_and_keeps_its_labels(server, monkeypatch):
    batches = {"data_batch_1.bin": b"".join(map(cifar_record, range(10))), "test_batch.bin": cifar_record(5) + cifar_record(3)}
    original = server.file(tar(batches), "cifar10/c.tar.gz")
    monkeypatch.setattr(images, "CIFAR10", original)
    data = images.cats_vs_dogs()
    assert data.classes == ("cat", "dog")
    assert data.y.tolist() == [0, 1, 1, 0]
    assert data.is_test.tolist() == [False, False, True, True]
    assert "about" not in data.facts


# -- tables


def test_california_housing(server, monkeypatch):
    rows = "-122.23,37.88,41,880,129,322,126,8.3252,452600\n-122,37,21,7099,1106,2401,1138,8.3,358500\n"
    content = tar({"CaliforniaHousing/cal_housing.data": rows.encode()})
    monkeypatch.setattr(tables, "CALIFORNIA_HOUSING", server.file(content, "california_housing/c.tgz"))
    data = datasets.check(tables.california_housing())
    # the first sample as scikit-learn's documentation of the set shows it
    assert np.allclose(data.X[0], [8.3252, 41, 6.98412698, 1.02380952, 322, 2.55555556, 37.88, -122.23])
    assert np.allclose(data.y, [4.526, 3.585])
    assert data.task == "regression"


def test_covertype(server, monkeypatch):
    rows = "".join(",".join(map(str, [*range(54), 1 + i % 2])) + "\n" for i in range(4))
    monkeypatch.setattr(tables, "COVERTYPE", server.file(gzip.compress(rows.encode()), "covertype/c.gz"))
    data = datasets.check(tables.covertype())
    assert data.X.shape == (4, 54)
    assert data.y.tolist() == [0, 1, 0, 1]
    assert data.classes == ("1", "2")


# -- the Penn Machine Learning Benchmarks

TABLE = gzip.compress(b"a\tb\ttarget\n" + b"".join(b"%d\t0.5\t%d\n" % (i, i % 3) for i in range(30)))
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{hashlib.sha256(TABLE).hexdigest()}\nsize {len(TABLE)}\n"


@pytest.fixture
def repository(server, monkeypatch):
    monkeypatch.setattr(pmlb, "POINTERS", server.address + "pointers/{name}/")
    monkeypatch.setattr(pmlb, "TABLES", server.address + "tables/{name}.tsv.gz")
    server.answers = {
        "/pointers/new/new.tsv.gz": POINTER.encode(),
        "/pointers/new/metadata.yaml": b"dataset: new\ntask: classification\ntarget:\n  type: categorical\n",
        "/tables/new.tsv.gz": TABLE,
    }
    return server


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_table_that_is_not_known_here_is_verified_by_its_pointer(repository, task):
    repository.answers["/pointers/new/metadata.yaml"] = f"dataset: new\ntask: {task}\n".encode()
    data = datasets.load("pmlb:new")
    assert data.X.shape == (30, 2)
    assert data.task == task
    n_asked = len(repository.asked)
    assert datasets.load("pmlb:new").y.tolist() == data.y.tolist()
    assert len(repository.asked) == n_asked == 3, "the second time, all of it is at hand"
    assert cache.state(datasets.get("pmlb:new").sources[0][0]) == "ok"


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("/pointers/new/new.tsv.gz", None, "404"),
        ("/pointers/new/new.tsv.gz", b"<html>", "not a Git LFS pointer"),
        ("/tables/new.tsv.gz", TABLE + b"x", "another SHA-256"),
        ("/pointers/new/metadata.yaml", b"task: clustering", "does not say"),
    ],
)
def test_what_the_repository_may_get_wrong(repository, path, content, message):
    repository.answers[path] = content
    with pytest.raises(InputError, match=message):
        datasets.load("pmlb:new")


def test_a_table_without_a_target(repository):
    content = gzip.compress(b"a\tb\n1\t2\n")
    pointer = POINTER.replace(hashlib.sha256(TABLE).hexdigest(), hashlib.sha256(content).hexdigest())
    repository.answers.update({"/tables/new.tsv.gz": content, "/pointers/new/new.tsv.gz": pointer.encode()})
    with pytest.raises(InputError, match="no column 'target'"):
        datasets.load("pmlb:new")


# -- OpenML

ARFF = "@RELATION r\n@ATTRIBUTE size NUMERIC\n@ATTRIBUTE color {red,blue}\n@ATTRIBUTE class {no,yes}\n@DATA\n" + (
    "1.5,red,yes\n?,blue,no\n2.5,?,yes\n0.5,red,no\n"
)


@pytest.fixture
def service(server, monkeypatch):
    from sklearn.datasets import _openml

    for constant in ("_SEARCH_NAME", "_DATA_INFO", "_DATA_FEATURES", "_DATA_QUALITIES"):
        address = re.sub(r"^https://[^/]*/", server.address, getattr(_openml, constant))
        monkeypatch.setattr(_openml, constant, address)
    monkeypatch.setattr("sklearn.datasets._openml.time.sleep", lambda seconds: None)
    features = [
        {"index": str(i), "name": name, "data_type": kind, "is_target": str(name == "class").lower(),
         "is_ignore": "false", "is_row_identifier": "false", "number_of_missing_values": "0"}
        for i, (name, kind) in enumerate([("size", "numeric"), ("color", "nominal"), ("class", "nominal")])
    ]  # fmt: skip
    description = {
        "id": "7", "name": "toy", "version": "1", "description": "a toy", "format": "ARFF", "status": "active", "file_id": "70",
        "md5_checksum": hashlib.md5(ARFF.encode()).hexdigest(), "url": f"{server.address}data/v1/download/70/toy.arff",
    }  # fmt: skip
    server.answers = {
        "/api/v1/json/data/7": json.dumps({"data_set_description": description}).encode(),
        "/api/v1/json/data/features/7": json.dumps({"data_features": {"feature": features}}).encode(),
        "/api/v1/json/data/qualities/7": json.dumps(
            {"data_qualities": {"quality": [{"name": "NumberOfInstances", "value": "4.0"}]}}
        ).encode(),
        "/data/v1/download/70/toy.arff": ARFF.encode(),
    }
    return server


def test_openml(service, folder):
    assert not openml.is_here("7")
    data = datasets.load("openml:7")
    assert data.classes == ("no", "yes")
    assert data.y.tolist() == [1, 0, 1, 0]
    assert data.facts["about"] == "OpenML 7: toy, version 1"
    assert "missing: size (1), color (1)" in data.facts["inferred"]
    assert data.fold(np.arange(3), np.array([3]))[0].shape == (3, 4)
    assert openml.is_here("7")
    n_asked = len(service.asked)
    datasets.load("openml:7")
    assert len(service.asked) == n_asked, "the second time, all of it is at hand"


def cut(handler):
    handler.send(ARFF.encode(), 20)


@pytest.mark.parametrize(
    ("path", "answer", "message"),
    [
        ("/api/v1/json/data/7", None, "none of that number"),
        ("/data/v1/download/70/toy.arff", None, "none of that number"),
        ("/data/v1/download/70/toy.arff", ARFF.replace("1.5", "1.6").encode(), "md5 checksum"),
        ("/data/v1/download/70/toy.arff", cut, "cannot fetch openml:7"),
        ("/api/v1/json/data/7", b"{", "cannot fetch openml:7"),
    ],
)
def test_what_openml_may_get_wrong(service, path, answer, message):
    service.answers[path] = answer
    with pytest.raises(InputError, match=message):
        datasets.load("openml:7")


def test_no_service(service):
    service.http.server_close()
    with pytest.raises(InputError, match="cannot fetch openml:7"):
        datasets.load("openml:7")
