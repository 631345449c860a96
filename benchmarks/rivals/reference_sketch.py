"""A sketch of the engine, given by path: a file with class Net(n_qubits, layers) and run(inputs, weights, upstream).

A file that has only the kernel ``fwd_bwd`` borrows Net from ``tape_prototype.py`` beside it.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

from rivals.circuit import Task
from rivals.protocol import Candidate, Step

__all__ = ["PACKAGES", "candidates"]

PACKAGES = ("numba", "llvmlite", "numpy")


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _driver(path: Path) -> type:
    module = _load(path)
    if hasattr(module, "Net"):
        return module.Net
    beside = _load(path.with_name("tape_prototype.py"))
    beside.fwd_bwd = module.fwd_bwd
    return beside.Net


def _build(task: Task) -> Step:
    net = _driver(Path(task.options["path"]))(task.case.n_qubits, task.case.layers)
    return Step(lambda: net.run(task.inputs, task.weights, task.upstream), lambda results: results)


def candidates(task: Task) -> list[Candidate]:
    """The sketch as it stands; its first call compiles its kernels."""
    return [Candidate("sketch", "complex64", lambda: _build(task))]
