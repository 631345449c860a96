"""Functions in memory: loaded when first called, let go when idle. Nothing of a function runs while nobody calls it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from superpose.circuits import Program, ProgramResult, Template
from superpose.circuits.finite import is_finite
from superpose.errors import FunctionInputError, SuperposeError
from superpose.service.config import ServiceConfig
from superpose.service.quantum_functions.content import Content
from superpose.service.quantum_functions.schema import input_check

if TYPE_CHECKING:
    from superpose.circuits import Executable

__all__ = ["LoadedFunction", "LoadedFunctions", "Params", "checked_params"]

Params = Mapping[str, "float | list[float]"]

MAX_BATCH = 10_000
_SHOTS_LIMIT = 10_000_000


class LoadedFunction:
    """A function's content, its compiled circuit, and the check of its inputs. For any number of threads.

    Args:
        content: the function.
    """

    def __init__(self, content: Content) -> None:
        self.content = content
        self.check_input: Callable[[object], None] = input_check(content.input_schema)
        self.used_at_s = time.monotonic()
        self._executables: dict[bool, Executable] = {}
        self._compiling = threading.Lock()
        circuit = content.circuit
        self._sampled_whole = not circuit.has_noise and circuit.without_final_measurements()[0].is_unitary

    def cost(self, batch: int, shots: int | None) -> float:
        """How many amplitudes a run touches, about."""
        circuit = self.content.circuit
        runs = batch * (1 if self._sampled_whole else shots or 1)
        return 2.0 ** min(circuit.n_qubits, 1_000) * max(1, len(circuit.instructions)) * runs + batch * (shots or 0)

    def run(self, params: Params, shots: int | None, seed: int | None) -> ProgramResult:
        """Run the circuit on this machine.

        Raises:
            SuperposeError: it cannot be run here, such as for want of memory.
        """
        batched = any(isinstance(value, list) for value in params.values())
        with self._compiling:
            executable = self._executables.get(batched)
            if executable is None:
                executable = self._executables[batched] = self._compiled(batched)
        return executable.run(params, shots=shots, seed=seed)

    def program(self, params: Params, shots: int | None, seed: int | None) -> Program:
        """The same as a program, for a job."""
        return Program(self.content.circuit, params, self.content.observables, shots, seed)

    def _compiled(self, batched: bool) -> Executable:
        from superpose.backends import LocalBackend

        circuit = self.content.circuit
        inputs = circuit.parameters if batched else ()
        return LocalBackend().compile(Template(circuit, self.content.observables, inputs))


class LoadedFunctions:
    """The functions in memory, at most ``max_loaded_models``; those idle for ``idle_unload_s`` are let go.

    Args:
        config: limits.
    """

    def __init__(self, config: ServiceConfig) -> None:
        self._config = config
        self._loaded: dict[str, LoadedFunction] = {}
        self._changing = threading.Lock()
        self._loading: dict[str, threading.Lock] = {}

    def __len__(self) -> int:
        return len(self._loaded)

    def get(self, artifact: str, read: Callable[[], Content]) -> tuple[LoadedFunction, bool]:
        """The function stored as an artifact, and whether it was loaded just now; once for all who ask meanwhile."""
        found = self._loaded.get(artifact)
        if found is not None:
            found.used_at_s = time.monotonic()
            return found, False
        with self._changing:
            turn = self._loading.setdefault(artifact, threading.Lock())
        with turn:
            found = self._loaded.get(artifact)
            cold = found is None
            if found is None:
                found = LoadedFunction(read())
                with self._changing:
                    self._loaded[artifact] = found
                    while len(self._loaded) > self._config.max_loaded_models:
                        self._loaded.pop(min(self._loaded, key=lambda key: self._loaded[key].used_at_s))
        with self._changing:
            self._loading.pop(artifact, None)
        return found, cold

    def unload_idle(self) -> int:
        """Let go of functions that nobody called for ``idle_unload_s``; how many."""
        before = time.monotonic() - self._config.idle_unload_s
        with self._changing:
            idle = [key for key, found in self._loaded.items() if found.used_at_s <= before]
            for key in idle:
                self._loaded.pop(key)
        return len(idle)

    def clear(self) -> None:
        """Let go of all."""
        with self._changing:
            self._loaded.clear()


def checked_params(
    value: object, parameters: tuple[str, ...], error: type[SuperposeError] = FunctionInputError
) -> tuple[dict[str, float | list[float]], int]:
    """Values for all parameters of a circuit, and the length of the batch.

    Args:
        value: what came as JSON.
        parameters: names in the circuit.
        error: what to raise.

    Raises:
        SuperposeError: of the class ``error``: not an object of numbers or lists of one length for these names.
    """
    if not isinstance(value, Mapping) or set(value) != set(parameters):
        got = f"an object with {sorted(map(str, value))[:20]}" if isinstance(value, Mapping) else type(value).__name__
        raise error(f"Values are needed for the parameters {list(parameters)[:20]}, got {got}.")
    params: dict[str, float | list[float]] = {}
    lengths = set()
    for name in parameters:
        given = value[name]
        numbers = given if isinstance(given, list) else [given]
        if not numbers or not all(_is_number(item) for item in numbers):
            raise error(f"Parameter {name!r} takes a finite number or a list of them.")
        params[name] = [float(item) for item in numbers] if isinstance(given, list) else float(given)
        lengths |= {len(given)} if isinstance(given, list) else set()
    if len(lengths) > 1 or max(lengths, default=1) > MAX_BATCH:
        raise error(
            f"Lists of values must have one length of at most {MAX_BATCH:,}; got lengths {sorted(lengths)[:5]}."
        )
    return params, max(lengths, default=1)


def checked_shots(value: object, error: type[SuperposeError] = FunctionInputError) -> int:
    """A number of shots.

    Raises:
        SuperposeError: of the class ``error``: not a whole number in its range.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _SHOTS_LIMIT:
        raise error(f"shots must be a whole number from 1 to {_SHOTS_LIMIT:,}, got {str(value)[:40]}.")
    return value


def checked_seed(value: object, error: type[SuperposeError] = FunctionInputError) -> int:
    """A seed.

    Raises:
        SuperposeError: of the class ``error``: not a whole number in its range.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise error(f"seed must be a whole number from 0 to 2**63 - 1, got {str(value)[:40]}.")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and is_finite(value)
