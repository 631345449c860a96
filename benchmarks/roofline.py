"""Measures how much of the machine a training step uses: flops of the algorithm per second, over the measured peak.

Circuit: RY(input) on every qubit, then strongly entangling layers, expectation of Z on every qubit; forward, and
gradients of weights and inputs, as in training_step.py. The peak is measured too: chains of fused multiply-adds that do
not depend on one another, in vectors as wide as the engine's, on as many threads, in turns with the step, so that a
processor that changes its frequency changes both.

Flops are not counted in the engine but fixed by formulas, so that work which the algorithm does not need lowers the
share. A multiplication or addition is one flop, a fused multiply-add two. Permutations (CNOT) and signs are free. With
n qubits and L layers, per sample and per each of the 2**n amplitudes:

minimal: the least we know, 16 n L + 22 L + 4 n + 10.
    RY of every qubit and layer, 16: a rotation scaled by its cosine is one multiply-add per real number, 4; turning
    both states back, 8; the gradient, one multiply-add per real number of one state, 4.
    All RZ that meet between two layers (behind the last one they change no expectation) are one table of phases: 6
    forward, 12 back, 4 for the product of both states and its sum over samples.
    Inputs at the start are a product state and need a gradient only, 4 each; amplitudes of the product state, 2;
    probabilities and their sums, 5; the observables applied to the state, 3.
fused gates: 58 n L + 4 n + 10.
    RZ RY RZ of a qubit are one gate, a general 2 x 2 matrix: 14 forward, 28 for turning both states back, 16 for the
    2 x 2 matrix of sums that gives all three gradients. This is what gate fusion alone leads to; an engine that needs
    less, as ours does, can come out above 1.

    python benchmarks/roofline.py [--quick] [--json] [--case 10x4x128] [--dtype float32] [--threads 2]
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, Literal

import numpy as np

from harness import available_cores, environment_facts, format_ms, print_json, print_table, say
from rivals.circuit import Case, make_task
from rivals.superpose_engine import circuit_of
from superpose.circuits import z_all
from superpose.engine import compile_program, set_threads

CASES = ("4x2x1024", "6x4x64", "6x4x512", "8x4x64", "8x4x256", "10x4x64", "10x4x128", "11x4x64", "12x4x64")
QUICK_CASES = ("6x4x512", "8x4x64", "10x4x128", "12x4x64")
CHAINS = 24
"""Multiply-adds that do not wait for one another: two units times a latency of four or five, and some more."""
_TURNS = 20_000


def minimal_flops(case: Case) -> float:
    """Flops of a step of the minimal algorithm; see the head of this file."""
    n, layers = case.n_qubits, case.layers
    return float(case.batch * 2**n * (16 * n * layers + 22 * layers + 4 * n + 10))


def fused_gate_flops(case: Case) -> float:
    """Flops of a step with one general gate per qubit and layer; see the head of this file."""
    n, layers = case.n_qubits, case.layers
    return float(case.batch * 2**n * (58 * n * layers + 4 * n + 10))


def _chains(dtype: str) -> Callable[[np.ndarray[Any, Any], int], None]:
    """A compiled loop of CHAINS multiply-adds of vectors per turn; the vectors factor, term and result in an array."""
    from llvmlite import ir
    from numba import njit, types
    from numba.extending import intrinsic

    from superpose.engine.kernels.simd import Simd

    def emit(typingctx: Any, array: Any, turns: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            v = Simd(builder, ir.FloatType() if dtype == "float32" else ir.DoubleType())
            v.first = ir.Constant(ir.IntType(64), 0)
            sums = [v.variable(v.all(float(k))) for k in range(CHAINS)]
            factor, term = v.load(args[0]), v.load(v.at(args[0], 64))
            with v.loop(args[1]):
                for variable in sums:
                    v.b.store(v.fma(v.b.load(variable), factor, term), variable)
            total = v.all(0.0)
            for variable in sums:
                total = v.add(total, v.b.load(variable))
            v.store(total, v.at(args[0], 128))
            return context.get_dummy_value()

        return types.void(types.int64, types.int64), codegen

    body = intrinsic(emit)

    @njit("void(int64, int64)", nogil=True)
    def run(array: int, turns: int) -> None:
        body(array, turns)

    def call(memory: np.ndarray[Any, Any], turns: int) -> None:
        run(memory.ctypes.data + -memory.ctypes.data % 64, turns)

    return call


class Peak:
    """Measures the multiply-add peak of some threads together."""

    def __init__(self, dtype: str, threads: int) -> None:
        self.threads = threads
        self._run = _chains(dtype)
        self._flops = 2.0 * _TURNS * CHAINS * (16 if dtype == "float32" else 8)
        self._memory = [np.full(512, 0.5, dtype) for _ in range(threads)]
        self.measure()

    def measure(self) -> float:
        """GFLOP/s, the threads' rates added up."""
        rates = [0.0] * self.threads
        start = threading.Barrier(self.threads)

        def work(place: int) -> None:
            start.wait()
            begin = time.perf_counter()
            self._run(self._memory[place], _TURNS)
            rates[place] = self._flops / (time.perf_counter() - begin) / 1e9

        others = [threading.Thread(target=work, args=(place,)) for place in range(1, self.threads)]
        for thread in others:
            thread.start()
        work(0)
        for thread in others:
            thread.join()
        return sum(rates)


