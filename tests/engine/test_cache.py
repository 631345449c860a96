"""The kernels' private directory."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from superpose.engine import kernels_ready, machine_code, warm
from superpose.engine.kernel_table import KERNELS

RUN = """
import logging, sys, time
logging.basicConfig(level=logging.INFO, stream=sys.stderr)
begin = time.perf_counter()
from superpose.circuits import Circuit, Parameter, z_all
from superpose.engine import compile_program, kernels_ready, set_threads
ready = kernels_ready()
assert "numba" not in sys.modules
program = compile_program(Circuit(2).ry(Parameter("a"), 0).cx(0, 1), z_all(2))
first = time.perf_counter()
value = program.expectation(None, [0.5])[0, 1]
print(ready, round(float(value), 5), time.perf_counter() - first)
"""


BECOME_NOBODY = """
import os, superpose.engine, llvmlite.binding  # another user may not be able to read where Python is
os.setgid(65534)
os.setuid(65534)
"""


def run(code=RUN, **environment):
    """Start a Python of its own; return its printed words and its log."""
    got = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert got.returncode == 0, got.stderr
    return got.stdout.split(), got.stderr


@pytest.fixture(scope="module", name="warmed")
def _warmed(tmp_path_factory):
    """A cache of both precisions that a process of its own has filled."""
    place = tmp_path_factory.mktemp("cache") / "new"
    lines, _ = run(
        "import superpose.engine as e; print(e.kernels_ready()); e.warm(); print(e.kernels_ready())",
        SUPERPOSE_CACHE_DIR=str(place),
    )
    assert lines == ["False", "True"]
    return place


def directory_in(place: Path) -> Path:
    (found,) = place.glob("kernels-*")
    return found


def test_warm_reports_and_is_quick_the_second_time(monkeypatch):
    warm()
    lines = []
    monkeypatch.delattr(machine_code, "compile_entry")  # nothing is compiled again,
    monkeypatch.delattr(machine_code, "load_entry")  # nor loaded again
    seconds = warm(lines.append)
    assert seconds >= 0
    assert kernels_ready()
    assert len(lines) == 4
    assert "float32" in lines[0]
    assert "ready" in lines[-1]


@pytest.mark.slow
def test_cache_is_private_and_used_by_the_next_process(warmed):
    found = directory_in(warmed)
    assert stat.S_IMODE(found.stat().st_mode) == 0o700
    assert [path.read_bytes()[32:36] for path in found.iterdir()] == [b"\x7fELF"] * len(
        list(found.iterdir())
    )  # plain machine code
    names = sorted(f"{dtype}.{name}" for dtype in ("float32", "float64") for name, row in KERNELS.items() if row.early)
    assert sorted(path.name for path in found.iterdir()) == names
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in found.iterdir())
    (ready, value, seconds), log = run(SUPERPOSE_CACHE_DIR=str(warmed))
    assert (ready, value) == ("True", "0.87758")
    assert float(seconds) < 0.5  # compiling takes longer
    assert "superpose" not in log


@pytest.mark.slow
def test_read_only_cache_is_used(warmed):
    found = directory_in(warmed)
    found.chmod(0o500)
    try:
        (ready, value, seconds), log = run(SUPERPOSE_CACHE_DIR=str(warmed))
    finally:
        found.chmod(0o700)
    assert (ready, value) == ("True", "0.87758")
    assert float(seconds) < 0.5
    assert "superpose" not in log


@pytest.mark.slow
def test_image_is_filled_by_the_doctor_and_read_by_anybody():
    """As in a container image: root builds, nobody may write, another user runs."""
    place = Path(tempfile.mkdtemp(prefix="superpose-image-"))
    try:
        place.chmod(0o755)
        build = [sys.executable, "-m", "superpose", "doctor", "--warm", "--json"]
        environment = {**os.environ, "SUPERPOSE_CACHE_DIR": str(place)}
        done = subprocess.run(build, env=environment, capture_output=True, text=True, check=True)
        told = json.loads(done.stdout)
        assert told["warm_s"] > 1
        assert told["kernels"]["directory"] == str(directory_in(place))
        assert {(row["name"], row["dtype"]) for row in told["kernels"]["rows"]} == {
            (name, dtype) for name, row in KERNELS.items() for dtype in row.dtypes
        }
        assert told["kernels"]["n_bytes"] == sum(path.stat().st_size for path in directory_in(place).iterdir())
        for path in directory_in(place).iterdir():
            path.chmod(0o444)
        directory_in(place).chmod(0o555)
        code = RUN + "\nassert 'numba' not in sys.modules"
        above = Path(machine_code.__file__).parents  # in a private directory nobody else can run what is installed
        may_read = all(parent.stat().st_mode & stat.S_IXOTH for parent in above)
        for before in ("", BECOME_NOBODY if os.geteuid() == 0 and may_read else ""):
            (ready, value, seconds), log = run(before + code, SUPERPOSE_CACHE_DIR=str(place), HOME="/nonexistent")
            assert (ready, value) == ("True", "0.87758")
            assert float(seconds) < 0.5
            assert "superpose" not in log
    finally:
        directory_in(place).chmod(0o700)
        shutil.rmtree(place)


@pytest.mark.slow
def test_doctor_says_when_kernels_cannot_be_kept(tmp_path):
    (tmp_path / "file").write_text("not a directory")
    build = [sys.executable, "-m", "superpose", "doctor", "--warm"]
    environment = {**os.environ, "SUPERPOSE_CACHE_DIR": str(tmp_path / "file" / "below")}
    done = subprocess.run(build, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "No kernel was built, as none could be kept: " in done.stderr
    assert f"{tmp_path / 'file'}" in done.stderr and "Set SUPERPOSE_CACHE_DIR" in done.stderr


@pytest.mark.slow
def test_open_directory_is_not_trusted(warmed):
    found = directory_in(warmed)
    found.chmod(0o770)
    try:
        (ready, value, _), log = run(SUPERPOSE_CACHE_DIR=str(warmed))
    finally:
        found.chmod(0o700)
    assert (ready, value) == ("False", "0.87758")
    assert "writable by nobody else" in log
    assert log.count("superpose.engine") == 1


@pytest.mark.slow
def test_damaged_file_is_made_anew(warmed):
    path = directory_in(warmed) / "float32.operations"
    content = path.read_bytes()
    path.write_bytes(content[:-10] + b"0123456789")
    (_, value, _), log = run(SUPERPOSE_CACHE_DIR=str(warmed))
    assert value == "0.87758"
    assert "damaged" in log
    assert path.read_bytes() != content[:-10] + b"0123456789"


@pytest.mark.slow
def test_file_in_the_place_of_another_is_made_anew(warmed):
    found = directory_in(warmed)
    content = (found / "float32.interpreter").read_bytes()
    (found / "float32.interpreter").write_bytes((found / "float64.interpreter").read_bytes())
    (_, value, _), log = run(SUPERPOSE_CACHE_DIR=str(warmed))
    assert value == "0.87758"
    assert "damaged" in log
    assert (found / "float32.interpreter").read_bytes()[32:36] == content[32:36]


@pytest.mark.slow
def test_no_place_to_write(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    (ready, value, _), log = run(SUPERPOSE_CACHE_DIR=str(blocked / "below"))
    assert (ready, value) == ("False", "0.87758")
    assert log.count("superpose.engine") == 1
    assert "for this process only" in log


COUNTED = """
import sys
from superpose.engine import machine_code, warm
own, calls = machine_code.compile_entry, []
machine_code.compile_entry = lambda *given: calls.append(given) or own(*given)
print("ready", flush=True)
sys.stdin.readline()
warm(dtypes=["float64"], names=["vector_loops"])
print(len(calls))
"""


def test_two_processes_that_begin_at_once_compile_a_kernel_once(tmp_path):
    both = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", COUNTED],
            env={**os.environ, "SUPERPOSE_CACHE_DIR": str(tmp_path / "c")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    assert [process.stdout.readline() for process in both] == ["ready\n"] * 2
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    assert sorted(process.communicate()[0] for process in both) == ["0\n", "1\n"]
    assert [path.name for path in directory_in(tmp_path / "c").iterdir()] == ["float64.vector_loops"]


@pytest.mark.slow
def test_two_processes_fill_one_cache(tmp_path):
    both = [
        subprocess.Popen(
            [sys.executable, "-c", RUN],
            env={**os.environ, "SUPERPOSE_CACHE_DIR": str(tmp_path / "c")},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in both:
        out, _ = process.communicate()
        assert process.returncode == 0
        assert out.split()[1] == "0.87758"
    names = sorted(path.name for path in directory_in(tmp_path / "c").iterdir())
    assert {"float32.interpreter", "float32.operations"} <= set(names)
    assert all(name.startswith("float32.") for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("cpu", [("haswell", "+avx2,+fma,-avx512f"), ("nehalem", "+sse4.2,-avx,-avx2,-avx512f,-fma")])
def test_processors_with_narrower_registers(cpu, tmp_path):
    code = """
