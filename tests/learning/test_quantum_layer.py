"""`QuantumLayer` as a torch module: exact gradients, shapes, copies, saving, clear refusals."""

from __future__ import annotations

import copy
import io
from pathlib import Path

import numpy as np
import pytest
import torch

from superpose.circuits import Circuit, Observable, Parameter, reference
from superpose.engine.gradients import GRADIENT_METHODS
from superpose.errors import ObservableError, ParameterNameError, ShapeError, SpecError, UnsupportedProgramError
from superpose.learning import ANSAETZE, ENCODINGS, QuantumLayer


def inputs(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(5), dtype=dtype) * 2 - 1


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("ansatz", ANSAETZE)
def test_gradients_of_inputs_and_weights_are_exact(encoding: str, ansatz: str) -> None:
    layer = QuantumLayer(3, encoding, ansatz, layers=2, dtype=torch.float64, seed=0)
    rows = inputs(4, 3, dtype=torch.float64).requires_grad_()
    weights = layer.weights.detach().clone().requires_grad_()

    def run(rows: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(layer, {"weights": weights}, (rows,))

    assert torch.autograd.gradcheck(run, (rows, weights))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_expectations_are_those_of_the_slow_reference(encoding: str) -> None:
    layer = QuantumLayer(3, encoding, layers=2, dtype=torch.float64, seed=1)
    rows = inputs(5, 3, dtype=torch.float64)
    found = layer(rows).detach().numpy()
    block = layer.block
    for row, values in zip(block.feature_map.apply(rows.numpy()), found, strict=True):
        params = dict(zip(block.angle_names, row, strict=True))
        params |= dict(zip(block.weight_names, layer.weights.tolist(), strict=True))
        expected = [reference.expectation(block.circuit, o, params) for o in block.observables]
        np.testing.assert_allclose(values, np.ravel(expected), atol=1e-10)


def test_any_leading_axes_and_no_samples_at_all() -> None:
    layer = QuantumLayer(3, seed=0)
    rows = inputs(2, 5, 3)
    flat = layer(rows.reshape(10, 3))
    assert torch.equal(layer(rows), flat.reshape(2, 5, 3))
    assert torch.equal(layer(rows[0, 0]), flat[0])
    nothing = torch.empty(0, 3, requires_grad=True)
    assert layer(nothing).shape == (0, 3)
    none = torch.autograd.grad(layer(nothing).sum(), (nothing, layer.weights))
    assert torch.equal(none[1], torch.zeros_like(layer.weights)) and none[0].shape == (0, 3)
    assert torch.equal(layer(rows.transpose(0, 1)).transpose(0, 1), flat.reshape(2, 5, 3))
    with torch.no_grad():
        assert torch.equal(layer(rows), flat.reshape(2, 5, 3))


def test_a_network_around_it_trains() -> None:
    torch.manual_seed(0)
    rows = inputs(64, 5)
    labels = (rows[:, 0] * rows[:, 1] > 0).long()
    network = torch.nn.Sequential(torch.nn.Linear(5, 4), QuantumLayer(4, seed=0), torch.nn.Linear(4, 2))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(rows), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_state_dict_deepcopy_and_whole_module_save(tmp_path: Path) -> None:
    layer = QuantumLayer(3, "iqp", layers=1, seed=2)
    rows = inputs(4, 3)
    expected = layer(rows)

    other = QuantumLayer(3, "iqp", layers=1, seed=3)
    assert not torch.equal(other(rows), expected)
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(rows), expected)

    twin = copy.deepcopy(layer)
    assert torch.equal(twin(rows), expected)
    with torch.no_grad():
        twin.weights.zero_()
    assert torch.equal(layer(rows), expected)

    whole = torch.nn.Sequential(torch.nn.Linear(2, 3), layer)
    torch.save(whole, tmp_path / "whole.pt")
    loaded = torch.load(tmp_path / "whole.pt", weights_only=False)  # the owner's own file
    assert torch.equal(loaded[1](rows), expected)
    loaded[1](rows).sum().backward()
    assert loaded[1].weights.grad is not None

    buffer = io.BytesIO()
    torch.save(layer.state_dict(), buffer)
    buffer.seek(0)
    other.load_state_dict(torch.load(buffer, weights_only=True))


