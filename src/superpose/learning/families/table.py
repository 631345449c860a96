"""The families by name: a row each, with the file that holds the class. Adding a family is a row here and that file."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from superpose.learning.families.base import FamilyClassifier

__all__ = ["FAMILIES", "Family"]


@dataclass(frozen=True)
class Family:
    """A row of `FAMILIES`.

    Attributes:
        name: as files and benchmarks write it.
        summary: one line for people, with the source.
        class_name: the class, a public name of `superpose.learning.families`; its file is called like the family.
        needs: what a row is: "columns", or "pictures" (the pixels of one picture, row by row).
        has_separable_twin: whether ``separable=True`` is another model: the same without entanglement.
        has_circuits: whether the fitted model has circuits; without, its separable twin lacks terms on two qubits.
        has_classical_twin: whether ``classical=True`` puts as many classical parameters in the circuit's place.
    """

    name: str
    summary: str
    class_name: str
    needs: str = "columns"
    has_separable_twin: bool = True
    has_classical_twin: bool = False
    has_circuits: bool = True

    def load(self) -> type[FamilyClassifier]:
        """The family's class; its file, and with it torch if it needs torch, is imported now."""
        found: type[FamilyClassifier] = getattr(
            import_module(f"superpose.learning.families.{self.name}"), self.class_name
        )
        return found


FAMILIES: dict[str, Family] = {
    row.name: row
    for row in (
        Family(
            "dressed_circuit",
            "a circuit between two linear layers (Mari et al. 2019)",
            "DressedCircuitClassifier",
            has_classical_twin=True,
        ),
        Family(
            "data_reuploading",
            "columns as angles of every layer, with trained scales (Perez-Salinas et al. 2020)",
            "DataReuploadingClassifier",
        ),
        Family(
            "circuit_centric",
            "columns as amplitudes, strongly entangling layers (Schuld et al. 2020)",
            "CircuitCentricClassifier",
        ),
        Family(
            "quantum_convolution",
            "equal gates on neighbours and pooling, level by level (Cong et al. 2019)",
            "QuantumConvolutionClassifier",
            has_classical_twin=True,
        ),
        Family(
            "tree_tensor",
            "gates along a binary tree (Grant et al. 2018)",
            "TreeTensorClassifier",
            has_classical_twin=True,
        ),
        Family(
            "quanvolution",
            "random circuits as filters over a picture's patches (Henderson et al. 2019)",
            "QuanvolutionalClassifier",
            needs="pictures",
            has_classical_twin=True,
        ),
        Family(
            "hybrid_convolution",
            "trained convolutions, then a dressed circuit",
            "HybridConvolutionClassifier",
            needs="pictures",
            has_classical_twin=True,
        ),
        Family(
            "iqp_kernel",
            "a support vector machine on fidelities of the IQP feature map's states (Havlicek et al. 2019)",
            "IqpKernelClassifier",
        ),
        Family(
            "projected_kernel",
            "a support vector machine on distances of single qubits' states (Huang et al. 2021)",
            "ProjectedKernelClassifier",
        ),
        Family(
            "kitchen_sinks",
            "many small circuits with random angles, and a linear model behind (Wilson et al. 2018)",
            "KitchenSinksClassifier",
        ),
        Family(
            "metric_learner",
            "an embedding trained to part the classes' states (Lloyd et al. 2020)",
            "MetricLearnerClassifier",
        ),
        Family(
            "boltzmann_machine",
            "thermal states of a Hamiltonian whose coefficients depend on the row (Amin et al. 2018)",
            "BoltzmannMachineClassifier",
            has_circuits=False,
        ),
    )
}
"""All families by name."""
