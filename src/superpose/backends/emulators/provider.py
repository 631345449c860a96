"""The provider of calibrated emulators."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Mapping, Sequence

from superpose.backends.emulators.backend import EmulatedBackend
from superpose.backends.emulators.google_snapshots import GoogleSnapshot, google_snapshots
from superpose.backends.emulators.ibm_snapshots import IbmSnapshot, ibm_snapshots
from superpose.circuits import BackendInfo, Calibration
from superpose.errors import BackendUnknownError, ToolkitMissingError

__all__ = ["EmulatorProvider"]

_INSTALL = "pip install 'superpose[emulators]' brings it"
_SOURCES = (
    ("qiskit-ibm-runtime", "IBM's processors", ibm_snapshots),
    ("cirq-google", "Google's processors", google_snapshots),
)
_made: dict[str, EmulatedBackend] = {}
_made_lock = threading.Lock()


class EmulatorProvider:
    """Offers an emulator for each snapshot of a processor that qiskit-ibm-runtime and cirq-google ship.

    >>> EmulatorProvider().name
    'emulator'
    """

    @property
    def name(self) -> str:
        """The name "emulator"."""
        return "emulator"

    def list(self) -> Sequence[BackendInfo]:
        """Return a line for each emulator, and one for each package that is missing.

        Cost: 10 ms for 70 of them: neither is a package imported nor a calibration read.
        """
        snapshots, missing = _snapshots()
        lines = [
            BackendInfo(
                name=f"{self.name}:{name}",
                provider=self.name,
                n_qubits=snapshot.n_qubits,
                kind="emulator",
                status="online",
                calibration_at=snapshot.taken_at,
                region="here",
            )
            for name, snapshot in snapshots.items()
        ]
        for package, what in missing.items():
            note = f"Calibrations of {what} come with {package}, which is not installed; {_INSTALL}."
            lines.append(
                BackendInfo(
                    name=self.name,
                    provider=self.name,
                    n_qubits=None,
                    kind="emulator",
                    status="unavailable",
                    note=note,
                )
            )
        return lines

    def backend(self, name: str) -> EmulatedBackend:
        """Return the emulator of this name, "ibm_fez"; the same one in each call, so that its cache is shared.

        Raises:
            BackendUnknownError: There is none; the message names the closest ones.
            ToolkitMissingError: The package with its calibration is not installed.
        """
        with _made_lock:
            if name not in _made:
                _made[name] = self._backend(name)
            return _made[name]

    def _backend(self, name: str) -> EmulatedBackend:
        snapshots, missing = _snapshots()
        if name not in snapshots:
            if missing:
                raise ToolkitMissingError(
                    f"There is no emulator {name!r} without {' and '.join(missing)}; {_INSTALL}.",
                    toolkit=", ".join(missing),
                    extra="emulators",
                )
            close = difflib.get_close_matches(name[:100], snapshots, n=3)
            known = f"did you mean {', '.join(close)}?" if close else f"there are {', '.join(snapshots)}."
            raise BackendUnknownError(
                f"There is no emulator {name[:100]!r}; {known}", name=name[:100], allowed=list(snapshots)
            )
        snapshot, full = snapshots[name], f"{self.name}:{name}"

        def read() -> Calibration:
            return snapshot.calibration(full)

        return EmulatedBackend(full, read)


def _snapshots() -> tuple[dict[str, IbmSnapshot | GoogleSnapshot], Mapping[str, str]]:
    """Snapshots by name, and the packages that are missing, with whose processors they describe."""
    found: dict[str, IbmSnapshot | GoogleSnapshot] = {}
    missing = {}
    for package, what, look in _SOURCES:
        some = look()
        if some is None:
            missing[package] = what
        else:
            found.update(some)
    return found, missing
