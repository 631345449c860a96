"""What an import of the learning room costs: names that need no torch do not load it."""

from __future__ import annotations

import subprocess
import sys

import pytest

import superpose.learning
from superpose import learning

TORCH_FREE = (
    "Predictor",
    "TrainingSpec",
    "Preprocessor",
    "admit",
    "compare",
    "evaluate",
    "read_model",
    "write_model",
    "Stopped",
)


def test_names_that_need_no_torch_do_not_load_it() -> None:
    code = f"""
import sys
from superpose import learning
for name in {TORCH_FREE}:
    getattr(learning, name)
    print(name, sorted({{'torch', 'sklearn', 'pandas'}} & set(sys.modules)))
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == [f"{name} []" for name in TORCH_FREE]


def test_every_public_name_loads_and_is_listed() -> None:
    for name in learning.__all__:
        assert getattr(learning, name) is not None
    assert dir(learning) == sorted(learning.__all__)
    with pytest.raises(AttributeError, match="no attribute 'QuantumLier'"):
        superpose.learning.QuantumLier  # noqa: B018
