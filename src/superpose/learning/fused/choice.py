"""Whether a network's steps run as compiled code, and if not, why: the one place that decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from superpose.learning.fused.parts import FusedParts
from superpose.learning.quantum_layer import QuantumLayer

if TYPE_CHECKING:
    from superpose.learning.measured.measurer import Measurer
    from superpose.learning.privacy.accounting import PrivacyPlan

__all__ = ["MOST_QUBITS", "fused_parts_or_reason"]

MOST_QUBITS = 12
"""Beyond, a step takes so long that torch's share of it is nothing, and keeping final states takes memory."""
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def fused_parts_or_reason(
    network: nn.Module, measurer: Measurer | None, privacy: PrivacyPlan | None, loss: Callable[..., Tensor]
) -> FusedParts | str:
    """A network's parts if its steps can run as compiled code, else why they run in torch."""
    if privacy is not None:
        return "training is private: each row's gradient is clipped"
    if measurer is not None:
        return "the circuit is measured on a backend"
    if loss is not cross_entropy:
        return "the loss is not cross entropy"
    kind = type(network)
    says = next((one for one in kind.__mro__ if "fused_parts" in vars(one)), None)
    if says is None or says is not next(one for one in kind.__mro__ if "forward" in vars(one)):
        return f"{kind.__name__} is not known to be a circuit between classical layers"
    if any(getattr(module, name, None) for module in network.modules() for name in _HOOKS):
        return "modules have hooks"
    parts: FusedParts = network.fused_parts()  # type: ignore[operator]  # of the class that was found
    return _reason_of_layer(parts.layer) or _reason_of_parameters(network, parts) or parts


def _reason_of_layer(layer: nn.Module) -> str | None:
    if type(layer) is not QuantumLayer:
        return f"{type(layer).__name__} is not a circuit"
    if layer.gradient_method != "adjoint":
        return f"the circuit is differentiated by {layer.gradient_method}"
    if layer.block.feature_map_name != "identity":
        return f"inputs pass the feature map {layer.block.feature_map_name!r}"
    if not layer.n_inputs or not layer.n_outputs:
        return "the circuit has no inputs or no outputs"
    if not layer.circuit.is_unitary:
        return "the circuit is not made of gates alone"
    if layer.circuit.n_qubits > MOST_QUBITS:
        return f"the circuit has more than {MOST_QUBITS} qubits"
    return None


def _reason_of_parameters(network: nn.Module, parts: FusedParts) -> str | None:
    """Whatever is trained must be one of the parts, on the CPU and of one precision."""
    own = [p for p in parts.parameters if p is not None]
    if any(p is None for p in parts.parameters[2:]) or type(parts.exit) is not nn.Linear:
        return "a layer has no bias, or a form of its own"
    known = {id(p) for p in own}
    if any(id(p) not in known for p in network.parameters() if p.requires_grad) or len(known) != len(own):
        return "more is trained than the circuit and the layers around it"
    dtypes = {p.dtype for p in own}
    if len(dtypes) > 1 or not dtypes <= {torch.float32, torch.float64} or not all(p.is_cpu for p in own):
        return "parameters are not all of one precision, on the CPU"
    return None
