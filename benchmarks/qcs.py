"""Replays a quantum-classical cloud: predicted time of a step against measured ones, and our own engine beside it.

The measurements are the raw timings of Karalekas et al. (2020, arXiv 2001.04449): RPG(3) at 16 shot counts in
three configurations. Of the model (`superpose.backends.timing`) one constant per configuration is fitted, the residual
fixed cost, at 1 shot; every other time is predicted from the published budgets. See README.md beside this file.

    python benchmarks/qcs.py [--quick] [--json] [--data DIRECTORY]
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np

import superpose
from harness import environment_facts, print_json, print_table, say
from superpose.backends.timing import QCS, ActiveReset, TimingModel
from superpose.engine.dynamic import compile_dynamic

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "quantum-cloud" / "qcs_timing"
FILES = {
    "co_located": "qcs-standard-compilation.csv",
    "parametric": "qcs-parametric-compilation.csv",
    "active_reset": "qcs-active-qubit-reset.csv",
}
TOLERANCE = 0.15
WIDTH = 3
LOCAL_SHOTS = (1, 10, 100, 1_000, 10_000, 100_000)


def random_phase_gadgets(width: int, rng: np.random.Generator, last: float | None = None) -> superpose.Circuit:
    """RPG(m): as many layers as qubits, each a random pairing with a phase gadget of free angle on every pair, H at the
    end, all measured. A gadget is H c, H t, CNOT c t, RZ(alpha) t, CNOT c t. ``last`` adds a rotation by this angle,
    which makes the structure one of its own."""
    circuit = superpose.Circuit(width, name=f"rpg{width}")
    for layer in range(width):
        order = rng.permutation(width).tolist()
        for place in range(width // 2):
            control, target = order[2 * place : 2 * place + 2]
            circuit.h(control).h(target).cx(control, target)
            circuit.rz(superpose.Parameter(f"alpha_{layer}_{place}"), target).cx(control, target)
    for qubit in range(width):
        circuit.h(qubit)
    if last is not None:
        circuit.rz(last, 0)
    return circuit.measure_all()


def read_medians(path: Path) -> dict[int, float]:
    """Median seconds by number of shots."""
    times: dict[int, list[float]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            times.setdefault(int(float(row["shots"])), []).append(float(row["time"]))
    return {shots: median(values) for shots, values in sorted(times.items())}


def fitted(model: TimingModel, circuits: Sequence[superpose.Circuit], measured: Mapping[int, float]) -> TimingModel:
    """The model with the residual that makes T(1 shot) exact."""
    predicted = mean(model.run_s(circuit, 1) for circuit in circuits)
    return replace(model, residual_ms=model.residual_ms + 1e3 * (measured[1] - predicted))


def replay(circuits: Sequence[superpose.Circuit], data: Path) -> list[dict[str, Any]]:
    """One row per configuration and shot count."""
    rows = []
    for name, file in FILES.items():
        measured = read_medians(data / file)
        model = fitted(QCS[name], circuits, measured)
        shot_us = mean(model.shot_us(circuit) for circuit in circuits)
        for shots, seconds in measured.items():
            predicted = mean(model.run_s(circuit, shots) for circuit in circuits)
            error = predicted / seconds - 1
            rows.append(
                {
                    "what": "replay", "configuration": name, "shots": shots, "measured_s": seconds,
                    "predicted_s": predicted, "error": error, "within_15_percent": abs(error) <= TOLERANCE,
                    "residual_ms": model.residual_ms, "predicted_shot_us": shot_us,
                }
            )  # fmt: skip
    return rows


def shot_gap(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What each configuration's shots take beyond the published budgets, from the longest run; and how the times with
    active reset would be predicted with the gap that the configuration with passive reset has."""
    found = {}
    for name in FILES:
        of_name = [row for row in rows if row["configuration"] == name]
        first, last = of_name[0], of_name[-1]
        measured_us = 1e6 * (last["measured_s"] - first["measured_s"]) / (last["shots"] - first["shots"])
        found[name] = (measured_us, last["predicted_shot_us"])
    gap_us = found["parametric"][0] - found["parametric"][1]
    out = []
    for row in rows:
        if row["configuration"] == "active_reset":
            predicted = row["predicted_s"] + (row["shots"] - 1) * gap_us * 1e-6
            out.append(
                {
                    "what": "with the gap of passive reset", "configuration": "active_reset", "shots": row["shots"],
                    "measured_s": row["measured_s"], "predicted_s": predicted,
                    "error": predicted / row["measured_s"] - 1,
                    "within_15_percent": abs(predicted / row["measured_s"] - 1) <= TOLERANCE,
                }
            )  # fmt: skip
    slopes = [
        {"what": "shot", "configuration": name, "measured_us": us, "predicted_us": budget, "gap_us": us - budget}
        for name, (us, budget) in found.items()
    ]
    return slopes + out


