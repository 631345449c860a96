"""Programs wider than a backend: exact where it is exact, and with shots an error as large as is told."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import superpose
from superpose.backends import LocalBackend
from superpose.backends.cutting import Cutting
from superpose.backends.cutting.provider import CuttingProvider
from superpose.backends.estimates import estimate_backends
from superpose.backends.fitting import require_fit
from superpose.backends.selection import AutoBackend, Constraints, Selection
from superpose.circuits import (
    GATES,
    Capabilities,
    Circuit,
    Observable,
    Parameter,
    Program,
    ProgramResult,
    Provider,
    Template,
    WrappingBackend,
    parameters,
    z_all,
)
from superpose.errors import (
    BackendUnknownError,
    NoBackendFitsError,
    PieceFailedError,
    ProviderError,
    TooManyCutsError,
    UnsupportedProgramError,
)
from superpose.facade import resolve_backend
from superpose.testing.backends import check_backend


class Narrow:
    """The engine behind a backend that takes few qubits, and counts what comes."""

    name = "narrow"

    def __init__(self, max_qubits: int, **changes: object) -> None:
        self._able = replace(LocalBackend().capabilities(), max_qubits=max_qubits, **changes)  # type: ignore[arg-type]
        self.programs: list[Program] = []

    def capabilities(self) -> Capabilities:
        return self._able

    def run(self, program: Program) -> ProgramResult:
        require_fit(program, self._able, self.name)
        self.programs.append(program)
        return LocalBackend().run(program)


def random_circuit(seed: int, n_qubits: int = 5, layers: int = 3) -> Circuit:
    """Random gates of all kinds on neighbours, angles of two parameters in some of them."""
    rng = np.random.default_rng(seed)
    a, b = parameters("w", 2)
    names = [name for name, row in GATES.items() if row.n_qubits > 1]
    circuit = Circuit(n_qubits)
    for layer in range(layers):
        for qubit in range(n_qubits):
            circuit.u(*rng.uniform(-3, 3, 2), a * rng.uniform(-1, 1) + rng.uniform(-3, 3), qubit)
        for qubit in range(layer % 2, n_qubits - 1, 2):
            name = names[int(rng.integers(len(names)))]
            if qubit + GATES[name].n_qubits <= n_qubits:
                angles = [b * rng.uniform(-1, 1) + rng.uniform(-3, 3) for _ in range(GATES[name].n_angles)]
                qubits = rng.permutation(np.arange(qubit, qubit + GATES[name].n_qubits)).tolist()
                circuit.append(name, qubits, angles)
    return circuit


def values_of(circuit: Circuit) -> dict[str, list[float]]:
    return {name: [0.3, -1.1] for name in circuit.parameters}


def observables_of(seed: int, n_qubits: int) -> list[Observable]:
    rng = np.random.default_rng(seed)
    strings = ["".join(rng.choice(list("IXYZ"), n_qubits)) for _ in range(5)]
    return [
        Observable(strings[0]),
        Observable([(strings[1], 0.7), (strings[2], -1.3), ("I" * n_qubits, 0.2)]),
        sum((Observable(string) for string in strings[3:]), Observable.z(0, n_qubits)),
    ]


@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.slow) if k > 2 else k for k in range(20)])
def test_exact_expectations_are_those_of_the_uncut_circuit(seed: int) -> None:
    circuit = random_circuit(seed)
    program = Program(circuit, values_of(circuit), observables_of(seed, 5))
    backend = Narrow(4)
    found = Cutting(backend, max_overhead=1e5).run(program)
    assert found.expectations is not None
    np.testing.assert_allclose(found.expectations, LocalBackend().run(program).expectations, atol=1e-9)
    assert all(one.n_qubits <= 4 for one in backend.programs)


def ladder(n_qubits: int = 6) -> Circuit:
    """Two gates between neighbours each, so that the qubit between is cheaper to cut."""
    x = Parameter("x")
    circuit = Circuit(n_qubits)
    for qubit in range(n_qubits - 1):
        circuit.ry(x + qubit, qubit).cx(qubit, qubit + 1).rx(0.3 * x, qubit + 1).cz(qubit, qubit + 1).rx(0.4, qubit)
    return circuit


def chain(n_qubits: int, link: int, name: str = "rzz") -> Circuit:
    """A chain with one gate across ``link``, and parameters everywhere."""
    w = [iter(parameters(f"w{layer}", n_qubits)) for layer in range(3)]
    circuit = Circuit(n_qubits)
    for layer in range(2):
        for qubit in range(n_qubits):
            circuit.ry(next(w[layer]), qubit).rz(0.7 + qubit, qubit)
        for qubit in range(n_qubits - 1):
            if qubit != link:
                circuit.cx(qubit, qubit + 1)
        if layer == 0:
            circuit.append(name, [link, link + 1], [Parameter("link")] * GATES[name].n_angles)
    for qubit in range(n_qubits):
        circuit.ry(next(w[2]), qubit)
    return circuit


def test_qubits_are_cut_exactly() -> None:
    program = Program(ladder(), {"x": [0.3, 0.7]}, [*z_all(6), Observable("XYXZZX")])
    found = Cutting(LocalBackend(), 4).run(program)
    assert found.expectations is not None
    np.testing.assert_allclose(found.expectations, LocalBackend().run(program).expectations, atol=1e-9)
    assert [cut["kind"] for cut in found.provenance["cutting"]["cuts"]] == ["qubit"]


def test_a_qubit_that_comes_back_and_noise_are_cut_exactly() -> None:
    circuit = Circuit(4).h(0).depolarizing(0.1, 0)
    for a, b in ((0, 1), (2, 3), (1, 2), (0, 1), (2, 3), (1, 3)):
        circuit.ry(0.4 + a, a).ry(0.3, b).cx(a, b).amplitude_damping(0.05, b)
    program = Program(circuit, {}, [*z_all(4), Observable("XXYY")])
    for most in (3, 2):
        found = Cutting(LocalBackend(), most + 1, 1e9).run(program)
        assert found.expectations is not None
        np.testing.assert_allclose(found.expectations, LocalBackend().run(program).expectations, atol=1e-9)


def scores(program: Program, cutting: Cutting, shots: int) -> np.ndarray:  # type: ignore[type-arg]
    """Errors in units of the standard error that is told, ``(batch, n_observables)``."""
    found = cutting.run(replace(program, shots=shots, seed=5))
    wanted = LocalBackend().run(program).expectations
    assert found.expectations is not None and wanted is not None
    told = np.array(found.provenance["cutting"]["standard_errors"])
    off: np.ndarray = (found.expectations - wanted) / told  # type: ignore[type-arg]
    return off


def honest(z: np.ndarray) -> bool:  # type: ignore[type-arg]
    """Whether scores of independent entries look like those of errors with mean 0 and variance 1.

    Their mean is within 4.5 standard errors, that of their squares within 5 (of a chi-square distribution, whose
    variance per entry is 2; sampled means have about normal errors): false for honest ones in less than 2e-5 of cases
    for each observable. The seeds are fixed, so the outcome is too.
    """
    n = len(z)
    means, squares = z.mean(axis=0), (z**2).mean(axis=0)
    return bool((np.abs(means) < 4.5 / n**0.5).all() and (np.abs(squares - 1.0) < 5 * (2 / n) ** 0.5).all())


@pytest.mark.parametrize(
    ("circuit", "most", "shots", "middle"),
    [
        (chain(4, 1), 3, 2000, False),
        (chain(4, 1), 2, 200, True),
        pytest.param(chain(4, 1, "cx"), 3, 400, False, marks=pytest.mark.slow),
        (ladder(4), 3, 1500, False),
    ],
    ids=["weak link", "few shots, read in the middle", "cx", "qubit"],
)
def test_the_error_is_as_large_as_is_told(circuit: Circuit, most: int, shots: int, middle: bool) -> None:
    rng = np.random.default_rng(11)
    n = circuit.n_qubits
    values = {name: rng.uniform(-3, 3, 300) for name in circuit.parameters}
    observables = [Observable.on({0: "Z", n - 1: "X"}, n), Observable.y(n - 1, n) + 0.5 * Observable.x(0, n), *z_all(n)]
    cutting = Cutting(LocalBackend(), most, in_the_middle=middle)
    z = scores(Program(circuit, values, observables[:3]), cutting, shots)
    assert honest(z)
    assert (np.abs(z) < 3).mean() > 0.985  # of normal errors 0.9973
    for wrong in (z * 1.35, z / 1.35, z + 0.35):  # an error of a third would be seen
        assert not honest(wrong)


@pytest.mark.slow
def test_several_cuts_and_fragments_with_shots() -> None:
    circuit = Circuit(6)
    w = iter(parameters("w", 12))
    for qubit in range(6):
        circuit.ry(next(w), qubit)
    circuit.cx(0, 1).cz(1, 2).cx(2, 3).rzz(0.4, 3, 4).cx(4, 5)
    for qubit in range(6):
        circuit.ry(next(w), qubit)
    rng = np.random.default_rng(2)
    values = {name: rng.uniform(-3, 3, 200) for name in circuit.parameters}
    cutting = Cutting(LocalBackend(), 2, in_the_middle=True)
    program = Program(circuit, values, [Observable("ZZZZZZ"), Observable("XIXIIZ")])
    assert len(cutting.plan(replace(program, shots=100)).fragments) == 3
    assert honest(scores(program, cutting, 2000))


def test_shots_are_those_of_the_program_and_told_before() -> None:
    program = Program(chain(4, 1), {name: 0.3 for name in chain(4, 1).parameters}, z_all(4), shots=5000, seed=1)
    backend = Narrow(3)
    cutting = Cutting(backend)
    told = cutting.n_shots(program)
    assert not backend.programs
    found = cutting.run(program)
    used = sum(one.batch * (one.shots or 0) for one in backend.programs)
    facts = found.provenance["cutting"]
    assert used == told == sum(one["n_shots"] for one in facts["fragments"])
    assert 0.9 * 5000 < told <= 5000
    each = Cutting(Narrow(3), same_shots=False)
    assert each.n_shots(program) == 5000 * sum(one["n_runs"] for one in facts["fragments"])
    assert np.max(each.run(program).provenance["cutting"]["standard_errors"]) < np.min(facts["standard_errors"])


def test_runs_of_a_fragment_go_in_one_program() -> None:
    program = Program(chain(4, 1), {name: 0.3 for name in chain(4, 1).parameters}, z_all(4))
    backend = Narrow(3)
    found = Cutting(backend).run(program).provenance["cutting"]
    assert sum(one["n_runs"] for one in found["fragments"]) == 10
    assert len(backend.programs) == 4  # two fragments, each with its end read and not


def test_weights_spare_what_hardly_matters() -> None:
    """A gate that is hardly there is cut at hardly any cost."""
    circuit = chain(4, 1)
    values = {name: 0.6 for name in circuit.parameters}
    errors = {}
    for link in (0.02, 1.5):
        program = Program(circuit, values | {"link": link}, [Observable("ZIIZ")], shots=20_000, seed=2)
        found = Cutting(LocalBackend(), 3).run(program).provenance["cutting"]
        errors[link] = found["standard_errors"][0][0]
        assert found["overhead"] == pytest.approx((1 + 2 * np.sin(link)) ** 2)
    assert errors[0.02] < 0.7 * errors[1.5]


def test_a_template_is_cut_once() -> None:
    circuit = chain(4, 1)
    cutting = Cutting(LocalBackend(), 3)
    executable = cutting.compile(Template(circuit, z_all(4)))
    values = np.full(circuit.n_params, 0.3)
    plans = []
    for step in range(3):
        result = executable.run(values + step)
        wanted = superpose.run(circuit, values + step, observables=z_all(4)).expectations
        np.testing.assert_allclose(result.expectations, wanted, atol=1e-9)
        plans.append(cutting.plan(Program(circuit, dict(zip(circuit.parameters, values, strict=True)), z_all(4))))
    assert plans[0] is plans[1] is plans[2]


def test_gradients_go_through() -> None:
    circuit = chain(4, 1)
    values = np.linspace(0.1, 1.0, circuit.n_params)
    ours = superpose.gradient(circuit, values, observables=Observable("ZIIZ"), backend=Cutting(LocalBackend(), 3))
    wanted = superpose.gradient(circuit, values, observables=Observable("ZIIZ"))
    np.testing.assert_allclose(ours, wanted, atol=1e-9)


def amplitudes(circuit: Circuit, values: dict[str, float], side: int, acted: dict[int, str]) -> list[np.ndarray]:  # type: ignore[type-arg]
    """States of one half of a chain of 30, without and with Z in the place of the link, then Paulis on it."""
    out = []
    for gates in ((), ("z",)):
        half = Circuit(15)
        for item in circuit.instructions:
            if len(set(q // 15 for q in item.qubits)) == 2:
                for name in gates:
                    half.append(name, [14 if side == 0 else 0])
            elif item.qubits[0] // 15 == side:
                half.extend([item.moved([q % 15 for q in range(30)])])
        for qubit, letter in acted.items():
            if qubit // 15 == side:
                half.append(letter.lower(), [qubit % 15])
        states = superpose.run(half, {name: values[name] for name in half.parameters}).state_vectors
        assert states is not None
        out.append(states[0])
    return out


def test_thirty_qubits_in_two_halves() -> None:
    """Against amplitudes: the link is ``cos(a/2) - i sin(a/2) ZZ``, so the state is a sum of two products of halves."""
    circuit = chain(30, 14)
    rng = np.random.default_rng(7)
    values = {name: float(rng.uniform(-1, 1)) for name in circuit.parameters}
    letters = ({14: "Z"}, {13: "Z", 16: "X"}, {29: "Z"})
    observables = [Observable.on(one, 30) for one in letters]
    found = superpose.run(circuit, values, observables=observables, backend="cut:16:local")
    assert found.expectations is not None
    assert [one["n_qubits"] for one in found.provenance["cutting"]["fragments"]] == [16, 16]
    parts = np.array([np.cos(values["link"] / 2), -1j * np.sin(values["link"] / 2)])
    bras = [np.conj(amplitudes(circuit, values, side, {})) for side in (0, 1)]
    wanted = []
    for one in letters:
        left, right = (bras[side] @ np.transpose(amplitudes(circuit, values, side, one)) for side in (0, 1))
        wanted.append((parts.conj() @ (left * right) @ parts).real)
    np.testing.assert_allclose(found.expectations[0], wanted, atol=1e-9)
    sampled = superpose.run(
        circuit, values, observables=observables, shots=10_000, seed=3, backend=Cutting(LocalBackend(), 15)
    )
    facts = sampled.provenance["cutting"]
    assert facts["read"] == "in_the_middle" and [one["n_qubits"] for one in facts["fragments"]] == [15, 15]
    assert sampled.expectations is not None
    assert (np.abs(sampled.expectations[0] - wanted) < 5 * np.array(facts["standard_errors"][0])).all()


def test_what_is_narrow_runs_as_it_is() -> None:
    assert superpose.run(Circuit(2).h(0).cx(0, 1), shots=50, seed=1, backend=Cutting(LocalBackend(), 2)).counts
    check_backend(Cutting(LocalBackend()))


def test_by_name() -> None:
    program = Program(ladder(4), {"x": 0.3}, z_all(4))
    provider = CuttingProvider()
    assert isinstance(provider, Provider) and list(provider.list()) == []
    backend = provider.backend("3:local")
    assert backend.name == "local+cut"
    assert backend.run(program).provenance["cutting"]["cuts"]
    assert "cutting" not in provider.backend("local").run(program).provenance


def test_provenance_is_json() -> None:
    program = Program(ladder(4), {"x": 0.3}, z_all(4), shots=4000)
    told = dict(Cutting(LocalBackend(), 3).run(program).provenance)
    assert json.loads(json.dumps(told)) == told
    assert {"backend", "version", "program_digest", "elapsed_s", "seed"} <= told.keys()
    again = Cutting(LocalBackend(), 3).run(replace(program, seed=told["seed"]))
    assert again.provenance["cutting"] == told["cutting"]


def test_estimates_tell_cuts_and_shots() -> None:
    program = Program(ladder(4), {"x": 0.3}, z_all(4), shots=4000)
    found = Cutting(LocalBackend(), 3).estimate(program)
    assert found.fidelity == 1.0 and found.wait_s == 0.0
    assert found.notes["cutting"]["overhead"] == 16.0
    assert sum(one["n_shots"] for one in found.notes["cutting"]["fragments"]) <= 4000


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (Program(ladder(4), {"x": 0.3}, shots=100), "never counts"),
        (Program(ladder(4), {"x": 0.3}), "never counts or state vectors"),
        (Program(Circuit(4).h(0), {}, z_all(4), initial_state=np.eye(16)[0]), "by gates"),
        (Program(Circuit(4, n_bits=1).h(0).measure(0, 0).h(0), {}, z_all(4)), "Measure in the middle"),
        (Program(Circuit(4).h(0).measure_all(), {}, [Observable("XIII")]), "leave the measurement out"),
        (Program(ladder(4), {"x": 0.3}, z_all(4), shots=10), "give at least"),
    ],
)
def test_what_cannot_be_cut_is_refused(program: Program, reason: str) -> None:
    with pytest.raises(UnsupportedProgramError, match=reason):
        Cutting(LocalBackend(), 3).run(program)


def test_final_measurements_of_what_is_read_are_no_matter() -> None:
    program = Program(ladder(4).measure_all(), {"x": 0.3}, z_all(4))
    found = Cutting(LocalBackend(), 3).run(program).expectations
    np.testing.assert_allclose(found, LocalBackend().run(program).expectations, atol=1e-9)


def test_too_many_cuts_are_refused_with_their_price() -> None:
    dense = Circuit(5)
    for a in range(5):
        for b in range(a):
            dense.ry(0.3, a).cx(a, b)
    with pytest.raises(TooManyCutsError, match=r"an error of 0.01 would take up to .* shots.*max_overhead") as caught:
        Cutting(LocalBackend(), 3).run(Program(dense, {}, z_all(5)))
    assert caught.value.details["overhead"] > caught.value.details["max_overhead"] == 10_000
    assert caught.value.details["shots_for_error_of_0_01"] > 1e8
    with pytest.raises(TooManyCutsError, match="No way was found"):
        Cutting(LocalBackend(), 1).run(Program(Circuit(3).h(0).depolarizing2(0.1, 0, 1), {}, z_all(3)))


@pytest.mark.parametrize(
    "options", [{"max_qubits": 0}, {"max_qubits": True}, {"max_overhead": 0.5}, {"max_overhead": "much"}]
)
def test_options_that_cannot_be(options: dict[str, object]) -> None:
    with pytest.raises(UnsupportedProgramError, match="must be"):
        Cutting(LocalBackend(), **options)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedProgramError, match="in the middle"):
        Cutting(Narrow(3, dynamic=False, mid_circuit=False), in_the_middle=True)


def test_a_backend_without_measurement_in_the_middle_gets_none() -> None:
    backend = Narrow(3, dynamic=False, mid_circuit=False, reset=False, feed_forward=False)
    program = Program(chain(4, 1), {name: 0.3 for name in chain(4, 1).parameters}, z_all(4), shots=2000, seed=1)
    assert Cutting(backend).run(program).provenance["cutting"]["read"] == "by_qubits"
    assert backend.programs


def test_a_backend_that_fails_is_told() -> None:
    class Broken(Narrow):
        def run(self, program: Program) -> ProgramResult:
            raise ProviderError("out of order", provider="narrow", provider_job_id=None, retryable=False)

    with pytest.raises(PieceFailedError, match="out of order"):
        Cutting(Broken(3)).run(Program(ladder(4), {"x": 0.3}, z_all(4)))


def test_too_wide_a_program_is_told_of_cutting() -> None:
    program = Program(ladder(4), {"x": 0.3}, z_all(4), shots=10)
    with pytest.raises(UnsupportedProgramError, match="backend='cut:narrow' cuts what is too wide"):
        require_fit(program, Narrow(3).capabilities(), "narrow")


def test_rules_look_through_to_where_fragments_go() -> None:
    narrow = Narrow(3)
    assert Cutting(narrow).wrapped == (narrow,)
    assert isinstance(Cutting(narrow), WrappingBackend)


def test_estimates_by_name() -> None:
    program = Program(ladder(4), {"x": 0.3}, z_all(4), shots=4000)
    (line,) = estimate_backends(program, ["cut:3:local"])
    assert line.estimate is not None and line.info.kind == "simulator" and line.info.n_qubits is None
    assert line.estimate.notes["cutting"]["overhead"] == 16.0
    (line,) = estimate_backends(replace(program, shots=10), ["cut:3:local"])
    assert line.estimate is None and "give at least" in line.reasons[0]
    with pytest.raises(BackendUnknownError):
        estimate_backends(program, ["cut:3:nowhere"])


@pytest.mark.slow
def test_auto_says_what_would_cut() -> None:
    pytest.importorskip("qiskit_ibm_runtime", reason="it ships the calibrations")
    program = Program(chain(9, 4), {name: 0.3 for name in chain(9, 4).parameters}, z_all(9), shots=100)
    constraints = Constraints(kinds=frozenset({"emulator"}))
    auto = AutoBackend(Selection(among=["emulator:ibm_manila"], constraints=constraints))
    with pytest.raises(NoBackendFitsError, match="backend='cut:emulator:ibm_manila' cuts it"):
        auto.run(program)


@pytest.mark.slow
def test_nine_qubits_on_an_emulated_processor_of_five() -> None:
    """What errors are left are the processor's: within those of its calibration, and 5 standard errors."""
    pytest.importorskip("qiskit", reason="its transpiler places circuits")
    pytest.importorskip("qiskit_ibm_runtime", reason="it ships the calibrations")
    circuit = chain(9, 4)
    rng = np.random.default_rng(1)
    values = {name: float(rng.uniform(-0.5, 0.5)) for name in circuit.parameters}
    observables = [Observable.z(0, 9), Observable.z(8, 9), Observable.on({3: "Z", 5: "Z"}, 9)]
    program = Program(circuit, values, observables, shots=20_000, seed=1)
    backend = resolve_backend("cut:emulator:ibm_manila")
    found = backend.run(program)
    wanted = LocalBackend().run(replace(program, shots=None)).expectations
    assert found.expectations is not None and wanted is not None
    facts = found.provenance["cutting"]
    assert facts["read"] == "in_the_middle" and [one["n_qubits"] for one in facts["fragments"]] == [5, 4]
    allowed = 0.25 + 5 * np.array(facts["standard_errors"])
    assert (np.abs(found.expectations - wanted) < allowed).all()
