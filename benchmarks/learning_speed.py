"""How much faster is a whole training than the same in PennyLane's fastest configuration?

    python benchmarks/learning_speed.py --save               # every case; resumed where it stopped
    python benchmarks/learning_speed.py --case dressed:10 --json

A training is 256 rows of two curves, AdamW on cross entropy, a loss over 64 validation rows after each epoch, and the
weights of the best epoch in the end. Everybody gets the same rows in the same order, the same initial weights, batch,
epochs and single precision, two threads each; what is built once, such as networks and compiled functions, is built
before the clock of ``warm_s`` begins. Equal results come first: losses of every epoch and the final
probabilities are compared with ours, and who differs by more than the stated tolerance gets no ratio.

PennyLane: lightning.qubit with adjoint gradients; default.qubit by backprop under torch with broadcasting, as it comes
and kept in single precision; default.qubit under ``jax.jit`` with vmap or broadcasting, a step or a whole epoch as one
compiled call, the classical layers and AdamW compiled with it. Amplitudes of circuit-centric models are turned into
angles once, before training, for everybody. ``warm_s`` is a training when everything is compiled
and has run once, ``first_s`` the first training, compiling included; the engine's kernels, which are built once per
machine (`superpose doctor --warm`, or what needs them first), are built before. Everybody takes turns; in a turn one
trains again and again for a third of a second, and the median counts; there are three turns, and up to nine where they
are short, since a machine that others use has slow and fast moments. Contestants that take longer than five seconds
train fewer epochs for the clock, scaled (``scaled_from``). Ratios are the fastest rival's seconds over ours.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import nn

from harness import environment_facts, print_json, print_table, say, version_of
from learning_parts.pennylane_jax import JaxTraining
from learning_parts.pennylane_torch import keeps_single, train_backprop, train_backprop_single, train_lightning
from learning_parts.training_problem import OurTraining, Outcome, Problem, encoded_once, make_problem
from results import RESULTS, Results, sources_key
from superpose.learning.families.circuit_centric import CircuitCentricClassifier
from superpose.learning.families.dressed_circuit import dressed_block
from superpose.learning.network import HybridNetwork, NetworkShape
from superpose.learning.quantum_block import QuantumBlock, build_block
from superpose.learning.quantum_layer import QuantumLayer

GOAL = 20.0
EPOCHS = 20
TOLERANCE = 2e-3
ROUNDS, MOST_ROUNDS, ENOUGH_S = 3, 9, 30.0
SLOW_S = 5.0
SETTLE_S, TURN_S = 0.3, 0.3
LARGE_QUBITS = 8
"""From here on, whole epochs alone are compiled (compiling takes 40 s at 10 qubits; single steps are no faster), and
Lightning is left out, which is 100 times slower than the fastest at 4 qubits and falls behind further."""
Train = Callable[[Problem], Outcome]


def _around(block: QuantumBlock) -> Callable[[NetworkShape], nn.Module]:
    """Linear layers around a circuit."""
    return lambda shape: HybridNetwork(
        shape.n_columns, QuantumLayer.from_block(block), block.n_inputs, shape.n_classes, math.pi / 2
    )


def _circuit_centric(copies: int, layers: int) -> Callable[[NetworkShape], nn.Module]:
    """Amplitudes of columns in some registers, and a linear layer behind."""
    return CircuitCentricClassifier(copies=copies, layers=layers)._network


def _cases() -> dict[str, Callable[[], Problem]]:
    found: dict[str, Callable[[], Problem]] = {}
    for n_qubits, layers, batch in ((4, 6, 32), (8, 6, 32), (10, 6, 32), (10, 6, 128)):
        name = f"dressed:{n_qubits}x{layers}x{batch}"
        found[name] = lambda name=name, n=n_qubits, m=layers, b=batch: make_problem(
            name, max(n, 4), _around(dressed_block(n, m)), batch_size=b, epochs=EPOCHS
        )
    for n_qubits, layers, batch in ((4, 4, 32), (8, 4, 32), (10, 4, 32)):
        name = f"reuploading:{n_qubits}x{layers}x{batch}"
        found[name] = lambda name=name, n=n_qubits, m=layers, b=batch: make_problem(
            name, max(n, 4), _around(build_block(n, "reuploading", "strongly_entangling", m)), batch_size=b,
            epochs=EPOCHS,
        )  # fmt: skip
    for copies, layers, batch in ((2, 4, 32),):
        name = f"circuit_centric:{3 * copies}x{layers}x{batch}"
        found[name] = lambda name=name, c=copies, m=layers, b=batch: encoded_once(
            make_problem(name, 4, _circuit_centric(c, m), batch_size=b, epochs=EPOCHS)
        )
    return found


CASES = _cases()


def rivals(problem: Problem) -> dict[str, Callable[[], Train]]:
    """Makers of a training, by configuration; what they do belongs to the first training."""
    found: dict[str, Callable[[], Train]] = {}
    widths = [module.block.circuit.n_qubits for module in problem.network.modules() if isinstance(module, QuantumLayer)]
    large = max(widths) >= LARGE_QUBITS
    for broadcast in (False, True):
        for whole in (True,) if large else (False, True):
            name = f"jax.jit, {'broadcasting' if broadcast else 'vmap'}, {'epochs' if whole else 'steps'}"
            found[name] = lambda b=broadcast, w=whole: JaxTraining(problem, broadcast=b, whole_epochs=w)
    found["torch backprop, broadcasting"] = lambda: train_backprop
    if keeps_single(problem):
        found["torch backprop, single precision"] = lambda: train_backprop_single
    if not large:
        found["lightning.qubit, adjoint"] = lambda: train_lightning
    return found


def timed(train: Train, problem: Problem) -> tuple[float, Outcome]:
    """Seconds and outcome, after a moment in which threads that the contestant before left waiting go to sleep."""
    time.sleep(SETTLE_S)
    began = time.perf_counter()
    outcome = train(problem)
    return time.perf_counter() - began, outcome


def taken_in_turn(train: Train, problem: Problem) -> float:
    """Median seconds of a training, over as many as a turn has time for."""
    found = [timed(train, problem)[0]]
    while sum(found) < TURN_S:
        began = time.perf_counter()
        train(problem)
        found.append(time.perf_counter() - began)
    return median(found)


def difference(outcome: Outcome, ours: Outcome) -> float:
    """Largest difference in a loss or a probability, of the epochs that both trained."""
    n = len(outcome.losses)
    pairs = [(outcome.losses, ours.losses[:n]), (outcome.validation_losses, ours.validation_losses[:n])]
    if n == len(ours.losses):
        pairs.append((outcome.probabilities, ours.probabilities))
    return max(float(np.abs(np.subtract(one, other)).max()) for one, other in pairs)


def contest(problem: Problem, make: Callable[[], Train], ours: Outcome) -> tuple[dict[str, Any], Train | None]:
    """A rival's first training, judged, and what trains again."""
    short = replace(problem, epochs=1)
    try:
        began = time.perf_counter()
        train = make()
        _, outcome = timed(train, short)
        first_epoch = time.perf_counter() - began
        again, outcome = timed(train, short)
        epochs = max(1, min(problem.epochs, int(SLOW_S / max(again, 1e-6))))
        outcome = outcome if epochs == 1 else train(replace(problem, epochs=epochs))
    except Exception as error:  # reported, never dropped
        return {"failed": f"{type(error).__name__}: {str(error)[:200]}"}, None
    far = difference(outcome, ours)
    told = {"epochs": epochs, "difference": far, "compile_s": max(0.0, first_epoch - again)}
    if far > TOLERANCE:
        return {**told, "failed": f"differs by {far:.2g}"}, None
    return told, train


