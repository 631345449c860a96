"""Rigetti's simulators: PyQVM in this process, and the Quantum Virtual Machine (QVM) behind its HTTP interface.

Source of the QVM's interface: github.com/quil-lang/qvm, app/src/handle-request.lisp, server-abstraction.lisp,
api/*.lisp (requests of the types "version", "info", "multishot" and its one for amplitudes); its client in
github.com/rigetti/qcs-sdk-rust, crates/lib/src/qvm/http.rs.
"""

from __future__ import annotations

import threading
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from superpose.backends.clouds.answers import package
from superpose.backends.clouds.draws import bits_of, drawn
from superpose.backends.clouds.messenger import Answer, Messenger
from superpose.backends.clouds.retry import RETRYABLE_STATUSES, Retry
from superpose.backends.clouds.rigetti_quil import EXTRA, QuilText, plain, pyquil_of
from superpose.circuits import Affine, Circuit, Instruction, Parameter, walk
from superpose.errors import ProviderError, SuperposeError

__all__ = ["PyQvm", "QuilMachine", "Qvm"]

Values = Mapping[str, float]
State = npt.NDArray[np.complex128]
_NAMES: Final = {"amplitudes": "wavefunction"}
"""The QVM's word for a type of request where ours is another."""


Counts = dict[str, int]


class QuilMachine(Protocol):
    """What runs Quil."""

    @property
    def region(self) -> str | None:
        """The region "here" for this machine; None where it is not known."""
        ...

    def facts(self) -> dict[str, Any]:
        """Return what it says about itself, in JSON values."""
        ...

    def states(self, template: Circuit, rows: Sequence[Values]) -> list[State]:
        """Return the final state for each row of values, ``(2**n_qubits,)`` each, qubit 0 the highest bit."""
        ...

    def counts(self, template: Circuit, rows: Sequence[Values], shots: int, seeds: Sequence[int]) -> list[Counts]:
        """Return counts for each row of values, bit 0 leftmost, each with its own seed."""
        ...


class PyQvm:
    """PyQuil's own machine, in pure Python.

    Circuits that measure at their ends only are computed once, and their counts drawn; others run shot by shot. Its
    gates take numbers only, so values are bound before.
    """

    region = "here"

    def facts(self) -> dict[str, Any]:
        """Return pyQuil's version."""
        return {"pyquil": package("pyquil", "pyQuil", EXTRA).__version__}

    def states(self, template: Circuit, rows: Sequence[Values]) -> list[State]:
        """See `QuilMachine`. Cost: ``2**n_qubits`` numbers per gate, some 20 us for each gate of a small circuit."""
        return [self._state(template.bind(_bound(row))) for row in rows]

    def counts(self, template: Circuit, rows: Sequence[Values], shots: int, seeds: Sequence[int]) -> list[Counts]:
        """See `QuilMachine`. Cost: as ``states``; for circuits that measure in the middle, that for each shot."""
        body, _ = template.without_final_measurements()
        ends = all(isinstance(item, Instruction) for item in walk(plain(body).instructions))
        run = self._drawn if ends else self._shot_by_shot
        return [run(template.bind(_bound(row)), shots, seed) for row, seed in zip(rows, seeds, strict=True)]

    def _state(self, circuit: Circuit) -> State:
        machine = _executed(pyquil_of(plain(circuit)), circuit.n_qubits, None)
        return np.asarray(machine.wf_simulator.wf, np.complex128).reshape(-1)

    def _drawn(self, circuit: Circuit, shots: int, seed: int) -> Counts:
        body, _ = circuit.without_final_measurements()
        state = self._state(Circuit(circuit.n_qubits).extend(body.instructions))
        return bits_of(circuit, drawn(np.abs(state) ** 2, shots, seed, 0))

    def _shot_by_shot(self, circuit: Circuit, shots: int, seed: int) -> Counts:
        program = pyquil_of(plain(circuit, resets=False))
        (region,) = [name for name, item in program.declarations.items() if item.memory_type == "BIT"]
        machine = _executed(program.wrap_in_numshots_loop(shots), circuit.n_qubits, seed)
        return _tally(machine.read_memory(region_name=region)[:, : circuit.n_bits].tolist())


_ONE_AT_A_TIME = threading.Lock()
"""PyQVM is pure Python; and Python's filters of warnings, which are changed around it, are not made for threads."""


def _executed(program: Any, n_qubits: int, seed: int | None) -> Any:
    """PyQVM after a program."""
    package("pyquil", "pyQuil", EXTRA)
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # "deprecated ...; we recommend continuing to use this API"
        warnings.simplefilter("ignore", DeprecationWarning)  # pyQuil's own calls
        from pyquil.pyqvm import PyQVM

        return PyQVM(n_qubits, seed=seed).execute(program)


