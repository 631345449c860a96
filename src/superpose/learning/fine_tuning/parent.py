"""The trained model that a fine-tuning begins from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from superpose.errors import SpecError
from superpose.learning.model_file import ModelFile
from superpose.learning.modules.model import ModuleModel
from superpose.learning.spec_fields import Section
from superpose.learning.trained_model import TrainedModel

if TYPE_CHECKING:
    from superpose.learning.families.variational import VariationalClassifier

__all__ = ["Parent", "earlier_data"]


@dataclass(frozen=True, eq=False)
class Parent:
    """A trained model and where it came from.

    Attributes:
        model: the model: one of a spec's circuit, or a module, which a user, a template or a family exported.
        name: what sentences call it, such as ``heart:3``.
        digest: of its model file; None for one that was never in a file.
        circuit: the section ``model`` of the spec that made it; empty for a module, which brings its own layers.
        dataset_digest: of the data that it was trained on, where its file says so.
        units: of its columns, by name, where its file says so.
        family: the unfitted classifier of a module that a family made: it knows how its weights begin.
        spec: the whole spec that made it, where its file says so.
        earlier_data: digests of the data that the models behind it were trained on: the one that it was fine-tuned
            from itself, the one behind that, and so on, as far as files say so.
    """

    model: TrainedModel | ModuleModel
    name: str
    digest: str | None
    circuit: Mapping[str, Any]
    dataset_digest: str | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    family: VariationalClassifier | None = None
    spec: Mapping[str, Any] | None = None
    earlier_data: tuple[str, ...] = ()

    @classmethod
    def from_file(cls, file: ModelFile, name: str) -> Self:
        """The model of a model file.

        Raises:
            SpecError: it holds another kind of model, or does not say what its circuit was made from.
        """
        provenance = file.manifest["provenance"]
        spec = provenance.get("spec") or None
        circuit = (spec or {}).get("model")
        if isinstance(file.model, ModuleModel):
            circuit = {}
        elif not isinstance(file.model, TrainedModel):
            raise SpecError(
                f"is {name}, a {file.model.kind}, whose training does not begin from weights; fine-tuning takes hybrid "
                "models of a spec's own circuit (hybrid_classifier) and modules, those of the chest X-ray template and "
                "of families that are trained circuits among them (module_classifier)",
                "fine_tune.parent",
            )
        if not isinstance(circuit, Mapping):
            raise SpecError(f"is {name}, whose file does not say how its circuit was made", "fine_tune.parent")
        data, family = file.manifest.get("data") or {}, _family(file, name)
        units, earlier = data.get("units") or {}, earlier_data(provenance.get("fine_tuned_from"))
        return cls(file.model, name, file.digest, circuit, data.get("digest"), units, family, spec, earlier)

    @property
    def is_module(self) -> bool:
        """Whether it brings its own layers."""
        return isinstance(self.model, ModuleModel)

    @property
    def hybrid(self) -> TrainedModel:
        """The model, where it is one of a spec's circuit.

        Raises:
            TypeError: it is a module.
        """
        if not isinstance(self.model, TrainedModel):
            raise TypeError(f"{self.name} is a module")
        return self.model

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

    def check_digest(self, wanted: str | None) -> None:
        """Refuse a model file other than the one that a spec pins by its digest; None pins none.

        Raises:
            SpecError: this model's file has another digest.
        """
        if wanted is not None and self.digest != wanted:
            raise SpecError(f"is {wanted[:12]}..., but {self.name} has {str(self.digest)[:12]}...", "fine_tune.digest")

    def facts(self) -> dict[str, Any]:
        """Name and digests as JSON values."""
        return {
            "parent": self.name,
            "digest": self.digest,
            "dataset_digest": self.dataset_digest,
            "earlier_data": list(self.earlier_data),
        }


def earlier_data(began: object) -> tuple[str, ...]:
    """Digests of all data that models before one were trained on, in order and once each, of its ``fine_tuned_from``.

    Args:
        began: the entry of its file's provenance; anything, since files come from elsewhere. Those of release 0.1 tell
            of the first model before it alone.
    """
    if not isinstance(began, Mapping):
        return ()
    behind = began.get("earlier_data")
    told = [began.get("dataset_digest"), *(behind if isinstance(behind, list | tuple) else ())]
    return tuple(dict.fromkeys(digest for digest in told if isinstance(digest, str) and digest))


def _family(file: ModelFile, name: str) -> VariationalClassifier | None:
    described = file.manifest["provenance"].get("family")
    if not isinstance(described, Mapping):
        return None
    from superpose.learning.families.base import unfitted_family
    from superpose.learning.families.variational import VariationalClassifier

    found = unfitted_family(described.get("name"), described.get("params"))
    if not isinstance(found, VariationalClassifier) or found.learns_scales:
        raise SpecError(
            f"is {name}, of the family {found.family}, whose weights stand on scales that it learns of its training "
            "rows; of the families, trained circuits without such scales can be carried on",
            "fine_tune.parent",
        )
    return found


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
