"""Adapters are found by the entry points of our own package, and load nobody's SDK before they are used."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

POINTS = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]["entry-points"]
LOOK = """
import importlib, sys
for target in sys.argv[1:]:
    module, name = target.split(":")
    made = getattr(importlib.import_module(module), name)()
    assert made.name, target
heavy = {"qiskit", "qiskit_aer", "qiskit_ibm_runtime", "pennylane", "pyquil", "qcs_sdk", "qdk", "requests", "torch"}
loaded = heavy & set(sys.modules)
assert not loaded, loaded
"""


def test_they_are_made_without_loading_an_sdk() -> None:
    targets = [
        POINTS["superpose.backends"]["aer"],
        *(POINTS["superpose.providers"][one] for one in ("ibm", "pennylane", "rigetti", "azure")),
    ]
    subprocess.run([sys.executable, "-c", LOOK, *targets], check=True, timeout=300)


def test_a_missing_package_is_told_with_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from superpose.backends.clouds.aer import AerBackend
    from superpose.backends.clouds.ibm import IbmProvider
    from superpose.backends.clouds.pennylane import PennyLaneProvider
    from superpose.errors import ToolkitMissingError

    for package in ("qiskit_aer", "qiskit_ibm_runtime", "pennylane"):
        monkeypatch.setitem(sys.modules, package, None)  # which is how Python says that there is none
    for make, extra in (
        (lambda: AerBackend().capabilities(), "aer"),
        (lambda: IbmProvider().backend("fake_manila"), "ibm"),
        (lambda: PennyLaneProvider().backend("default.qubit"), "pennylane"),
    ):
        with pytest.raises(ToolkitMissingError, match=rf"superpose\[{extra}\]"):
            make()
    for provider in (IbmProvider(), PennyLaneProvider()):
        (line,) = provider.list()
        assert line.status == "unavailable" and "pip install" in line.note
