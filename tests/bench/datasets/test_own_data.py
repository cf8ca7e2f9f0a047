"""A person's own tables, arrays and folders of images: what is inferred is said, and what cannot be used says why."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench import datasets
from bench.datasets import files, folders, table
from bench.errors import InputError
from bench.splits import split


def write(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def inferred(data) -> str:
    return "; ".join(data.facts["inferred"])


GOOD = "a,b,label\n" + "".join(f"{i},{i * 2},{'x' if i % 2 else '<script>'}\n" for i in range(10))
MIXED = (
    "age,city,id,joined,vip,note,label\n"
    "31,Bonn,0,2020-01-02,true,n1,yes\n"
    ",Köln,1,2020-01-03,false,n2,no\n"
    "45,?,2,2020-01-04,true,n3,yes\n"
    "52,Bonn,3,2020-01-05,true,n4,no\n"
)


def test_a_csv_of_ones_own(tmp_path):
    data = datasets.load("mine", write(tmp_path / "mine.csv", GOOD), "label")
    assert data.X.shape == (10, 2)
    assert data.classes == ("<script>", "x")
    assert data.task == "classification"
    assert data.preparation is None, "numbers throughout need none: they go as they came"


def test_what_was_inferred_is_said(tmp_path):
    data = datasets.load("mine", write(tmp_path / "mine.csv", MIXED), "label")
    assert inferred(data) == (
        "target 'label': 2 classes (no, yes); 3 columns of numbers; 2 of categories: city (2, one-hot), note (4, one-hot); "
        "missing: age (1), city (1); left out: id (it counts the rows)"
    )
    X_train, X_test = data.fold(np.array([0, 2]), np.array([1, 3]))
    #                    joined vip age city: Bonn, missing; note: n1 n3
    assert X_train.tolist() == [[18263, 1, 31, 1, 0, 1, 0], [18265, 1, 45, 0, 1, 0, 1]]
    assert X_test.tolist() == [[18264, 0, 38, 0, 0, 0, 0], [18266, 1, 52, 1, 0, 0, 0]]
    assert data.facts["file"]["name"] == "mine.csv"


@pytest.mark.parametrize("separator", [";", "\t"])
def test_another_separator(tmp_path, separator):
    data = datasets.load("mine", write(tmp_path / "m.csv", GOOD.replace(",", separator)), "label")
    assert data.X.shape == (10, 2)
    assert f"separated by {separator!r}" in inferred(data)


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    assert datasets.load("m", write(tmp_path / "m.csv", b"\xef\xbb\xbf" + GOOD.encode()), "label").X.shape == (10, 2)


def test_a_number_to_predict(tmp_path):
    text = "a,price\n" + "".join(f"{i},{i * 1.37 + 0.1}\n" for i in range(40))
    assert datasets.load("mine", write(tmp_path / "m.csv", text), "price").task == "regression"


def test_group_columns_are_not_features(tmp_path):
    text = "a,group,y\n" + "".join(f"{i},{i // 3},{i % 2}\n" for i in range(12))
    data = datasets.load("mine", write(tmp_path / "m.csv", text), "y")
    assert data.X.shape == (12, 1)
    assert len(split(data, "group:group", 2, 0, 0)) == 2


ARFF = """@relation r
@attribute size numeric
@attribute color {red, 'dark blue'}
@attribute label {no, yes}
@data
1.5, red, yes
?, 'dark blue', no
2.5, ?, yes
"""


def frame():
    return pd.DataFrame(
        {"size": [1.5, None, 2.5], "color": pd.Categorical(["red", "dark blue", None]), "label": ["yes", "no", "yes"]}
    )


def as_csv(path):
    frame().to_csv(path, index=False)


def as_parquet(path):
    frame().to_parquet(path)


def as_arff(path):
    path.write_text(ARFF)


@pytest.mark.parametrize(("write_to", "suffix"), [(as_csv, "csv"), (as_parquet, "parquet"), (as_arff, "arff")])
def test_a_table_is_the_same_in_every_format(tmp_path, write_to, suffix):
    path = tmp_path / f"mine.{suffix}"
    write_to(path)
    data = datasets.load("mine", str(path), "label")
    assert data.classes == ("no", "yes")
    assert data.y.tolist() == [1, 0, 1]
    assert "missing: size (1), color (1)" in inferred(data)
    X_train, X_test = data.fold(np.array([0, 1]), np.array([2]))
    assert (X_train.shape[1], sorted(X_train[0])) == (3, [0.0, 1.0, 1.5])
    assert X_test.tolist() == [[2.5, 0, 0]]


@pytest.mark.parametrize("dtype", ["int64", "Int64", "float64", "bool", "category", "str"])
def test_a_target_of_any_kind(tmp_path, dtype):
    values = [True, False, True] if dtype == "bool" else ["1", "0", "1"] if dtype in ("category", "str") else [1, 0, 1]
    pd.DataFrame({"a": [1.0, 2.0, 3.0], "y": pd.Series(values, dtype=dtype)}).to_parquet(tmp_path / "m.parquet")
    data = datasets.load("m", str(tmp_path / "m.parquet"), "y")
    assert data.y.tolist() == [1, 0, 1]
    assert data.classes in (("0", "1"), ("False", "True"))


def truncated_parquet(path):
    as_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])


def nested_parquet(path):
    pd.DataFrame({"a": [[1, 2], [3]], "label": ["x", "y"]}).to_parquet(path)


@pytest.mark.parametrize(
    ("name", "content", "target", "message"),
    [
        ("m.csv", "", "label", "m.csv"),
        ("m.csv", "a,label\n", "label", "no rows"),
        ("m.csv", "a,label\n1,x\n2,y,3\n", "label", "Expected 2 columns, got 3"),
        ("m.csv", "a,b,label\n1,2,x\n2,y\n", "label", "Expected 3 columns, got 2"),
        ("m.csv", "a,label\n1,x\n2,\n", "label", "target 'label' is missing in row 2"),
        ("m.csv", "a,b,label\n1,,x\n2,?,y\n", "label", "column 'b' has no value at all"),
        ("m.csv", "a,label\n1,x\ninf,y\n", "label", "infinite"),
        ("m.csv", "a,label\n1,x\n2,x\n", "label", "one class"),
        ("m.csv", "a,a,label\n1,2,x\n2,1,y\n", "label", "two columns named 'a'"),
        ("m.csv", "label\nx\ny\n", "label", "no column to learn from"),
        ("m.csv", GOOD, "lable", "did you mean 'label'"),
        ("m.csv", GOOD, None, "--target"),
        ("m.csv", b"\xff\xfe\x00\x01", "label", "m.csv"),
        ("m.csv", b"a,label\n\xff\xfe,x\n", "label", "'a' is not text in UTF-8"),
        ("m.parquet", b"PAR1 cut short", "label", "not a readable Parquet file"),
        ("m.parquet", truncated_parquet, "label", "not a readable Parquet file"),
        ("m.parquet", nested_parquet, "label", "not plain values"),
        ("m.arff", "", "label", "not a readable ARFF file"),
        ("m.arff", "@relation r\n@attribute a odd\n@data\nx\n", "a", "not a readable ARFF file"),
        ("m.arff", ARFF.replace("1.5, red, yes", "1.5, green, yes"), "label", "green not found"),
        ("m.arff", ARFF.replace("1.5, red, yes", "1.5, red"), "label", "not a readable ARFF file"),
        ("m.arff", ARFF.encode("utf-16"), "label", "not a readable ARFF file"),
        ("m.npz", b"PK\x03\x04 cut short", None, "m.npz"),
        ("m.npz", b"", None, "m.npz"),
        ("m.xls", "a", None, "allowed: .csv, .parquet, .arff, .npz, or a folder"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path, name, content, target, message):
    path = tmp_path / name
    content(path) if callable(content) else write(path, content)
    with pytest.raises(InputError, match=message):
        datasets.load("mine", str(path), target)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"nothere\.csv"):
        datasets.load("mine", str(tmp_path / "nothere.csv"), "y")


@pytest.mark.parametrize("suffix", ["csv", "npz"])
def test_a_huge_file_is_not_even_opened(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(files, "MAX_BYTES", 50)
    with pytest.raises(InputError, match="is larger than"):
        datasets.load("mine", write(tmp_path / f"m.{suffix}", b"x" * 51), "label")


def test_a_small_archive_of_huge_arrays_is_not_unpacked(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "m.npz", X=np.zeros((1000, 100)), y=np.zeros(1000))
    monkeypatch.setattr(files, "MAX_BYTES", 100_000)
    with pytest.raises(InputError, match="once it is unpacked"):
        datasets.load("mine", str(tmp_path / "m.npz"))


def test_a_table_that_would_not_fit_into_memory(tmp_path):
    with pytest.raises(InputError, match=r"mine\.csv is too large"):
        table.enough_memory(1 << 50, "mine.csv")


@pytest.mark.parametrize("shape", [(20, 5), (20, 4, 4), (20, 4, 4, 3)])
@pytest.mark.parametrize("dtype", [np.float64, np.uint8])
def test_npz(tmp_path, shape, dtype):
    np.savez(tmp_path / "m.npz", X=np.ones(shape, dtype), y=np.arange(20) % 2, is_test=np.arange(20) > 14)
    data = datasets.load("mine", str(tmp_path / "m.npz"))
    assert data.X.shape == (20, np.prod(shape[1:]))
    assert (data.image_shape is not None) == (len(shape) > 2)
    assert data.is_test.sum() == 5
    assert all(X.dtype == np.float32 for X in data.fold(np.arange(15), np.arange(15, 20)))


def test_gaps_in_an_npz_are_filled_from_the_training_fold(tmp_path):
    X = np.array([[1, 1], [1, 3], [1, 9], [1, np.nan]])
    np.savez(tmp_path / "m.npz", X=X, y=np.arange(4) % 2)
    data = datasets.load("mine", str(tmp_path / "m.npz"))
    assert data.fold(np.array([0, 1]), np.array([3]))[1].tolist() == [[1, 2]]
    assert "missing: column 1 (1)" in inferred(data)


class Bomb:
    """Its pickle would run code when it is read."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('a data file was executed')",))


