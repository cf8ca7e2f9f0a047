"""The JSON Schema of rows: equal to what the class says, and true of the rows that there are."""

import dataclasses
import json
from pathlib import Path

import jsonschema
import pytest

from bench.cell import Row
from bench.schema import row_schema, to_text

ROOT = Path(__file__).parents[2]
STORED = ROOT / "docs" / "row.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(row_schema())
GOOD = Row("d", "raw", "lda", "sklearn", 1, 0, 0, 0, "ok", accuracy=0.9, x_train_sha256="a" * 64, time_fit_s=0.1).to_dict()


def test_the_stored_schema_is_that_of_the_class():
    assert STORED.read_text(encoding="utf-8") == to_text(), "python -m bench.schema > docs/row.schema.json"


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(json.loads(STORED.read_text(encoding="utf-8")))
    assert set(row_schema()["properties"]) == {f.name for f in dataclasses.fields(Row)}


def test_every_key_has_a_type_and_a_description():
    assert [name for name, about in row_schema()["properties"].items() if not {"type", "description"} <= set(about)] == []


@pytest.mark.parametrize("path", sorted((ROOT / "results").glob("*/rows.jsonl")), ids=lambda path: path.parent.name)
def test_rows_that_are_stored_are_valid(path):
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if number % 7 == 1:  # each model and feature set, not each fold
            VALIDATOR.validate(json.loads(line))


def test_a_good_row_is_valid():
    VALIDATOR.validate(GOOD)
    VALIDATOR.validate({**GOOD, "a_key_of_a_later_version": [1]})


@pytest.mark.parametrize(
    "change",
    [
        {"status": "fine"}, {"accuracy": 1.5}, {"accuracy": "0.9"}, {"accuracy": None}, {"threads": 1.5}, {"fold": "0"},
        {"x_train_sha256": "abc"}, {"time_fit_s": -1.0}, {"n_train": -1}, {"schema_version": 99}, {"confusion": [1]},
        {"curve": {"epoch": "1"}}, {"converged": "no"}, {"family": "shallow"},
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused(change):
    assert not VALIDATOR.is_valid({**GOOD, **change})


@pytest.mark.parametrize("name", ["dataset", "fold", "seed", "status"])
def test_a_row_without_identity_is_refused(name):
    assert not VALIDATOR.is_valid({key: value for key, value in GOOD.items() if key != name})
