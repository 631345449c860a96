"""torch's global generator, borrowed: its modules begin from it and dropout draws from it, and it is the user's.

It is one for all threads, so that whoever seeds it and draws from it must be alone meanwhile: where estimators are
fitted in threads (``joblib``'s ``threading``, an ensemble with ``n_jobs``) equal seeds would not give equal numbers.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Final

import torch

__all__ = ["borrowed_generator"]

_BORROWED: Final = threading.RLock()


@contextlib.contextmanager
def borrowed_generator(seed: int | None = None) -> Iterator[None]:
    """Have torch's global generator (of the CPU) for oneself, and give it back as it was.

    Args:
        seed: to begin with; None goes on from where it stands.
    """
    with _BORROWED, torch.random.fork_rng(devices=[]):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
        yield
