"""The PennyLane device against PennyLane's own: values, gradients in every interface, shots, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

qml = pytest.importorskip("pennylane", reason="needs superpose[pennylane]")

from pennylane.exceptions import DeviceError, QuantumFunctionError, WireError  # noqa: E402

from superpose.pennylane_device import PennyLaneDevice  # noqa: E402

pytestmark = [  # PennyLane and autograd warn about their own code
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:pennylane"),
]


def everything(a: Any, b: Any) -> None:
    """Most kinds of operation that come in: angles of all sorts, controls, adjoints, templates, matrices."""
    qml.StatePrep(np.array([0.6, 0, 0.8j, 0]), wires=["x", 1])
    qml.Rot(a[0], 0.3, a[1], wires=2)
    qml.CRX(a[1] * b, wires=[2, "x"])
    qml.ctrl(qml.RZ(a[2], wires=1), control=2, control_values=0)
    qml.adjoint(qml.PhaseShift(a[0], wires="x"))
    qml.PauliRot(b, "XYZ", wires=["x", 1, 2])
    qml.IsingXY(a[2], wires=[1, 2])
    qml.QubitUnitary(np.array([[1, 1j], [1j, 1]]) / np.sqrt(2), wires=1)
    qml.ctrl(qml.RY(b, wires="x"), control=[1, 2])
    qml.StronglyEntanglingLayers(qml.math.reshape(qml.math.stack([a[0], a[1], a[2]] * 3), (1, 3, 3)), wires=["x", 1, 2])
    qml.U3(a[0], b, 0.2, wires=2)
    qml.QFT(wires=["x", 1, 2])


HAMILTONIAN = 0.5 * (qml.X("x") @ qml.Z(1)) - 1.25 * qml.Y(2) + 0.3 * qml.I(1) + qml.s_prod(0.4, qml.Z("x") @ qml.Z(2))
MATRIX = np.array([[1.0, 0.5j], [-0.5j, -0.25]])
MEASURED: dict[str, Callable[[], Any]] = {
    "expval": lambda: qml.expval(HAMILTONIAN),
    "expval of a matrix": lambda: qml.expval(qml.Hermitian(MATRIX, wires=2) @ qml.X(1)),
    "expval of a projector": lambda: qml.expval(qml.Projector([0, 1], wires=["x", 2])),
    "var": lambda: qml.var(HAMILTONIAN),
    "var of a matrix": lambda: qml.var(qml.Hermitian(MATRIX, wires=2)),
    "probs": lambda: qml.probs(wires=[2, "x"]),
    "probs in another basis": lambda: qml.probs(op=qml.X("x") @ qml.Y(2)),
    "state": qml.state,
    "density matrix": lambda: qml.density_matrix([1, 2]),
    "entropy": lambda: qml.vn_entropy(wires=[1]),
    "mutual information": lambda: qml.mutual_info(wires0=["x"], wires1=[2]),
    "purity": lambda: qml.purity(wires=[2]),
}


def both(measured: Callable[[], Any], **device: Any) -> tuple[Any, Any]:
    """The same QNode on superpose and on default.qubit."""

    def circuit(a: Any, b: Any) -> Any:
        everything(a, b)
        return measured()

    labels = ["x", 1, 2]
    ours = qml.device("superpose", wires=labels, **device)
    assert isinstance(ours, PennyLaneDevice)
    return qml.QNode(circuit, ours), qml.QNode(circuit, qml.device("default.qubit", wires=labels))


@pytest.mark.parametrize("kind", MEASURED)
def test_random_parameters_agree_to_1e_12(kind: str) -> None:
    ours, theirs = both(MEASURED[kind])
    rng = np.random.default_rng(5)
    for _ in range(3):
        a, b = rng.uniform(-4, 4, 3), rng.uniform(-4, 4)
        assert np.allclose(ours(a, b), theirs(a, b), rtol=0, atol=1e-12)
    assert ours.device.n_executions == 3
    assert ours.device.n_structures <= 2  # the circuit, and the circuit with another basis at its end


@pytest.mark.parametrize("kind", [*MEASURED][:7])
@pytest.mark.parametrize("interface", ["autograd", "torch"])
def test_gradients_agree_in_every_interface(kind: str, interface: str) -> None:
    ours, theirs = both(MEASURED[kind])
    a, b = np.array([0.3, -1.1, 2.2]), 0.7
    weights = np.arange(1, 5) / 3
    found = []
    for node in (ours, theirs):
        if interface == "torch":
            values = torch.tensor(a, requires_grad=True), torch.tensor(b, dtype=torch.float64, requires_grad=True)
            total = (node(*values) * torch.tensor(weights)[: 4 if "probs" in kind else 1]).sum()
            total.backward()
            found.append([value.grad.numpy() for value in values])
        else:
            from pennylane import numpy as pnp

            scaled = weights[: 4 if "probs" in kind else 1]
            found.append(
                qml.grad(lambda a, b, node=node, scaled=scaled: qml.math.sum(node(a, b) * scaled))(
                    pnp.array(a, requires_grad=True), pnp.array(b, requires_grad=True)
                )
            )
    for one, other in zip(*found, strict=True):
        assert np.allclose(one, other, rtol=0, atol=1e-12)
    assert ours.device.n_gradients == 1  # one adjoint pass, not a shift per number


@pytest.mark.slow
def test_jax_with_and_without_jit() -> None:
    jax = pytest.importorskip("jax", reason="needs jax")
    with jax.enable_x64(True):
        ours, theirs = both(MEASURED["var"])
        a = jax.numpy.array([0.3, -1.1, 2.2])
        wanted = jax.grad(lambda a: theirs(a, 0.7))(a)
        for make in (lambda f: f, jax.jit):
            assert np.allclose(make(jax.grad(lambda a: ours(a, 0.7)))(a), wanted, atol=1e-12)
        assert np.allclose(jax.jacobian(ours)(a, 0.7), wanted, atol=1e-12)


def test_a_training_step_compiles_nothing() -> None:
    from superpose.engine import compile_count

    device = qml.device("superpose", wires=2)
    torch.manual_seed(0)

    @qml.qnode(device, interface="torch")
    def circuit(inputs: Any, weights: Any) -> Any:
        qml.AngleEmbedding(inputs, wires=[0, 1])
        qml.BasicEntanglerLayers(weights, wires=[0, 1])
        return qml.expval(qml.Z(0)), qml.expval(qml.Z(1))

    layer = qml.qnn.TorchLayer(circuit, {"weights": (2, 2)})
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    inputs = torch.rand(5, 2)
    losses, before = [], 0
    for step in range(20):
        optimizer.zero_grad()
        loss = layer(inputs).mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        if not step:
            before = compile_count()
    assert compile_count() == before and device.n_structures == 1
    assert device.n_executions == 20 and losses[-1] < losses[0] - 0.2  # a batch of five is one execution


def test_batches_run_as_one_and_have_gradients() -> None:
    def circuit(a: Any, b: Any) -> Any:
        qml.RX(a[0], wires="x")
        qml.RY(b, wires="x")
        qml.CRX(a[1], wires=["x", 1])
        qml.adjoint(qml.IsingXY(a[2], wires=[1, 2]))
        qml.ctrl(qml.PhaseShift(b, wires=1), control=2)
        return qml.expval(HAMILTONIAN)

    labels = ["x", 1, 2]
    ours = qml.QNode(circuit, qml.device("superpose", wires=labels))
    theirs = qml.QNode(circuit, qml.device("default.qubit", wires=labels), diff_method="adjoint")
    a, b = torch.rand(3, 4, dtype=torch.float64, requires_grad=True), torch.tensor(0.7, dtype=torch.float64)
    b.requires_grad_(True)
    grads = []
    for node in (ours, theirs):
        found = node(a, b)
        assert found.shape == (4,)
        grads.append(torch.autograd.grad((found * torch.arange(4)).sum(), (a, b)))
    for one, other in zip(*grads, strict=True):
        assert torch.allclose(one, other, rtol=0, atol=1e-12)
    assert ours.device.n_executions == 1


def test_coefficients_of_an_observable_can_be_trained() -> None:
    @qml.qnode(qml.device("superpose", wires=2))
    def energy(coefficients: Any, angle: Any) -> Any:
        qml.RX(angle, wires=0)
        qml.CNOT(wires=[0, 1])
        return qml.expval(qml.dot(coefficients, [qml.Z(0), qml.Y(0) @ qml.X(1)]))

    coefficients = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    angle = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    energy(coefficients, angle).backward()
    assert np.allclose(coefficients.grad, [np.cos(0.4), -np.sin(0.4)])
    assert np.isclose(float(angle.grad), -0.5 * np.sin(0.4) - 2 * np.cos(0.4))


def test_second_derivatives_come_by_shifts() -> None:
    @qml.qnode(qml.device("superpose", wires=1), max_diff=2)
    def circuit(angle: Any) -> Any:
        qml.RY(angle, wires=0)
        return qml.expval(qml.Z(0))

    angle = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(circuit(angle), angle, create_graph=True)
    first.backward()
    assert np.isclose(float(angle.grad), -np.cos(0.4))


def test_shots_are_repeatable_and_agree_with_exact_values() -> None:
    def circuit() -> Any:
        qml.RX(0.7, wires=0)
        qml.CNOT(wires=[0, 1])
        return (
            *(qml.expval(qml.Z(0) @ qml.Z(1)), qml.expval(0.5 * qml.X(0) + 2 * qml.Y(0) @ qml.X(1)), qml.var(qml.Z(1))),
            *(qml.probs(wires=[1, 0]), qml.counts(), qml.sample(wires=[0])),
        )

    def run(seed: int) -> Any:
        return qml.set_shots(qml.QNode(circuit, qml.device("superpose", wires=2, seed=seed)), 4000)()

    found, again, other = run(1), run(1), run(2)
    assert all(np.array_equal(one, two) for one, two in zip(found, again, strict=True) if not isinstance(one, dict))
    assert found[4] == again[4] and not np.array_equal(found[5], other[5])
    p = np.sin(0.35) ** 2
    # six standard deviations at the worst: fails by chance less than once in 1e8, and the seed is fixed
    assert abs(found[0] - 1) < 1e-12
    assert abs(found[1] + 2 * np.sin(0.7)) < 6 * 2.5 / np.sqrt(4000)
    assert abs(found[2] - np.sin(0.7) ** 2) < 0.1
    assert np.allclose(found[3], [1 - p, 0, 0, p], atol=6 * 0.5 / np.sqrt(4000))
    assert set(found[4]) == {"00", "11"} and sum(found[4].values()) == 4000
    assert found[5].shape in {(4000,), (4000, 1)}


def test_shot_vectors_and_gradients_with_shots() -> None:
    @qml.qnode(qml.device("superpose", wires=1, seed=3))
    def circuit(angle: Any) -> Any:
        qml.RY(angle, wires=0)
        return qml.expval(qml.Z(0))

    parts = qml.set_shots(circuit, (10, 10, 1000))(0.4)
    assert len(parts) == 3 and abs(parts[2] - np.cos(0.4)) < 6 / np.sqrt(1000)
    angle = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    qml.set_shots(circuit, 10_000)(angle).backward()  # by parameter shifts, each with shots
    assert abs(float(angle.grad) + np.sin(0.4)) < 6 / np.sqrt(10_000)


def measured_in_the_middle(angle: Any) -> tuple[Any, Any]:
    qml.RY(angle, wires=0)
    first = qml.measure(0)
    qml.cond(first, qml.RX)(angle, wires=1)
    second = qml.measure(0, reset=True)
    qml.cond(first & ~second, qml.PauliX)(wires=1)
    return first, second


def test_measurements_in_the_middle_with_shots_run_as_such() -> None:
    device = qml.device("superpose", wires=2, seed=11)

    @qml.set_shots(20_000)
    @qml.qnode(device)
    def circuit(angle: Any) -> Any:
        first, second = measured_in_the_middle(angle)
        return qml.probs(op=[first, second]), qml.expval(qml.Z(1)), qml.counts(first), qml.expval(qml.Z(0))

    joint, last, counts, reset = circuit(1.2)
    p = np.sin(0.6) ** 2
    assert np.allclose(joint, [1 - p, 0, 0, p], atol=0.025)  # six standard deviations, fixed seed
    assert abs(last - (1 - p + p * np.cos(1.2))) < 0.05
    assert abs(counts[1] / 20_000 - p) < 0.025 and reset == 1.0


def test_without_shots_they_are_deferred_and_exact() -> None:
    def circuit(angle: Any) -> Any:
        first, _ = measured_in_the_middle(angle)
        return qml.expval(first), qml.expval(qml.Z(1)), qml.var(first)

    ours, theirs = (qml.QNode(circuit, qml.device(name)) for name in ("superpose", "default.qubit"))
    grads = []
    for node in (ours, theirs):
        angle = torch.tensor(1.2, dtype=torch.float64, requires_grad=True)
        values = node(angle)
        (values[0] + 2 * values[1] - values[2]).backward()
        grads.append([float(angle.grad), *(float(value.detach()) for value in values)])
    assert np.allclose(*grads, rtol=0, atol=1e-12)


def test_postselected_shots() -> None:
    @qml.set_shots(1000)
    @qml.qnode(qml.device("superpose", wires=2, seed=1))
    def circuit() -> Any:
        qml.Hadamard(0)
        qml.CNOT([0, 1])
        qml.measure(0, postselect=1)
        return qml.sample(wires=1)

    samples = circuit()
    assert 380 < len(samples) < 620 and np.all(samples == 1)
    with pytest.raises(DeviceError, match="Postselection on superpose needs shots"):
        qml.set_shots(circuit, None)()


def test_the_tracker_counts() -> None:
    ours, _ = both(MEASURED["expval"])
    with qml.Tracker(ours.device) as tracker:
        ours(np.array([0.1, 0.2, 0.3]), 0.4)
        ours(np.array([0.4, 0.2, 0.3]), 0.4)
    assert tracker.totals["simulations"] == 2 and ours.device.n_structures == 1


def test_float32() -> None:
    ours, theirs = both(MEASURED["expval"], dtype="float32")
    a = np.array([0.1, 0.2, 0.3])
    assert 0 < abs(ours(a, 0.4) - theirs(a, 0.4)) < 1e-5


def refused(circuit: Callable[[], Any], **options: Any) -> None:
    qml.QNode(circuit, qml.device("superpose", wires=1), **options)()


def test_what_is_refused_says_why() -> None:
    def noisy() -> Any:
        qml.DepolarizingChannel(0.1, wires=0)
        return qml.expval(qml.Z(0))

    def plain() -> Any:
        return qml.expval(qml.Z(0))

    def other() -> Any:
        return qml.expval(qml.Z(1))

    def middle() -> Any:
        qml.measure(0)
        return qml.expval(qml.Z(0))

    with pytest.raises(DeviceError, match=r"DepolarizingChannel.* not supported with superpose"):
        refused(noisy)
    with pytest.raises(QuantumFunctionError, match="does not support backprop"):
        refused(plain, diff_method="backprop")
    with pytest.raises(WireError, match="not found on the device"):
        refused(other)
    with pytest.raises(DeviceError, match="mcm_method='tree-traversal' is not supported on superpose without shots"):
        refused(middle, mcm_method="tree-traversal")
    with pytest.raises(DeviceError, match="dtype must be"):
        qml.device("superpose", wires=1, dtype="float16")
