"""What a run hands over: a program for each mini-batch, each once, through failures, pauses and kill -9."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superpose import HybridClassifier
from superpose.errors import ProviderError
from superpose.learning import CheckpointStore, Stopped, TrainingWatch

from .backends_under_test import Queue, Troubled
from .train_in_process import train

ROWS = np.random.default_rng(5).normal(size=(40, 3))
LABELS = (ROWS[:, 0] * ROWS[:, 1] > 0).astype(int)


def classifier(backend: Any, **options: Any) -> HybridClassifier:
    given = {"n_qubits": 2, "layers": 1, "epochs": 2, "batch_size": 16, "shots": 20, "random_state": 3}
    return HybridClassifier(backend=backend, **{**given, **options})


def quick(**options: Any) -> TrainingWatch:
    return TrainingWatch(sleep=lambda seconds: None, **options)


@pytest.mark.parametrize("gradient", ["parameter-shift", "spsa"])
def test_a_mini_batch_and_its_shifts_are_one_submission(gradient: str) -> None:
    queue = Queue()
    model = classifier(queue, gradient_method=gradient).fit(ROWS, LABELS, watch=quick())
    n_steps = model.n_iter_ * 3  # 34 rows in batches of 16
    assert len(queue.tokens) == len(set(queue.tokens)) == len(queue.programs) == n_steps
    assert queue.n_circuits >= 10 * n_steps
    assert model.measured_["n_submissions"] == n_steps
    assert model.measured_["n_circuits"] == queue.n_circuits
    assert model.measured_["shots_spent"] == sum((p.shots or 0) * p.batch for p in queue.programs)


def test_a_backend_that_takes_few_circuits_gets_pieces() -> None:
    class Narrow(Queue):
        def batch_limit(self, template: object, shots: int | None) -> int:
            return 50

    narrow, wide = Narrow(), Queue()
    for queue in (narrow, wide):
        classifier(queue, epochs=1).fit(ROWS, LABELS, watch=quick())
    assert max(program.batch for program in narrow.programs) <= 50 < max(program.batch for program in wide.programs)
    assert narrow.n_circuits == wide.n_circuits
    assert len({program.seed for program in narrow.programs}) == len(narrow.programs)


def test_failed_calls_and_failed_runs_do_not_lose_the_training() -> None:
    troubled, told = Troubled(), list[str]()
    model = classifier(troubled).fit(ROWS, LABELS, watch=quick(on_retry=told.append))
    calm = classifier(Queue()).fit(ROWS, LABELS, watch=quick())
    for ours, theirs in zip(model.network_.parameters(), calm.network_.parameters(), strict=True):
        assert (ours == theirs).all()
    assert troubled.broken and len(told) > 5
    again = Counter(program.digest for program in troubled.programs)
    assert set(again.values()) <= {1, 2}
    assert sum(n == 2 for n in again.values()) == len(troubled.broken)
    assert model.measured_ == calm.measured_


def test_a_backend_that_fails_for_good_leaves_a_run_that_goes_on(tmp_path: Path) -> None:
    class Dead(Queue):
        alive = True

        def fetch(self, provider_job_id: str) -> Any:
            if not self.alive:
                raise ProviderError("gone", provider="queue", provider_job_id=provider_job_id, retryable=True)
            if len(self.programs) > 2:
                self.alive = False
            return super().fetch(provider_job_id)

    dead, store = Dead(), CheckpointStore(tmp_path, {"a": "run"})
    with pytest.raises(ProviderError, match="gone"):
        classifier(dead).fit(ROWS, LABELS, watch=quick(store=store))
    n_before = len(dead.programs)
    dead.alive, Dead.fetch = True, Queue.fetch  # type: ignore[method-assign]  # it is well again
    model = classifier(dead).fit(ROWS, LABELS, watch=quick(store=store))
    calm = classifier(Queue()).fit(ROWS, LABELS, watch=quick())
    assert (
        model.to_trained_model().arrays["block.weights"].tobytes()
        == calm.to_trained_model().arrays["block.weights"].tobytes()
    )
    assert n_before == 3 and len(dead.programs) == len(set(dead.tokens)) == model.measured_["n_submissions"]


def test_nobody_waits_who_does_not_want_to(tmp_path: Path) -> None:
    class Leave(Exception):
        pass

    def leave(provider_job_id: str) -> None:
        raise Leave(provider_job_id)

    queue, store, n_left = Queue(), CheckpointStore(tmp_path, {}), 0
    while True:
        try:
            model = classifier(queue).fit(ROWS, LABELS, watch=quick(store=store, on_queued=leave))
            break
        except Leave:
            n_left += 1
    assert n_left == 2 * len(queue.programs)  # each was asked for three times
    assert len(queue.programs) == model.measured_["n_submissions"]
    calm = classifier(Queue()).fit(ROWS, LABELS, watch=quick())
    assert calm.measured_ == model.measured_


def test_stopping_while_a_program_is_queued(tmp_path: Path) -> None:
    queue, store = Queue(), CheckpointStore(tmp_path, {})
    with pytest.raises(Stopped):
        classifier(queue).fit(ROWS, LABELS, watch=quick(store=store, should_stop=lambda: True))
    model = classifier(queue).fit(ROWS, LABELS, watch=quick(store=store))
    assert len(queue.programs) == model.measured_["n_submissions"]


@pytest.mark.parametrize(
    ("where", "after", "evaluate"),
    [
        ("fetched", 4, "exact"),
        pytest.param("submitted", 2, "exact", marks=pytest.mark.slow),
        pytest.param("fetched", 1, "backend", marks=pytest.mark.slow),
        pytest.param("fetched", 3, "backend", marks=pytest.mark.slow),  # a validation
        pytest.param("submitted", 6, "backend", marks=pytest.mark.slow),
    ],
)
def test_kill_9_changes_no_bit_and_charges_nothing_twice(tmp_path: Path, where: str, after: int, evaluate: str) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for home in (whole, killed):
        home.mkdir()
    train(whole, evaluate)
    (killed / f"die-{where}").write_text(str(after))
    script = str(Path(__file__).with_name("train_in_process.py"))
    process = subprocess.run([sys.executable, script, str(killed), evaluate], check=False, timeout=1200)
    assert process.returncode == -signal.SIGKILL
    assert not (killed / "model.superpose").exists()
    train(killed, evaluate)
    assert (killed / "model.superpose").read_bytes() == (whole / "model.superpose").read_bytes()
    charged = [(home / "charged").read_text().split() for home in (whole, killed)]
    assert charged[0] == charged[1]
    assert len(charged[1]) == len(set(charged[1]))
