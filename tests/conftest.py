"""What holds for all tests."""

from __future__ import annotations

import gc
import importlib
import os
import signal
from collections.abc import Iterator

import pytest

# A shell that starts the tests in the background has them ignore Ctrl-C, and so would all processes that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def keep_libraries_to_one_thread() -> None:
    """Load the libraries that count cores when they are loaded, and have each count one.

    The workers of pytest-xdist share the machine: threads of one that wait actively for a core which another has
    cost three times what the work itself does. The environment is as before afterwards, so that processes which
    tests start choose for themselves, as they do for users.
    """
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    for library in ("numpy", "scipy.linalg", "sklearn.utils", "torch"):
        importlib.import_module(library)
    importlib.import_module("torch").set_num_threads(1)
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


if "PYTEST_XDIST_WORKER" in os.environ:
    keep_libraries_to_one_thread()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect without looking for garbage, and never look again through what collecting has made.

    It is a million objects that live until the end: going through them took a third of the time that a worker collects,
    and some 0.3 s of every full search for garbage afterwards.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()
