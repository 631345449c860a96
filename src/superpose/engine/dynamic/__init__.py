"""How circuits with measurement, feed-forward, reset, delay and noise run: density matrices, branches, trajectories."""

from __future__ import annotations

from superpose.engine.dynamic.compiling import compile_dynamic
from superpose.engine.dynamic.program import DynamicProgram

__all__ = ["DynamicProgram", "compile_dynamic"]
