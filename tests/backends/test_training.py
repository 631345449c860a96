"""Training on backends by name and on clouds: a program for each mini-batch, whatever stands behind the name."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from tests.backends.clouds.fake_ionq import KEY, FakeIonQ, serving

from superpose import HybridClassifier, load_model
from superpose.backends.clouds.ionq import IonQProvider
from superpose.backends.clouds.waiting import Patience
from superpose.learning import TrainingWatch

ROWS = np.random.default_rng(5).normal(size=(60, 3))
LABELS = np.where(ROWS[:, 0] + 0.5 * ROWS[:, 1] > 0, "above", "below")
SMALL = {"n_qubits": 2, "layers": 1, "epochs": 2, "batch_size": 24, "random_state": 3}


@pytest.mark.parametrize(
    ("name", "gradient"),
    [
        ("local", "parameter-shift"),
        ("zne:local", "parameter-shift"),
        ("fleet:local+zne:local", "spsa"),
        ("emulator:ibm_fez", "parameter-shift"),
        ("emulator:ibm_fez", "spsa"),
    ],
)
def test_by_name(name: str, gradient: str, tmp_path: object) -> None:
    if name.startswith("emulator"):
        pytest.importorskip("qiskit_ibm_runtime", reason="the calibrations of IBM's processors are in its package")
    made = HybridClassifier(backend=name, shots=40, gradient_method=gradient, **SMALL, learning_rate=0.1)
    made.fit(ROWS, LABELS)
    facts = made.measured_
    assert facts["gradient_method"] == gradient and facts["n_steps"] == 2 * 3 == facts["n_submissions"]
    assert facts["n_circuits"] > 10 * facts["n_submissions"]
    path = f"{tmp_path}/model.superpose"
    made.save(path)
    again = load_model(path)
    assert again.measured_ == facts
    assert (again.backend, again.shots, again.gradient_method) == (facts["backend"], 40, gradient)
    exact = made.predict_proba(ROWS)
    np.testing.assert_allclose(again.predict_proba(ROWS), exact, atol=1e-12)
    here = made.predict_proba(ROWS, backend=name, shots=4000)
    assert 0 < np.abs(here - exact).max() < 0.3
    assert (made.predict(ROWS, backend=name, shots=4000) == made.predict(ROWS)).mean() > 0.8


def test_it_learns_on_an_emulated_processor() -> None:
    pytest.importorskip("qiskit_ibm_runtime", reason="the calibrations of IBM's processors are in its package")
    options = {**SMALL, "epochs": 12, "learning_rate": 0.1}
    made = HybridClassifier(backend="emulator:ibm_fez", shots=50, **options).fit(ROWS, LABELS)
    losses = [report.validation_loss for report in made.history_]
    assert losses[-1] < 0.6 * losses[0]
    assert made.score(ROWS, LABELS) > 0.85


@pytest.fixture
def ionq(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[FakeIonQ, IonQProvider]]:
    monkeypatch.setenv("IONQ_API_KEY", KEY)
    fake = FakeIonQ()
    with serving(fake) as url:
        yield fake, IonQProvider(url, timeout_s=60.0, patience=Patience(sleep=lambda seconds: None))


def test_on_a_cloud_a_mini_batch_is_one_job(ionq: tuple[FakeIonQ, IonQProvider]) -> None:
    fake, provider = ionq
    fake.questions_until_done = 2
    made = HybridClassifier(backend=provider.backend("qpu.forte-1"), shots=30, **{**SMALL, "epochs": 1})
    made.fit(ROWS, LABELS, watch=TrainingWatch(sleep=lambda seconds: None))
    assert fake.n_run == made.measured_["n_submissions"] == 3
    assert made.measured_["n_circuits"] >= 10 * fake.n_run
