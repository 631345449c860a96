"""Parts of a call of the compiled interpreter, as bits."""

from __future__ import annotations

__all__ = [
    "BACKWARD",
    "BAD_GRADIENT",
    "BAD_INPUTS",
    "BAD_WEIGHTS",
    "EXPECT",
    "FINISH",
    "FORWARD",
    "HELP",
    "KEPT",
    "PREPARE",
    "SAVE",
    "TEAM",
    "WHOLE",
]

PREPARE = 1
"""Angles of the rotations, their sines, and the tables of phases."""
FORWARD = 2
"""Run the circuit; without this the saved states are taken."""
WHOLE = 4
"""With the gates at its end that no observable sees."""
SAVE = 8
"""Keep the final states."""
EXPECT = 16
"""Expectations."""
BACKWARD = 32
"""Gradients per rotation and of inputs."""
FINISH = 64
"""Gradients of weights."""

TEAM = 128
"""Other threads may help with loops; see `superpose.engine.kernels.sharing`."""
HELP = 256
"""Help the call with TEAM that has the same block, and do nothing else."""
KEPT = 512
"""With BACKWARD, on one tile: its state, and what its samples' angles gave, are still in the workspace, from a call
with FORWARD on this tile."""

BAD_WEIGHTS, BAD_INPUTS, BAD_GRADIENT = 1, 2, 4
"""What the interpreter found to be NaN or infinite."""