def test_nothing_in_a_file_is_executed(tmp_path):
    np.savez(tmp_path / "m.npz", X=np.array([Bomb()], dtype=object), y=np.zeros(1))
    with pytest.raises(InputError, match=r"object|pickle"):
        datasets.load("mine", str(tmp_path / "m.npz"))


# -- folders of images


def images(root, classes=("cat", "dog"), parts=("",), size=(6, 4), mode="RGB", n=3):
    for part in parts:
        for c, label in enumerate(classes):
            folder = root / part / label
            folder.mkdir(parents=True)
            for i in range(n):
                color = (60 * c + i,) * len(mode) if mode != "L" else 60 * c + i
                Image.new(mode, size, color).save(folder / f"{i}.png")
    return root


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1), ("RGBA", 3)])
def test_a_folder_of_images(tmp_path, mode, channels):
    root = images(tmp_path / "pets", mode=mode)
    (root / ".DS_Store").write_bytes(b"not an image")
    data = datasets.load("pets", str(root))
    assert data.image_shape == (4, 6, channels)
    assert data.classes == ("cat", "dog")
    assert data.y.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.X[:, 0].tolist() == [0, 1, 2, 60, 61, 62]
    assert data.is_test is None
    assert inferred(data) == f"6 images, 4x6, {'grey' if channels == 1 else 'colour'}"


