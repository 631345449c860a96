"""Program sets on backends: cut by what the backend states, merged in order, each piece tried again on its own."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import numpy as np
import pytest

import superpose
from superpose import Circuit, NoiseModel, Observable, Parameter, ProgramGrid, ProgramSet
from superpose.backends import LocalBackend
from superpose.backends.pieces import PieceRunner, Retries, piece_bytes, piece_limits
from superpose.backends.program_sets import run_program_set
from superpose.circuits import Backend, Capabilities, Program, ProgramResult, SizingBackend
from superpose.errors import (
    PieceFailedError,
    ProgramSetError,
    ProviderError,
    StateTooLargeError,
    UnsupportedProgramError,
)

a, b = Parameter("a"), Parameter("b")
CIRCUIT = Circuit(2).ry(a, 0).cx(0, 1).rx(b, 1)
FAST = Retries(max_tries=4, first_s=0.01)


class Flaky:
    """A backend of its own that runs programs on the engine, takes few at once, and fails where it is told to.

    ``failures`` says, by the value of parameter a of the first batch entry, how often and with what it fails.
    """

    def __init__(self, max_batch: int = 5, failures: dict[float, tuple[int, Exception]] | None = None) -> None:
        self._max_batch = max_batch
        self._left = {key: list(value) for key, value in (failures or {}).items()}
        self.seen: list[tuple[float, int]] = []

    @property
    def name(self) -> str:
        return "flaky"

    def capabilities(self) -> Capabilities:
        return Capabilities(max_batch=self._max_batch, exact=True, state_vectors=True)

    def run(self, program: Program) -> ProgramResult:
        first = round(float(program.param_matrix()[0, 0]), 9) if program.circuit.n_params else 0.0
        assert program.batch <= self._max_batch
        self.seen.append((first, program.batch))
        left: Any = self._left.get(first, [0])
        if left[0] > 0:
            left[0] -= 1
            raise left[1]
        return LocalBackend().run(program)


def away(retryable: bool = True) -> ProviderError:
    return ProviderError("The provider is away.", provider="test", provider_job_id=None, retryable=retryable)


def expected(grid: ProgramGrid) -> np.ndarray[Any, Any]:
    """The grid's expectations by one program."""
    rows = grid.rows()
    params = dict(zip(grid.circuit.parameters, rows.T, strict=True))
    found = superpose.run(grid.circuit, params, observables=grid.observables).expectations
    assert found is not None
    return found.reshape(*grid.shape, -1)


def test_pieces_are_as_large_as_the_backend_states_and_come_back_in_order() -> None:
    backend = Flaky(max_batch=7)
    assert isinstance(backend, Backend)
    energy = ProgramGrid(
        CIRCUIT,
        {"a": np.linspace(0, 1, 6), "b": np.linspace(0, 2, 5)},
        [Observable("ZI"), Observable("XX")],
        combine="product",
    )
    other = ProgramGrid(Circuit(1).ry(a, 0), {"a": [0.5, 0.75]}, Observable("Z"))
    result = superpose.run(ProgramSet([energy, other]), backend=backend)
    assert [n for _, n in backend.seen] == [7, 7, 7, 7, 2, 2]
    np.testing.assert_allclose(result[0].expectations, expected(energy), atol=1e-12)
    np.testing.assert_allclose(result[1].expectations, np.cos([[0.5], [0.75]]), atol=1e-12)
    assert result.complete
    assert result.provenance["backend"] == "flaky"
    assert result.provenance["n_pieces"] == 6


def test_the_local_backend_gives_what_one_program_gives_bit_for_bit() -> None:
    grid = ProgramGrid(
        CIRCUIT, np.random.default_rng(1).normal(size=(90, 100, 2)), [Observable("ZZ"), Observable("XY")]
    )
    result = superpose.run(ProgramSet(grid))
    assert result.provenance["n_pieces"] == 3
    np.testing.assert_array_equal(result[0].expectations, expected(grid))