def build_kernels() -> None:
    """Build the engine's kernels where this machine has not got them, in another process: once per machine."""
    names = ("operations", "interpreter", "crew", "epochs", "scores", "whole_epochs")
    code = f"from superpose.engine import warm; warm(dtypes=('float32',), names={names})"
    subprocess.run([sys.executable, "-c", code], check=True)


def row_of(case: str) -> dict[str, Any]:
    """Everybody on one case, in turns."""
    problem = CASES[case]()
    began = time.perf_counter()
    train_ours = OurTraining(problem)
    ours = train_ours(problem)
    first = time.perf_counter() - began
    entries: dict[str, dict[str, Any]] = {}
    running: dict[str, Train] = {}
    for name, make in rivals(problem).items():
        entries[name], train = contest(problem, make, ours)
        say(f"  {name}: {entries[name]}")
        if train is not None:
            running[name] = train
    samples: dict[str, list[float]] = {"ours": []}
    began = time.perf_counter()
    for turn in range(MOST_ROUNDS):
        if turn >= ROUNDS and time.perf_counter() - began > ENOUGH_S:
            break
        samples["ours"].append(taken_in_turn(train_ours, problem))
        for name, train in running.items():
            epochs = entries[name]["epochs"]
            if turn and epochs < problem.epochs:
                continue
            seconds = taken_in_turn(train, replace(problem, epochs=epochs))
            samples.setdefault(name, []).append(seconds * problem.epochs / epochs)
    for name in running:
        entries[name] |= {
            "warm_s": median(samples[name]),
            "first_s": median(samples[name]) + entries[name]["compile_s"],
        }
        if entries[name]["epochs"] < problem.epochs:
            entries[name]["scaled_from"] = entries[name]["epochs"]
    ours_s = median(samples["ours"])
    fastest = min(running, key=lambda name: entries[name]["warm_s"])
    soonest = min(running, key=lambda name: entries[name]["first_s"])
    return {
        "case": case,
        "epochs": problem.epochs,
        "steps": problem.epochs * len(problem.training) // problem.batch_size,
        "ours_s": ours_s,
        "ours_first_s": first,
        "final_loss": ours.losses[-1],
        "rivals": entries,
        "fastest": fastest,
        "fastest_s": entries[fastest]["warm_s"],
        "ratio": entries[fastest]["warm_s"] / ours_s,
        "soonest": soonest,
        "soonest_s": entries[soonest]["first_s"],
        "ratio_first": entries[soonest]["first_s"] / first,
        "goal": GOAL,
        "met": entries[fastest]["warm_s"] / ours_s >= GOAL,
    }


