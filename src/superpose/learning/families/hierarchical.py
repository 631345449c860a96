"""`HierarchicalClassifier`: families whose circuits leave fewer qubits from level to level, and read out the last."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

from superpose.learning.families.readout import n_kept_for
from superpose.learning.families.variational import VariationalClassifier
from superpose.learning.network import HybridNetwork, NetworkShape
from superpose.learning.quantum_block import QuantumBlock

__all__ = ["HierarchicalClassifier"]


@dataclass(kw_only=True, eq=False, repr=False)
class HierarchicalClassifier(VariationalClassifier):
    """Base of the quantum convolutional network and the tree: a circuit for ``n_qubits`` angles, between linear layers.

    ``Linear(n_columns -> n_qubits)``, ``tanh(.) pi/2``, the circuit, ``Linear(n_outputs -> n_classes)``. The circuit
    leaves as many qubits as tell the classes apart, one for two classes, and is read by products of Z on them.

    Args:
        n_qubits: at the first level.
        classical: True puts as many classical parameters in the circuit's place: the family's classical twin.
    """

    n_qubits: int = 8
    classical: bool = False

    @abstractmethod
    def _block(self, n_kept: int) -> QuantumBlock:
        """The circuit, which leaves ``n_kept`` qubits."""

    def _check_hyperparameters(self) -> None:
        super()._check_hyperparameters()
        self._check_whole("n_qubits", 2, 24)

    def _network(self, shape: NetworkShape) -> HybridNetwork:
        block = self._block(n_kept_for(shape.n_classes, self.n_qubits))
        return HybridNetwork(
            shape.n_columns,
            self._layer(block),
            self.n_qubits,
            shape.n_classes,
            math.pi / 2,
            n_outputs=block.n_outputs,
        )
