"""Model files that were trained elsewhere become versions of the registry: checked when they arrive, and by a job.

A file is data; reading it executes and unpickles nothing. The job is what the version's lineage begins with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, insert

from superpose.errors import ModelFileCorruptError, ModelFormatError, PayloadTooLargeError, RequestError
from superpose.service.config import ServiceConfig
from superpose.service.names import check_name
from superpose.service.nouns import Job, JobKind, Principal, Role
from superpose.service.people.quotas import Quotas
from superpose.service.store.artifacts import Artifacts
from superpose.service.store.claims import NewJob
from superpose.service.store.job_store import JobStore
from superpose.service.store.tables import file_jobs
from superpose.service.work.admission import check_idempotency_key
from superpose.service.work.runs import Outcome, RunContext, manifest_of

if TYPE_CHECKING:
    from superpose.learning import ModelFile

__all__ = ["Imports", "run"]


class Imports:
    """Imports of model files.

    Args:
        store: the queue.
        artifacts: where files lie.
        config: limits.
        quotas: what a project may store.
    """

    def __init__(self, store: JobStore, artifacts: Artifacts, config: ServiceConfig, quotas: Quotas) -> None:
        self._store = store
        self._artifacts = artifacts
        self._config = config
        self._quotas = quotas

    def submit(self, principal: Principal, model: str, content: bytes, *, idempotency_key: str | None = None) -> Job:
        """Check a model file and let a job make it the model's next version.

        Args:
            principal: the caller; an editor.
            model: name in the registry, new or known.
            content: the file.
            idempotency_key: under one key, equal submissions give one job.

        Raises:
            ForbiddenError: the caller's role is too small.
            RequestError: unusable name; not a model file, or one that was changed; of a kind or release that is not
                known here; its card cannot be written.
            PayloadTooLargeError: more bytes than ``max_body_bytes``.
            ByteQuotaError, QuotaError: the project has no room for it.
            ConflictError: the idempotency key was used for a different submission.
        """
        principal.require(Role.EDITOR)
        check_name(model)
        check_idempotency_key(idempotency_key)
        if len(content) > self._config.max_body_bytes:
            raise PayloadTooLargeError(
                f"The model file has {len(content):,} bytes; at most {self._config.max_body_bytes:,} are accepted.",
                n_bytes=len(content),
                max_bytes=self._config.max_body_bytes,
            )
        try:
            found = _checked(content)
        except (ModelFileCorruptError, ModelFormatError) as error:
            raise RequestError(f"This file cannot be imported: {error.message}", field="body") from None
        staged = self._artifacts.stage(content)
        new = NewJob(
            project=principal.project,
            kind=JobKind.IMPORT,
            payload={"artifact": staged.digest, "digest": found.digest},
            created_by=principal.key_id,
            model=model,
            idempotency_key=idempotency_key,
        )

        def check(connection: Connection) -> None:
            self._quotas.admit_bytes(connection, principal.project, staged.n_bytes)

        def register(connection: Connection, job: Job) -> None:
            values = {"job_id": job.id, "project": job.project, "input_artifact": staged.digest}
            connection.execute(insert(file_jobs).values(**values))
            self._artifacts.publish(staged)

        try:
            return self._store.submit(new, check=check, also=register)
        finally:
            self._artifacts.discard(staged)


def run(job: Job, context: RunContext) -> Outcome:
    """What a worker does for an import: check the file again, and let it become a version.

    Raises:
        ModelFileCorruptError, ModelFormatError: it is not the file that was accepted, or this release cannot read it.
    """
    payload: dict[str, Any] = dict(job.payload)
    content = context.artifacts.read(payload["artifact"])
    found = _checked(content, payload["digest"])
    evaluation = dict(found.manifest.get("evaluation") or {})
    version = {
        "digest": found.digest,
        "artifact": payload["artifact"],
        "metrics": dict(evaluation.get("model_metrics") or {}),
        "evaluation": evaluation,
        "manifest": manifest_of(content, found.digest),
        "evidence": {"imported": True},
    }
    return Outcome({"digest": found.digest, "evaluation": evaluation, "imported": True}, content, version)


def _checked(content: bytes, digest: str | None = None) -> ModelFile:
    """The file, read; its evaluation must be one that cards and comparisons understand, or absent."""
    from superpose.explain import check_promotion, model_card
    from superpose.learning import read_model

    found = read_model(content, digest)
    try:
        model_card(found.manifest, evidence={}, statements={}, overrides=[])
        check_promotion(found.manifest, {}, {})
        metrics = (found.manifest.get("evaluation") or {}).get("model_metrics") or {}
        if not all(isinstance(value, int | float) for value in dict(metrics).values()):
            raise TypeError("model_metrics must be numbers")
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ModelFormatError(
            f"What the model file says of its data and evaluation is not in this release's form "
            f"({type(error).__name__}: {error}), so that no card can be written. Save the model again with this "
            "release.",
        ) from None
    return found
