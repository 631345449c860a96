"""`QuantumLayer`: a parametrised circuit as a `torch.nn.Module`, run and differentiated by the engine on the CPU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from superpose.circuits import Circuit, Observable, circuit_from_json, circuit_to_json, z_all
from superpose.engine import CompiledProgram, compile_program
from superpose.errors import ShapeError, UnsupportedProgramError
from superpose.learning.quantum_block import QuantumBlock, build_block

__all__ = ["QuantumLayer"]

_ENGINE_DTYPES: dict[torch.dtype, Literal["float32", "float64"]] = {torch.float32: "float32", torch.float64: "float64"}


class _Expectations(torch.autograd.Function):
    """Expectations of a compiled program; the backward pass is the engine's adjoint method.

    The backward pass runs the circuit again in the engine's fused call rather than keeping its final states: that takes
    as long (4 qubits x 2 layers x batch 32: 31 instead of 34 us; 8 x 4 x 64: 0.36 instead of 0.33 ms; one thread of a
    2-core machine) and needs no memory between the passes.
    """

    @staticmethod
    def forward(ctx: Any, angles: Tensor, weights: Tensor, program: CompiledProgram) -> Tensor:
        """(batch, n_angles), (n_weights,) -> (batch, n_observables)."""
        ctx.program = program
        ctx.save_for_backward(angles, weights)
        return torch.from_numpy(program.expectation(angles.detach().numpy(), weights.detach().numpy()))

    @staticmethod
    def backward(ctx: Any, grad_expectations: Tensor) -> tuple[Tensor, Tensor, None]:
        """(batch, n_observables) -> (batch, n_angles), (n_weights,), None."""
        angles, weights = ctx.saved_tensors  # raises if either was changed in place since forward
        _, grad_angles, grad_weights = ctx.program.value_and_grad(
            angles.detach().numpy(), weights.detach().numpy(), grad_expectations.detach().numpy()
        )
        found = torch.from_numpy(grad_angles), torch.from_numpy(grad_weights)
        if torch.is_grad_enabled():  # create_graph=True
            found = _once(found[0], angles, weights), _once(found[1], angles, weights)
        return *found, None


class _Gradient(torch.autograd.Function):
    """A gradient that refuses to be differentiated again, rather than passing for a constant."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, *sources: Tensor) -> Tensor:
        """The gradient itself."""
        return gradient.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Refuse.

        Raises:
            UnsupportedProgramError: always.
        """
        raise UnsupportedProgramError("QuantumLayer is differentiable once; second derivatives are not implemented")


def _once(gradient: Tensor, *sources: Tensor) -> Tensor:
    found: Tensor = _Gradient.apply(gradient, *sources)  # type: ignore[no-untyped-call]  # torch leaves it so
    return found


class _MappedInputs(torch.autograd.Function):
    """A named feature map, differentiated by its own vector-Jacobian product."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, block: QuantumBlock) -> Tensor:
        """(batch, n_inputs) -> (batch, n_angles)."""
        ctx.block = block
        ctx.save_for_backward(inputs)
        angles = block.feature_map.apply(inputs.detach().numpy())
        return torch.from_numpy(angles).to(inputs.dtype)

    @staticmethod
    def backward(ctx: Any, grad_angles: Tensor) -> tuple[Tensor, None]:
        """(batch, n_angles) -> (batch, n_inputs), None."""
        (inputs,) = ctx.saved_tensors
        grad = ctx.block.feature_map.vjp(inputs.detach().numpy(), grad_angles.detach().numpy())
        found = torch.from_numpy(grad).to(inputs.dtype)
        return (_once(found, inputs) if torch.is_grad_enabled() else found), None