class Qvm:
    """A QVM server.

    It answers each request at once; a request costs nothing but time and is sent again after failures that may pass.

    Args:
        messenger: Who is asked.
        retry: How often.
    """

    def __init__(self, messenger: Messenger, retry: Retry) -> None:
        self._messenger, self._retry = messenger, retry

    @property
    def region(self) -> str | None:
        """The region "here" of a server on this machine; None of another one, for an address tells no country."""
        return "here" if self._messenger.on_loopback else None

    def facts(self) -> dict[str, Any]:
        """Return its version.

        Raises:
            ProviderError: It could not be asked.
        """
        return {"qvm": self._ask({"type": "version"}, lambda answer: answer.content.decode().strip(), raw=True)}

    def n_qubits(self) -> int | None:
        """Return the largest circuit that it takes; None where it sets no limit.

        Raises:
            ProviderError: It could not be asked.
        """

        def limit(answer: Answer) -> int | None:
            told = str(answer.document["qubit-limit"])
            return int(told) if told.isdecimal() else None

        found: int | None = self._ask({"type": "info"}, limit)
        return found

    def states(self, template: Circuit, rows: Sequence[Values]) -> list[State]:
        """See `QuilMachine`. Cost: one request a row.

        Raises:
            ProviderError: It could not run the program.
        """
        text, n_qubits = QuilText.of(template), template.n_qubits

        def amplitudes(answer: Answer) -> State:
            if len(answer.content) != 16 << n_qubits:
                raise ValueError(f"{len(answer.content)} bytes of amplitudes, expected were {16 << n_qubits}")
            lowest_first = np.frombuffer(answer.content, ">c16").astype(np.complex128).reshape((2,) * n_qubits)
            return np.ascontiguousarray(lowest_first.transpose()).reshape(-1)  # its qubit 0 is the lowest bit

        kind = _NAMES["amplitudes"]
        return [self._ask({"type": kind, "compiled-quil": text.at(row)}, amplitudes, raw=True) for row in rows]

    def counts(self, template: Circuit, rows: Sequence[Values], shots: int, seeds: Sequence[int]) -> list[Counts]:
        """See `QuilMachine`. Cost: one request a row.

        Raises:
            ProviderError: It could not run the program.
        """
        text, n_bits = QuilText.of(template), template.n_bits

        def tally(answer: Answer) -> Counts:
            found = answer.document[text.bits]
            if len(found) != shots or any(len(row) != n_bits or not set(row) <= {0, 1} for row in found):
                raise ValueError(f"{len(found)} shots, expected were {shots} of {n_bits} bits")
            return _tally(found)

        def request(row: Values, seed: int) -> dict[str, Any]:
            asked = {"type": "multishot", "addresses": {text.bits: True}, "trials": shots, "rng-seed": seed}
            return {**asked, "compiled-quil": text.at(row)}

        return [self._ask(request(row, seed), tally) for row, seed in zip(rows, seeds, strict=True)]

    def _ask(self, request: Mapping[str, Any], read: Callable[[Answer], Any], *, raw: bool = False) -> Any:
        def once() -> Any:
            answer = self._messenger.send("POST", "", dict(request), as_json=not raw)
            if answer.status != 200 or answer.failure is not None:
                raise _refused(answer) from answer.failure
            try:
                return read(answer)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise _problem(f"answered with what cannot be read: {error!r}", retryable=True) from None

        return self._retry.call(once)


def _refused(answer: Answer) -> SuperposeError:
    told = answer.document.get("status") if isinstance(answer.document, Mapping) else None
    if answer.status == 0:
        how = "Start one (qvm -S), or name another one in QCS_SETTINGS_APPLICATIONS_QVM_URL"
        return _problem(f"does not answer ({answer.failure}). {how}", retryable=True)
    if answer.status == 500 and told is not None:  # which is how it says that a program fails
        return _problem(f"could not run the program: {told}", retryable=False)
    if answer.status == 200:
        return _problem("answered with what is no JSON, perhaps cut short", retryable=True)
    return _problem(
        f"answered with HTTP status {answer.status}",
        retryable=answer.status in RETRYABLE_STATUSES,
        retry_after_s=answer.retry_after_s,
    )


def _problem(what: str, *, retryable: bool, retry_after_s: float | None = None) -> ProviderError:
    return ProviderError(
        f"The QVM {what}.", provider="rigetti", provider_job_id=None, retryable=retryable, retry_after_s=retry_after_s
    )


def _bound(row: Values) -> dict[str | Parameter, Affine | float]:
    return dict(row.items())


def _tally(rows: Sequence[Sequence[int]]) -> Counts:
    return dict(Counter("".join(map(str, row)) for row in rows))
