"""Program sets: shapes as NumPy's, bindings in order, documents that come back equal, and results loaded lazily."""

from __future__ import annotations

import doctest
import itertools
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from superpose import Circuit, Observable, Parameter, ProgramGrid, ProgramSet, ProgramSetResult
from superpose.circuits import (
    PieceFailure,
    program_set_from_json,
    program_set_from_npz,
    program_set_to_json,
    program_set_to_npz,
)
from superpose.circuits.sets import grid, program_set
from superpose.circuits.sets.files import read_index
from superpose.circuits.sets.piece_result import PieceResult
from superpose.circuits.sets.program_set import Piece, split
from superpose.errors import (
    CircuitError,
    CircuitFormatError,
    ObservableError,
    ParameterUnboundError,
    PieceFailedError,
    ProgramSetError,
)

a, b, c = Parameter("a"), Parameter("b"), Parameter("c")
CIRCUIT = Circuit(2).ry(a, 0).rx(2 * b, 1).rz(c, 0)


@pytest.mark.parametrize("module", [grid, program_set])
def test_examples(module: Any) -> None:
    failed, tried = doctest.testmod(module)
    assert (failed, tried > 0) == (0, True)


def test_product_takes_each_with_each_in_the_order_given() -> None:
    made = ProgramGrid(CIRCUIT, {"b": [1.0, 2.0], "a": [[0.1, 0.2, 0.3]], "c": 9.0}, combine="product")
    assert made.shape == (2, 1, 3)
    expected = [(x, y, 9.0) for y, x in itertools.product([1.0, 2.0], [0.1, 0.2, 0.3])]
    assert [tuple(row) for row in made.rows().tolist()] == expected
    assert made.binding(1, 0, 2) == {"a": 0.3, "b": 2.0, "c": 9.0}
    with pytest.raises(ProgramSetError, match="no place"):
        made.binding(2, 0, 0)


def test_names_in_a_tuple_vary_together() -> None:
    pairs = np.array([[0.1, 1.0], [0.2, 2.0]])
    made = ProgramGrid(CIRCUIT, {(a, "c"): pairs, "b": [5.0, 6.0, 7.0]}, combine="product")
    assert made.shape == (2, 3)
    assert made.binding(1, 2) == {"a": 0.2, "b": 7.0, "c": 2.0}
    assert made.template.input_names == ("a", "b", "c")


@given(st.data())
def test_zip_broadcasts_as_numpy_does(data: st.DataObject) -> None:
    full = data.draw(st.lists(st.integers(1, 4), max_size=3))
    arrays = {}
    for name in "abc":
        own = tuple(data.draw(st.sampled_from([1, n])) for n in full[data.draw(st.integers(0, len(full))) :])
        arrays[name] = np.random.default_rng(len(name)).normal(size=own) if own else 0.5
    made = ProgramGrid(CIRCUIT, arrays)
    whole = np.broadcast_arrays(*(arrays[name] for name in "abc"))
    assert made.shape == whole[0].shape
    rows = np.stack(whole, axis=-1).reshape(-1, 3)
    start = data.draw(st.integers(0, len(rows) - 1))
    stop = data.draw(st.integers(start + 1, len(rows)))
    np.testing.assert_array_equal(made.rows(start, stop), rows[start:stop])


def test_an_array_stands_for_all_parameters_in_order() -> None:
    values = np.arange(24.0).reshape(2, 4, 3)
    made = ProgramGrid(CIRCUIT, values)
    assert made.shape == (2, 4)
    np.testing.assert_array_equal(made.rows(), values.reshape(8, 3))


