"""PennyLane programs on this machine's engine: ``qml.device("superpose", wires=4)``.

PennyLane finds the class by its entry point. It asks for ``superpose[pennylane]``.
"""

from superpose.pennylane_device.device import PennyLaneDevice, executions

__all__ = ["PennyLaneDevice", "executions"]
