"""The engine as a PennyLane device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pennylane.devices import Device, ExecutionConfig
from pennylane.devices.modifiers import simulator_tracking, single_tape_support
from pennylane.exceptions import DeviceError
from pennylane.tape import QuantumScript
from pennylane.transforms.core import CompilePipeline

from superpose.circuits import Dtype
from superpose.pennylane_device.answers import ExactTape, jvp_of
from superpose.pennylane_device.engine_runs import EngineRuns, Total
from superpose.pennylane_device.preprocessing import has_gradient, measurement_method, pipeline
from superpose.pennylane_device.sampling import sampled

__all__ = ["PennyLaneDevice", "executions"]

_total = Total()
_DEVICE_GRADIENTS = ("best", "device", "adjoint")


def executions() -> int:
    """Return how many tapes all devices of this process have run on the engine."""
    return _total.number


@simulator_tracking
@single_tape_support
class PennyLaneDevice(Device):  # type: ignore[misc]  # PennyLane has no types
    """PennyLane circuits on this machine's engine: ``qml.device("superpose", wires=4)``.

    Takes everything that PennyLane decomposes to its standard gates, and state preparations; gives every measurement of
    PennyLane's, exact or with shots. Noise is refused. Batched parameters run as one batch. The gradients of
    expectations, variances and probabilities are exact (adjoint method), in every interface. What a circuit is gets
    compiled once; numbers are arguments, so a training step compiles nothing.

    With shots, measurements in the middle of a circuit, conditions and resets run as such; without, PennyLane defers
    them to further qubits.

    Args:
        wires: Number of qubits, or their labels; None takes those of each circuit.
        shots: Deprecated by PennyLane, which wants ``qml.set_shots``.
        seed: Of all shots: anything that ``numpy.random.default_rng`` takes; "global" draws it from
            ``numpy.random``.
        dtype: Precision of amplitudes, "float64" or "float32".

    Attributes:
        n_executions: Tapes that the engine has run.
        n_gradients: Tapes that it has differentiated.

    Raises:
        DeviceError: Another dtype, or later, with a message, what cannot run.

    Cost: ``2**n`` amplitudes per operation and batch entry; a gradient about three times that.
    Source: Jones and Gacon 2020, arXiv 2009.02823 (adjoint gradients).
    """

    def __init__(self, wires: Any = None, shots: Any = None, seed: Any = "global", dtype: Dtype = "float64") -> None:
        super().__init__(wires=wires, shots=shots)
        if dtype not in ("float64", "float32"):
            raise DeviceError(f"dtype must be 'float64' or 'float32', got {dtype!r}.")
        if isinstance(seed, str) and seed == "global":
            seed = np.random.randint(0, 2**31 - 1)  # the generator that PennyLane's users seed
        self._generator = np.random.default_rng(seed)
        self._runs = EngineRuns(dtype)
        self.n_executions = self.n_gradients = 0

    @property
    def name(self) -> str:
        """The name "superpose"."""
        return "superpose"

    @property
    def n_structures(self) -> int:
        """How many structures were compiled; a circuit that runs again with other numbers adds none."""
        return self._runs.n_structures

    def preprocess_transforms(self, execution_config: ExecutionConfig | None = None) -> CompilePipeline:
        """Return the transforms in front of `execute`."""
        return pipeline(execution_config or ExecutionConfig(), self.wires, self.name)

    def setup_execution_config(
        self, config: ExecutionConfig | None = None, circuit: QuantumScript | None = None
    ) -> ExecutionConfig:
        """Return the configuration with what this device decides.

        Raises:
            DeviceError: An option, or a way to treat measurements in the middle, that it does not have.
        """
        config = config or ExecutionConfig()
        if config.device_options:
            raise DeviceError(f"superpose takes no device options, got {', '.join(config.device_options)}.")
        method = config.gradient_method
        own = isinstance(method, str) and method in _DEVICE_GRADIENTS
        changes: dict[str, Any] = {"gradient_method": "adjoint" if own else method}
        if config.use_device_gradient is None:
            changes["use_device_gradient"] = own
        if own:  # one adjoint pass, where PennyLane's default asks for Jacobians; jax's forward mode needs those
            is_jax = str(getattr(config.interface, "value", config.interface)).startswith("jax")
            changes["use_device_jacobian_product"] = not is_jax
        if config.grad_on_execution is None:
            changes["grad_on_execution"] = False
        shots = circuit is not None and bool(circuit.shots)
        middle = config.mcm_config
        if shots and middle.postselect_mode == "fill-shots":
            raise DeviceError("postselect_mode='fill-shots' is not supported on superpose; take 'hw-like'.")
        changes["mcm_config"] = replace(middle, mcm_method=measurement_method(middle.mcm_method, shots=shots))
        return replace(config, **changes)

    def supports_derivatives(
        self, execution_config: ExecutionConfig | None = None, circuit: QuantumScript | None = None
    ) -> bool:
        """Return whether the engine has the gradients asked for: exact first ones of expval, var and probs."""
        if execution_config is not None and (
            execution_config.gradient_method not in _DEVICE_GRADIENTS or execution_config.derivative_order > 1
        ):
            return False
        return circuit is None or has_gradient(circuit)

    def supports_vjp(
        self, execution_config: ExecutionConfig | None = None, circuit: QuantumScript | None = None
    ) -> bool:
        """Return whether `compute_vjp` can be used; see `supports_derivatives`."""
        return self.supports_derivatives(execution_config, circuit)

    def supports_jvp(
        self, execution_config: ExecutionConfig | None = None, circuit: QuantumScript | None = None
    ) -> bool:
        """Return whether `compute_jvp` can be used; see `supports_derivatives`."""
        return self.supports_derivatives(execution_config, circuit)

    def execute(self, circuits: Any, execution_config: ExecutionConfig | None = None) -> Any:
        """Run tapes that went through `preprocess_transforms`, and return a result for each."""
        results = []
        for tape in circuits:
            labels = self._labels(tape)
            if tape.shots:
                results.append(sampled(tape, labels, self._runs, self._generator))
            else:
                results.append(ExactTape(tape, labels, self._runs).results())
            self._count()
        return tuple(results)

    def compute_derivatives(self, circuits: Any, execution_config: ExecutionConfig | None = None) -> Any:
        """Return the Jacobian of each tape."""
        return tuple(self._exact(tape).jacobian() for tape in circuits)

    def execute_and_compute_derivatives(self, circuits: Any, execution_config: ExecutionConfig | None = None) -> Any:
        """Return results and Jacobians."""
        results = tuple(self._executed(tape) for tape in circuits)
        return results, tuple(self._exact(tape).jacobian() for tape in circuits)

    def compute_vjp(
        self, circuits: Any, cotangents: Sequence[Any], execution_config: ExecutionConfig | None = None
    ) -> Any:
        """Return, for each tape, the gradients that flow back from its cotangents: one adjoint pass."""
        pairs = zip(circuits, cotangents, strict=True)
        return tuple(self._exact(tape).vjp(given) for tape, given in pairs)

    def execute_and_compute_vjp(
        self, circuits: Any, cotangents: Sequence[Any], execution_config: ExecutionConfig | None = None
    ) -> Any:
        """Return results and `compute_vjp`."""
        results = tuple(self._executed(tape) for tape in circuits)
        pairs = zip(circuits, cotangents, strict=True)
        return results, tuple(self._exact(tape).vjp(given) for tape, given in pairs)

    def compute_jvp(
        self, circuits: Any, tangents: Sequence[Any], execution_config: ExecutionConfig | None = None
    ) -> Any:
        """Return, for each tape, the derivative of its results in the direction of its tangents."""
        pairs = zip(circuits, tangents, strict=True)
        return tuple(
            jvp_of(self._exact(tape).jacobian(), given, several=len(tape.measurements) > 1) for tape, given in pairs
        )

    def execute_and_compute_jvp(
        self, circuits: Any, tangents: Sequence[Any], execution_config: ExecutionConfig | None = None
    ) -> Any:
        """Return results and `compute_jvp`."""
        results = tuple(self._executed(tape) for tape in circuits)
        pairs = zip(circuits, tangents, strict=True)
        return results, tuple(
            jvp_of(self._exact(tape).jacobian(), given, several=len(tape.measurements) > 1) for tape, given in pairs
        )

    def _count(self) -> None:
        self.n_executions += 1
        _total.add()

    def _executed(self, tape: QuantumScript) -> Any:
        self._count()
        return ExactTape(tape, self._labels(tape), self._runs).results()

    def _exact(self, tape: QuantumScript) -> ExactTape:
        self.n_gradients += 1
        return ExactTape(tape, self._labels(tape), self._runs)

    def _labels(self, tape: QuantumScript) -> list[Any]:
        """The tape's labels in the device's order, those that deferred measurements added behind them."""
        used = list(tape.wires)
        if self.wires is None:
            return sorted(used) if all(isinstance(label, int) for label in used) else used
        own = [label for label in self.wires if label in tape.wires]
        return own + [label for label in used if label not in self.wires]
