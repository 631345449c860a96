"""Program sets on a service: many bindings in one submission, results loaded where they are asked for."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from superpose.client.downloads import download, target_path, transfer_timeout_s
from superpose.client.jobs import Jobs
from superpose.client.json_fields import Fields
from superpose.client.nouns import FINAL_STATUSES, Listing, Noun
from superpose.client.resources import Resource, items, read_json, segment
from superpose.client.transport import Call
from superpose.errors import JobFailedError, ProtocolError

if TYPE_CHECKING:
    from superpose.circuits import ProgramSet, ProgramSetResult

__all__ = ["ProgramSets", "SubmittedSet"]

_NPZ: Final = "application/x-npz"


@dataclass(frozen=True)
class SubmittedSet(Noun):
    """A program set on a service; ``id`` is also that of its job.

    ``result`` has ``n_bindings``, ``n_pieces``, ``n_failed``, ``failures`` (at most 1,000), ``grids`` (name, shape,
    ...), ``provenance`` and ``index``, where the index stands in the file; ``ProgramSets.result`` reads it.
    """

    id: str
    status: str
    backend: str
    n_grids: int
    n_bindings: int
    n_pieces: int
    created_at: datetime
    finished_at: datetime | None
    progress: Mapping[str, Any]
    error: Mapping[str, Any] | None
    result: Mapping[str, Any] | None
    deleted: bool

    @property
    def finished(self) -> bool:
        """Whether the status will not change any more."""
        return self.status in FINAL_STATUSES

    @property
    def n_failed(self) -> int:
        """Pieces without results, so far."""
        return int((self.result or self.progress).get("n_failed", 0))

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A program set from the service's JSON."""
        f = Fields.of("program set", document)
        return cls(
            id=f.text("id"),
            status=f.text("status"),
            backend=f.text("backend"),
            n_grids=f.whole("n_grids"),
            n_bindings=f.whole("n_bindings"),
            n_pieces=f.whole("n_pieces"),
            created_at=f.time("created_at"),
            finished_at=f.maybe_time("finished_at"),
            progress=f.object("progress"),
            error=f.maybe_object("error"),
            result=f.maybe_object("result"),
            deleted=bool(f.members.get("deleted")),
        )


class ProgramSets(Resource):
    """Program sets of the key's project."""

    def create(
        self,
        program_set: ProgramSet,
        *,
        backend: str = "local",
        priority: int = 0,
        after: Sequence[str] = (),
        idempotency_key: str | None = None,
    ) -> SubmittedSet:
        """Submit a set; it goes as NPZ.

        Args:
            program_set: what to run.
            backend: name of the service's backend.
            priority: jobs of higher priority start first.
            after: ids of jobs that must have succeeded before.
            idempotency_key: submitting twice under one key gives one job; made up where it is left out.

        Raises:
            ApiError: the service refuses the set (``circuit.*``, ``engine.state_too_large``, ``backend.unknown``).
        """
        from superpose.circuits import program_set_to_npz

        body = program_set_to_npz(program_set)
        wanted = [("backend", backend), ("priority", str(priority)), *(("after", job_id) for job_id in after)]
        query = "&".join(f"{name}={segment(value)}" for name, value in wanted)
        call = Call(
            "POST",
            f"/v1/program-sets?{query}",
            headers={"Idempotency-Key": idempotency_key or str(uuid.uuid4())},
            body=body,
            content_type=_NPZ,
            repeatable=True,
            timeout_s=max(self._transport.timeout_s, transfer_timeout_s(len(body))),
        )
        return SubmittedSet.from_json(read_json(self._transport.send(call)))

    def list(self, *, limit: int | None = None) -> Listing[SubmittedSet]:
        """Program sets, newest first; of their results the counts only."""
        return items(self._transport, "/v1/program-sets", SubmittedSet.from_json, {}, limit)

    def get(self, set_id: str) -> SubmittedSet:
        """One program set as it stands."""
        return SubmittedSet.from_json(self._get(f"/v1/program-sets/{segment(set_id)}"))

    def wait(self, set_id: str, *, timeout_s: float | None = None) -> SubmittedSet:
        """The set once it has ended well.

        Raises:
            JobFailedError: it did not; a set fails when no piece has results.
            WaitTimeoutError: ``timeout_s`` has passed; it goes on.
        """
        job = Jobs(self._transport).wait(set_id, timeout_s=timeout_s)
        if not job.succeeded:
            error = job.error or {}
            message = f"Program set {set_id} {job.status}: {error.get('message', 'no reason was given')}"
            raise JobFailedError(message, job_id=set_id, problem_code=str(error.get("code", job.status)))
        return self.get(set_id)

    def result(self, set_id: str, *, timeout_s: float | None = None) -> ProgramSetResult:
        """Wait for a set and return its results, which are loaded piece by piece when they are indexed.

        Only the index comes at once. The client must stay open as long as something is to be loaded.

        Raises:
            JobFailedError, WaitTimeoutError: as for ``wait``.
            ApiError: its results were deleted (``service.not_found``).
            ProtocolError: the bytes that arrived are not those of the service.
        """
        from superpose.circuits.sets.files import read_index

        found = self.wait(set_id, timeout_s=timeout_s)
        place = (found.result or {}).get("index")
        if not isinstance(place, dict):
            raise ProtocolError(
                f"Program set {set_id} does not say where its index is (it may have been pruned). Download its "
                "file and open that: ProgramSetResult.open."
            )
        index = self._read_range(found.id, int(place["offset"]), int(place["n_bytes"]))
        if hashlib.sha256(index).hexdigest() != place["sha256"]:
            raise ProtocolError(f"The index of program set {set_id} did not arrive as it was written; ask again.")
        return read_index(index, lambda offset, n_bytes: self._read_range(found.id, offset, n_bytes))

    def download(self, set_id: str, path: str | Path | None = None) -> Path:
        """Save all results in one file, which ``superpose.ProgramSetResult.open`` reads, and return where.

        Args:
            set_id: of the program set.
            path: file or directory; ``ID.zip`` here where it is left out. It appears whole or not at all.

        Raises:
            ProtocolError: the bytes that arrived are not those of the service.
            ApiError: it has not succeeded (``service.conflict``), or its files were deleted (``service.not_found``).
        """
        target = target_path(path, f"{set_id}.zip")
        download(self._transport, f"/v1/program-sets/{segment(set_id)}/file", target)
        return target

    def delete(self, set_id: str) -> None:
        """Delete the files of a program set that has ended; the job and its counts stay."""
        self._delete(f"/v1/program-sets/{segment(set_id)}")

    def _read_range(self, set_id: str, offset: int, n_bytes: int) -> bytes:
        headers = {"Range": f"bytes={offset}-{offset + n_bytes - 1}"}
        call = Call(
            "GET",
            f"/v1/program-sets/{segment(set_id)}/file",
            headers=headers,
            timeout_s=max(self._transport.timeout_s, transfer_timeout_s(n_bytes)),
        )
        reply = self._transport.send(call)
        if reply.status != 206 or len(reply.body) != n_bytes:
            raise ProtocolError(
                f"The service was asked for {n_bytes:,} bytes of program set {set_id} and answered {reply.status} with "
                f"{len(reply.body):,}."
            )
        return reply.body
