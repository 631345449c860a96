"""The IQP quantum kernel classifier: a support vector machine on fidelities of states."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from superpose.learning.families.gram import FeatureStates, gram_matrix, overlaps
from superpose.learning.families.kernel_classifier import (
    KernelBody,
    KernelClassifier,
    KernelKey,
    KernelParts,
    columns_of,
    input_scale,
)
from superpose.learning.quantum_block import QuantumBlock

__all__ = ["IqpKernelBody", "IqpKernelClassifier"]

Matrix = NDArray[np.float64]

_KEPT_BYTES = 256 * 2**20
"""Support rows' states are kept for predictions where they take no more."""


@dataclass(frozen=True, eq=False)
class IqpKernelBody(KernelBody):
    """Fidelities of rows' states with those of the support rows."""

    @cached_property
    def _kept(self) -> list[tuple[FeatureStates, NDArray[np.complex128]]] | None:
        """Of each register its feature map and the support rows' states; None where they are too large to keep."""
        n_support = len(self.references)
        if sum(16 * n_support << block.circuit.n_qubits for block in self.registers) > _KEPT_BYTES:
            return None
        made = [FeatureStates(block, "float64") for block in self.registers]
        parts = columns_of(self.registers, self.references)
        return [
            (maker, maker.states(maker.angles(part, "references"))) for maker, part in zip(made, parts, strict=True)
        ]

    def kernel(self, inputs: Matrix) -> Matrix:
        """Kernel of circuits' inputs ``(n_rows, n_inputs)`` with the references, ``(n_rows, n_support)``."""
        found = np.ones((len(inputs), len(self.references)))
        if not found.size:
            return found
        parts = columns_of(self.registers, inputs)
        if self._kept is None:
            references = columns_of(self.registers, self.references)
            for block, part, others in zip(self.registers, parts, references, strict=True):
                found *= gram_matrix(block, part, others)
            return found
        for (maker, states), part in zip(self._kept, parts, strict=True):
            step = maker.block_rows(_KEPT_BYTES)
            for i in range(0, len(part), step):
                angles = maker.angles(part[i : i + step], "rows")
                found[i : i + step] *= overlaps(maker.states(angles), states)
        return found

    def kernel_back(self, inputs: Matrix, grad_kernel: Matrix) -> Matrix:
        """The gradient by circuits' inputs ``(n_rows, n_inputs)`` of a number, given that by their kernel.

        Of one register ``sum_s c_s |<phi_s|phi>|**2`` is an expectation, whose gradient is carried back gate by gate.
        """
        if not len(self.references):
            return np.zeros_like(inputs)
        makers = [FeatureStates(block, "float64") for block in self.registers]
        parts, references = columns_of(self.registers, inputs), columns_of(self.registers, self.references)
        found = np.empty_like(inputs)
        ends = np.cumsum([part.shape[1] for part in parts])
        widest = max(block.circuit.n_qubits for block in self.registers)
        step = max(1, _KEPT_BYTES // (16 * 4 << widest))
        kept = [m.states(m.angles(r, "references")) for m, r in zip(makers, references, strict=True)]
        for i in range(0, len(inputs), step):
            angles = [m.angles(part[i : i + step], "rows") for m, part in zip(makers, parts, strict=True)]
            states = [m.states(a) for m, a in zip(makers, angles, strict=True)]
            products = [state @ others.conj().T for state, others in zip(states, kept, strict=True)]
            fidelities = [product.real**2 + product.imag**2 for product in products]
            for r, maker in enumerate(makers):
                rest = grad_kernel[i : i + step].copy()  # (n_rows, n_support)
                for other, fidelity in enumerate(fidelities):
                    if other != r:
                        rest *= fidelity
                pulled = (rest * products[r]) @ kept[r]  # (n_rows, 2**n_qubits)
                grad = _angles_back(self.registers[r], angles[r], states[r], pulled)
                own = slice(ends[r] - parts[r].shape[1], ends[r])
                found[i : i + step, own] = maker.inputs_back(parts[r][i : i + step], grad)
        return found


def _angles_back(
    block: QuantumBlock, angles: Matrix, state: NDArray[np.complex128], pulled: NDArray[np.complex128]
) -> Matrix:
    """The gradient of ``<phi|M|phi>`` by the angles of an IQP circuit, given ``|phi>`` and ``M|phi>``.

    Its layers are H on every qubit, then phases ``exp(-i/2 sum_k angle_k s_k(z))``: both are undone layer by layer.
    """
    n_qubits, names = block.circuit.n_qubits, list(block.angle_names)
    z = 1.0 - 2.0 * ((np.arange(2**n_qubits)[:, None] >> np.arange(n_qubits)[::-1]) & 1)  # (2**n_qubits, n_qubits)
    signs, counts = np.zeros((len(names), 2**n_qubits)), np.zeros(len(names), dtype=np.intp)
    for call in block.circuit.gate_calls():
        for angle in call.angles:
            ((name, _),) = angle.terms
            signs[names.index(name)] = z[:, list(call.qubits)].prod(axis=1)
            counts[names.index(name)] += 1
    phases = np.exp(-0.5j * (angles @ signs))  # (n_rows, 2**n_qubits)
    found = np.zeros_like(angles)
    for _ in range(int(counts.max())):
        found += (pulled.conj() * state).imag @ signs.T
        state, pulled = (_hadamards(value * phases.conj(), n_qubits) for value in (state, pulled))
    return found


def _hadamards(states: NDArray[np.complex128], n_qubits: int) -> NDArray[np.complex128]:
    """H on every qubit of ``(n_rows, 2**n_qubits)``."""
    found = states
    for qubit in range(n_qubits):
        apart = found.reshape(len(states), 2**qubit, 2, -1)
        found = np.stack([apart[:, :, 0] + apart[:, :, 1], apart[:, :, 0] - apart[:, :, 1]], axis=2)
    flat: NDArray[np.complex128] = found.reshape(len(states), -1) * 2.0 ** (-n_qubits / 2)
    return flat


@dataclass(kw_only=True, eq=False, repr=False)
class IqpKernelClassifier(KernelClassifier):
    """A support vector machine with the kernel ``|<phi(x')|phi(x)>|**2`` of the IQP feature map.

    The circuit: ``layers`` times H on each qubit, RZ(x_i) on each, RZZ(x_i x_j) on each pair.

    Arguments and attributes: see `KernelClassifier` and `FamilyClassifier`.

    Cost: five Gram matrices of up to 400 rows to choose by, one of all rows (up to ``max_rows``); see
        `superpose.learning.families.gram_matrix`. A prediction costs a state, and its products with the support rows'.
    Source: Havlicek et al. 2019, arXiv 1804.11326; bandwidth: Shaydulin and Wild 2022, arXiv 2111.05451.

    >>> from sklearn.datasets import load_iris
    >>> rows, labels = load_iris(return_X_y=True)
    >>> bool(IqpKernelClassifier(random_state=0).fit(rows, labels).score(rows, labels) > 0.9)
    True
    """

    family: ClassVar[str] = "iqp_kernel"
    body_class: ClassVar[type[KernelBody]] = IqpKernelBody

    def _grams(self, registers: tuple[QuantumBlock, ...], inputs: Matrix) -> Iterator[tuple[KernelKey, Matrix]]:
        for bandwidth in self._bandwidths():
            key = KernelKey(bandwidth)
            yield key, self._gram(registers, inputs, key)

    def _gram(self, registers: tuple[QuantumBlock, ...], inputs: Matrix, key: KernelKey) -> Matrix:
        scaled = inputs * input_scale(key.bandwidth, inputs.shape[1])
        found = np.ones((len(inputs), len(inputs)))
        for block, part in zip(registers, columns_of(registers, scaled), strict=True):
            found *= gram_matrix(block, part)
        return found

    def _body(self, key: KernelKey, parts: KernelParts) -> IqpKernelBody:
        return IqpKernelBody(**parts.scaled(input_scale(key.bandwidth, parts.references.shape[1])))
