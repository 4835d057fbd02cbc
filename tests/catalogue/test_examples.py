"""The examples in the docstrings of the catalogue run."""

import doctest
import importlib
import pkgutil

import pytest

import linkways.catalogue

MODULES = [
    "linkways.catalogue",
    *(f"linkways.catalogue.{m.name}" for m in pkgutil.iter_modules(linkways.catalogue.__path__)),
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