REFUSED: list[tuple[type[Exception], str, Callable[[], Any]]] = [
    (ProgramSetError, "do not go together: a \\(2,\\), b \\(3,\\)",
     lambda: ProgramGrid(CIRCUIT, {"a": [1, 2], "b": [1, 2, 3], "c": 0})),
    (ParameterUnboundError, "Parameters c have no value", lambda: ProgramGrid(CIRCUIT, {"a": 1, "b": 2})),
    (ParameterUnboundError, "no parameters d", lambda: ProgramGrid(CIRCUIT, {"a": 1, "b": 2, "c": 3, "d": 4})),
    (ProgramSetError, "a get values twice", lambda: ProgramGrid(CIRCUIT, {("a", "b"): [1, 2], "a": 1, "c": 3})),
    (ProgramSetError, "last axis must be 2", lambda: ProgramGrid(CIRCUIT, {("a", "b"): [1, 2, 3], "c": 3})),
    (ProgramSetError, "last axis must be 3", lambda: ProgramGrid(CIRCUIT, [[1.0, 2.0]])),
    (ProgramSetError, "holds no value", lambda: ProgramGrid(CIRCUIT, {"a": [], "b": 1, "c": 1})),
    (ProgramSetError, "finite", lambda: ProgramGrid(CIRCUIT, {"a": np.nan, "b": 1, "c": 1})),
    (ProgramSetError, "real numbers", lambda: ProgramGrid(CIRCUIT, {"a": "x", "b": 1, "c": 1})),
    (ProgramSetError, "rectangular", lambda: ProgramGrid(CIRCUIT, {"a": [[1], [1, 2]], "b": 1, "c": 1})),
    (ProgramSetError, "combine must be", lambda: ProgramGrid(CIRCUIT, [0, 0, 0], combine="outer")),  # type: ignore[arg-type]
    (ProgramSetError, "observe='zip' takes",
     lambda: ProgramGrid(CIRCUIT, np.zeros((2, 3)), Observable("ZZ"), observe="zip")),
    (ProgramSetError, "superpose.load", lambda: ProgramGrid("h q;")),  # type: ignore[arg-type]
    (ProgramSetError, "shots must be", lambda: ProgramGrid(Circuit(1).h(0), shots=0)),
    (ObservableError, "acts on 1 qubits", lambda: ProgramGrid(CIRCUIT, [0, 0, 0], Observable("Z"))),
    (ProgramSetError, "1 to 10,000 grids", lambda: ProgramSet([])),
    (ProgramSetError, "at most 10,000,000 bindings",
     lambda: ProgramSet(ProgramGrid(CIRCUIT, {k: np.zeros(300) for k in "abc"}, combine="product"))),
    (ProgramSetError, "named x more than once", lambda: ProgramSet([ProgramGrid(Circuit(1), name="x")] * 2)),
    (ProgramSetError, "5 values", lambda: ProgramSet([(Circuit(1), None, (), None, 1)])),
    (ProgramSetError, "seed must be", lambda: ProgramSet(ProgramGrid(Circuit(1)), seed=-1)),
    (ProgramSetError, "at most 20,000 are run",
     lambda: split(ProgramSet(ProgramGrid(CIRCUIT, np.zeros((20_001, 3)))), [1])),
]  # fmt: skip


@pytest.mark.parametrize(("error", "message", "make"), REFUSED, ids=[row[1] for row in REFUSED])
def test_what_does_not_fit_is_refused_by_name(error: type[Exception], message: str, make: Callable[[], Any]) -> None:
    with pytest.raises(error, match=message):
        make()


def a_set() -> ProgramSet:
    """One grid of each kind."""
    return ProgramSet(
        [
            ProgramGrid(
                CIRCUIT,
                {("a", "c"): [[0.5, 1.0], [0.25, -1.0]], "b": 0.125},
                [Observable("ZI"), Observable({"XX": 0.5, "II": 2.0})],
                name="energy",
                observe="zip",
            ),
            ProgramGrid(CIRCUIT, {"a": [1, 2], "b": [[3.5]], "c": 0}, shots=100, combine="product", dtype="float32"),
            ProgramGrid(Circuit(1, name="plain").h(0)),
        ],
        seed=7,
    )


def test_documents_come_back_equal() -> None:
    made = a_set()
    document = json.loads(json.dumps(program_set_to_json(made)))
    assert program_set_from_json(document) == made
    npz = program_set_to_npz(made)
    assert program_set_from_npz(npz) == made
    assert program_set_to_npz(program_set_from_npz(npz)) == npz
    assert made != ProgramSet(made.grids, seed=8)