def step_of(case: Case, dtype: str, threads: int) -> Callable[[], object]:
    """One call of the engine with the numbers that all benchmarks use."""
    task = make_task(case, threads)
    circuit, names = circuit_of(task), [f"x_{qubit}" for qubit in range(case.n_qubits)]
    precision: Literal["float32", "float64"] = "float64" if dtype == "float64" else "float32"
    program = compile_program(circuit, z_all(case.n_qubits), inputs=names, dtype=precision)
    arrays = (task.inputs.astype(dtype), task.weights.ravel().astype(dtype), task.upstream.astype(dtype))
    return lambda: program.value_and_grad(*arrays)


def row_of(case: Case, dtype: str, peak: Peak, rounds: int) -> dict[str, Any]:
    """Time and share of a case, medians over rounds of peak and step in turns."""
    set_threads(peak.threads)
    step = step_of(case, dtype, peak.threads)
    step()
    begin = time.perf_counter()
    step()
    repeats = max(3, int(0.02 / (time.perf_counter() - begin)))
    times, peaks = [], []
    for _ in range(rounds):
        before = peak.measure()
        samples = []
        for _ in range(repeats):
            begin = time.perf_counter()
            step()
            samples.append(time.perf_counter() - begin)
        times.append(median(samples))
        peaks.append((before + peak.measure()) / 2)

    def share(flops: float) -> tuple[float, float]:
        return flops / median(times) / 1e9, median(flops / t / p / 1e9 for t, p in zip(times, peaks, strict=True))

    gflops, least = share(minimal_flops(case))
    fused_gflops, fused = share(fused_gate_flops(case))
    return {
        "n_qubits": case.n_qubits,
        "layers": case.layers,
        "batch": case.batch,
        "dtype": dtype,
        "threads": peak.threads,
        "ms": median(times) * 1e3,
        "gflops": gflops,
        "peak_gflops": median(peaks),
        "share": least,
        "fused_gate_gflops": fused_gflops,
        "fused_gate_share": fused,
    }


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--case", action="append", metavar="QxLxB", help="qubits x layers x batch; may be repeated")
    parser.add_argument("--dtype", action="append", choices=("float32", "float64"), help="may be repeated; float32")
    parser.add_argument("--threads", type=int, action="append", help="may be repeated; 1 and all cores")
    parser.add_argument("--quick", action="store_true", help="four cases on all cores, some seconds")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    arguments = _arguments(argv)
    cases = [Case.parse(text) for text in arguments.case or (QUICK_CASES if arguments.quick else CASES)]
    cores = available_cores()
    counts = arguments.threads or ([cores] if arguments.quick else sorted({1, cores}))
    rows = []
    for dtype in arguments.dtype or ["float32"]:
        for threads in counts:
            peak = Peak(dtype, threads)
            for case in cases:
                say(f"{case} {dtype}, threads: {threads}")
                rows.append(row_of(case, dtype, peak, 5 if arguments.quick else 9))
    environment = environment_facts(max(counts), formulas="see the head of benchmarks/roofline.py")
    if arguments.json:
        print_json(environment, rows)
        return 0
    print_table(
        "Share of the fused-multiply-add peak",
        rows,
        {
            "qubits x layers x batch": lambda row: f"{row['n_qubits']}x{row['layers']}x{row['batch']} {row['dtype']}",
            "threads": lambda row: str(row["threads"]),
            "time": lambda row: format_ms(row["ms"]),
            "GFLOP/s": lambda row: f"{row['gflops']:.0f}",
            "peak": lambda row: f"{row['peak_gflops']:.0f}",
            "share": lambda row: f"{row['share']:.0%}",
            "GFLOP/s, fused gates": lambda row: f"{row['fused_gate_gflops']:.0f}",
            "share, fused gates": lambda row: f"{row['fused_gate_share']:.0%}",
        },
        [f"{environment['cpu']}, {cores} cores, load {environment['load_1min']} at the start."],
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
