"""Adapters are found by the entry points of our own package, and load nobody's SDK before they are used."""

from __future__ import annotations

import os
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


LIST = """
import sys
from superpose.backends.providers import list_backends
lines = {one.name: one for one in list_backends()}
assert lines["local"].status == "online" and "emulator" in {one.kind for one in lines.values()}, lines
assert lines["aer"].kind in ("simulator", None), lines["aer"]
assert {"braket:*", "ibm"} <= set(lines) and lines["ibm"].kind == "qpu" and lines["braket:*"].kind is None, lines
heavy = {"qiskit", "qiskit_aer", "qiskit_ibm_runtime", "pennylane", "pyquil", "cirq", "cirq_google", "braket.aws",
         "braket.circuits", "torch"}
loaded = heavy & set(sys.modules)
assert not loaded, loaded
"""


def test_the_list_loads_no_sdk_where_there_is_no_account(tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "QISKIT_", "IONQ_"))}
    nobody = {**clean, "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    subprocess.run([sys.executable, "-c", LIST], check=True, timeout=300, env=nobody)


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