def test_observables_zipped_with_the_last_axis() -> None:
    observables = [Observable("ZI"), Observable("IZ"), Observable("XX")]
    grid = ProgramGrid(CIRCUIT, np.random.default_rng(2).normal(size=(4, 3, 2)), observables, observe="zip")
    whole = expected(grid)
    for backend in (LocalBackend(), Flaky(max_batch=5)):
        found = superpose.run(ProgramSet(grid), backend=backend)[0].expectations
        assert found is not None
        assert found.shape == (4, 3)
        np.testing.assert_allclose(found, whole[:, np.arange(3), np.arange(3)], atol=1e-12)


def test_counts_and_states_and_noise_and_seeds() -> None:
    counted = ProgramGrid(Circuit(2).h(0).cx(0, 1).rx(a, 0), {"a": np.zeros((3, 4))}, shots=50)
    states = ProgramGrid(Circuit(2).x(1), dtype="float32")
    result = superpose.run(ProgramSet([counted, states], seed=3))
    counts = result[0].counts
    assert counts is not None
    assert counts.shape == (3, 4)
    for one in counts[...].reshape(-1):
        assert set(one) <= {"00", "11"}
        assert sum(one.values()) == 50
    assert counts[1, 2] == counts[...][1, 2]
    assert len({str(one) for one in counts[...].reshape(-1)}) > 1  # binding by binding anew; else 1 in 10**10
    np.testing.assert_array_equal(result[1].state_vectors, np.array([0, 1, 0, 0], np.complex64))
    again = superpose.run(ProgramSet([counted, states]), seed=3)
    assert np.array_equal(again[0].counts[...], counts[...])  # type: ignore[index]
    drawn = superpose.run(ProgramSet([counted]))
    assert superpose.run(ProgramSet([counted]), seed=drawn.provenance["seed"])[0].counts[0, 0] == drawn[0].counts[0, 0]  # type: ignore[index]
    flipped = superpose.run(
        ProgramSet(ProgramGrid(Circuit(1).x(0).measure_all(), shots=1000)), seed=1, noise=NoiseModel(readout=(0.0, 1.0))
    )
    assert flipped[0].counts[()] == {"0": 1000}  # type: ignore[index]
    with pytest.raises(ProgramSetError, match="their own shots"):
        superpose.run(ProgramSet(counted), shots=3)  # type: ignore[call-overload]


def line(n: int) -> ProgramSet:
    """a from 0 to n-1 in tenths."""
    return ProgramSet(ProgramGrid(CIRCUIT, {"a": np.arange(n) / 10, "b": 0.3}, Observable("ZI")))