def test_train_and_test_are_the_official_split(tmp_path):
    data = datasets.load("pets", str(images(tmp_path / "pets", parts=("train", "test"))))
    assert data.classes == ("cat", "dog")
    assert data.is_test.sum() == 6
    assert len(data.y) == 12


def test_images_of_many_sizes_are_scaled_and_that_is_said(tmp_path):
    root = images(tmp_path / "pets")
    Image.new("RGB", (200, 100), (9, 9, 9)).save(root / "dog" / "large.png")
    data = datasets.load("pets", str(root))
    assert data.image_shape == (folders.SCALED_SIDE, folders.SCALED_SIDE, 3)
    assert data.X[-1].tolist() == [9] * data.X.shape[1]
    assert "scaled from 4x6 ... 100x200 pixels" in inferred(data)


def damage(root):
    path = root / "dog" / "1.png"
    path.write_bytes(path.read_bytes()[:45])


def no_image(root):
    (root / "dog" / "1.png").write_text("not an image")


def flat(root):
    Image.new("L", (6, 4)).save(root / "top.png")


def empty(root):
    for path in root.rglob("*.png"):
        path.unlink()


def one_class(root):
    for path in (root / "dog").iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (damage, r"dog/1\.png"),
        (no_image, r"dog/1\.png is not an image"),
        (flat, r"top\.png lies in no sub-folder"),
        (empty, "holds no images"),
        (one_class, "one class only"),
    ],
)
def test_a_folder_that_cannot_be_used_says_why(tmp_path, change, message):
    root = images(tmp_path / "pets")
    change(root)
    with pytest.raises(InputError, match=message):
        datasets.load("pets", str(root))


def test_an_image_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    root = images(tmp_path / "pets")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(InputError, match="too large an image"):
        datasets.load("pets", str(root))