def main() -> None:
    """Run the cases and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", help="only cases whose name begins so, repeatable")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch; the engine and JAX take all cores")
    parser.add_argument("--save", action="store_true", help="write results/learning_speed.json, case by case")
    parser.add_argument("--again", action="store_true", help="measure cases that the file has once more")
    parser.add_argument("--fresh", action="store_true", help="begin results/learning_speed.json anew")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    build_kernels()
    cases = [case for case in CASES if not arguments.case or any(case.startswith(text) for text in arguments.case)]
    versions = {name: version_of(name) for name in ("pennylane", "pennylane_lightning", "jax", "torch", "numpy")}
    path: Path | None = RESULTS / "learning_speed.json" if arguments.save else None
    facts = environment_facts(arguments.threads, tolerance=TOLERANCE, rounds=(ROUNDS, MOST_ROUNDS))
    kept = Results(path, facts, sources_key("learning_speed", EPOCHS, TOLERANCE), fresh=arguments.fresh)
    for case in cases:
        if arguments.again or not kept.has(case):
            say(case)
            kept.add(row_of(case), versions)
    rows = kept.rows(cases)
    if arguments.json:
        print_json(kept.environment, rows)
        return
    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "family:qubits x layers x batch": lambda row: row["case"],
        "ours": lambda row: f"{row['ours_s']:.3f} s",
        "fastest rival, compiled": lambda row: f"{row['fastest_s']:.2f} s ({row['fastest']})",
        "ratio": lambda row: f"{row['ratio']:.1f}",
        "ours, first": lambda row: f"{row['ours_first_s']:.3f} s",
        "soonest rival, compiling": lambda row: f"{row['soonest_s']:.2f} s ({row['soonest']})",
        "ratio ": lambda row: f"{row['ratio_first']:.1f}",
    }
    print_table(f"A training of {EPOCHS} epochs over 256 rows", rows, columns)


if __name__ == "__main__":
    main()