import numpy as np
from superpose.circuits import Circuit, Parameter, reference, z_all
from superpose.engine import compile_program
circuit = Circuit(5)
for q in range(5):
    circuit.ry(Parameter("x"), q).rz(Parameter("a"), q).rx(Parameter("b"), q).rz(0.3, q)
for q in range(5):
    circuit.cx(q, (q + 1) % 5).rxx(Parameter("a"), q, (q + 2) % 5)
for dtype, tolerance in (("float32", 1e-5), ("float64", 1e-11)):
    program = compile_program(circuit, z_all(5), inputs=["x"], dtype=dtype)
    values, _, grad = program.value_and_grad([[0.2], [0.7]], [0.4, 1.1], np.ones((2, 5)))
    want = [reference.expectation(circuit, o, {"x": 0.7, "a": 0.4, "b": 1.1}) for o in z_all(5)]
    assert abs(values[1] - want).max() < tolerance
    near = [program.expectation([[0.2], [0.7]], [0.4, 1.1 + step]).sum(dtype=np.float64) for step in (1e-2, -1e-2)]
    assert abs((near[0] - near[1]) / 2e-2 - grad[1]) < 1e-3
print("good")
"""
    lines, _ = run(code, NUMBA_CPU_NAME=cpu[0], NUMBA_CPU_FEATURES=cpu[1], SUPERPOSE_CACHE_DIR=str(tmp_path / "c"))
    assert lines == ["good"]


def add_one(number):
    if number < 0:
        raise ValueError("negative")
    return number + 1


def test_machine_code_is_called_by_its_address():
    code = machine_code.compile_entry(add_one, "int64(int64)")
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(machine_code.load_entry(code))
    assert call(41) == 42
    assert call(-5) == -1


def test_numba_of_others_is_left_as_it_was():
    from numba import njit
    from numba.core.registry import cpu_target

    @njit
    def evens(array):
        return [value**3 for value in array[::2]], np.linalg.norm(array)

    codegen, kept = cpu_target.target_context.codegen(), cpu_target.target_context.cached_internal_func
    machine_code.compile_entry(add_one, "int64(int64)")
    assert "_library_class" not in vars(codegen)
    assert "set_env" not in vars(codegen)
    assert cpu_target.target_context.cached_internal_func is kept
    assert evens(np.arange(5.0)) == ([0.0, 8.0, 64.0], pytest.approx(30**0.5))


def test_kernels_find_the_data_of_arrays():
    array = np.arange(3.0)
    assert ctypes.c_void_p.from_address(id(array) + object.__basicsize__).value == array.ctypes.data


def test_import_compiles_nothing():
    lines, _ = run(
        "import sys, superpose.engine; print([m for m in sys.modules if m.split('.')[0] in ('numba', 'torch')])"
    )
    assert lines == ["[]"]
