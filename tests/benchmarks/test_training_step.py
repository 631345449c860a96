"""The harness of the training-step benchmark: judge, choice of candidates, processes, rounds, rows."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import training_step
from harness import environment_facts, format_ms, print_json, print_table, spread
from rivals import OURS, OURS_LAYER, OURS_SERIAL, REFERENCE, RIVALS, Contestant
from rivals.circuit import Case, make_task, ring_pairs, ring_permutation, z_signs
from rivals.environments import ensure_environment, interpreter, lock_files
from rivals.exact import disagreement, exact_step
from rivals.process import ContestantFailedError, ContestantProcess
from rivals.protocol import Candidate, Step, choose
from rivals.race import Limits, Runner, build, race
from rivals.rows import row_of
from superpose.circuits import Circuit, reference

TORCH = Contestant("torch", "torch_by_hand", None)  # runs in this environment: torch is a dependency
PYTHON = Path(sys.executable)
SMALL = Case(3, 2, 4)


def test_a_case_is_read_and_written() -> None:
    assert Case.parse("8x4x64") == Case(8, 4, 64)
    assert str(Case(8, 4, 64)) == "8x4x64"


@pytest.mark.parametrize("text", ["8x4", "8x4x0", "1x1x1", "8x-4x2", "axbxc", "", "unknown:8x4x2", "iqp@x:8x4x2"])
def test_an_unreadable_case_says_what_a_case_is(text: str) -> None:
    with pytest.raises(ValueError, match="QUBITSxLAYERSxBATCH"):
        Case.parse(text)
    assert training_step.main(["--case", text or "x"]) == 2


@pytest.mark.parametrize("reach", [1, 2, 3])
def test_a_ring_as_a_gather_equals_its_gates(reach: int) -> None:
    n = 4
    circuit = Circuit(n)
    for qubit in range(n):
        circuit.ry(0.3 + 0.2 * qubit, qubit)
    before = reference.state_vector(circuit).ravel()
    for control, target in ring_pairs(n, reach):
        circuit.cx(control, target)
    np.testing.assert_allclose(before[ring_permutation(n, reach)], reference.state_vector(circuit).ravel())


def test_signs_of_z_count_qubit_0_as_the_high_bit() -> None:
    assert z_signs(2).tolist() == [[1, 1], [1, -1], [-1, 1], [-1, -1]]


def test_a_wrong_number_is_a_disagreement() -> None:
    exact = exact_step(make_task(SMALL, 1))
    assert disagreement(exact, exact, "complex64") is None
    assert disagreement((exact[0] + 1e-6, *exact[1:]), exact, "complex64") is None
    for spoilt in (exact[1] + 0.01, np.full_like(exact[1], np.nan)):
        assert "input gradients" in str(disagreement((exact[0], spoilt, exact[2]), exact, "complex64"))
    assert "numbers where" in str(disagreement((exact[0][:1], *exact[1:]), exact, "complex64"))
    turned = exact[2] * [1, 1, -1]
    assert disagreement((*exact[:2], turned), exact, "complex64")
    assert disagreement((*exact[:2], turned), exact, "complex64", judged_angles=(1,)) is None


def _candidate(variant: str, n_loops: int) -> Candidate:
    return Candidate(variant, "complex64", lambda: Step(lambda: sum(range(n_loops)), lambda results: (results,) * 3))


def _broken() -> Step:
    raise OSError("no such library")


def test_the_fastest_candidate_is_kept_and_a_broken_one_is_told() -> None:
    broken = Candidate("broken", "complex64", _broken)
    choice = choose([_candidate("slow", 300_000), broken, _candidate("fast", 10)], limit_s=60)
    assert choice.candidate.variant == "fast"
    assert choice.tried["broken"] == "OSError: no such library"
    assert choice.step_ms == choice.tried["fast"]
    with pytest.raises(RuntimeError, match="broken: OSError: no such library"):
        choose([broken], limit_s=60)


def test_no_further_candidate_is_tried_past_half_the_limit() -> None:
    choice = choose([_candidate("first", 10), _candidate("second", 10)], limit_s=0.0)
    assert choice.candidate.variant == "first"
    assert "not tried" in str(choice.tried["second"])


def test_a_rival_runs_from_its_process_to_its_row() -> None:
    task = make_task(SMALL, 1)
    runner = build(TORCH, PYTHON, task, exact_step(task), setup_s=100)
    try:
        assert runner.unavailable is None
        assert runner.facts["versions"]["torch"]
        assert race([runner], Limits(rounds_s=0.0, fewest_rounds=2)) == 2
    finally:
        if runner.process is not None:
            runner.process.close()
    missing = {c.name: Runner(c, unavailable="not here") for c in (OURS, OURS_SERIAL, OURS_LAYER, REFERENCE)}
    row = row_of(SMALL, {name: found.report() for name, found in {**missing, TORCH.name: runner}.items()})
    assert row["best_rival"] == "torch"
    assert row["rivals"]["torch"]["rounds"] == 2
    assert row["best_rival_ms"] == row["rivals"]["torch"]["ms"] > 0
    assert row["rivals"]["torch"]["first_ms"] > 0
    assert (row["ours_ms"], row["ratio_to_best"], row["ratio_to_reference"]) == (None, None, None)
    assert row["ours"] == {"unavailable": "not here"}
    json.dumps(row)


def test_a_rival_with_wrong_numbers_gets_no_time() -> None:
    task = make_task(SMALL, 1)
    expectations, *gradients = exact_step(task)
    runner = build(TORCH, PYTHON, task, (expectations + 0.1, *gradients), setup_s=100)
    assert runner.process is None
    assert str(runner.unavailable).startswith("disagrees: expectations")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise ValueError('not today')", "ValueError: not today"),
        ("import os; os.kill(os.getpid(), 11)", "died of SIGSEGV"),
        ("import os; os._exit(3)", "status 3"),
        ("import time; time.sleep(60)", "setup took more than"),
    ],
)
def test_a_contestant_that_fails_is_reported_with_the_reason(tmp_path: Path, body: str, reason: str) -> None:
    sketch = tmp_path / "sketch.py"
    sketch.write_text(f"class Net:\n    def __init__(self, n_qubits, layers):\n        {body}\n")
    limit_s = 3.0 if "sleep" in body else 60.0
    task = make_task(SMALL, 1)
    runner = build(REFERENCE, PYTHON, task, exact_step(task), limit_s, {"path": str(sketch)})
    assert reason in str(runner.unavailable)
    assert runner.process is None


def test_a_closed_process_answers_no_more() -> None:
    process = ContestantProcess(PYTHON, 1)
    process.close()
    with pytest.raises(ContestantFailedError):
        process.time(1, 0, limit_s=5)


def test_ratio_is_the_best_rivals_time_over_ours() -> None:
    facts = {"first_ms": 5.0, "variant": "v", "precision": "complex64", "tried": {}}
    names = {OURS: [2.0, 1.0, 3.0], OURS_SERIAL: [3.0], OURS_LAYER: [4.0], RIVALS[0]: [8.0], RIVALS[1]: [6.0]}
    row = row_of(SMALL, {c.name: Runner(c, facts=facts, turns_ms=times).report() for c, times in names.items()})
    assert (row["case"], row["family"], row["gain_of_threads"]) == ("3x2x4", "strongly_entangling", 1.5)
    assert (row["goal"], row["met"]) == (10.0, False)
    assert (row["ours_ms"], row["ours_layer_ms"], row["ours_first_ms"]) == (2.0, 4.0, 5.0)
    assert (row["best_rival"], row["best_rival_ms"], row["ratio_to_best"]) == (RIVALS[1].name, 6.0, 3.0)
    assert "reference" not in row


def test_the_command_line_becomes_a_plan() -> None:
    def plan(*words: str) -> training_step.Plan:
        return training_step.plan_run(training_step._arguments(words))

    assert [str(case) for case in plan().cases] == list(training_step.CASES)
    assert plan().rivals == RIVALS
    assert [str(case) for case in plan("--full").cases] == list(training_step.FULL_CASES)
    assert plan("--full").minutes == float("inf")
    assert 0 < plan("--quick").estimate_minutes < plan("--full").estimate_minutes < 25
    assert [rival.name for rival in plan("--quick").rivals] == list(training_step.QUICK_RIVALS)
    assert [str(case) for case in plan("--quick", "--case", "5x1x2").cases] == ["5x1x2"]
    assert [rival.name for rival in plan("--rival", "qulacs").rivals] == ["qulacs"]


def test_every_lock_line_is_an_exact_version_without_a_host() -> None:
    for name in {rival.environment for rival in RIVALS if rival.environment}:
        lines = [line for path in lock_files(name) for line in path.read_text().splitlines()]
        for line in (line for line in lines if not line.startswith("#")):
            assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line), line


@pytest.mark.slow
def test_a_whole_environment_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import rivals.environments as environments

    locks = tmp_path / "locks"
    locks.mkdir()
    (locks / "bare.txt").write_text("# nothing to install\n")
    monkeypatch.setattr(environments, "_LOCKS", locks)
    said: list[str] = []
    python = ensure_environment("bare", said.append, tmp_path)
    assert python == interpreter("bare", tmp_path)
    assert python.exists()
    ensure_environment("bare", said.append, tmp_path)
    assert len(said) == 1
    (locks / "bare.txt").write_text("not-a-version-of-anything===\n")
    with pytest.raises(environments.EnvironmentUnavailableError):
        ensure_environment("bare", said.append, tmp_path)


def test_reports_print_as_json_and_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    facts = environment_facts(2, versions={})
    assert {"cpu", "cores", "python", "threads", "date"} <= facts.keys()
    print_json(facts, [{"ms": 1.5}])
    assert json.loads(capsys.readouterr().out) == {"environment": facts, "rows": [{"ms": 1.5}]}
    print_table("title", [{"ms": 1.5}], {"time": lambda row: format_ms(row["ms"])}, ["a note"])
    shown = capsys.readouterr().out
    assert "1.5 ms" in shown
    assert "a note" in shown
    assert spread([3.0, 1.0, 2.0]) == {"ms": 2.0, "low_ms": 1.0, "high_ms": 3.0}
    assert [format_ms(value) for value in (None, 0.01234, 4321.0, 12_345.0)] == ["–", "0.0123 ms", "4321 ms", "12.3 s"]
