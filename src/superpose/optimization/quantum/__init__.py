"""Variational circuits that minimise a QUBO: QAOA and a hardware-efficient VQE."""

from __future__ import annotations

from superpose.optimization.quantum.ansatz import qaoa_circuit, vqe_circuit
from superpose.optimization.quantum.variational import QaoaSampler, VqeSampler

__all__ = ["QaoaSampler", "VqeSampler", "qaoa_circuit", "vqe_circuit"]