def readout_errors(path: Path) -> tuple[float, float, list[float]]:
    """(flip0, flip1, share of ones at each readout) of the calibration run, which started from |+>.

    flip0 is at most the share of ones that is left in the end. The first readout of |+> reads 1 with the probability
    (1 - flip1 + flip0) / 2, which gives flip1.
    """
    with path.open(newline="") as file:
        rows = [[float(row[f"capture_{k}_result"]) for k in range(4)] for row in csv.DictReader(file)]
    ones = np.mean(rows, axis=0).tolist()
    flip0 = ones[3]
    return flip0, 1 + flip0 - 2 * ones[0], ones


def active_reset(data: Path) -> list[dict[str, Any]]:
    """The reset as a feedback circuit, run exactly: what is left excited after each round, and what a readout shows."""
    flip0, flip1, ones = readout_errors(data / "active-reset-calibration.csv")
    rows = []
    for rounds in range(1, 4):
        feedback = ActiveReset(rounds=rounds).circuit(1, flip0=flip0, flip1=flip1)
        circuit = superpose.Circuit(1, n_bits=1).h(0).extend(feedback.instructions)
        ground = (1 + compile_dynamic(circuit, [superpose.Observable("Z")]).expectation(None, None)[0, 0]) / 2
        rows.append(
            {
                "what": "active reset", "rounds": rounds, "ground_state": float(ground), "flip0": flip0, "flip1": flip1,
                "predicted_zeros": float(ground * (1 - flip0) + (1 - ground) * flip1),
                "measured_zeros": 1 - ones[rounds],
                "duration_us": ActiveReset(rounds=rounds).duration_ns(QCS["active_reset"].pulses) / 1e3,
            }
        )  # fmt: skip
    return rows


def _fit(shots: Sequence[int], seconds: Sequence[float]) -> tuple[float, float]:
    """T_V in ms and T_Q in us of T = T_V + n T_Q, by least squares of relative errors."""
    n, t = np.asarray(shots, float), np.asarray(seconds)
    (fixed, slope), *_ = np.linalg.lstsq(np.stack([1 / t, n / t], 1), np.ones(len(t)), rcond=None)
    return 1e3 * float(fixed), 1e6 * float(slope)


