"""The section of a spec that says where circuits run while a model is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from superpose.learning.spec_fields import Section, choice, integer, text

__all__ = ["ALLOCATIONS", "DEFAULT_SHOTS", "MEASURED_GRADIENTS", "BackendSpec"]

MEASURED_GRADIENTS = ("parameter-shift", "spsa")
"""How a circuit is differentiated on a backend, which shows no states; the first is the default."""

ALLOCATIONS = ("adaptive", "fixed")
"""How shots are shared among the circuits of a step."""

DEFAULT_SHOTS = 100


@dataclass(frozen=True)
class BackendSpec(Section):
    """Where circuits run while a model is trained.

    Without a ``name`` they run on this machine's engine, exactly, differentiated by ``training.gradient_method``.
    With one ("emulator:ibm_fez", "ibm:ibm_fez", "local") they are measured there and differentiated by ``gradient``:
    "parameter-shift" is unbiased and takes 2 circuits per angle (4 for controlled rotations), "spsa" takes ``2 *
    n_directions`` per row whatever the number of angles. ``shots`` is what each circuit gets under the "fixed"
    ``allocation`` and the most that it gets on average under the "adaptive" one, which begins with few and shares
    them by rows, ``least_shots`` in a circuit at least; see `superpose.learning.measured.allocation`. ``evaluate``
    says where validation and test figures come from: "exact" is this machine's engine without noise, "backend" the
    same backend with ``shots`` each. ``mode`` "session" has the backend keep its processor for the whole run, where it
    has sessions (`superpose.circuits.SessionBackend`); providers charge for those differently.
    """

    path: ClassVar[str] = "backend"
    name: str | None = text(None)
    shots: int = integer(DEFAULT_SHOTS, 1, 10_000_000)
    gradient: str = choice(MEASURED_GRADIENTS[0], lambda: MEASURED_GRADIENTS)
    allocation: str = choice(ALLOCATIONS[0], lambda: ALLOCATIONS)
    least_shots: int = integer(4, 1, 10_000_000)
    n_directions: int = integer(8, 1, 10_000)
    evaluate: str = choice("exact", lambda: ("exact", "backend"))
    mode: str = choice("job", lambda: ("job", "session"))
