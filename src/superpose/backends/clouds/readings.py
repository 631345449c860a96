"""What is needed to put a program's counts together again, small enough to travel with the run.

Whoever fetches a result, in another process or on another day, has only the provider's id of the run. So the adapter
leaves a reading with the provider: the program without its gates and values.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from superpose import __version__
from superpose.backends.measured import MeasuredProgram
from superpose.circuits import Circuit, Parameter, Program
from superpose.errors import SuperposeError, UnsupportedProgramError

__all__ = ["Reading"]

_ENTRY = "e"
MAX_BYTES = 64 * 1024 * 1024
"""Of a reading unpacked: what a provider gives back is not believed to be small."""


@dataclass(frozen=True)
class Reading:
    """How a program's counts become its result.

    Attributes:
        measured: A program of the same bits, batch, observables and shots, without the gates.
        digest: Of the program itself.
        seed: With which counts are drawn where the provider computes probabilities; where it measures, what the
            program says, if anything.
    """

    measured: MeasuredProgram
    digest: str
    seed: int | None = None

    @classmethod
    def of(cls, program: Program, seed: int | None = None) -> Reading:
        """Return the reading of ``program``.

        Raises:
            UnsupportedProgramError: It cannot be measured; see `MeasuredProgram`.

        >>> program = Program(Circuit(2).h(0).cx(0, 1), {}, shots=10)
        >>> reading = Reading.unpacked(Reading.of(program).packed())
        >>> reading.measured.result([{"00": 4, "11": 6}], {}).counts
        ({'00': 4, '11': 6},)
        """
        circuit = program.circuit
        bare = Circuit(circuit.n_qubits, n_bits=circuit.n_bits)
        params: dict[str, Any] = {}
        if program.batch > 1 or circuit.parameters or program.feature_map is not None:
            bare.rz(Parameter(_ENTRY), 0)
            params[_ENTRY] = np.zeros(program.batch)
        bare.extend(circuit.without_final_measurements()[1])
        stripped = Program(bare, params, program.observables, shots=program.shots)
        return cls(MeasuredProgram(stripped), program.digest, seed)

    def packed(self) -> str:
        """Return the reading as text of letters, digits, "-", "_" and "="."""
        from superpose.circuits import program_to_json

        document = {"program": program_to_json(self.measured.program), "digest": self.digest, "seed": self.seed}
        return base64.urlsafe_b64encode(zlib.compress(json.dumps(document).encode(), 9)).decode()

    def parted(self, key: str, size: int, max_parts: int, where: str) -> dict[str, str]:
        """Return the reading in parts, for providers that keep short texts with a run.

        Args:
            key: Of each part, with braces for its number: "superpose-{}".
            size: Letters of a part at most.
            max_parts: How many there may be.
            where: What holds them, for the error: "a quantum task's tags".

        Raises:
            UnsupportedProgramError: They are more.

        >>> program = Program(Circuit(2).h(0).cx(0, 1), {}, shots=10)
        >>> parts = Reading.of(program).parted("part-{}", 100, 9, "a run")
        >>> list(parts)[:2], Reading.rejoined(parts, "part-{}").digest == program.digest
        (['part-0', 'part-1'], True)
        """
        text = self.packed()
        if len(text) > size * max_parts:
            raise UnsupportedProgramError(
                f"The program's observables take {len(text):,} characters, packed; at most {size * max_parts:,} go "
                f"into {where}. Ask for fewer terms at once."
            )
        return {key.format(start // size): text[start : start + size] for start in range(0, len(text), size)}

    @classmethod
    def rejoined(cls, fields: Mapping[str, Any], key: str) -> Reading:
        """Return the reading whose parts `parted` put under ``key``, among whatever else is there.

        Raises:
            ValueError: There is none.
        """
        parts: list[str] = []
        while (part := fields.get(key.format(len(parts)))) is not None:
            parts.append(str(part))
        return cls.unpacked("".join(parts))

    def provenance(
        self, backend: str, provider_job_id: str, elapsed_s: float, facts: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return how the result came about; see `ProgramResult`.

        Args:
            backend: Its name.
            provider_job_id: Of the run.
            elapsed_s: From taking the program to the end of its run, as the provider says, in seconds.
            facts: More of it, in JSON values.
        """
        return {
            "backend": backend,
            "version": __version__,
            "provider_job_id": provider_job_id,
            "program_digest": self.digest,
            "shots": self.measured.shots,
            "n_circuits": len(self.measured.circuits),
            "seed": self.seed,
            "elapsed_s": elapsed_s,
            **facts,
        }

    @classmethod
    def unpacked(cls, text: str) -> Reading:
        """Return the reading that `packed` wrote.

        Raises:
            ValueError: It is none.
        """
        from superpose.circuits import program_from_json

        try:
            reader = zlib.decompressobj()
            content = reader.decompress(base64.urlsafe_b64decode(text.encode()), MAX_BYTES)
            document = json.loads(content)
            seed = document["seed"]
            program = program_from_json(document["program"])
            return cls(MeasuredProgram(program), str(document["digest"]), None if seed is None else int(seed))
        except (KeyError, TypeError, ValueError, binascii.Error, zlib.error, SuperposeError) as error:
            raise ValueError(f"no reading of a program: {error!r}") from None
