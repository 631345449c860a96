"""Rigetti's simulators: "rigetti:pyqvm" in this process, "rigetti:qvm" behind a QVM server's HTTP interface.

Rigetti's processors are not here: their own service (QCS) speaks gRPC and wants programs compiled by quilc. They are
reached through the providers "braket" and "azure".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import numpy as np

from superpose.backends.clouds.answers import Run, exact_body, package, present, seeded
from superpose.backends.clouds.messenger import Messenger
from superpose.backends.clouds.retry import Retry
from superpose.backends.clouds.rigetti_machines import PyQvm, QuilMachine, Qvm
from superpose.backends.clouds.rigetti_quil import EXTRA
from superpose.backends.fitting import require_fit
from superpose.backends.local import LocalBackend
from superpose.backends.measured import MeasuredProgram
from superpose.circuits import BackendInfo, BackendStatus, Capabilities, Circuit, Pricing, Program, ProgramResult
from superpose.errors import BackendUnknownError, ProviderError, SuperposeError, ToolkitMissingError

__all__ = ["RigettiBackend", "RigettiProvider"]

PYQVM, QVM = "pyqvm", "qvm"
PYQVM_QUBITS: Final = 22
"""Of PyQVM, which is slow beyond; 64 MiB of amplitudes."""
QVM_QUBITS: Final = 26
"""Where the server sets no limit: 1 GiB of amplitudes, and as much on the way here where states are asked for."""
MAX_SHOTS: Final = 1_000_000
LISTING_TIMEOUT_S: Final = 2.0
_FREE = Pricing(as_of=date(2026, 11, 26), source="this machine")


class RigettiProvider:
    """Rigetti's simulators.

    Args:
        url: Of a QVM server; None for that of Rigetti's own settings (the environment variable
            QCS_SETTINGS_APPLICATIONS_QVM_URL, or the settings file), port 5000 of this machine where they say nothing.
        timeout_s: How long one answer may take, in seconds.
        retry: How requests are tried again.
    """

    def __init__(self, url: str | None = None, *, timeout_s: float = 600.0, retry: Retry | None = None) -> None:
        self._url, self._timeout_s, self._retry = url, timeout_s, retry or Retry()

    @property
    def name(self) -> str:
        """The name "rigetti"."""
        return "rigetti"

    def list(self) -> Sequence[BackendInfo]:
        """Return both; the server is asked once, for 2 seconds at most, how many qubits it takes."""
        try:
            present("pyquil", "pyQuil", EXTRA)
        except ToolkitMissingError as error:
            return [self._line(own, None, "unavailable", str(error)) for own in (PYQVM, QVM)]
        here = self._line(PYQVM, PYQVM_QUBITS, "online", "", PyQvm.region)
        try:
            server = self._server(LISTING_TIMEOUT_S, Retry(n_tries=1))
            found = server.n_qubits()
        except SuperposeError as error:
            return [here, self._line(QVM, None, "unavailable", str(error))]
        return [here, self._line(QVM, found or QVM_QUBITS, "online", "", server.region)]

    def backend(self, name: str) -> RigettiBackend:
        """Return "pyqvm" or "qvm".

        Raises:
            BackendUnknownError: There is none of this name.
            ToolkitMissingError: pyQuil is not installed.
            ProviderError: The QVM does not answer.
        """
        package("pyquil", "pyQuil", EXTRA)
        if name == PYQVM:
            return RigettiBackend(PYQVM, PyQvm(), PYQVM_QUBITS)
        if name == QVM:
            server = self._server(self._timeout_s, self._retry)
            return RigettiBackend(QVM, server, server.n_qubits() or QVM_QUBITS)
        raise BackendUnknownError(
            f"rigetti has no backend {name!r}; it has {PYQVM}, {QVM}. Rigetti's processors are reached through the "
            "providers braket and azure.",
            name=name,
            allowed=[PYQVM, QVM],
        )

    def _server(self, timeout_s: float, retry: Retry) -> Qvm:
        return Qvm(Messenger(self.name, self._url or _settings_url(), dict, timeout_s), retry)

    def _line(
        self, own: str, n_qubits: int | None, status: BackendStatus, note: str, region: str | None = None
    ) -> BackendInfo:
        return BackendInfo(
            name=f"{self.name}:{own}",
            provider=self.name,
            n_qubits=n_qubits,
            kind="simulator",
            status=status,
            note=note,
            region=region,
        )


class RigettiBackend:
    """A simulator of Rigetti's; made by `RigettiProvider`.

    The machines take one circuit at a time: a program is a run, or a request, for each batch entry, and for each
    measurement setting where shots are asked for. For the QVM each template is written in Quil once; values travel as
    moves into its memory.
    """

    def __init__(self, own: str, machine: QuilMachine, max_qubits: int) -> None:
        self._own, self._machine, self._max_qubits = own, machine, max_qubits

    @property
    def name(self) -> str:
        """The name, "rigetti:qvm"."""
        return f"rigetti:{self._own}"

    @property
    def region(self) -> str | None:
        """The region "here" of PyQVM and of a QVM on this machine; None of another server."""
        return self._machine.region

    def capabilities(self) -> Capabilities:
        """Return what it can do."""
        return Capabilities(
            max_qubits=self._max_qubits,
            max_shots=MAX_SHOTS,
            exact=True,
            state_vectors=True,
            simulator=True,
            mid_circuit=True,
            reset=True,
            feed_forward=True,
            parametric=self._own == QVM,
            pricing=_FREE,
        )

    def run(self, program: Program) -> ProgramResult:
        """Run ``program``; see `Program` for what comes back.

        Counts follow the program's seed, as far as the machine does: a QVM that shares shots among threads does not.

        Raises:
            ToolkitMissingError: pyQuil is not installed.
            UnsupportedProgramError: It does not fit, or asks for exact values of a circuit that measures or resets
                before its end.
            ProviderError: The machine could not run it.
        """
        require_fit(program, self.capabilities(), self.name)
        program, run = seeded(program), Run(self.name)
        rows = self._rows(program)
        if program.shots is not None:
            measured = MeasuredProgram(program)
            counts = self._counts(measured, rows, program.seed or 0)
            return measured.result(counts, self._provenance(run, program))
        states = np.array(self._machine.states(exact_body(program.circuit, self.name), rows))  # (batch, 2**n_qubits)
        if not program.observables:
            return ProgramResult(
                state_vectors=states.astype(np.complex64) if program.dtype == "float32" else states,
                provenance=self._provenance(run, program),
            )
        states /= np.linalg.norm(states, axis=1, keepdims=True)  # which rounding has moved
        asked = Program(Circuit(program.circuit.n_qubits), {}, program.observables, initial_state=states)
        found = LocalBackend().run(asked).expectations
        return ProgramResult(expectations=found, provenance=self._provenance(run, program))

    def _rows(self, program: Program) -> list[dict[str, float]]:
        names = program.circuit.parameters
        return [dict(zip(names, row, strict=True)) for row in program.param_matrix().tolist()]

    def _counts(self, measured: MeasuredProgram, rows: list[dict[str, float]], seed: int) -> list[dict[str, int]]:
        """Counts of each circuit, entry by entry."""
        batch, n_settings = len(rows), measured.n_settings
        seeds = np.random.SeedSequence(seed).generate_state(batch * n_settings).reshape(batch, n_settings)
        found = [
            self._machine.counts(template, rows, measured.shots, seeds[:, setting].tolist())
            for setting, template in enumerate(measured.templates)
        ]
        return [found[setting][entry] for entry in range(batch) for setting in range(n_settings)]

    def _provenance(self, run: Run, program: Program) -> dict[str, Any]:
        return run.provenance(program, **self._machine.facts())


def _settings_url() -> str:
    """Where Rigetti's settings say that the QVM is.

    Raises:
        ToolkitMissingError: Rigetti's client is not installed.
        ProviderError: The settings cannot be read.
    """
    client = package("qcs_sdk", "Rigetti's client (qcs-sdk-python)", EXTRA)
    try:
        return str(client.QCSClient.load().qvm_url)
    except RuntimeError as error:
        raise ProviderError(
            f"Rigetti's settings cannot be read ({error}). Correct them, or give the URL.",
            provider="rigetti",
            provider_job_id=None,
            retryable=False,
        ) from error
