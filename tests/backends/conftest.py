"""The conformance matrix, made of what the adapters' tests really find.

A test that holds a backend to its contracts takes the fixture ``conforms``; one that injects a fault of the list is
marked with it, ``@pytest.mark.fault("throttling")``. With ``--record-conformance`` what passed is written into
``conformance.json`` beside this file and into docs/conformance.md; without, what is found must be what stands there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.backends.matrix import RECORD, Matrix

from superpose.circuits import Backend
from superpose.testing import ConformanceReport, conformance

_FOUND = pytest.StashKey[Matrix]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-conformance", action="store_true", help="write what the backends' tests find")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        names = [name for mark in item.iter_markers("fault") for name in mark.args]
        if names:
            adapter = item.path.stem.removeprefix("test_")
            test = getattr(item, "originalname", item.name)
            item.user_properties.append(("fault", json.dumps([adapter, sorted(set(names)), test])))


@pytest.fixture
def conforms(request: pytest.FixtureRequest) -> Callable[..., ConformanceReport]:
    """Hold a backend to every contract; what is found must be what the matrix says about it."""

    def look(backend: Backend, row: str | None = None, **how: Any) -> ConformanceReport:
        report = conformance(backend, **{"pause_s": 0.0, **how}).require()
        row = row or backend.name
        request.node.user_properties.append(("conformance", json.dumps([row, dict(report.outcomes)])))
        if not request.config.getoption("--record-conformance", False):
            known = Matrix.read().contracts.get(row)
            assert known == report.outcomes, f"docs/conformance.md tells otherwise of {row}; {RECORD} writes it"
        return report

    return look


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--record-conformance", False) and not hasattr(config, "workerinput"):
        config.stash[_FOUND] = Matrix.read()
        config.pluginmanager.register(_Recorder(config.stash[_FOUND]))


class _Recorder:
    """Takes what passed from the tests' reports, wherever they ran."""

    def __init__(self, matrix: Matrix) -> None:
        self._matrix = matrix
        self._begun = set[str]()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call":
            return
        for kind, text in report.user_properties:
            if kind == "conformance" and report.passed:
                row, outcomes = json.loads(str(text))
                self._matrix.contracts[row] = outcomes
            elif kind == "fault":
                adapter, names, test = json.loads(str(text))
                if adapter not in self._begun:  # whole adapters are recorded anew
                    self._begun.add(adapter)
                    self._matrix.faults[adapter] = {}
                for name in names:
                    self._matrix.add_fault(adapter, name, test, passed=report.passed)

    def pytest_sessionfinish(self) -> None:
        self._matrix.write()
