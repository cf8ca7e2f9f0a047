"""The examples in the docstrings of models/ run and give what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import models

NAMES = ["models", *(f"models.{module.name}" for module in pkgutil.iter_modules(models.__path__))]


@pytest.mark.parametrize("name", NAMES)
def test_examples(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    assert sum(bool(test.examples) for name in NAMES for test in finder.find(importlib.import_module(name))) >= 18