def test_float_and_double_agree_and_convert() -> None:
    single = QuantumLayer(4, "reuploading", layers=3, seed=4)
    double = copy.deepcopy(single).double()
    rows = inputs(8, 4)
    assert single(rows).dtype == torch.float32
    assert double(rows.double()).dtype == torch.float64
    torch.testing.assert_close(single(rows).double(), double(rows.double()), atol=2e-6, rtol=0)
    assert torch.equal(double.float()(rows), single(rows))


def test_seeds_and_the_global_generator() -> None:
    assert torch.equal(QuantumLayer(3, seed=1).weights, QuantumLayer(3, seed=1).weights)
    assert not torch.equal(QuantumLayer(3, seed=1).weights, QuantumLayer(3, seed=2).weights)
    assert torch.equal(QuantumLayer(3, seed=1).weights, QuantumLayer(3, seed=1, dtype=torch.float64).weights.float())
    torch.manual_seed(0)
    first = QuantumLayer(3).weights
    torch.manual_seed(0)
    assert torch.equal(first, QuantumLayer(3).weights)


def test_a_layer_of_any_circuit() -> None:
    x, w = Parameter("x"), Parameter("w")
    circuit = Circuit(2).ry(x, 0).cx(0, 1).ry(2 * w + 0.1, 1)
    layer = QuantumLayer.from_circuit(circuit, ["x"], [Observable({"ZZ": 0.5, "XI": 1.0})], dtype=torch.float64, seed=0)
    assert (layer.n_inputs, layer.n_weights, layer.n_outputs) == (1, 1, 1)
    expected = reference.expectation(circuit, layer.block.observables[0], {"x": 0.3, "w": layer.weights.item()})
    assert layer(torch.tensor([[0.3]], dtype=torch.float64)).item() == pytest.approx(float(np.ravel(expected)[0]))
    assert "n_weights=1" in repr(layer)


def test_a_circuit_of_weights_only_and_one_of_inputs_only() -> None:
    weights_only = QuantumLayer.from_circuit(Circuit(1).ry(Parameter("w"), 0), seed=0)
    found = weights_only(torch.empty(3, 0))
    torch.testing.assert_close(found, torch.cos(weights_only.weights).expand(3, 1))
    found.sum().backward()
    torch.testing.assert_close(weights_only.weights.grad, -3 * torch.sin(weights_only.weights.detach()))
    inputs_only = QuantumLayer.from_circuit(Circuit(1).rx(Parameter("x"), 0), ["x"])
    torch.testing.assert_close(inputs_only(torch.tensor([[0.2]])), torch.cos(torch.tensor([[0.2]])))
    assert inputs_only.n_weights == 0


def test_only_what_needs_a_gradient_gets_one() -> None:
    layer = QuantumLayer(3, seed=0)
    layer.weights.requires_grad_(False)
    rows = inputs(2, 3).requires_grad_()
    layer(rows).sum().backward()
    assert rows.grad is not None
    assert layer.weights.grad is None
    assert not layer(rows.detach()).requires_grad


