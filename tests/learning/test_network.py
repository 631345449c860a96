"""Variants: equal parameter counts, equal classical starts, and what each leaves out."""

from __future__ import annotations

import pytest
import torch

from superpose.learning import ANSAETZE, ENCODINGS, ClassicalBlock, QuantumLayer, TrainingSpec, build_network
from superpose.learning.network import VARIANTS, NetworkShape, count_parameters

SHAPE = NetworkShape(n_columns=7, n_classes=3)


def network(variant: str, model: dict | None = None, seed: int = 0):
    spec = TrainingSpec.from_dict({"model": model or {}}).model
    return build_network(spec, SHAPE, variant, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("ansatz", ANSAETZE)
@pytest.mark.parametrize(("n_qubits", "layers"), [(1, 1), (2, 3), (4, 2), (5, 1)])
def test_every_variant_has_the_same_number_of_parameters(
    encoding: str, ansatz: str, n_qubits: int, layers: int
) -> None:
    model = {"n_qubits": n_qubits, "encoding": {"name": encoding}, "ansatz": {"name": ansatz, "layers": layers}}
    networks = {variant: network(variant, model) for variant in VARIANTS}
    assert len({count_parameters(n)[0] for n in networks.values()}) == 1
    n_weights = ANSAETZE[ansatz].n_weights(n_qubits, layers)
    for variant, made in networks.items():
        total, trained = count_parameters(made)
        assert total - trained == (n_weights if variant == "frozen" else 0)
        assert made(torch.zeros(2, 7)).shape == (2, 3)


def test_variants_of_one_seed_start_from_the_same_classical_weights() -> None:
    made = {variant: network(variant) for variant in VARIANTS}
    for other in made.values():
        assert torch.equal(other.entry.weight, made["hybrid"].entry.weight)
        assert torch.equal(other.exit.weight, made["hybrid"].exit.weight)
    assert torch.equal(made["frozen"].block.weights, made["hybrid"].block.weights)
    assert torch.equal(made["no_entanglement"].block.weights, made["hybrid"].block.weights)
    assert not torch.equal(network("hybrid", seed=1).entry.weight, made["hybrid"].entry.weight)


def test_building_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    for variant in VARIANTS:
        network(variant)
    assert torch.equal(torch.rand(2), expected)


def test_blocks_are_what_their_names_say() -> None:
    assert isinstance(network("classical_twin").block, ClassicalBlock)
    hybrid, separable = network("hybrid").block, network("no_entanglement").block
    assert isinstance(hybrid, QuantumLayer)
    assert isinstance(separable, QuantumLayer)
    assert any(len(i.qubits) == 2 for i in hybrid.circuit.instructions)
    assert all(len(i.qubits) == 1 for i in separable.circuit.instructions)
    with pytest.raises(ValueError, match="variant must be one of"):
        network("quantum_twin")


@pytest.mark.parametrize("n_weights", [0, 1, 3, 4, 8, 19, 20, 24, 39, 40, 41, 60])
def test_the_classical_block_uses_every_one_of_its_parameters(n_weights: int) -> None:
    block = ClassicalBlock(4, n_weights).double()
    block.reset_parameters(torch.Generator().manual_seed(1))
    rows = torch.rand(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    assert sum(p.numel() for p in block.parameters()) == n_weights
    found = block(rows)
    assert found.shape == (5, 4)
    if n_weights:
        found.square().sum().backward()
        assert (block.weights.grad != 0).all()
        copied = ClassicalBlock(4, n_weights).double()
        copied.load_state_dict(block.state_dict())
        assert torch.equal(copied(rows), found)


def test_few_leftover_parameters_scale_each_unit() -> None:
    block = ClassicalBlock(3, 3)
    with torch.no_grad():
        block.weights.copy_(torch.tensor([0.1, 0.2, 0.3]))
    rows = torch.tensor([[1.0, 2.0, 3.0]])
    torch.testing.assert_close(block(rows), rows + torch.tanh(rows * block.weights))
