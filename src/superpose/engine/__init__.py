"""How programs run on this machine: batched state vectors in vector registers, with exact adjoint gradients.

Importing this compiles and loads nothing; the first call does, once per machine (`warm`).
"""

from __future__ import annotations

from superpose.engine.kernel_table import kernels_ready
from superpose.engine.memory import memory_required
from superpose.engine.pool import get_threads, set_threads
from superpose.engine.program import CompiledProgram, TapeState, compile_count, compile_program, compiles_told
from superpose.engine.states import PlacedStates
from superpose.engine.warming import warm

__all__ = [
    "CompiledProgram",
    "PlacedStates",
    "TapeState",
    "compile_count",
    "compile_program",
    "compiles_told",
    "get_threads",
    "kernels_ready",
    "memory_required",
    "set_threads",
    "warm",
]
