"""`QuantumLayer`: a parametrised circuit as a `torch.nn.Module`, run and differentiated by the engine on the CPU."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from superpose.circuits import Circuit, Observable, circuit_from_json, circuit_to_json
from superpose.engine import CompiledProgram, compile_program
from superpose.engine.gradients import GRADIENT_METHODS
from superpose.errors import ShapeError, UnsupportedProgramError
from superpose.learning.autograd import expectations, mapped_inputs
from superpose.learning.measured.measurer import Measurer, measured_expectations
from superpose.learning.native_circuit import read_layer
from superpose.learning.quantum_block import QuantumBlock, build_block

__all__ = ["QuantumLayer"]

_ENGINE_DTYPES: dict[torch.dtype, Literal["float32", "float64"]] = {torch.float32: "float32", torch.float64: "float64"}


class QuantumLayer(nn.Module):
    """Expectations of a circuit as a differentiable layer: ``(..., n_inputs) -> (..., n_observables)``.

    Gradients with respect to inputs and weights are exact (adjoint method), and so are second derivatives. Another
    ``gradient_method`` shows how a model would train where states cannot be seen.

    The layer holds plain values only, so ``state_dict``, ``copy.deepcopy`` and saving a module by its owner work, and a
    saved layer does not depend on a process.

    Args:
        n_qubits: qubits; also the number of inputs, one angle in radians each.
        encoding: "angle", "reuploading" or "iqp".
        ansatz: "strongly_entangling" or "hardware_efficient".
        layers: how often the ansatz is applied.
        observables: what is measured; default Z on each qubit.
        dtype: torch.float32 or torch.float64, of weights, inputs and the simulated state.
        seed: of the initial weights, uniform in -pi .. pi; None takes them from torch's global generator.
        gradient_method: "adjoint", "parameter-shift", "finite-difference" or "spsa" (16 random directions per sample,
            drawn anew wherever inputs or weights differ; equal calls give equal gradients).

    Raises:
        SpecError: no encoding or ansatz of this name, or n_qubits or layers are no whole numbers from 1 on.
        ObservableError: something else than an observable is to be measured.
        UnsupportedProgramError: another dtype or gradient method.

    Cost: memory ``batch * 2**n_qubits`` complex numbers; one training step costs about three runs of the circuit.
    Source: Jones and Gacon 2020, arXiv 2009.02823 (adjoint gradients).

    >>> layer = QuantumLayer(4, encoding="angle", ansatz="strongly_entangling", layers=2, seed=1)
    >>> layer(torch.zeros(3, 4)).shape, layer.n_weights
    (torch.Size([3, 4]), 24)
    """

    weights: nn.Parameter
    _gradient_method = "adjoint"  # of layers that were saved before there were others
    _measurer: Measurer | None = None

    def __init__(  # noqa: PLR0913  # options of one circuit; the names are those of the spec
        self,
        n_qubits: int,
        encoding: str = "angle",
        ansatz: str = "strongly_entangling",
        layers: int = 2,
        observables: Sequence[Observable] | None = None,
        dtype: torch.dtype = torch.float32,
        seed: int | None = None,
        *,
        gradient_method: str = "adjoint",
    ) -> None:
        super().__init__()
        self.gradient_method = gradient_method
        self._set_up(build_block(n_qubits, encoding, ansatz, layers, observables=observables), dtype, seed)

    @classmethod
    def from_block(
        cls,
        block: QuantumBlock,
        dtype: torch.dtype = torch.float32,
        seed: int | None = None,
        *,
        gradient_method: str = "adjoint",
    ) -> Self:
        """A layer of any `QuantumBlock`."""
        layer = cls.__new__(cls)
        nn.Module.__init__(layer)
        layer.gradient_method = gradient_method
        layer._set_up(block, dtype, seed)
        return layer

    @classmethod
    def from_circuit(  # noqa: PLR0913  # as __init__
        cls,
        circuit: object,
        inputs: str | Sequence[str] | None = None,
        observables: Observable | Sequence[Observable] | None = None,
        *,
        shapes: Mapping[str, int | Sequence[int]] | None = None,
        feature_map: str = "identity",
        n_inputs: int | None = None,
        dtype: torch.dtype = torch.float32,
        seed: int | None = None,
        gradient_method: str = "adjoint",
    ) -> Self:
        """A layer of any circuit of any toolkit: parameters keep their names, ``layer.block`` says which are weights.

        Args:
            circuit: whatever `superpose.load` takes: a circuit of ours, of Qiskit, Cirq, Amazon Braket, PennyLane
                (QNode, tape, function), pyQuil or pytket, a path or an OpenQASM text. Its parameters named in
                ``inputs`` take one value per sample, all others are trained.
            inputs: parameters that receive the inputs, or the feature map's angles, in order; a vector's name stands
                for its elements (``"x"`` for ``x_0``, ``x_1``, ...). By default those of a vector called ``inputs``,
                and none where there is no such.
            observables: by default the expectations that a PennyLane circuit returns, and Z on each qubit of any other.
            shapes: of a PennyLane function's arguments by name, such as ``{"inputs": 4, "weights": (2, 4, 3)}``: with
                them PennyLane's templates can be used. An argument without is one number, or indexed.
            feature_map: named map from ``n_inputs`` inputs to ``len(inputs)`` angles.
            n_inputs: default ``len(inputs)``.
            dtype: torch.float32 or torch.float64.
            seed: of the initial weights.
            gradient_method: see `QuantumLayer`.

        Raises:
            ParameterNameError: an input is not a parameter of the circuit, or their number does not fit the feature
                map.
            ConversionError, CircuitFormatError, QasmError: see `superpose.load`; or a PennyLane circuit returns
                something else than expectations, and no observables are given.

        >>> layer = QuantumLayer.from_circuit(
        ...     'OPENQASM 3.0; include "stdgates.inc"; input float x; input float w; qubit q; rx(x) q; ry(w) q;', "x"
        ... )
        >>> layer.block.angle_names, layer.block.weight_names
        (('x',), ('w',))
        """
        read, chosen = read_layer(circuit, inputs, observables, shapes)
        count = len(chosen.inputs) if n_inputs is None else n_inputs
        block = QuantumBlock(read, chosen.inputs, count, feature_map, chosen.observables)
        return cls.from_block(block, dtype, seed, gradient_method=gradient_method)

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
    def gradient_method(self) -> str:
        """How the layer is differentiated: a row of `superpose.engine.gradients.GRADIENT_METHODS`."""
        return self._gradient_method

    @gradient_method.setter
    def gradient_method(self, method: str) -> None:
        if method not in GRADIENT_METHODS:
            raise UnsupportedProgramError(
                f"gradient_method must be one of {', '.join(GRADIENT_METHODS)}, got {method!r}",
                allowed=list(GRADIENT_METHODS),
            )
        self._gradient_method = method

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
        if torch.compiler.is_compiling():
            return self._as_operator(inputs)
        if not (inputs.is_cpu and weights.is_cpu):
            raise UnsupportedProgramError(
                f"QuantumLayer runs on the CPU, got inputs on {inputs.device} and weights on {weights.device}; "
                'move both there with .to("cpu")'
            )
        flat = inputs if inputs.ndim == 2 else inputs.reshape(-1, block.n_inputs)  # (batch, n_inputs)
        if not flat.shape[0]:
            nothing = flat.new_zeros(*inputs.shape[:-1], block.n_outputs)  # (..., n_observables), no samples
            return nothing + 0.0 * (flat.sum() + weights.sum())  # derivatives are zeros, as torch's layers have them
        differentiable = torch.is_grad_enabled() and (inputs.requires_grad or weights.requires_grad)
        if block.feature_map_name == "identity":
            angles = flat  # (batch, n_angles)
        elif differentiable:
            angles = mapped_inputs(flat, block)
        else:
            angles = torch.from_numpy(block.feature_map.apply(flat.detach().numpy())).to(flat.dtype)
        found = self._found(angles, differentiable=differentiable)
        return found if inputs.ndim == 2 else found.reshape(*inputs.shape[:-1], block.n_outputs)  # (..., n_observables)

    def _found(self, angles: Tensor, *, differentiable: bool) -> Tensor:
        """Expectations at angles ``(batch, n_angles)``: measured in training with a measurer, else the engine's."""
        weights, measurer = self.weights, self._measurer
        if measurer is not None and self.training and differentiable:
            return measured_expectations(angles, weights, measurer)
        if measurer is not None and measurer.evaluates and not self.training:
            x, w = angles.detach().double().numpy(), weights.detach().double().numpy()
            return torch.from_numpy(measurer.measure(x, w)).to(angles.dtype)
        program = self._programs.get(weights.dtype)
        if program is None:
            program = self._compile(weights.dtype)
        if differentiable:
            return expectations(angles, weights, program, self._gradient_method)
        return torch.from_numpy(program.expectation(angles.detach().numpy(), weights.detach().numpy()))

    def measured_by(self, measurer: Measurer | None) -> None:
        """Have training steps measured on a backend; None goes back to the engine, where copies of the layer are."""
        self._measurer = measurer

    def _as_operator(self, inputs: Tensor) -> Tensor:
        """``forward`` while torch captures a module: the same as one operator, which the graph can hold."""
        from superpose.learning.modules.quantum import quantum_layer, register_layer

        block = self.block
        flat = inputs if inputs.ndim == 2 else inputs.reshape(-1, block.n_inputs)  # (batch, n_inputs)
        found: Tensor = quantum_layer(flat, self.weights, register_layer(block), self._gradient_method)
        return found if inputs.ndim == 2 else found.reshape(*inputs.shape[:-1], block.n_outputs)  # (..., n_observables)

    def _compile(self, dtype: torch.dtype) -> CompiledProgram:
        if dtype not in _ENGINE_DTYPES:
            raise UnsupportedProgramError(f"QuantumLayer computes in float32 or float64, got weights of {dtype}")
        block = self.block
        program = compile_program(
            block.circuit, block.observables, inputs=block.angle_names, dtype=_ENGINE_DTYPES[dtype]
        )
        self._programs[dtype] = program
        return program

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A layer with weights and a circuit of its own, not measured by anybody; compiled programs are shared."""
        block, shared = self.block, ("_block", "_definition", "_measurer", "_programs")
        copied = type(self).__new__(type(self))
        memo[id(self)] = copied
        copied.__dict__.update(
            {name: copy.deepcopy(value, memo) for name, value in self.__dict__.items() if name not in shared}
        )
        copied._block = replace(block, circuit=block.circuit.copy())
        copied._programs = dict(self._programs)
        return copied

    def __getstate__(self) -> dict[str, Any]:
        """Plain values only: the circuit as JSON, nothing compiled."""
        state = dict(self.__dict__)
        state["_definition"] = {**self.block.to_dict(), "circuit": circuit_to_json(self.block.circuit)}
        state["_block"], state["_programs"] = None, {}
        state.pop("_measurer", None)
        return state

    def extra_repr(self) -> str:
        """What ``print(layer)`` shows."""
        circuit = self.circuit
        return (
            f"{circuit.name}, n_qubits={circuit.n_qubits}, n_inputs={self.n_inputs}, n_weights={self.n_weights}, "
            f"n_outputs={self.n_outputs}, dtype={self.weights.dtype}"
        )
