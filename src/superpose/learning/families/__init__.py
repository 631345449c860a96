"""Families: the quantum classifiers of the literature, one file each, with scikit-learn's conventions.

`FAMILIES` has a row per family. Names are loaded on first use; reading the table loads neither torch nor scikit-learn.

>>> from superpose.learning.families import FAMILIES
>>> FAMILIES["dressed_circuit"].class_name
'DressedCircuitClassifier'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from superpose.learning.families.table import FAMILIES, Family

if TYPE_CHECKING:
    from superpose.learning.families.base import FamilyClassifier, load_family
    from superpose.learning.families.boltzmann_machine import BoltzmannMachineClassifier
    from superpose.learning.families.circuit_centric import CircuitCentricClassifier
    from superpose.learning.families.data_reuploading import DataReuploadingClassifier
    from superpose.learning.families.dressed_circuit import DressedCircuitClassifier
    from superpose.learning.families.gram import bloch_vectors, gram_matrix, projected_gram_matrix
    from superpose.learning.families.hybrid_convolution import HybridConvolutionClassifier
    from superpose.learning.families.iqp_kernel import IqpKernelClassifier
    from superpose.learning.families.kernel_classifier import iqp_block
    from superpose.learning.families.kitchen_sinks import KitchenSinksClassifier
    from superpose.learning.families.metric_learner import MetricLearnerClassifier
    from superpose.learning.families.plain import PlainClassifier
    from superpose.learning.families.projected_kernel import ProjectedKernelClassifier
    from superpose.learning.families.quantum_convolution import QuantumConvolutionClassifier
    from superpose.learning.families.quanvolution import QuanvolutionalClassifier
    from superpose.learning.families.tree_tensor import TreeTensorClassifier
    from superpose.learning.families.variational import VariationalClassifier

__all__ = [
    "FAMILIES",
    "BoltzmannMachineClassifier",
    "CircuitCentricClassifier",
    "DataReuploadingClassifier",
    "DressedCircuitClassifier",
    "Family",
    "FamilyClassifier",
    "HybridConvolutionClassifier",
    "IqpKernelClassifier",
    "KitchenSinksClassifier",
    "MetricLearnerClassifier",
    "PlainClassifier",
    "ProjectedKernelClassifier",
    "QuantumConvolutionClassifier",
    "QuanvolutionalClassifier",
    "TreeTensorClassifier",
    "VariationalClassifier",
    "bloch_vectors",
    "gram_matrix",
    "iqp_block",
    "load_family",
    "projected_gram_matrix",
]

_HOME_OF = {
    "FamilyClassifier": "base",
    "PlainClassifier": "plain",
    "VariationalClassifier": "variational",
    "bloch_vectors": "gram",
    "gram_matrix": "gram",
    "iqp_block": "kernel_classifier",
    "load_family": "base",
    "projected_gram_matrix": "gram",
    **{row.class_name: row.name for row in FAMILIES.values()},
}


def __getattr__(name: str) -> Any:
    """Load a public name from its file."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    """Public names, loaded or not."""
    return sorted(__all__)
