"""The examples in the docstrings of the rooms that stand on the gate table."""

import doctest
import importlib
import pkgutil

import pytest

import superpose.circuits

MODULES = sorted(module.name for module in pkgutil.walk_packages(superpose.circuits.__path__, "superpose.circuits."))


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    examples = [e for name in MODULES for test in finder.find(importlib.import_module(name)) for e in test.examples]
    assert len(examples) > 20