class OwnTime:
    """Time that goes on only while somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def test_what_fails_is_tried_again_piece_by_piece_and_the_others_are_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("superpose.backends.pieces.time", OwnTime())
    backend = Flaky(failures={0.5: (2, away()), 1.5: (1, RuntimeError("no such thing"))})
    result = run_program_set(line(20), backend, FAST)
    assert result.complete
    assert Counter(first for first, _ in backend.seen) == {0.0: 1, 0.5: 3, 1.0: 1, 1.5: 2}
    assert [first for first, _ in backend.seen[:4]] == [0.0, 0.5, 1.0, 1.5]  # others go on while one rests
    np.testing.assert_allclose(result[0].expectations, expected(line(20).grids[0]), atol=1e-12)


def test_what_stays_failed_is_told_and_the_rest_is_kept() -> None:
    errors = {0.5: (99, away()), 1.0: (99, away(retryable=False)), 1.5: (99, ValueError("secret 42"))}
    backend = Flaky(failures={key: value for key, value in errors.items()})
    result = run_program_set(line(23), backend, FAST)
    assert Counter(first for first, _ in backend.seen) == {0.0: 1, 0.5: 4, 1.0: 1, 1.5: 4, 2.0: 1}
    assert [(f.start, f.stop, f.code, f.n_tries) for f in result.failures] == [
        (5, 10, "backend.provider", 4),
        (10, 15, "backend.provider", 1),
        (15, 20, "backend.piece_failed", 4),
    ]
    assert "secret" not in str(result.failures)  # nothing foreign
    values, whole = result[0].expectations, expected(line(23).grids[0])
    assert values is not None
    np.testing.assert_allclose(values[:5], whole[:5], atol=1e-12)
    np.testing.assert_allclose(values[20:], whole[20:], atol=1e-12)
    with pytest.raises(PieceFailedError, match="away"):
        values[4:6]
    assert np.isnan(values.filled()[5:20]).all()


def test_a_set_without_any_results_fails_as_a_whole() -> None:
    with pytest.raises(PieceFailedError, match=r"No piece of the program set has results.*away"):
        run_program_set(line(3), Flaky(failures={0.0: (99, away())}), FAST)


class Short(Flaky):
    """A backend that answers for fewer entries than it was asked."""

    def run(self, program: Program) -> ProgramResult:
        found = super().run(program)
        assert found.expectations is not None
        return ProgramResult(expectations=found.expectations[:-1])


def test_an_answer_of_another_size_is_no_answer() -> None:
    with pytest.raises(PieceFailedError, match="of 3 bindings and gave shape"):
        run_program_set(line(3), Short(), FAST)


def test_the_runner_stops_between_pieces() -> None:
    kept: list[int] = []

    class Keeper:
        def begin(self, piece: Any) -> None: ...
        def keep(self, piece: Any, result: Any) -> None:
            kept.append(piece.number)

        def retry(self, piece: Any, error: Any, n_tries: int) -> None: ...
        def fail(self, failure: Any) -> None: ...

    from superpose.circuits.sets.program_set import split

    whole = line(20)
    runner = PieceRunner(whole, Flaky(), FAST, Keeper())
    assert runner.run(split(whole, [5]), lambda: len(kept) == 2) is False
    assert kept == [0, 1]


def test_pauses_double_and_are_bounded() -> None:
    retries = Retries(max_tries=9, first_s=1.0, longest_s=10.0)
    for n_tries, longest in ((1, 1.0), (2, 2.0), (3, 4.0), (9, 10.0), (999, 10.0)):
        assert all(longest / 2 <= retries.pause_s(n_tries) <= longest for _ in range(50))
    began_s = time.monotonic()
    run_program_set(line(1), Flaky(failures={0.0: (1, away())}), Retries(first_s=0.2))
    assert time.monotonic() - began_s >= 0.1


def test_pieces_are_bounded_by_memory_and_by_what_comes_back() -> None:
    local = LocalBackend()
    assert isinstance(local, SizingBackend)
    many = {"a": np.zeros(100_000), "b": 0.0}
    small = ProgramGrid(CIRCUIT, many, Observable("ZZ"))
    assert piece_limits(ProgramSet(small), local) == (4_096,)
    wide = ProgramGrid(Circuit(16).ry(a, 0).ry(b, 1), many)  # a mebibyte of amplitudes each
    assert piece_bytes(wide, 1) == 2**20
    assert piece_limits(ProgramSet(wide), local)[0] <= 8
    slow = ProgramGrid(Circuit(22).ry(a, 0).ry(b, 1), many, Observable({"Z" + "I" * 21: 1.0}))
    assert piece_limits(ProgramSet(slow), local)[0] <= 256
    assert piece_bytes(ProgramGrid(Circuit(3), shots=5), 2) == 2 * 5 * (3 + 16)
    for error, grid in (
        (StateTooLargeError, ProgramGrid(Circuit(60))),
        (UnsupportedProgramError, ProgramGrid(Circuit(2), shots=10**8)),
    ):
        with pytest.raises(error):
            superpose.run(ProgramSet(grid))
