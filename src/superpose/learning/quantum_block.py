"""The quantum part of a model as data: a circuit, which of its parameters are inputs, and what is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from superpose.circuits import Circuit, FeatureMap, Observable, feature_map, parameters, z_all
from superpose.errors import ObservableError, ParameterNameError, SpecError
from superpose.learning.ansaetze import ANSAETZE
from superpose.learning.encodings import ENCODINGS

__all__ = ["QuantumBlock", "build_block"]


@dataclass(frozen=True, eq=False)
class QuantumBlock:
    """A circuit whose parameters are split into inputs (one value per sample) and weights (shared by a batch).

    Attributes:
        circuit: the circuit; its parameters are exactly ``angle_names`` and ``weight_names``.
        angle_names: parameters that the feature map's angles go to, in order.
        n_inputs: values per sample, before the feature map; 0 for a circuit of weights only.
        feature_map_name: a row of `superpose.circuits.feature_map`.
        observables: whose expectations the block gives, in order.
    """

    circuit: Circuit
    angle_names: tuple[str, ...]
    n_inputs: int
    feature_map_name: str
    observables: tuple[Observable, ...]

    def __post_init__(self) -> None:
        given: object = self.n_inputs
        if isinstance(given, np.integer):
            object.__setattr__(self, "n_inputs", int(given))  # NumPy's are no JSON
        for place, observable in enumerate(self.observables):
            if not isinstance(observable, Observable):
                raise ObservableError(
                    f'observables[{place}] must be an Observable, such as Observable("ZI"), got {observable!r:.60}'
                )
        known = set(self.circuit.parameters)
        unknown = [name for name in self.angle_names if name not in known]
        n_angles = self.feature_map.n_angles if self.n_inputs else 0
        if unknown or n_angles != len(self.angle_names) or len(set(self.angle_names)) != len(self.angle_names):
            raise ParameterNameError(
                f"inputs must be {n_angles} different parameters of the circuit, as many as feature map "
                f"{self.feature_map_name!r} gives for {self.n_inputs} inputs; got {list(self.angle_names)}, "
                f"not in the circuit: {unknown}"
            )

    @cached_property
    def feature_map(self) -> FeatureMap:
        """The map from inputs ``(batch, n_inputs)`` to angles ``(batch, n_angles)``."""
        return feature_map(self.feature_map_name, self.n_inputs)

    @cached_property
    def weight_names(self) -> tuple[str, ...]:
        """Parameters that are not inputs, in the circuit's order."""
        angles = set(self.angle_names)
        return tuple(name for name in self.circuit.parameters if name not in angles)

    @property
    def n_weights(self) -> int:
        """Number of weights."""
        return len(self.weight_names)

    @property
    def n_outputs(self) -> int:
        """Number of observables."""
        return len(self.observables)

    def to_dict(self) -> dict[str, Any]:
        """All but the circuit, as JSON; the circuit goes its own way, as OpenQASM 3."""
        return {
            "angle_names": list(self.angle_names),
            "weight_names": list(self.weight_names),
            "n_inputs": self.n_inputs,
            "feature_map": self.feature_map_name,
            "observables": [[[pauli, coefficient] for pauli, coefficient in o.terms] for o in self.observables],
        }

    @classmethod
    def from_parts(cls, circuit: Circuit, description: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`, given the circuit.

        Raises:
            CircuitError: the parts do not fit one another.
        """
        block = cls(
            circuit=circuit,
            angle_names=tuple(description["angle_names"]),
            n_inputs=int(description["n_inputs"]),
            feature_map_name=str(description["feature_map"]),
            observables=tuple(Observable(dict(terms), circuit.n_qubits) for terms in description["observables"]),
        )
        if set(block.weight_names) != set(description["weight_names"]):
            raise ParameterNameError(f"the circuit's weights are {list(block.weight_names)}, not those described")
        return block


def build_block(
    n_qubits: int,
    encoding: str = "angle",
    ansatz: str = "strongly_entangling",
    layers: int = 2,
    *,
    entangle: bool = True,
    observables: Sequence[Observable] | None = None,
) -> QuantumBlock:
    """The block of an encoding and an ansatz, by name.

    Args:
        n_qubits: qubits, and inputs.
        encoding: a row of `ENCODINGS`.
        ansatz: a row of `ANSAETZE`.
        layers: how often the ansatz is applied.
        entangle: False leaves out every gate on two qubits, which changes no weight.
        observables: what is measured; default Z on each qubit.

    Raises:
        SpecError: no encoding or ansatz of this name, or n_qubits or layers are no whole numbers from 1 on.
        ObservableError: something else than an observable is to be measured.
    """
    for field, count in (("n_qubits", n_qubits), ("layers", layers)):
        if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
            raise SpecError(f"must be a whole number from 1 on, got {count!r:.60}", field)
    for field, name, rows in (("encoding", encoding, ENCODINGS), ("ansatz", ansatz, ANSAETZE)):
        if name not in rows:
            raise SpecError(f"must be one of {', '.join(rows)}, got {name!r}", field, allowed=list(rows))
    encode, apply_layer = ENCODINGS[encoding], ANSAETZE[ansatz].apply_layer
    per_layer = ANSAETZE[ansatz].n_weights(n_qubits, 1)
    map_name = encode.feature_map_for(entangle)
    angles = parameters("x", feature_map(map_name, n_qubits).n_angles)
    weights = parameters("w", per_layer * layers)
    circuit = Circuit(n_qubits, name=f"{encoding}_{ansatz}")
    for layer in range(layers):
        if layer == 0 or encode.repeats:
            encode.apply(circuit, angles, entangle)
        apply_layer(circuit, weights[layer * per_layer : (layer + 1) * per_layer], layer, entangle)
    return QuantumBlock(
        circuit=circuit,
        angle_names=tuple(angle.name for angle in angles),
        n_inputs=n_qubits,
        feature_map_name=map_name,
        observables=tuple(observables) if observables is not None else z_all(n_qubits),
    )
