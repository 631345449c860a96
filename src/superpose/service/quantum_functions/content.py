"""What one version of a function consists of, as it is stored: JSON, with nothing to execute to read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from superpose.circuits import Circuit, Observable, circuit_from_json, circuit_to_json
from superpose.errors import ArtifactError, SuperposeError
from superpose.service.quantum_functions.schema import schema_of
from superpose.service.store.database import json_text

__all__ = ["Content"]

_FORMAT = "superpose.quantum_function"


@dataclass(frozen=True)
class Content:
    """A function's circuit, question and Python.

    Attributes:
        file_name: of the file that was sent.
        source: its text.
        toolkit: whose circuit it defined; "superpose" for our own documents and OpenQASM.
        circuit: the circuit, parameters symbolic.
        observables: what is measured; without any, counts.
        shots: measurements for each set of parameters; None is exact.
        schema: the user's JSON Schema of inputs, or None.
        pre, post: whether the source defines these functions.
        backend: where the circuit runs.
    """

    file_name: str
    source: str = field(repr=False)
    toolkit: str
    circuit: Circuit
    observables: tuple[Observable, ...] = ()
    shots: int | None = None
    schema: Mapping[str, Any] | None = field(default=None, repr=False)
    pre: bool = False
    post: bool = False
    backend: str = "local"

    @property
    def has_python(self) -> bool:
        """Whether calls run Python of the user's."""
        return self.pre or self.post

    @property
    def input_schema(self) -> dict[str, Any]:
        """The schema that inputs are held against: any JSON fits where ``pre`` reads it and nothing else is said."""
        if self.schema is not None:
            return dict(self.schema)
        return {} if self.pre else schema_of(self.circuit.parameters)

    def summary(self) -> dict[str, object]:
        """What lists and descriptions show."""
        return {
            "file_name": self.file_name,
            "toolkit": self.toolkit,
            "n_qubits": self.circuit.n_qubits,
            "n_instructions": len(self.circuit.instructions),
            "parameters": list(self.circuit.parameters),
            "observables": [dict(observable.terms) for observable in self.observables],
            "shots": self.shots,
            "pre": self.pre,
            "post": self.post,
            "backend": self.backend,
            "input_schema": self.input_schema,
        }

    def to_bytes(self) -> bytes:
        """The stored form; equal contents give equal bytes."""
        document = {
            "format": _FORMAT,
            "version": 1,
            "file_name": self.file_name,
            "source": self.source,
            "toolkit": self.toolkit,
            "circuit": circuit_to_json(self.circuit),
            "observables": [dict(observable.terms) for observable in self.observables],
            "shots": self.shots,
            "schema": None if self.schema is None else dict(self.schema),
            "pre": self.pre,
            "post": self.post,
            "backend": self.backend,
        }
        return json_text(document).encode("utf-8")

    @classmethod
    def from_bytes(cls, content: bytes) -> Content:
        """The content that ``to_bytes`` stored.

        Raises:
            ArtifactError: it is of another form, such as a newer release's.
        """
        try:
            document = json.loads(content)
            if document["format"] != _FORMAT or document["version"] != 1:
                raise ValueError("another format")
            circuit = circuit_from_json(document["circuit"])
            return cls(
                file_name=str(document["file_name"]),
                source=str(document["source"]),
                toolkit=str(document["toolkit"]),
                circuit=circuit,
                observables=tuple(Observable(terms, circuit.n_qubits) for terms in document["observables"]),
                shots=document["shots"],
                schema=document["schema"],
                pre=bool(document["pre"]),
                post=bool(document["post"]),
                backend=str(document["backend"]),
            )
        except (ValueError, KeyError, TypeError, SuperposeError) as error:
            raise ArtifactError(
                f"A stored quantum function cannot be read ({type(error).__name__}); a newer release may have made it."
            ) from error
