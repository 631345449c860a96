"""Users' own PyTorch modules: exported here, uploaded as data, trained there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from superpose.client.display import fields_html
from superpose.client.downloads import download, target_path
from superpose.client.json_fields import Fields
from superpose.client.nouns import Dataset, Job, Listing, Noun, job_ids
from superpose.client.resources import Resource, items, read_json, segment
from superpose.client.transport import Call
from superpose.errors import ModuleFormatError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from superpose.learning import ExportedModule

__all__ = ["Module", "Modules"]

_MODULE_TYPE = "application/vnd.superpose.module"


@dataclass(frozen=True)
class Module(Noun):
    """An exported module: ``(batch, n_columns) -> (batch, n_outputs)``, as data; ``class_name`` is its class's."""

    id: str
    name: str
    digest: str
    class_name: str
    n_columns: int
    n_outputs: int
    n_params: int
    n_trainable: int
    circuits: tuple[Mapping[str, int], ...]
    operators: tuple[str, ...]
    created_at: datetime

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A module from the service's JSON."""
        f = Fields.of("module", document)
        return cls(
            id=f.text("id"),
            name=f.text("name"),
            digest=f.text("digest"),
            class_name=f.text("class"),
            n_columns=f.whole("n_columns"),
            n_outputs=f.whole("n_outputs"),
            n_params=f.whole("n_params"),
            n_trainable=f.whole("n_trainable"),
            circuits=tuple(dict(item) for item in f.array("circuits")),
            operators=f.texts("operators"),
            created_at=f.time("created_at"),
        )

    def _repr_html_(self) -> str:
        facts = {
            "id": self.id,
            "class": self.class_name,
            "inputs and outputs": f"{self.n_columns} -> {self.n_outputs}",
            "parameters": f"{self.n_params}, trained {self.n_trainable}",
            "qubits": ", ".join(str(circuit["n_qubits"]) for circuit in self.circuits) or "none",
            "digest": self.digest,
        }
        return fields_html(f"Module {self.name}", facts)


class Modules(Resource):
    """Exported modules of the key's project, addressed by id or name."""

    def add(
        self,
        source: torch.nn.Module | ExportedModule | str | Path | bytes,
        *,
        name: str | None = None,
        example: torch.Tensor | NDArray[np.floating] | None = None,
    ) -> Module:
        """Export a module, if it is not yet, and upload it as data; its code stays here.

        Args:
            source: a PyTorch module, what `superpose.export_module` gave, or a file (or its bytes) of that.
            name: name in the project; the class's or file's own name where it is left out. Equal content under one name
                is stored once.
            example: rows such as the module takes, ``(batch, n_columns)``; needed for a PyTorch module.

        Raises:
            ModuleExportError: the module cannot be exported; the message names why, and the line where torch tells it.
            ModuleFormatError: the file is no exported module.
            ApiError: the name is taken by another module (``service.conflict``), or the service refuses the module.
        """
        content, own_name = _content(source, example)
        call = Call(
            "POST",
            "/v1/modules",
            query={"name": name or own_name},
            body=content,
            content_type=_MODULE_TYPE,
            repeatable=True,
        )
        return Module.from_json(read_json(self._transport.send(call)))

    def list(self) -> Listing[Module]:
        """All modules, by name."""
        return items(self._transport, "/v1/modules", Module.from_json, {}, None)

    def get(self, id_or_name: str) -> Module:
        """One module."""
        return Module.from_json(self._get(f"/v1/modules/{segment(id_or_name)}"))

    def download(self, id_or_name: str, path: str | Path | None = None) -> Path:
        """Save a module's file and return where; its digest must be the registered one.

        Raises:
            ModuleFormatError: the bytes are not those that are registered.
        """
        registered = self.get(id_or_name)
        target = target_path(path, f"{registered.name}.superpose-module")
        if download(self._transport, f"/v1/modules/{segment(registered.id)}/file", target) != registered.digest:
            target.unlink()
            raise ModuleFormatError(
                f"The file of module {registered.name} that arrived is not the registered one; download it again.",
                expected=registered.digest,
            )
        return target

    def delete(self, id_or_name: str) -> None:
        """Remove a module; models trained from it stay."""
        self._delete(f"/v1/modules/{segment(id_or_name)}")

    def train(  # noqa: PLR0913  # the fields of a submission
        self,
        module: str,
        *,
        dataset: str,
        loss: str = "cross_entropy",
        model: str | None = None,
        spec: Mapping[str, Any] | None = None,
        priority: int = 0,
        after: Sequence[Job | str] = (),
        idempotency_key: str | None = None,
    ) -> Job:
        """Submit a training job for a module that is there.

        Args:
            module: id or name.
            dataset: id or name of a registered data set whose encoded columns are as many as the module's inputs.
            loss: "cross_entropy" (one score per class), "nll" (log probabilities) or "binary_cross_entropy" (one
                logit).
            model: name in the registry that the trained version is filed under; the data set's where it is left out.
            spec: sections preprocessing, training, evaluation, split and limits of a training spec.
            priority: jobs of higher priority start first.
            after: jobs, or their ids, that must have succeeded before.
            idempotency_key: submitting twice with the same key gives the same job.

        Raises:
            ApiError: module, loss, spec and data do not fit one another (``spec.invalid``).
        """
        document: dict[str, Any] = {
            "kind": "train_module",
            "module": module,
            "dataset": dataset,
            "loss": loss,
            "model": model,
            "spec": dict(spec or {}),
            "priority": priority,
            "after": job_ids(after),
        }
        return Job.from_json(self._submit("/v1/jobs", document, idempotency_key))


def _content(source: Any, example: Any) -> tuple[bytes, str]:
    """The bytes to upload and the source's own name."""
    if isinstance(source, bytes):
        return source, "module"
    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        try:
            return path.read_bytes(), path.stem
        except OSError as error:
            raise ModuleFormatError(f"{path} cannot be read: {error.strerror}.", path=str(path)) from None
    from superpose.learning import ExportedModule, export_module

    if not isinstance(source, ExportedModule):
        if example is None:
            raise ModuleFormatError("A PyTorch module needs an example of its rows, (batch, n_columns). Say example=.")
        source = export_module(source, example)
    return source.to_bytes(), source.name.lower()


def example_rows(dataset: Dataset) -> NDArray[np.floating]:
    """A row of zeros as wide as the data set's number columns.

    Raises:
        ModuleFormatError: it has categories, so the width after preprocessing is not known here.
    """
    import numpy as np

    categories = [
        column.name for column in dataset.columns if column.kind != "number" and column.name != dataset.target
    ]
    if categories:
        raise ModuleFormatError(
            f"Data set {dataset.name} has category columns ({', '.join(categories[:3])}); how many columns they "
            "become, the service works out. Say example= with as many columns as the module takes."
        )
    return np.zeros((1, dataset.n_features), dtype=np.float32)
