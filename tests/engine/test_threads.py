"""Threads, forks and spawned processes."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from superpose.circuits import z_all
from superpose.engine import compile_program, get_threads, set_threads


@pytest.fixture(name="job")
def _job(entangling_circuit):
    program = compile_program(entangling_circuit(8, 3), z_all(8), inputs=[f"x_{q}" for q in range(8)])
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=(150, 8)), rng.normal(size=program.n_weights), rng.normal(size=(150, 8))
    return program, arrays


def same(left, right):
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


def test_results_do_not_depend_on_the_number_of_threads(job):
    program, arrays = job
    results = []
    for n_threads in (1, 2, 3, 7):
        set_threads(n_threads)
        assert get_threads() == n_threads
        forward, state = program.forward(*arrays[:2])
        results.append((*program.value_and_grad(*arrays), forward, *program.backward(state, arrays[2])))
        results[-1] += (program.sample(*arrays[:2], 20, seed=5),)
    assert all(same(results[0], other) for other in results[1:])


def test_bad_numbers_of_threads():
    for n_threads in (0, -1, 1000):
        with pytest.raises(ValueError, match="n_threads must be in"):
            set_threads(n_threads)


def test_several_callers_at_once(job):
    program, arrays = job
    set_threads(2)
    want = program.value_and_grad(*arrays)
    wrong = []

    def call():
        for _ in range(25):
            if not same(want, program.value_and_grad(*arrays)):
                wrong.append(threading.get_ident())

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def test_errors_come_back_from_other_threads(job):
    program, (x, w, _) = job
    set_threads(2)
    from superpose.errors import ShapeError

    with pytest.raises(ShapeError, match="inputs must be finite"):
        program.expectation(np.where(np.arange(150)[:, None] == 149, np.nan, x), w)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_child_makes_its_own_threads(job):
    program, arrays = job
    set_threads(2)
    want = program.value_and_grad(*arrays)  # the parent's threads are running now
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            good = all(same(want, program.value_and_grad(*arrays)) for _ in range(3))
            os.write(write, b"y" if good else b"n")
        finally:
            os._exit(0)
    os.close(write)
    assert os.read(read, 1) == b"y"
    os.close(read)
    os.waitpid(child, 0)


def test_spawned_processes(job):
    program, arrays = job
    want = program.value_and_grad(*arrays)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for got in pool.starmap(program.value_and_grad, [arrays, arrays]):
            assert same(want, got)


def test_environment_sets_the_threads():
    for given, want in (("3", "3"), ("0", None), ("many", None)):
        run = subprocess.run(
            [sys.executable, "-c", "import superpose.engine as e; print(e.get_threads())"],
            env={**os.environ, "SUPERPOSE_THREADS": given},
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.strip() == (want or str(len(os.sched_getaffinity(0))))


def test_mates_sleep_between_calls(job):
    program, arrays = job
    set_threads(3)
    for _ in range(20):
        program.value_and_grad(*arrays)
    used_s = 1.0
    until_s = time.monotonic() + 60  # other tests' threads may still have something to do
    while used_s >= 0.05 and time.monotonic() < until_s:
        begin = time.process_time()
        time.sleep(0.2)
        used_s = time.process_time() - begin
    assert used_s < 0.05


def test_a_process_may_end_while_mates_are_awake():
    code = """
import numpy as np
from superpose.circuits import Circuit, Parameter, z_all
from superpose.engine import compile_program, set_threads
set_threads(3)
circuit = Circuit(9)
for q in range(9):
    circuit.ry(Parameter(f"w_{q}"), q)
program = compile_program(circuit, z_all(9))
for _ in range(9):
    program.value_and_grad(np.empty((300, 0)), np.ones(9), np.ones((300, 9)))
"""
    for _ in range(3):
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
