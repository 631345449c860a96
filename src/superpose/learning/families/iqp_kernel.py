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
