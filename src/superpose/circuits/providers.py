"""What backends of clouds have beyond `Backend`: providers, estimates, calibrations, states of remote runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from superpose.circuits.calibration import Calibration
from superpose.circuits.circuit import Circuit
from superpose.circuits.execution import Backend, QueueingBackend
from superpose.circuits.program import Program

__all__ = [
    "BackendInfo",
    "BackendKind",
    "BackendStatus",
    "CalibratedBackend",
    "CancellingBackend",
    "Estimate",
    "EstimatingBackend",
    "ListedBackend",
    "LocatedBackend",
    "Provider",
    "QueueState",
    "QueueTellingBackend",
    "ReportingBackend",
    "RunStatus",
    "SessionBackend",
    "TranspilingBackend",
    "VerbatimBackend",
    "WrappingBackend",
]

BackendKind: TypeAlias = Literal["simulator", "emulator", "qpu"]
"""Computed without noise of a processor; computed as a calibrated processor would err; measured."""

BackendStatus: TypeAlias = Literal["online", "offline", "unavailable"]
"""Takes programs; takes none now; cannot be reached from here (no credentials, a package is missing)."""


class RunStatus(StrEnum):
    """Where a program is that was handed over to a provider."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether it stays so."""
        return self in (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a run is expected to give and to take; None where nothing is known.

    Attributes:
        fidelity: Probability that a shot is free of errors, in 0 .. 1.
        price_usd: In US dollars; 0 where nothing is charged.
        wait_s: Time in the queue, in seconds.
        run_s: Time on the backend, in seconds.
        notes: How this was found, in JSON values: calibration epoch, price table, number of two-qubit gates.
    """

    fidelity: float | None = None
    price_usd: float | None = None
    wait_s: float | None = None
    run_s: float | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendInfo:
    """A line of the list of backends.

    Attributes:
        name: As `superpose.run` takes it, "emulator:ibm_fez".
        provider: Who offers it.
        n_qubits: Largest circuit, or None where memory decides.
        kind: Of backend; None where it could not be asked.
        status: Whether it takes programs.
        calibration_at: Time of its calibration, aware; None where it has none.
        region: Where programs and results go, in the provider's own word, "eu-north-1"; "here" for this machine; None
            where that is not told.
        note: Why it is unavailable and what to do, or what else is worth knowing.
    """

    name: str
    provider: str
    n_qubits: int | None
    kind: BackendKind | None
    status: BackendStatus
    calibration_at: datetime | None = None
    note: str = ""
    region: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """What a provider says about the queue before a backend.

    Attributes:
        n_ahead: Runs that wait or run.
        run_s: How long one takes on average, in seconds; None where that is not told.
        at: When this was so, aware.
    """

    n_ahead: int
    at: datetime
    run_s: float | None = None


@runtime_checkable
class Provider(Protocol):
    """Offers backends. Installed packages register one, or a callable that makes one, as an entry point of the group
    ``superpose.providers``; the entry point's name is what stands before the colon in the names of its backends."""

    @property
    def name(self) -> str:
        """What stands before the colon: "emulator", "ibm"."""
        ...

    def list(self) -> Sequence[BackendInfo]:
        """Return what is offered, at once and without error: what cannot be reached is listed as unavailable, by one
        line with the provider's name where its backends are not known."""
        ...

    def backend(self, name: str) -> Backend:
        """Return the backend of this name, without what stands before the colon.

        Raises:
            BackendUnknownError: There is none; the message lists what there is.
            ToolkitMissingError, ProviderError: A package is missing; the provider does not let us in.
        """
        ...


@runtime_checkable
class LocatedBackend(Backend, Protocol):
    """A backend that tells where programs go."""

    @property
    def region(self) -> str | None:
        """Where programs and results go, in the provider's own word, "eu-north-1"; "here" for this machine; None where
        the provider does not tell it."""
        ...


@runtime_checkable
class WrappingBackend(Backend, Protocol):
    """A backend that hands programs on to others: mitigation, cutting, a fleet."""

    @property
    def wrapped(self) -> tuple[Backend, ...]:
        """Those to which it hands programs on."""
        ...


@runtime_checkable
class ListedBackend(Backend, Protocol):
    """A backend that says its line of the list itself, without loading what it runs on."""

    def info(self) -> BackendInfo:
        """Return the line.

        Raises:
            ToolkitMissingError: What it runs on is not installed.
        """
        ...


@runtime_checkable
class CalibratedBackend(Backend, Protocol):
    """A backend that tells what was measured about its processor."""

    def calibration(self) -> Calibration:
        """Return the latest snapshot.

        Raises:
            ProviderError: It cannot be had.
        """
        ...


@runtime_checkable
class EstimatingBackend(Backend, Protocol):
    """A backend that knows what a run will take, better than a model from outside does."""

    def estimate(self, program: Program) -> Estimate:
        """Return what a run of ``program`` is expected to give and to take. Nothing is run or charged.

        Raises:
            UnsupportedProgramError: It cannot run here.
        """
        ...


@runtime_checkable
class TranspilingBackend(CalibratedBackend, Protocol):
    """A backend that shows a circuit as it would run it."""

    def transpiled(self, circuit: Circuit) -> Circuit:
        """Return the circuit over all qubits of the processor, in native gates on qubits they are calibrated for.

        Classical bits stay as they are; a measurement is of the qubit in which it finds what it reads; parameters may
        stay free. Nothing is run or charged.

        Raises:
            UnsupportedProgramError: It cannot run here.
        """
        ...


@runtime_checkable
class VerbatimBackend(TranspilingBackend, Protocol):
    """A backend that also runs circuits that are already over its own qubits, so that two circuits meet the same errors
    where they are the same."""

    def verbatim(self) -> Backend:
        """Return the backend that runs such circuits as they are, each on the qubits it names.

        It takes what `transpiled` gives and what is made of it from native gates, delays and barriers; programs ask for
        counts of the bits that the circuit measures into. Gates are not moved, merged or left out.
        """
        ...


@runtime_checkable
class QueueTellingBackend(Backend, Protocol):
    """A backend that says how many wait before it."""

    def queue(self) -> QueueState:
        """Return what the provider says now.

        Raises:
            ProviderError: It cannot be asked.
        """
        ...


@runtime_checkable
class SessionBackend(QueueingBackend, Protocol):
    """A backend that keeps its processor for the programs of a loop, one after the other."""

    @property
    def session_id(self) -> str | None:
        """The provider's id of the session in which programs run now; None outside of any, or where it has no id."""
        ...

    def in_session(self, session_id: str | None = None) -> SessionBackend:
        """Return this backend with all its programs in one session, to be closed with ``close``.

        Args:
            session_id: The session, which another process may have opened; where it has ended, the next program opens
                another one, and the property ``session_id`` tells. None opens one now.

        Raises:
            ProviderError: The provider could not be asked.
        """
        ...

    def close(self) -> None:
        """Close the session: what was handed over runs to its end. Nothing happens where none is open.

        Raises:
            ProviderError: The provider could not be asked.
        """
        ...


@runtime_checkable
class CancellingBackend(QueueingBackend, Protocol):
    """A backend whose runs can be called off."""

    def cancel(self, provider_job_id: str) -> None:
        """Ask that the run be called off; nothing happens where it has ended.

        Raises:
            ProviderError: The provider could not be asked, or knows no such run.
        """
        ...


@runtime_checkable
class ReportingBackend(CancellingBackend, Protocol):
    """A backend that says where a run is."""

    @property
    def status_table(self) -> Mapping[str, RunStatus]:
        """What each of the provider's own words means; a word that is not there raises `ProviderError`."""
        ...

    def status(self, provider_job_id: str) -> RunStatus:
        """Return where the run is.

        Raises:
            ProviderError: The provider could not be asked (retryable), knows no such run, or uses an unknown word. A
                run is never taken for failed because its status could not be read.
        """
        ...
