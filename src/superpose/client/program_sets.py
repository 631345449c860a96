"""Program sets on a service: many bindings in one submission, results loaded where they are asked for."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from superpose.client.downloads import transfer_timeout_s
from superpose.client.file_jobs import FileJob, FileJobs, members_of
from superpose.client.json_fields import Fields
from superpose.client.nouns import Job, job_ids
from superpose.client.resources import read_json, segment
from superpose.client.transport import Call
from superpose.errors import ProtocolError

if TYPE_CHECKING:
    from superpose.circuits import ProgramSet, ProgramSetResult

__all__ = ["ProgramSets", "SubmittedSet"]

_NPZ: Final = "application/x-npz"


@dataclass(frozen=True, kw_only=True)
class SubmittedSet(FileJob):
    """A program set on a service.

    ``result`` has ``n_bindings``, ``n_pieces``, ``n_failed``, ``failures`` (at most 1,000), ``grids`` (name, shape,
    ...), ``provenance`` and ``index``, where the index stands in the file; ``ProgramSets.result`` reads it.
    """

    backend: str
    n_grids: int
    n_bindings: int
    n_pieces: int

    @property
    def n_failed(self) -> int:
        """Pieces without results, so far."""
        return int((self.result or self.progress).get("n_failed", 0))

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A program set from the service's JSON."""
        f = Fields.of("program set", document)
        return cls(
            **members_of(f),
            backend=f.text("backend"),
            n_grids=f.whole("n_grids"),
            n_bindings=f.whole("n_bindings"),
            n_pieces=f.whole("n_pieces"),
        )


class ProgramSets(FileJobs[SubmittedSet]):
    """Program sets of the key's project; a set fails when no piece has results."""

    path = "/v1/program-sets"
    title = "program set"

    def create(
        self,
        program_set: ProgramSet,
        *,
        backend: str = "local",
        priority: int = 0,
        after: Sequence[Job | str] = (),
        idempotency_key: str | None = None,
    ) -> SubmittedSet:
        """Submit a set; it goes as NPZ.

        Args:
            program_set: what to run.
            backend: name of the service's backend.
            priority: jobs of higher priority start first.
            after: jobs, or their ids, that must have succeeded before.
            idempotency_key: submitting twice under one key gives one job; made up where it is left out.

        Raises:
            ApiError: the service refuses the set (``circuit.*``, ``engine.state_too_large``, ``backend.unknown``).
        """
        from superpose.circuits import program_set_to_npz

        body = program_set_to_npz(program_set)
        wanted = [("backend", backend), ("priority", str(priority)), *(("after", job_id) for job_id in job_ids(after))]
        query = "&".join(f"{name}={segment(value)}" for name, value in wanted)
        call = Call(
            "POST",
            f"{self.path}?{query}",
            headers={"Idempotency-Key": idempotency_key or str(uuid.uuid4())},
            body=body,
            content_type=_NPZ,
            repeatable=True,
            timeout_s=max(self._transport.timeout_s, transfer_timeout_s(len(body))),
        )
        return SubmittedSet.from_json(read_json(self._transport.send(call)))

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

    def _of_json(self, document: object) -> SubmittedSet:
        return SubmittedSet.from_json(document)

    def _suffix(self, job_id: str) -> str:
        return "zip"

    def _read_range(self, set_id: str, offset: int, n_bytes: int) -> bytes:
        headers = {"Range": f"bytes={offset}-{offset + n_bytes - 1}"}
        call = Call(
            "GET",
            self._file(set_id),
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