class QuantumLayer(nn.Module):
    """Expectations of a circuit as a differentiable layer: ``(..., n_inputs) -> (..., n_observables)``.

    Gradients with respect to inputs and weights are exact (adjoint method). The layer holds plain values only, so
    ``state_dict``, ``copy.deepcopy`` and saving a module by its owner work, and a saved layer does not depend on a
    process.

    Args:
        n_qubits: qubits; also the number of inputs, one angle in radians each.
        encoding: "angle", "reuploading" or "iqp".
        ansatz: "strongly_entangling" or "hardware_efficient".
        layers: how often the ansatz is applied.
        observables: what is measured; default Z on each qubit.
        dtype: torch.float32 or torch.float64, of weights, inputs and the simulated state.
        seed: of the initial weights, uniform in -pi .. pi; None takes them from torch's global generator.

    Raises:
        SpecError: no encoding or ansatz of this name.
        UnsupportedProgramError: another dtype.

    Cost: memory ``batch * 2**n_qubits`` complex numbers; one training step costs about three runs of the circuit.
    Source: Jones and Gacon 2020, arXiv 2009.02823 (adjoint gradients).

    >>> layer = QuantumLayer(4, encoding="angle", ansatz="strongly_entangling", layers=2, seed=1)
    >>> layer(torch.zeros(3, 4)).shape, layer.n_weights
    (torch.Size([3, 4]), 24)
    """

    weights: nn.Parameter

    def __init__(
        self,
        n_qubits: int,
        encoding: str = "angle",
        ansatz: str = "strongly_entangling",
        layers: int = 2,
        observables: Sequence[Observable] | None = None,
        dtype: torch.dtype = torch.float32,
        seed: int | None = None,
    ) -> None:  # six options of one circuit; the names are those of the spec
        super().__init__()
        self._set_up(build_block(n_qubits, encoding, ansatz, layers, observables=observables), dtype, seed)

    @classmethod
    def from_block(cls, block: QuantumBlock, dtype: torch.dtype = torch.float32, seed: int | None = None) -> Self:
        """A layer of any `QuantumBlock`."""
        layer = cls.__new__(cls)
        nn.Module.__init__(layer)
        layer._set_up(block, dtype, seed)
        return layer

    @classmethod
    def from_circuit(
        cls,
        circuit: Circuit,
        inputs: Sequence[str] = (),
        observables: Sequence[Observable] | None = None,
        *,
        feature_map: str = "identity",
        n_inputs: int | None = None,
        dtype: torch.dtype = torch.float32,
        seed: int | None = None,
    ) -> Self:
        """A layer of any circuit.

        Args:
            circuit: its parameters named in ``inputs`` take one value per sample, all others are trained.
            inputs: parameters that receive the inputs, or the feature map's angles, in order.
            observables: default Z on each qubit.
            feature_map: named map from ``n_inputs`` inputs to ``len(inputs)`` angles.
            n_inputs: default ``len(inputs)``.
            dtype: torch.float32 or torch.float64.
            seed: of the initial weights.

        Raises:
            ParameterNameError: an input is not a parameter of the circuit, or their number does not fit the feature
                map.
        """
        measured = z_all(circuit.n_qubits) if observables is None else observables
        count = len(inputs) if n_inputs is None else n_inputs
        return cls.from_block(QuantumBlock(circuit, tuple(inputs), count, feature_map, tuple(measured)), dtype, seed)

    def _set_up(self, block: QuantumBlock, dtype: torch.dtype, seed: int | None) -> None:
        if dtype not in _ENGINE_DTYPES:
            raise UnsupportedProgramError(f"dtype must be torch.float32 or torch.float64, got {dtype}")
        self._block: QuantumBlock | None = block
        self._programs: dict[torch.dtype, CompiledProgram] = {}
        self.weights = nn.Parameter(torch.empty(block.n_weights, dtype=dtype))
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the weights anew, uniform in -pi .. pi; the same numbers for both dtypes."""
        with torch.no_grad():
            drawn = torch.rand(self.weights.shape, generator=generator, dtype=torch.float32)
            self.weights.copy_((2.0 * drawn - 1.0) * math.pi)

    @property
    def block(self) -> QuantumBlock:
        """The circuit, its inputs and its observables."""
        if self._block is None:
            definition: dict[str, Any] = self.__dict__["_definition"]
            self._block = QuantumBlock.from_parts(circuit_from_json(definition["circuit"]), definition)
        return self._block

    @property
    def circuit(self) -> Circuit:
        """The layer's circuit, its parameters symbolic."""
        return self.block.circuit

    @property
    def n_inputs(self) -> int:
        """Inputs per sample."""
        return self.block.n_inputs

    @property
    def n_outputs(self) -> int:
        """Expectations per sample."""
        return self.block.n_outputs

    @property
    def n_weights(self) -> int:
        """Trained angles."""
        return self.block.n_weights

    def forward(self, inputs: Tensor) -> Tensor:
        """Expectations of the observables.

        Args:
            inputs: ``(..., n_inputs)`` on the CPU, of the weights' dtype.

        Returns:
            ``(..., n_observables)``, each within the sum of the observable's absolute coefficients.

        Raises:
            ShapeError: the last axis is not n_inputs, or the dtype is not that of the weights.
            UnsupportedProgramError: a tensor is not on the CPU, or is neither float32 nor float64.
        """
        weights, block = self.weights, self.block
        if inputs.dtype is not weights.dtype or inputs.ndim == 0 or inputs.shape[-1] != block.n_inputs:
            raise ShapeError(
                f"inputs must be (..., {block.n_inputs}) of dtype {weights.dtype}, got shape={tuple(inputs.shape)}, "
                f"dtype={inputs.dtype}; layer.double() or inputs.float() make dtypes equal"
            )
        if not (inputs.is_cpu and weights.is_cpu):
            raise UnsupportedProgramError(
                f"QuantumLayer runs on the CPU, got inputs on {inputs.device} and weights on {weights.device}; "
                'move both there with .to("cpu")'
            )
        program = self._programs.get(weights.dtype)
        if program is None:
            program = self._compile(weights.dtype)
        flat = inputs if inputs.ndim == 2 else inputs.reshape(-1, block.n_inputs)  # (batch, n_inputs)
        if not flat.shape[0]:
            return flat.new_zeros(*inputs.shape[:-1], block.n_outputs)  # (..., n_observables), no samples
        differentiable = torch.is_grad_enabled() and (inputs.requires_grad or weights.requires_grad)
        if block.feature_map_name == "identity":
            angles = flat  # (batch, n_angles)
        elif differentiable:
            angles = _MappedInputs.apply(flat, block)  # type: ignore[no-untyped-call]  # torch leaves it so
        else:
            angles = torch.from_numpy(block.feature_map.apply(flat.detach().numpy())).to(flat.dtype)
        if differentiable:
            expectations = _Expectations.apply(angles, weights, program)  # type: ignore[no-untyped-call]  # same
        else:
            expectations = torch.from_numpy(program.expectation(angles.detach().numpy(), weights.detach().numpy()))
        if inputs.ndim == 2:
            return expectations  # type: ignore[no-any-return]  # a Tensor
        return expectations.reshape(*inputs.shape[:-1], block.n_outputs)  # type: ignore[no-any-return]  # (..., n_observables)

    def _compile(self, dtype: torch.dtype) -> CompiledProgram:
        if dtype not in _ENGINE_DTYPES:
            raise UnsupportedProgramError(f"QuantumLayer computes in float32 or float64, got weights of {dtype}")
        block = self.block
        program = compile_program(
            block.circuit, block.observables, inputs=block.angle_names, dtype=_ENGINE_DTYPES[dtype]
        )
        self._programs[dtype] = program
        return program

    def __getstate__(self) -> dict[str, Any]:
        """Plain values only: the circuit as JSON, nothing compiled."""
        state = dict(self.__dict__)
        state["_definition"] = {**self.block.to_dict(), "circuit": circuit_to_json(self.block.circuit)}
        state["_block"], state["_programs"] = None, {}
        return state

    def extra_repr(self) -> str:
        """What ``print(layer)`` shows."""
        circuit = self.circuit
        return (
            f"{circuit.name}, n_qubits={circuit.n_qubits}, n_inputs={self.n_inputs}, n_weights={self.n_weights}, "
            f"n_outputs={self.n_outputs}, dtype={self.weights.dtype}"
        )
