"""Measured gradients are the engine's: exactly by the shift rules, on average by whatever is left out at random."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from superpose import Circuit, Observable, Parameter, QuantumLayer
from superpose.backends import LocalBackend
from superpose.circuits import Capabilities
from superpose.errors import SpecError
from superpose.learning.backend_spec import BackendSpec
from superpose.learning.measured.allocation import AdaptiveShots
from superpose.learning.measured.measurer import Measurer
from superpose.learning.quantum_block import build_block

from .backends_under_test import Counting, Exact

BATCH = 5


def layer_of(gates: str) -> QuantumLayer:
    if gates in ("angle", "reuploading", "iqp"):
        block = build_block(3, gates, "strongly_entangling", 2)
        return QuantumLayer.from_block(block, torch.float64, seed=1)
    x, w, v = Parameter("x"), Parameter("w"), Parameter("v")
    circuit = Circuit(2).h(0).rx(0.3 + 2 * x, 0).crx(w, 0, 1).u(x, 0.5 * v - w, v, 1).cp(w, 1, 0).ry(v, 1)
    observables = [Observable({"XY": 0.5, "ZI": -1.0}), Observable("IZ")]
    return QuantumLayer.from_circuit(circuit, "x", observables, dtype=torch.float64, seed=2)


def gradients(layer: QuantumLayer, measurer: Measurer | None) -> list[np.ndarray]:
    """Expectations, and the gradients of a function of them by inputs and weights."""
    layer.measured_by(measurer)
    generator = torch.Generator().manual_seed(3)
    inputs = torch.rand(BATCH, layer.n_inputs, dtype=torch.float64, generator=generator).requires_grad_()
    layer.zero_grad()
    if measurer is not None:
        measurer.begin_step(np.arange(BATCH))
    found = layer(inputs)
    (found.sin() * torch.arange(1.0, 1.0 + found.numel()).reshape(found.shape)).sum().backward()
    if measurer is not None:
        measurer.end_step()
    assert inputs.grad is not None and layer.weights.grad is not None
    return [found.detach().numpy(), inputs.grad.numpy(), layer.weights.grad.numpy().copy()]


def measurer(layer: QuantumLayer, backend: LocalBackend, **options: object) -> Measurer:
    spec = BackendSpec(name=backend.name, **options)  # type: ignore[arg-type]  # of mixed types
    return Measurer(backend, spec, layer.block, n_rows=BATCH, seed=7)


@pytest.mark.parametrize("gates", ["angle", "reuploading", "iqp", "controlled"])
def test_parameter_shift_is_exact_for_every_generator(gates: str) -> None:
    layer = layer_of(gates)
    exact = gradients(layer, None)
    found = gradients(layer, measurer(layer, Exact(), allocation="fixed"))
    for ours, reference in zip(found, exact, strict=True):
        np.testing.assert_allclose(ours, reference, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "least_cosine", "length"),
    [
        ({"allocation": "adaptive", "shots": 6}, 0.997, (0.95, 1.05)),
        ({"allocation": "fixed", "gradient": "spsa", "n_directions": 4}, 0.99, (0.75, 1.0)),  # shrinks, as it says
    ],
)
def test_what_is_drawn_at_random_is_right_on_average(
    options: dict[str, object], least_cosine: float, length: tuple[float, float]
) -> None:
    """Without shot noise, over 600 seeded steps."""
    layer = layer_of("angle")
    exact = gradients(layer, None)
    measuring = measurer(layer, Exact(), **options)
    steps = [gradients(layer, measuring)[2] for _ in range(600)]
    assert np.std(steps, axis=0).max() > 0
    mean, norm = np.mean(steps, axis=0), np.linalg.norm(exact[2])
    assert mean @ exact[2] / (np.linalg.norm(mean) * norm) > least_cosine
    assert length[0] < np.linalg.norm(mean) / norm < length[1]


def test_shots_are_seeded_and_steps_differ() -> None:
    layer = layer_of("angle")
    first, again = (measurer(layer, LocalBackend(), shots=50) for _ in range(2))
    here = [gradients(layer, first) for _ in range(2)]
    there = [gradients(layer, again) for _ in range(2)]
    for one, other in zip(here, there, strict=True):
        for ours, theirs in zip(one, other, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert not np.array_equal(here[0][2], here[1][2])


def test_what_is_not_needed_is_not_measured() -> None:
    block = build_block(3, "angle", "strongly_entangling", 2)
    n_rows = {}
    for inputs, weights in ((True, True), (True, False), (False, True)):
        backend = Counting()
        spec = BackendSpec(name="local", allocation="fixed", shots=10)
        one = Measurer(backend, spec, block, n_rows=BATCH, seed=0, inputs=inputs, weights=weights)
        one.begin_step(np.arange(BATCH))
        one.measure(np.zeros((BATCH, 3)), np.zeros(block.n_weights))
        n_rows[inputs, weights] = backend.n_circuits // BATCH
        assert len(backend.programs) == 1
    assert n_rows == {(True, True): 1 + 2 * (3 + 18), (True, False): 1 + 2 * 3, (False, True): 1 + 2 * 18}


def test_rows_that_matter_get_the_shots_and_no_step_more_than_allowed() -> None:
    rule = AdaptiveShots(20, n_rows=4)
    generator = np.random.Generator(np.random.PCG64(0))
    rows = np.arange(4)
    deviations = np.array([8.0, 1.0, 1.0, 0.0])
    for _ in range(100):  # gradients that are all noise: ever more shots are wanted
        share = rule.share(rows, 10, generator)
        spread = deviations / np.sqrt(6 * share.unit * np.maximum(share.copies, 1))
        noise = generator.normal(size=(4, 6)) * (spread * (share.copies > 0))[:, np.newaxis]
        rule.learn(rows, share, deviations, noise)
    totals = []
    for _ in range(200):
        share = rule.share(rows, 10, generator)
        totals.append(share.copies * share.unit)
        assert (share.copies * share.unit).sum() <= 20 * 4
        assert share.forward_copies * share.unit <= 20
    mean = np.mean(totals, axis=0)
    assert mean[0] > 3 * mean[1] and mean[3] > 0 and mean.sum() > 20
    np.testing.assert_allclose(mean, share.expected * share.unit, rtol=0.1, atol=0.5)


def test_backends_that_are_too_small_are_refused() -> None:
    block = build_block(3, "angle", "strongly_entangling", 1)

    class Small(LocalBackend):
        def capabilities(self) -> Capabilities:
            return replace(super().capabilities(), max_qubits=2, max_shots=50)

    with pytest.raises(SpecError, match="has 2 qubits"):
        Measurer(Small(), BackendSpec(name="local", shots=50), block, n_rows=1, seed=0)
    fitting = build_block(2, "angle", "strongly_entangling", 1)
    with pytest.raises(SpecError, match="takes at most 50 shots"):
        Measurer(Small(), BackendSpec(name="local", shots=51), fitting, n_rows=1, seed=0)
