"""The suite for backends: contracts by name, checked through `Backend` and what else a backend offers."""

from __future__ import annotations

from superpose.circuits import (
    Backend,
    CalibratedBackend,
    CompilingBackend,
    EstimatingBackend,
    QueueTellingBackend,
    TranspilingBackend,
)
from superpose.testing.backend_checks import (
    check_batches,
    check_bit_order,
    check_counts,
    check_description,
    check_estimates,
    check_every_gate,
    check_exact,
    check_initial_states,
    check_new_values,
    check_provenance,
    check_single_precision,
    check_state_vectors,
    check_too_large,
)
from superpose.testing.contracts import Contract, Trial
from superpose.testing.dynamic_checks import check_channels, check_feed_forward, check_mid_circuit, check_reset
from superpose.testing.telling_checks import check_calibration, check_estimate, check_queue, check_transpiled

__all__ = ["BACKEND_CONTRACTS", "check_backend"]


def check_backend(backend: Backend, *, tolerance: float = 0.0) -> None:
    """Check that ``backend`` keeps the contract of `Program` and `Backend`, and of all else that it offers.

    `superpose.testing.conformance` tells the same contract by contract.

    Args:
        backend: What to check; it is sent some forty small programs.
        tolerance: What expectations and probabilities may be off beyond sampling, for backends with noise.

    Raises:
        AssertionError: It does not; the message says in what.
    """
    trial = Trial(tolerance=tolerance)
    for contract in BACKEND_CONTRACTS:
        if contract.offered is None or contract.offered(backend):
            contract.check(backend, trial)


def _compiles(backend: Backend) -> bool:
    return isinstance(backend, CompilingBackend) or backend.capabilities().parametric


BACKEND_CONTRACTS: tuple[Contract, ...] = (
    Contract("capabilities", check_description, sends=False),
    Contract("bit order", check_bit_order),
    Contract("gates", check_every_gate),
    Contract("batches", check_batches),
    Contract("counts", check_counts),
    Contract("expectations", check_estimates),
    Contract("exact", check_exact, lambda backend: backend.capabilities().exact),
    Contract("state vectors", check_state_vectors, lambda backend: backend.capabilities().state_vectors),
    Contract("initial states", check_initial_states, lambda backend: backend.capabilities().initial_state),
    Contract("single precision", check_single_precision),
    Contract("provenance", check_provenance),
    Contract("parametric", check_new_values, _compiles),
    Contract("mid-circuit", check_mid_circuit, lambda backend: backend.capabilities().mid_circuit),
    Contract("reset", check_reset, lambda backend: backend.capabilities().reset),
    Contract("feed-forward", check_feed_forward, lambda backend: backend.capabilities().feed_forward),
    Contract("channels", check_channels, lambda backend: backend.capabilities().dynamic),
    Contract("too large", check_too_large, lambda backend: backend.capabilities().max_qubits is not None),
    Contract("calibration", check_calibration, lambda backend: isinstance(backend, CalibratedBackend), sends=False),
    Contract("estimate", check_estimate, lambda backend: isinstance(backend, EstimatingBackend), sends=False),
    Contract("transpiled", check_transpiled, lambda backend: isinstance(backend, TranspilingBackend), sends=False),
    Contract("queue", check_queue, lambda backend: isinstance(backend, QueueTellingBackend), sends=False),
)
"""The contracts, in the order in which they say most."""
