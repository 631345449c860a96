"""How long does an emulated processor take for a circuit of 5 qubits, ours against Qiskit Aer?

The circuit: two layers of RY on each qubit and CX along a line. Each call has other angles and asks for counts. Ours:
a program on `emulator:NAME`; the first call places, schedules and compiles, later ones simulate. Aer is run in two
ways: `rival_tried_ms` has what a good user makes of it (the circuit placed once with its parameters, noise model and
circuit cut to the qubits in use, both kept, density matrix or Aer's own choice, angles bound for each call), and
`fake_run_ms` is the fake backend's own `.run` of the same placed circuit. Both are handed the circuit that ours
places, waiting included; `rival_ms` is the best of all.

No time is taken before the counts agree: chi-square with a failure probability of 1e-6 a device (readout errs in
Aer's model by the same two probabilities; the fake backend takes their mean, so that its counts are not
compared).
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from aer_noise import circuit_of, fake_of, noise_of, on_its_qubits, p_value, values_of
from harness import environment_facts, format_ms, print_json, print_table, say, version_of
from results import RESULTS, Results, sources_key
from superpose.backends.emulators import EmulatedBackend, EmulatorProvider
from superpose.circuits import Circuit, Instruction, Program, Template

DEVICES = ("ibm_manila", "ibm_kolkata", "ibm_sherbrooke", "ibm_torino", "ibm_fez", "ibm_boston")
SHOTS, CHECKED_SHOTS = 1000, 40_000
GOAL_MS = 50.0
"""Of a call after the first, on a processor of any size."""
FAILURE_PROBABILITY = 1e-6
ROUNDS, CALLS, FAKE_CALLS = 5, 10, 1

Call = Callable[[int, int], Mapping[str, int]]
"""Of the seed of the values, and shots."""


def aer_calls(name: str, backend: EmulatedBackend, circuit: Circuit) -> tuple[dict[str, Call], Call, Any]:
    """Calls of Aer cut by how it is set, of the fake backend, and that."""
    from qiskit_aer import AerSimulator

    from superpose.frontends.qiskit import write

    fake = fake_of(name)
    placed = backend.lowered(Template(circuit)).settings[0].placed
    model = noise_of(fake, placed.qubits)
    small = write(on_its_qubits(placed))
    large = write(Circuit(fake.num_qubits, n_bits=5).extend(placed.operations))
    simulators = {method: AerSimulator(method=method, noise_model=model) for method in ("density_matrix", "automatic")}

    def bound(written: Any, seed: int) -> Any:
        values = values_of(seed)
        return written.assign_parameters({parameter: values[parameter.name] for parameter in written.parameters})

    def local(simulator: Any) -> Callable[[int, int], Mapping[str, int]]:
        def call(seed: int, shots: int) -> Mapping[str, int]:
            job = simulator.run(bound(small, seed), shots=shots, seed_simulator=seed)
            counts: Mapping[str, int] = job.result().get_counts()
            return counts

        return call

    def plain(seed: int, shots: int) -> Mapping[str, int]:
        counts: Mapping[str, int] = fake.run(bound(large, seed), shots=shots, seed_simulator=seed).result().get_counts()
        return counts

    return {name: local(one) for name, one in simulators.items()}, plain, fake


def turn_ms(call: Callable[[int, int], Any], calls: int, first_seed: int) -> float:
    """Mean of some calls with other angles each."""
    begin = time.perf_counter()
    for seed in range(first_seed, first_seed + calls):
        call(seed, SHOTS)
    return 1e3 * (time.perf_counter() - begin) / calls


def run_device(name: str, rounds: int, *, plain: bool) -> dict[str, Any]:
    circuit, backend = circuit_of(), EmulatorProvider().backend(name)

    def ours(seed: int, shots: int) -> Mapping[str, int]:
        (counts,) = backend.run(Program(circuit, values_of(seed), shots=shots, seed=seed)).counts or ({},)
        return counts

    begin = time.perf_counter()
    ours(1, SHOTS)
    first_ms = 1e3 * (time.perf_counter() - begin)
    calls, fake_run, fake = aer_calls(name, backend, circuit)
    sample = ours(7, CHECKED_SHOTS)
    found = min(
        p_value(sample, {key[::-1]: number for key, number in call(7, CHECKED_SHOTS).items()})
        for call in calls.values()
    )
    if found < FAILURE_PROBABILITY:
        raise SystemExit(f"{name}: the counts differ, p = {found:.3g}.")
    times: dict[str, list[float]] = {key: [] for key in ("ours", *calls)}
    for turn in range(rounds):
        times["ours"].append(turn_ms(ours, CALLS, 100 * turn + 10))
        for key, call in calls.items():
            times[key].append(turn_ms(call, CALLS, 100 * turn + 10))
    fake_ms = None
    if plain:
        turn_ms(fake_run, 1, 1)  # it makes its noise model
        fake_ms = turn_ms(fake_run, FAKE_CALLS, 2)
    tried = {key: median(times[key]) for key in calls}
    if fake_ms is not None:
        tried["fake_run"] = fake_ms
    ours_ms, rival_ms = median(times["ours"]), min(tried.values())
    placed = backend.lowered(Template(circuit)).settings[0].placed
    (entangler,) = {item.gate for item in placed.operations if isinstance(item, Instruction) and len(item.qubits) == 2}
    return {
        "case": name,
        "name": f"emulator:{name}",
        "entangler": entangler,
        "n_qubits": fake.num_qubits,
        "first_ms": first_ms,
        "ours_ms": ours_ms,
        "rival_ms": rival_ms,
        "ratio": rival_ms / ours_ms,
        "met": ours_ms < GOAL_MS,
        "rival_tried_ms": tried,
        "fake_run_ms": fake_ms,
        "p_value": found,
        "shots": SHOTS,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", action="append", choices=DEVICES, help="only these")
    parser.add_argument("--quick", action="store_true", help="one round, and no fake backends' own run")
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--save", action="store_true", help="keep rows in results/emulators.json, go on where it stopped"
    )
    parser.add_argument("--fresh", action="store_true", help="with --save: begin anew")
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore", DeprecationWarning)
    names = given.device or DEVICES
    versions = {key: version_of(key.replace("_", "-")) for key in ("qiskit", "qiskit_aer", "qiskit_ibm_runtime")}
    path = RESULTS / "emulators.json" if given.save else None
    facts = environment_facts(0, **versions, goal_ms=GOAL_MS)
    results = Results(path, facts, sources_key("emulators", versions, SHOTS, given.quick), fresh=given.fresh)
    for name in names:
        if not results.has(name):
            say(f"{name} ...")
            results.add(run_device(name, 1 if given.quick else ROUNDS, plain=not given.quick), {})
    facts, rows = results.environment, results.rows(names)
    if given.json:
        print_json(facts, rows)
        return
    print_table(
        f"A circuit of 5 qubits with other angles, {SHOTS} shots",
        rows,
        {
            "emulator": lambda row: row["name"],
            "qubits": lambda row: str(row["n_qubits"]),
            "first call": lambda row: format_ms(row["first_ms"]),
            "ours": lambda row: format_ms(row["ours_ms"]),
            "Aer, best": lambda row: format_ms(row["rival_ms"]),
            "ratio": lambda row: f"{row['ratio']:.1f}",
            "fake .run": lambda row: format_ms(row["fake_run_ms"]),
        },
        [f"{facts['cpu']}, qiskit-aer {facts['qiskit_aer']}; the first device's first call loads Qiskit."],
    )


if __name__ == "__main__":
    main()