def test_weights_changed_between_forward_and_backward_are_noticed() -> None:
    layer = QuantumLayer(3, seed=0)
    loss = layer(inputs(2, 3)).sum()
    with torch.no_grad():
        layer.weights.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_backward_can_be_repeated() -> None:
    layer = QuantumLayer(3, "iqp", seed=0)
    loss = layer(inputs(4, 3)).sum()
    loss.backward(retain_graph=True)
    first = layer.weights.grad.clone()
    loss.backward()
    assert torch.equal(layer.weights.grad, 2 * first)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_second_derivatives_are_exact(encoding: str) -> None:
    layer = QuantumLayer(2, encoding, layers=1, dtype=torch.float64, seed=0)
    rows = inputs(3, 2, dtype=torch.float64).requires_grad_(layer.block.feature_map_name == "identity")
    weights = layer.weights.detach().clone().requires_grad_()

    def run(rows: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(layer, {"weights": weights}, (rows,))

    assert torch.autograd.gradgradcheck(run, (rows, weights))
    (plain,) = torch.autograd.grad(run(rows, weights).square().sum(), weights)
    (grad,) = torch.autograd.grad(run(rows, weights).square().sum(), weights, create_graph=True)
    assert torch.equal(grad, plain)


def test_higher_derivatives_are_refused_not_wrong() -> None:
    layer = QuantumLayer(2, "iqp", layers=1, seed=0)
    rows = inputs(3, 2).requires_grad_()
    (grad,) = torch.autograd.grad(layer(rows).sum(), rows, create_graph=True)
    with pytest.raises(UnsupportedProgramError, match="one more"):  # the second of a feature map
        grad.sum().backward()
    (grad,) = torch.autograd.grad(layer(rows).sum(), layer.weights, create_graph=True)
    (second,) = torch.autograd.grad(grad.sum(), layer.weights, create_graph=True)
    with pytest.raises(UnsupportedProgramError, match="one more"):
        second.sum().backward()
    layer.gradient_method = "parameter-shift"
    (grad,) = torch.autograd.grad(layer(rows).sum(), layer.weights, create_graph=True)
    with pytest.raises(UnsupportedProgramError, match="need gradient_method='adjoint'"):
        grad.sum().backward()


@pytest.mark.parametrize("method", GRADIENT_METHODS)
def test_gradient_methods_of_the_layer(method: str) -> None:
    rows = inputs(4, 3, dtype=torch.float64).requires_grad_()
    found = []
    for name in ("adjoint", method, method):
        layer = QuantumLayer(3, "reuploading", dtype=torch.float64, seed=1, gradient_method=name)
        found.append(torch.autograd.grad(layer(rows).square().sum(), (rows, layer.weights)))
    want, got, again = found
    for exact, part, same in zip(want, got, again, strict=True):
        assert torch.equal(part, same)
        if method != "spsa":
            torch.testing.assert_close(part, exact, rtol=0, atol=1e-7)
        else:  # 16 directions: the standard error of an entry is at most a quarter of the gradient's norm
            assert (part - exact).abs().max() < 6 * 0.25 * 4 * exact.norm()
    copied = copy.deepcopy(layer)
    assert copied.gradient_method == layer.gradient_method == method


def test_layers_saved_before_there_were_gradient_methods_are_read() -> None:
    layer = QuantumLayer(3, seed=0)
    state = layer.__getstate__()
    del state["_gradient_method"]
    old = QuantumLayer.__new__(QuantumLayer)
    old.__setstate__(state)
    assert old.gradient_method == "adjoint"
    old(inputs(2, 3)).sum().backward()
    with pytest.raises(UnsupportedProgramError, match="must be one of adjoint"):
        QuantumLayer(3, gradient_method="backprop")


@pytest.mark.parametrize(
    ("rows", "error", "said"),
    [
        (torch.zeros(2, 4), ShapeError, r"must be \(\.\.\., 3\) of dtype torch.float32, got shape=\(2, 4\)"),
        (torch.zeros(2, 3, dtype=torch.float64), ShapeError, "dtype=torch.float64; layer.double"),
        (torch.tensor(0.0), ShapeError, r"got shape=\(\)"),
        (torch.zeros(2, 3, device="meta"), UnsupportedProgramError, "runs on the CPU, got inputs on meta"),
    ],
)
def test_wrong_inputs_are_refused_with_what_to_do(rows: torch.Tensor, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        QuantumLayer(3, seed=0)(rows)


def test_half_precision_and_unknown_names_are_refused() -> None:
    with pytest.raises(UnsupportedProgramError, match=r"float32 or torch\.float64"):
        QuantumLayer(3, dtype=torch.float16)
    with pytest.raises(UnsupportedProgramError, match=r"float32 or float64, got weights of torch\.bfloat16"):
        QuantumLayer(3).bfloat16()(torch.zeros(1, 3, dtype=torch.bfloat16))
    with pytest.raises(SpecError):
        QuantumLayer(3, "amplitude")
    for count in (0, 2.0, "2", True):
        with pytest.raises(SpecError, match="n_qubits: must be a whole number from 1 on"):
            QuantumLayer(count)
        with pytest.raises(SpecError, match="layers: must be a whole number from 1 on"):
            QuantumLayer(2, layers=count)
    with pytest.raises(ObservableError, match=r"observables\[0\] must be an Observable.* got 'ZZ'"):
        QuantumLayer(2, observables=["ZZ"])
    with pytest.raises(ParameterNameError):
        QuantumLayer.from_circuit(Circuit(1).h(0), ["x"])