def local(width: int, repetitions: int) -> list[dict[str, Any]]:
    """T(n) of our own engine: one executable run with new parameters, against a structure never seen at each step."""
    rng = np.random.default_rng(20)
    template = random_phase_gadgets(width, rng)
    executable = superpose.compile(template)
    executable.run({name: 0.1 for name in template.parameters}, shots=10, seed=1)

    def angles(names: Sequence[str]) -> dict[str, float]:
        return {name: float(rng.uniform(0, 2 * np.pi)) for name in names}

    def parametric(shots: int, seed: int) -> float:
        values = angles(template.parameters)
        start = time.perf_counter()
        executable.run(values, shots=shots, seed=seed)
        return time.perf_counter() - start

    def standard(shots: int, seed: int) -> float:
        circuit = random_phase_gadgets(width, rng, last=float(rng.uniform()))
        values = angles(circuit.parameters)
        start = time.perf_counter()
        superpose.compile(circuit).run(values, shots=shots, seed=seed)
        return time.perf_counter() - start

    rows = []
    for name, run in (("local, compiled at every step", standard), ("local, parametric", parametric)):
        times = {shots: median(run(shots, k) for k in range(repetitions)) for shots in LOCAL_SHOTS}
        fixed_ms, shot_us = _fit(list(times), list(times.values()))
        rows.append(
            {
                "what": "local engine", "configuration": name, "t_v_ms": 1e3 * times[1], "fitted_t_v_ms": fixed_ms,
                "t_q_us": shot_us, "seconds": {str(shots): seconds for shots, seconds in times.items()},
            }
        )  # fmt: skip
    return rows


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """All rows."""
    rows: list[dict[str, Any]] = []
    rng = np.random.default_rng(3)
    circuits = [random_phase_gadgets(WIDTH, rng) for _ in range(10 if arguments.quick else 100)]
    if arguments.data.is_dir():
        rows += replay(circuits, arguments.data)
        rows += shot_gap(rows)
        rows += active_reset(arguments.data)
    else:
        say(f"{arguments.data} is not here: no replay; give the timings' directory with --data")
    return rows + local(WIDTH, 20 if arguments.quick else 200)


def _print(environment: Mapping[str, object], rows: Sequence[Mapping[str, Any]]) -> None:
    def of(*kinds: str) -> list[Mapping[str, Any]]:
        return [row for row in rows if row["what"] in kinds]

    if of("replay"):
        print_table(
            "A step of RPG(3): measured (median of 100 runs) and predicted; fitted: the residual at 1 shot",
            of("replay", "with the gap of passive reset"),
            {
                "configuration": lambda row: row["configuration"] + (" + gap" if row["what"] != "replay" else ""),
                "shots": lambda row: f"{row['shots']:,}",
                "measured": lambda row: f"{row['measured_s']:.4f} s",
                "predicted": lambda row: f"{row['predicted_s']:.4f} s",
                "error": lambda row: f"{100 * row['error']:+.1f} %",
                "within 15 %": lambda row: "yes" if row["within_15_percent"] else "no",
            },
        )
        print_table(
            "A shot: measured slope against the published budgets",
            of("shot"),
            {
                "configuration": lambda row: row["configuration"],
                "measured": lambda row: f"{row['measured_us']:.1f} us",
                "budget": lambda row: f"{row['predicted_us']:.1f} us",
                "gap": lambda row: f"{row['gap_us']:.1f} us",
            },
        )
        print_table(
            "Active reset as a feedback circuit, from |+>",
            of("active reset"),
            {
                "rounds": lambda row: str(row["rounds"]),
                "ground state": lambda row: f"{100 * row['ground_state']:.2f} %",
                "reads 0": lambda row: f"{100 * row['predicted_zeros']:.2f} %",
                "read 0 in the calibration run": lambda row: f"{100 * row['measured_zeros']:.2f} %",
                "time": lambda row: f"{row['duration_us']:.1f} us",
            },
        )
    print_table(
        "Our own engine on this machine: T(n) = T_V + n T_Q",
        of("local engine"),
        {
            "configuration": lambda row: row["configuration"],
            "T(1)": lambda row: f"{row['t_v_ms']:.3f} ms",
            "T_Q": lambda row: f"{row['t_q_us']:.4f} us",
        },
        [f"{environment['cpu']}, Python {environment['python']}"],
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="fewer circuits and repetitions, some seconds")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument("--data", type=Path, default=DATA, help="directory of the raw timings")
    arguments = parser.parse_args(argv)
    environment = environment_facts(threads=1)
    rows = measure(arguments)
    if arguments.json:
        print_json(environment, rows)
    else:
        _print(environment, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
