"""Tapes kept between processes, so that a large circuit is compiled once per machine rather than once per process.

A file is a line of JSON (frame, phase, layout) and the tape's two arrays, behind the digest of
`superpose.engine.private_files`; it is named by a digest of circuit, observables, inputs and precision and lies in a
directory named by a digest of the sources that write tapes. What cannot be read is compiled again. Circuits of fewer
than 300 gates are not kept: their tape is written in the time that a process needs for finding its first one.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from superpose.circuits import Affine, Circuit, Observable
from superpose.engine import private_files
from superpose.engine.frame import Frame
from superpose.engine.layouts import Layout
from superpose.engine.lowering import Lowered
from superpose.engine.tape import Tape

__all__ = ["MIN_GATES", "TapeFile", "Written"]

MIN_GATES: Final = 300
"""Gates of a circuit from which on its tapes are kept. For 10 qubits on one Xeon core the tape of 300 gates takes 4 ms,
that of 3000 50 ms; reading them takes 0.4 and 1.3 ms, and looking at the sources 3 ms once per process."""
MAX_BYTES: Final = 256 << 20
"""Size of all tapes together above which those are removed that were not used for longest, until half of it is left."""
_SOURCES: Final = ("engine/*.py", "engine/passes/*.py", "engine/kernels/l*.py", "circuits/gate*.py", "circuits/p*.py")


class Written(NamedTuple):
    """A tape and what is needed beside it.

    Attributes:
        tape: The tape.
        layout: Where amplitudes lie at its end.
        lowered: What it was written from; read from a file, it has the frame and the phase only.
    """

    tape: Tape
    layout: Layout
    lowered: Lowered


class TapeFile:
    """Where a program's tape in one layout is kept."""

    def __init__(
        self, circuit: Circuit, observables: Sequence[Observable], given: tuple[Sequence[str], str], *, wide: bool
    ) -> None:
        inputs, dtype = given
        asked = [circuit.digest, [[o.n_qubits, o.terms] for o in observables], list(inputs), dtype, wide]
        self._name = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
        self._n_bits = circuit.n_qubits

    def read(self) -> Written | None:
        """Return what was kept, or None."""
        try:
            directory = private_files.base_directory() / _directory()
        except RuntimeError:  # no home directory
            return None
        path = directory / self._name
        if not path.exists() or private_files.untrusted(directory) is not None:
            return None
        content = private_files.read(path)
        if content is None:
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # used last now
        return _unpacked(content)

    def write(self, written: Written) -> None:
        """Keep a tape where that can be; make room for it."""
        directory, _ = private_files.open_directory(_directory())
        if directory is None:
            return
        content = _packed(written)
        if len(content) <= MAX_BYTES // 4:
            private_files.write(directory / self._name, content)
            if self._name[0] == "0":  # a sixteenth of all writes: with many files the look around takes long
                _make_room(directory)


@functools.cache
def _directory() -> str:
    """Return a name that changes with every source that a tape depends on."""
    root, digest = Path(__file__).parent.parent, hashlib.sha256()
    for pattern in _SOURCES:
        for path in sorted(root.glob(pattern)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return f"tapes-{digest.hexdigest()[:24]}"


def _packed(written: Written) -> bytes:
    tape, layout, lowered = written
    frame = lowered.frame
    head = {
        "n_qubits": lowered.n_qubits,
        "n_observables": lowered.n_observables,
        "frame": [frame.x, frame.z, frame.origin, frame.quarters],
        "phase": [[angle.terms, angle.constant, factor] for angle, factor in lowered.phase],
        "layout": [layout.n_lane_bits, layout.x_images, layout.z_images, layout.is_identity],
        "sizes": [tape.ints.size, tape.floats.size],
    }
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8 - 1 & 7) + b"\n"  # numbers start on multiples of 8 bytes
    return text + tape.ints.tobytes() + tape.floats.tobytes()


def _unpacked(content: bytes) -> Written:
    start = content.index(b"\n") + 1
    head: dict[str, Any] = json.loads(content[:start])
    n_ints, n_floats = head["sizes"]
    ints = np.frombuffer(content, np.int64, n_ints, start)
    floats = np.frombuffer(content, np.float64, n_floats, start + ints.nbytes)
    frame = Frame(head["n_qubits"])
    x, z, frame.origin, frame.quarters = head["frame"]
    frame.x, frame.z = [(a, b, k) for a, b, k in x], [(a, b, k) for a, b, k in z]
    n_lane_bits, *images, is_identity = head["layout"]
    layout = Layout(head["n_qubits"], n_lane_bits)
    (layout.x_images, layout.z_images), layout.is_identity = images, is_identity
    phase = tuple((Affine(tuple(map(tuple, terms)), constant), factor) for terms, constant, factor in head["phase"])
    return Written(
        Tape(ints, floats), layout, Lowered(head["n_qubits"], [], 0, {}, head["n_observables"], frame, phase)
    )


def _make_room(directory: Path) -> None:
    """Remove the tapes that were not used for longest, where all together, of older engines too, are too large."""
    with contextlib.suppress(OSError):  # another process may remove them too
        files = [file for place in directory.parent.glob("tapes-*") for file in os.scandir(place)]
        found = sorted((file.stat().st_mtime, file.stat().st_size, file.path) for file in files)
        total = sum(size for _, size, _ in found)
        if total <= MAX_BYTES:
            return
        for _, size, path in found:
            Path(path).unlink(missing_ok=True)
            total -= size
            if total <= MAX_BYTES // 2:
                return
