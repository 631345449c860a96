"""Training jobs that begin from a registered model: how the parent is found, and what the spec takes over from it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, select

from superpose.errors import ArtifactError, ConflictError, NotFoundError, SpecError
from superpose.service.catalogue.models import Models, VersionRef
from superpose.service.nouns import ModelVersion, Principal
from superpose.service.store.artifacts import Artifacts
from superpose.service.store.database import Database
from superpose.service.store.tables import model_versions

if TYPE_CHECKING:
    from superpose.circuits import Backend
    from superpose.datasets import Table
    from superpose.learning.fine_tuning.parent import Parent
    from superpose.learning.recipe import Recipe
    from superpose.learning.spec import TrainingSpec

__all__ = ["ParentModel", "admitted", "carrying", "check_parent", "find_parent", "parent_of_job", "with_parent"]

ParentModel = tuple[ModelVersion, "Parent"]
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MOST_DIGITS = 10


def find_parent(database: Database, models: Models, principal: Principal, reference: str) -> ParentModel:
    """The registered version that a reference names, and its model.

    Args:
        database: where models are registered.
        models: the registry.
        principal: the caller.
        reference: ``NAME``, ``NAME:VERSION``, ``NAME:ALIAS``, or a digest.

    Raises:
        NotFoundError: there is none in the caller's project.
        ArtifactError: its file is gone or has changed.
        SpecError: it is no hybrid model of a spec's own circuit.
    """
    if _DIGEST.fullmatch(reference):
        query = (
            select(model_versions.c.model, model_versions.c.version)
            .where(
                model_versions.c.project == principal.project,
                model_versions.c.digest == reference,
                model_versions.c.deleted_at.is_(None),
            )
            .order_by(model_versions.c.created_at)
        )
        with database.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise NotFoundError(f"There is no model with the digest {reference} in this project.", kind="model")
        version = models.version(principal, row.model, row.version)
    else:
        name, colon, which = reference.partition(":")
        if colon and not which:  # a script's variable that holds nothing must not become the newest version
            raise NotFoundError(
                f"{reference!r} names no version behind the colon. Say NAME for the newest one, or NAME:VERSION.",
                kind="model",
            )
        version = models.version(principal, name, _version_in(which))
    return version, _parent(models.content(version), version.digest, f"{version.model}:{version.version}")


def _version_in(text: str) -> VersionRef:
    """What follows a model's name: a number, an alias, or nothing for the newest."""
    if not (text.isascii() and text.isdigit()):
        return text or None
    if len(text) > _MOST_DIGITS:
        raise NotFoundError(f"There is no version {text[:40]} of the model in this project.", kind="model")
    return int(text)


def with_parent(
    payload: Mapping[str, object], find: Callable[[str], ParentModel]
) -> tuple[dict[str, Any], Parent | None]:
    """A spec whose parent is named by version and digest, and the parent; None where the spec has none.

    The circuit and a medical domain come from the parent. A spec that begins from a module has no section ``model``.

    Raises:
        SpecError: the spec asks for another circuit, or has one beside a module, or the digest is another one's.
        NotFoundError, ArtifactError: as `find_parent`.
    """
    from superpose.learning.card import MEDICAL, notice_of

    document, section = dict(payload), payload.get("fine_tune")
    if not isinstance(section, Mapping) or not isinstance(section.get("parent"), str):
        return document, None
    version, parent = find(section["parent"])
    if section.get("digest") not in (None, version.digest):
        raise SpecError(
            f"is {section['digest']}, but {parent.name} has the digest {version.digest}", "fine_tune.digest"
        )
    document["fine_tune"] = {**section, "parent": parent.name, "digest": version.digest}
    if not parent.is_module:
        document["model"] = parent.completed(document.get("model"))
    card = document.get("card", {})
    if notice_of(version.manifest) is not None and isinstance(card, Mapping):
        document["card"] = {**card, "domain": MEDICAL}
    return document, parent


