"""The trained model that a fine-tuning begins from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from superpose.errors import SpecError
from superpose.learning.model_file import ModelFile
from superpose.learning.spec_fields import Section
from superpose.learning.trained_model import TrainedModel

__all__ = ["Parent"]


@dataclass(frozen=True, eq=False)
class Parent:
    """A hybrid model and where it came from.

    Attributes:
        model: the model.
        name: what sentences call it, such as ``heart:3``.
        digest: of its model file; None for one that was never in a file.
        circuit: the section ``model`` of the spec that made it.
        dataset_digest: of the data that it was trained on, where its file says so.
        units: of its columns, by name, where its file says so.
    """

    model: TrainedModel
    name: str
    digest: str | None
    circuit: Mapping[str, Any]
    dataset_digest: str | None = None
    units: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_file(cls, file: ModelFile, name: str) -> Self:
        """The model of a model file.

        Raises:
            SpecError: it holds another kind of model, or does not say what its circuit was made from.
        """
        circuit = (file.manifest["provenance"].get("spec") or {}).get("model")
        if not isinstance(file.model, TrainedModel):
            raise SpecError(
                f"is {name}, a {file.model.kind}; fine-tuning takes hybrid models of a spec's own circuit "
                "(hybrid_classifier)",
                "fine_tune.parent",
            )
        if not isinstance(circuit, Mapping):
            raise SpecError(f"is {name}, whose file does not say how its circuit was made", "fine_tune.parent")
        data = file.manifest.get("data") or {}
        return cls(file.model, name, file.digest, circuit, data.get("digest"), data.get("units") or {})

    def completed(self, given: Any) -> dict[str, Any]:
        """A spec's section ``model`` with what it leaves out taken from this model.

        Args:
            given: what the user wrote, possibly nothing.

        Raises:
            SpecError: it differs from this model's circuit.
        """
        if given is None:
            return dict(self.circuit)
        if not isinstance(given, Mapping):
            raise SpecError("must be a mapping of fields", "model")
        return _merged(self.circuit, given, "model", self.name)

    def facts(self) -> dict[str, Any]:
        """Name and digests as JSON values."""
        return {"parent": self.name, "digest": self.digest, "dataset_digest": self.dataset_digest}


def _merged(own: Mapping[str, Any], given: Mapping[str, Any], path: str, name: str) -> dict[str, Any]:
    found = dict(own)
    for key, value in given.items():
        value = value.to_dict() if isinstance(value, Section) else value
        if key in own and isinstance(own[key], Mapping) and isinstance(value, Mapping):
            found[key] = _merged(own[key], value, f"{path}.{key}", name)
        elif key in own and value != own[key]:
            raise SpecError(
                f"is {value!r}, but the parent {name} has {own[key]!r}; a fine-tuned model keeps its parent's circuit. "
                "Leave it out",
                f"{path}.{key}",
            )
        else:
            found[key] = value
    return found
