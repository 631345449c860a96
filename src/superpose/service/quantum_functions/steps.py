"""The steps of a call: input to parameters, circuit, result to output. In the server, or in workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from superpose.circuits import ProgramResult
from superpose.errors import FunctionCodeError, FunctionInputError
from superpose.sandbox import Said
from superpose.service.quantum_functions.loaded import (
    LoadedFunction,
    Params,
    checked_params,
    checked_seed,
    checked_shots,
)

__all__ = ["CallRequest", "Finished", "Prepared", "PythonRunner", "finish", "prepare", "result_value"]


class PythonRunner(Protocol):
    """What runs a user's ``pre`` and ``post`` shut in."""

    def call(self, key: str, source: str, function: str, arguments: list[Any]) -> Said:
        """What ``function`` of a file returns.

        Raises:
            FunctionCodeError: it raised, or returned what JSON cannot say.
            FunctionLimitError: it took more than it may.
            IsolationError: users' Python cannot be run on this machine.
        """
        ...


@dataclass(frozen=True)
class CallRequest:
    """What a caller sends: any JSON as ``input``; ``shots`` and ``seed`` where not the function says them."""

    input: Any = None
    version: int | None = None
    shots: int | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Prepared:
    """What a circuit is run with."""

    params: Params
    batch: int
    shots: int | None
    seed: int | None
    logs: str = ""
    cold: bool = False

    def to_json(self) -> dict[str, object]:
        """As a job's payload holds it."""
        return {"params": dict(self.params), "shots": self.shots, "seed": self.seed, "logs": self.logs}


@dataclass(frozen=True)
class Finished:
    """A call's output, and what ``post`` printed."""

    output: Any
    logs: str = ""
    cold: bool = False


def prepare(loaded: LoadedFunction, artifact: str, asked: CallRequest, python: PythonRunner) -> Prepared:
    """Run ``pre`` where there is one, and check the parameters. The input has been held against the schema.

    Raises:
        FunctionInputError: input, shots or seed do not fit.
        FunctionCodeError, FunctionLimitError, IsolationError: see ``PythonRunner``.
    """
    content = loaded.content
    shots = _shots(content.shots, asked.shots)
    seed = None if asked.seed is None else checked_seed(asked.seed)
    names = content.circuit.parameters
    if not content.pre:
        params, batch = checked_params(asked.input, names)
        return Prepared(params, batch, shots, seed)
    said = python.call(artifact, content.source, "pre", [asked.input])
    value, options = said.value, {}
    if isinstance(value, list) and len(value) == 2 and isinstance(value[1], Mapping):  # a pair, as JSON has it
        value, options = value
    unknown = sorted(set(options) - {"shots", "seed"})
    if unknown:
        raise FunctionCodeError(f"pre may say shots and seed beside the parameters, not {unknown[:5]}.")
    if options.get("shots") is not None:
        shots = _shots(content.shots, checked_shots(options["shots"], FunctionCodeError))
    if options.get("seed") is not None:
        seed = checked_seed(options["seed"], FunctionCodeError)
    params, batch = checked_params(value, names, FunctionCodeError)
    return Prepared(params, batch, shots, seed, said.logs, said.cold)


def finish(
    loaded: LoadedFunction, artifact: str, given: Any, prepared: Prepared, result: ProgramResult, python: PythonRunner
) -> Finished:
    """Run ``post`` where there is one.

    Raises:
        FunctionCodeError, FunctionLimitError, IsolationError: see ``PythonRunner``.
    """
    content = loaded.content
    value = result_value(result, prepared)
    if not content.post:
        return Finished(value)
    said = python.call(artifact, content.source, "post", [value, given])
    return Finished(said.value, said.logs, said.cold)


def result_value(result: ProgramResult, prepared: Prepared) -> dict[str, Any]:
    """A result as ``post`` gets it, and as a function without ``post`` answers it."""
    counts = result.counts
    return {
        "counts": None if counts is None else [dict(one) for one in counts],
        "expectations": None if result.expectations is None else result.expectations.tolist(),
        "params": dict(prepared.params),
        "shots": prepared.shots,
    }


def _shots(own: int | None, asked: int | None) -> int | None:
    if asked is None:
        return own
    return checked_shots(asked, FunctionInputError)