def admitted(document: Mapping[str, Any], parent: Parent | None, table: Table) -> tuple[TrainingSpec, dict[str, Any]]:
    """The spec in full, and as the job keeps it, if it can be trained on the table.

    Raises:
        SpecError, StateTooLargeError: as `superpose.learning.admission.admit`; of what is carried over, as `carrying`.
    """
    from superpose.learning.admission import admit
    from superpose.learning.spec import TrainingSpec

    if parent is not None and parent.is_module:
        from superpose.learning.fine_tuning.modules import module_of
        from superpose.learning.modules.admission import admit_carried

        spec = admit_carried(module_of(parent), document, table)
        kept = {name: value for name, value in spec.to_dict().items() if name != "model"}
    else:
        spec = TrainingSpec.from_dict(dict(document)).about(table.domain)
        admit(spec, table, fine_tuned=parent is not None)
        kept = spec.to_dict()
    carrying(spec, parent, table)
    return spec, kept


def carrying(spec: TrainingSpec, parent: Parent | None, table: Table, backend: Backend | None = None) -> Recipe | None:
    """What trains a spec that begins from a parent, held against the data; None without a parent.

    Args:
        spec: the spec.
        parent: what it begins from.
        table: the data.
        backend: where the circuit is measured; None is the engine.

    Raises:
        SpecError: circuit, columns or classes do not fit; names the field.
    """
    if parent is None:
        return None
    from superpose.learning.fine_tuning.modules import plan_module_fine_tuning
    from superpose.learning.fine_tuning.plan import plan_fine_tuning  # torch comes with it
    from superpose.learning.modules.recipe import ModuleRecipe
    from superpose.learning.preprocessing import Preprocessor
    from superpose.learning.recipe import CircuitRecipe
    from superpose.learning.rows import ColumnNames
    from superpose.learning.splitting import feature_table

    features = feature_table(spec, table)
    columns = ColumnNames(features.feature_names, tuple(column.kind for column in features.columns))
    if parent.is_module:
        plan = plan_module_fine_tuning(spec.fine_tune, parent, columns, table.classes, features)
        recipe = ModuleRecipe.carrying(plan)
        for kept in (plan.preprocessor, plan.controls_preprocessor):
            if kept is None:
                learnt = Preprocessor.fit(features.features, columns.names, columns.kinds, spec.preprocessing)
                recipe.check_columns(learnt.n_encoded)
        return recipe
    return CircuitRecipe(spec, backend, plan_fine_tuning(spec, parent, columns, table.classes, features))


def parent_of_job(spec: TrainingSpec, project: str, database: Database, artifacts: Artifacts) -> Parent | None:
    """The parent that an admitted spec names, by its digest; None where it names none.

    Raises:
        NotFoundError: it has been deleted since.
        ArtifactError: its file has changed.
    """
    section = spec.fine_tune
    if section.parent is None:
        return None
    with database.read() as connection:
        artifact = connection.execute(_files_of(project, section.digest)).scalars().first()
    if artifact is None:
        raise NotFoundError(
            f"The model {section.parent}, which this job begins from, was deleted. Import its file again (superpose "
            "models import) and submit this training once more, or begin from another version.",
            kind="model",
            id=section.parent,
        )
    return _parent(artifacts.read(artifact), str(section.digest), section.parent)


def check_parent(connection: Connection, project: str, payload: Mapping[str, object]) -> None:
    """Refuse a training whose parent was deleted while its submission was being checked; from then on it is held.

    Raises:
        ConflictError: it was.
    """
    section = payload.get("fine_tune")
    if not isinstance(section, Mapping) or section.get("digest") is None:
        return
    if connection.execute(_files_of(project, section["digest"])).first() is None:
        raise ConflictError(f"The model {section['parent']} was deleted just now.", name=section["parent"])


def _files_of(project: str, digest: str | None) -> Select[str]:
    """The files of versions with a digest that have not been deleted."""
    return select(model_versions.c.artifact).where(
        model_versions.c.project == project,
        model_versions.c.digest == digest,
        model_versions.c.deleted_at.is_(None),
    )


def _parent(content: bytes, digest: str, name: str) -> Parent:
    from superpose.errors import ModelFileError
    from superpose.learning.fine_tuning.parent import Parent
    from superpose.learning.model_file import read_model

    try:
        file = read_model(content, digest)
    except ModelFileError as error:
        raise ArtifactError(f"The file of {name} cannot be used: {error.message}") from error
    return Parent.from_file(file, name)