def test_a_document_may_name_parameters_and_hold_openqasm() -> None:
    document = {
        "format": "superpose.program_set",
        "version": 1,
        "grids": [
            {
                "circuit": 'OPENQASM 3.0; include "stdgates.inc"; input float t; qubit q; ry(t) q;',
                "params": {"t": [[0.0, 1.0], [2.0, 3.0]]},
                "observables": [{"Z": 1.0}],
            }
        ],
    }
    made = program_set_from_json(document)
    assert made.grids[0].shape == (2, 2)
    assert made.seed is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"version": 2}, "version"),
        ({"format": "superpose.program"}, "format"),
        ({"extra": 1}, "extra"),
        ({"grids": 3}, "grids"),
        ({"grids": [{"circuit": "no"}]}, "grids[0].circuit"),
        ({"grids": [{}]}, "grids[0].circuit"),
        ({"seed": 1.5}, "seed"),
    ],
)
def test_other_documents_are_refused_with_the_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(CircuitError) as caught:
        program_set_from_json({**program_set_to_json(a_set()), **change})
    assert caught.value.details["field"] == field


def test_npz_from_strangers_is_refused_before_it_is_believed(tmp_path: Path) -> None:
    npz = program_set_to_npz(a_set())
    for content in (b"", b"PK\x05\x06" + b"\0" * 18, npz[:200], npz[:-30], b"x" * 5000):
        with pytest.raises(CircuitFormatError):
            program_set_from_npz(content)
    np.savez(tmp_path / "objects.npz", document=np.array([{}], dtype=object))
    with pytest.raises(CircuitFormatError, match="does not fit its bytes"):
        program_set_from_npz((tmp_path / "objects.npz").read_bytes())
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:  # a header of 8 TB over 8 bytes
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
        archive.writestr("document.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 8)
    with pytest.raises(CircuitFormatError, match="does not fit its bytes"):
        program_set_from_npz((tmp_path / "huge.npz").read_bytes())


def result_of(shape: tuple[int, ...], limit: int, failed: tuple[int, ...] = ()) -> tuple[ProgramSetResult, list[int]]:
    """Results of a grid whose expectations are 2 i, 2 i + 1 at binding i, and the pieces that were loaded."""
    sizes = {name: np.zeros(n) for name, n in zip("abc", (*shape, *(1,) * (3 - len(shape))), strict=True)}
    made = ProgramSet(
        ProgramGrid(
            CIRCUIT, {k: v if len(v) > 1 else 0.0 for k, v in sizes.items()}, [Observable("ZZ")] * 2, combine="product"
        )
    )
    assert made.grids[0].shape == tuple(n for n in shape if n > 1)
    pieces, loaded = split(made, [limit]), list[int]()
    failures = [PieceFailure(n, 0, pieces[n].start, pieces[n].stop, "backend.provider", "away", 4) for n in failed]
    results = {
        p.number: PieceResult(expectations=np.arange(2.0 * p.start, 2.0 * p.stop).reshape(-1, 2)) for p in pieces
    }
    whole = ProgramSetResult.of_pieces(made.grids, pieces, results, failures, {"backend": "test"})

    def load(piece: Piece) -> PieceResult:
        loaded.append(piece.number)
        return results[piece.number]

    return ProgramSetResult(whole.facts, whole.piece_list, whole.failures, whole.provenance, load), loaded


SLICES = st.slices(6) | st.integers(-6, 5)


@given(st.tuples(SLICES, st.slices(5), st.slices(2) | st.integers(-2, 1)), st.integers(1, 30))
def test_lazy_indexing_is_numpys_and_loads_no_more_than_it_needs(index: tuple[Any, ...], limit: int) -> None:
    result, loaded = result_of((6, 5), limit)
    whole = np.arange(60.0).reshape(6, 5, 2)
    np.testing.assert_array_equal(result[0].expectations[index], whole[index])
    needed = {int(n) // 2 // limit for n in np.unique(whole[index[:2]])}
    assert set(loaded) == needed
    assert len(loaded) == len(needed)


def test_lazy_arrays_look_like_arrays() -> None:
    result, loaded = result_of((6, 5), 7)
    values = result[0].expectations
    assert values is not None
    assert (values.shape, values.ndim, values.size, len(values), values.dtype) == ((6, 5, 2), 3, 60, 6, np.float64)
    assert not loaded
    assert isinstance(values[1, 2, 0], float)
    np.testing.assert_array_equal(values[..., 1], np.arange(60.0).reshape(6, 5, 2)[..., 1])
    np.testing.assert_array_equal(np.asarray(values), np.arange(60.0).reshape(6, 5, 2))
    for index in (6, (0, 0, 2), (0, 0, 0, 0)):
        with pytest.raises(IndexError):
            values[index]
    for odd in ([0, 1], np.array([True] * 6), None, "x"):
        with pytest.raises(ProgramSetError, match="integers, slices"):
            values[odd]
    with pytest.raises(IndexError):
        result[1]
    with pytest.raises(ProgramSetError, match="No grid is named 'x'"):
        result["x"]


def test_failed_pieces_are_told_and_never_filled_in_silently() -> None:
    result, loaded = result_of((6, 5), 7, failed=(1, 3))
    grid_result, whole = result[0], np.arange(60.0).reshape(6, 5, 2)
    assert not result.complete
    assert grid_result.expectations is not None
    np.testing.assert_array_equal(grid_result.expectations[0], whole[0])
    loaded.clear()
    with pytest.raises(
        PieceFailedError, match=r"bindings 7..13 of grid 0, after 4 tries: \[backend.provider\] away"
    ) as e:
        grid_result.expectations[1]
    assert [f["piece"] for f in e.value.details["failures"]] == [1]  # type: ignore[attr-defined]
    assert not loaded
    with pytest.raises(PieceFailedError, match="and 1 more pieces"):
        np.asarray(grid_result.expectations)
    failed = grid_result.failed()
    assert failed.reshape(-1).nonzero()[0].tolist() == [*range(7, 14), *range(21, 28)]
    filled = grid_result.expectations.filled()
    assert np.isnan(filled[failed]).all()
    np.testing.assert_array_equal(filled[~failed], whole[~failed])


def test_files_hold_everything_and_notice_damage(tmp_path: Path) -> None:
    result, _ = result_of((6, 5), 7, failed=(2,))
    path = result.save(tmp_path / "result.zip")
    again = ProgramSetResult.open(path)
    assert (again.facts, again.piece_list, again.failures) == (result.facts, result.piece_list, result.failures)
    np.testing.assert_array_equal(again[0].expectations.filled(0.0), result[0].expectations.filled(0.0))  # type: ignore[union-attr]
    assert again.save(tmp_path / "again.zip").read_bytes() == path.read_bytes()
    with zipfile.ZipFile(path) as archive:  # any tool reads it
        assert archive.testzip() is None
        with archive.open("pieces/00000000.npz") as member:
            np.testing.assert_array_equal(np.load(member)["expectations"], np.arange(14.0).reshape(7, 2))
        index = json.loads(archive.read("index.json"))
    content = bytearray(path.read_bytes())
    place = index["pieces"][0]["stored"]["offset"] + 100
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(CircuitFormatError, match="not those that were written"):
        ProgramSetResult.open(path)[0].expectations[0]  # type: ignore[index]
    with pytest.raises(CircuitFormatError, match="cannot be read"):
        ProgramSetResult.open(tmp_path / "none.zip")
    gap = {**index, "pieces": [index["pieces"][0], *index["pieces"][2:]]}
    with pytest.raises(CircuitFormatError, match="must go on at binding 7"):
        read_index(gap, lambda offset, n_bytes: b"")
    short = {**index, "pieces": index["pieces"][:-1]}
    with pytest.raises(CircuitFormatError, match="must reach the end"):
        read_index(short, lambda offset, n_bytes: b"")
    untold = {**index, "failures": []}
    with pytest.raises(CircuitFormatError, match="exactly the pieces"):
        read_index(untold, lambda offset, n_bytes: b"")
