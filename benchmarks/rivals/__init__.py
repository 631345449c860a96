"""The contestants of the training-step benchmark: a row in the table, a file with its step, an environment."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["OURS", "OURS_LAYER", "OURS_SERIAL", "REFERENCE", "RIVALS", "Contestant", "rival_names"]


@dataclass(frozen=True)
class Contestant:
    """One contestant: the module of this package that times it, and the locked environment it runs in.

    ``environment`` is the stem of ``locks/<environment>.txt``; None is the environment that runs the command. Of the
    weight gradients, those of the ``judged_angles`` (of phi, theta, omega; all if empty) are compared with the exact
    ones. ``threads`` overrides those of the run. ``always``: never spared a case for having been slow in smaller ones.
    """

    name: str
    module: str
    environment: str | None
    judged_angles: tuple[int, ...] = ()
    threads: int | None = None
    always: bool = False


OURS = Contestant("superpose", "superpose_engine", None)
OURS_SERIAL = Contestant("superpose, 1 thread", "superpose_engine", None, threads=1)
OURS_LAYER = Contestant("superpose layer", "superpose_layer", None)
REFERENCE = Contestant("reference", "reference_sketch", None, judged_angles=(1,))
"""The first sketch's driver has a sign fault in the gradients of phi and omega, outside its kernels."""

RIVALS = (
    Contestant("jax", "jax_by_hand", "jax_and_torch", always=True),
    Contestant("torch", "torch_by_hand", "jax_and_torch", always=True),
    Contestant("tensorcircuit", "tensorcircuit_jax", "jax_and_torch"),
    Contestant("pennylane-jax", "pennylane_jax", "jax_and_torch"),
    Contestant("pennylane-torch", "pennylane_torch", "jax_and_torch"),
    Contestant("lightning", "pennylane_lightning", "jax_and_torch"),
    Contestant("qulacs", "qulacs_backprop", "jax_and_torch", always=True),
    Contestant("torchquantum", "torchquantum_functional", "torchquantum"),
    Contestant("catalyst", "catalyst_qjit", "catalyst"),
)


def rival_names() -> tuple[str, ...]:
    """Names of all rivals, in table order."""
    return tuple(rival.name for rival in RIVALS)
