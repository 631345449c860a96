"""The conformance matrix is whole, and says what the tests say."""

from __future__ import annotations

import pytest
from tests.backends.matrix import FAULTS, PAGE, RECORD, TABLES, Matrix, marked_faults, remote_adapters

from superpose.testing.reporting import CONTRACTS

HOW = f"; {RECORD} writes it"


def test_every_contract_has_its_column() -> None:
    columns = [name for table in TABLES.values() for name in table]
    assert sorted(columns) == sorted(one.name for one in CONTRACTS)


def test_every_row_has_every_contract_and_breaks_none() -> None:
    contracts = Matrix.read().contracts
    assert {"local", "aer", "emulator:ibm_fez", "ibm:ibm_manila"} <= set(contracts)
    for row, found in contracts.items():
        assert set(found) == {one.name for one in CONTRACTS}, row + HOW
        assert set(found.values()) <= {"passed", "not offered", "not looked at"}, row + HOW


def test_every_adapter_of_a_cloud_is_shown_every_fault() -> None:
    marked, remote = marked_faults(), remote_adapters()
    assert {"braket", "ibm", "ionq"} <= remote
    for adapter in sorted(remote):
        for fault in FAULTS:
            assert marked.get(adapter, {}).get(fault), (
                f"no test of {adapter} injects {fault!r}: mark one in tests/backends/clouds/test_{adapter}.py "
                "with @pytest.mark.fault"
            )
    assert {name for faults in marked.values() for name in faults} == set(FAULTS)


def test_the_record_is_of_the_tests_there_are() -> None:
    assert Matrix.read().faults == marked_faults(), "the record is of other tests" + HOW


def test_the_page_shows_the_record() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert Matrix.read().page(text) == text, "docs/conformance.md shows something else" + HOW


@pytest.mark.parametrize("name", ["aer", "braket", "ibm", "ionq"])
def test_its_suite_is_in_the_matrix(name: str) -> None:
    assert any(row.partition(":")[0] == name for row in Matrix.read().contracts)
