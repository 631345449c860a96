"""Tapes kept between processes."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from superpose.circuits import Circuit, Parameter, z_all
from superpose.engine import compile_count, kernel_table, private_files, tape_files, warm
from superpose.engine.program import CompiledProgram

RUN = """
import logging, sys
logging.basicConfig(level=logging.INFO, stream=sys.stderr)
import numpy as np
import superpose
from superpose.circuits import Circuit, Parameter, z_all
from superpose.engine import compile_count
circuit = Circuit(6)
for layer in range(30):
    for q in range(6):
        circuit.ry(Parameter(f"w{layer}"), q).rz(0.1 * q, q).cx(q, (q + 1) % 6)
executable = superpose.compile(circuit, observables=z_all(6))
values, _, grad = executable.value_and_grad(np.linspace(0, 1, 30))
print(compile_count(), repr(float(values.sum())), repr(float(grad.sum())))
"""


def deep(n_qubits=5, n_layers=25, seed=0):
    rng = np.random.default_rng(seed)
    circuit = Circuit(n_qubits)
    for layer in range(n_layers):
        for q in range(n_qubits):
            circuit.ry(Parameter("x") + float(rng.normal()), q).rz(Parameter(f"w{layer}"), q)
            circuit.p(Parameter("w0") * 0.5, q).cx(q, (q + 1) % n_qubits)
    return circuit


def answers(program):
    rng = np.random.default_rng(7)
    inputs, weights = rng.normal(size=(3, 1)), rng.normal(size=program.n_weights)
    grad = np.ones((3, program.n_observables))
    return (
        *program.value_and_grad(inputs, weights, grad),
        program.state_vector(inputs, weights),
        program.expectation(inputs[:1], weights),
    )


@pytest.fixture(name="place")
def _place(tmp_path, monkeypatch):
    warm()  # from the usual place
    monkeypatch.setenv("SUPERPOSE_CACHE_DIR", str(tmp_path))
    return tmp_path


def files_in(place: Path) -> list[Path]:
    return sorted(path for path in place.glob("tapes-*/*") if not path.name.startswith("."))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_qubits", [5, 10])  # from 9 on, few samples run in the wide layout
def test_a_tape_that_was_kept_gives_the_same(place, dtype, n_qubits):
    circuit, observables = deep(n_qubits), z_all(n_qubits)
    before = compile_count()
    want = answers(CompiledProgram(circuit, observables, ["x"], dtype))
    assert compile_count() == before + 1
    kept = files_in(place)
    assert 1 <= len(kept) <= 2
    assert stat.S_IMODE(kept[0].stat().st_mode) == 0o600
    assert stat.S_IMODE(kept[0].parent.stat().st_mode) == 0o700
    again = CompiledProgram(circuit, observables, ["x"], dtype)
    got = answers(again)
    assert compile_count() == before + 1
    assert all(np.array_equal(a, b) for a, b in zip(got, want, strict=True))
    assert again.lowered.layers  # what needs more than the tape still gets it
    assert compile_count() == before + 2


def test_only_the_same_structure_is_taken(place):
    asked = [
        (deep(), z_all(5), ["x"], "float64"),
        (deep(seed=1), z_all(5), ["x"], "float64"),
        (deep(), z_all(5)[:3], ["x"], "float64"),
        (deep(), z_all(5), ["w1"], "float64"),
        (deep(), z_all(5), ["x"], "float32"),
    ]
    first = [answers(CompiledProgram(*one)) for one in asked]
    assert len(files_in(place)) == 5
    for one, want in zip(asked, first, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(answers(CompiledProgram(*one)), want, strict=True))


def test_small_circuits_are_not_kept(place):
    answers(CompiledProgram(deep(n_layers=5), z_all(5), ["x"], "float64"))
    assert not files_in(place)


def test_damaged_and_foreign_files_are_ignored(place, caplog):
    caplog.set_level("INFO", logger="superpose.engine")
    want = answers(CompiledProgram(deep(), z_all(5), ["x"], "float64"))
    answers(CompiledProgram(deep(seed=1), z_all(5), ["x"], "float64"))
    one, other = files_in(place)
    content = one.read_bytes()
    for wrong in (content[:-1] + bytes([content[-1] ^ 1]), content[:50], b"", other.read_bytes()):
        one.write_bytes(wrong)
        other.write_bytes(wrong)
        caplog.clear()
        got = answers(CompiledProgram(deep(), z_all(5), ["x"], "float64"))
        assert all(np.array_equal(a, b) for a, b in zip(got, want, strict=True))
        assert "damaged" in caplog.text
    one.chmod(0o666)
    caplog.clear()
    answers(CompiledProgram(deep(), z_all(5), ["x"], "float64"))
    answers(CompiledProgram(deep(seed=1), z_all(5), ["x"], "float64"))
    assert "not the user's alone" in caplog.text


def test_no_place_to_keep_them(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no directory")
    monkeypatch.setenv("SUPERPOSE_CACHE_DIR", str(tmp_path / "file" / "below"))
    first = answers(CompiledProgram(deep(), z_all(5), ["x"], "float64"))
    assert all(map(np.array_equal, first, answers(CompiledProgram(deep(), z_all(5), ["x"], "float64"))))


def test_tapes_unused_for_longest_make_room(place, monkeypatch):
    answers(CompiledProgram(deep(seed=0), z_all(5), ["x"], "float64"))
    (first,) = files_in(place)
    older = place / "tapes-of-an-older-engine"
    older.mkdir()
    (older / "tape").write_bytes(bytes(100))
    os.utime(older / "tape", (1, 1))
    size = first.stat().st_size
    monkeypatch.setattr(tape_files, "MAX_BYTES", 6 * size)
    for seed in range(1, 60):
        answers(CompiledProgram(deep(seed=seed), z_all(5), ["x"], "float64"))
        os.utime(first)  # used all the time
    assert len(files_in(place)) < 40
    assert not (older / "tape").exists()
    assert first.exists()


def test_processes_share_them(tmp_path):
    kernels = private_files.base_directory() / kernel_table.kernel_directory()
    if not kernels.is_dir():
        pytest.skip("no kernels are kept on this machine")
    tmp_path.chmod(0o700)
    shutil.copytree(kernels, tmp_path / kernels.name)
    environment = {**os.environ, "SUPERPOSE_CACHE_DIR": str(tmp_path)}

    def run(n):
        command = [sys.executable, "-W", "error", "-c", RUN]
        started = [
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(n)
        ]
        for process in started:
            out, log = process.communicate()
            assert process.returncode == 0, log
            assert "superpose" not in log
            yield out.split()

    together = list(run(2))  # both may compile, or one take the other's
    (later,) = run(1)
    assert later[0] == "0"
    assert all(one[1:] == later[1:] for one in together)
    for path in tmp_path.glob("tapes-*/*"):
        path.chmod(0o400)
    for path in tmp_path.glob("tapes-*"):
        path.chmod(0o500)
    assert list(run(1)) == [later]
