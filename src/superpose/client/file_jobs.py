"""File jobs: jobs whose result is a file, as batch predictions and program sets are.

A kind is a `FileJob` with members of its own, and a subclass of `FileJobs` with its own ways to submit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from superpose.client.downloads import download, target_path
from superpose.client.jobs import Jobs
from superpose.client.json_fields import Fields
from superpose.client.nouns import FINAL_STATUSES, Job, Listing, Noun
from superpose.client.problems import job_failed
from superpose.client.resources import Resource, items, segment

__all__ = ["FileJob", "FileJobs", "members_of"]


@dataclass(frozen=True, kw_only=True)
class FileJob(Noun):
    """What all file jobs say; ``id`` is also that of the job."""

    id: str
    status: str
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


FileJobT = TypeVar("FileJobT", bound=FileJob)


def members_of(f: Fields) -> dict[str, Any]:
    """The members of `FileJob` from the service's JSON."""
    return {
        "id": f.text("id"),
        "status": f.text("status"),
        "created_at": f.time("created_at"),
        "finished_at": f.maybe_time("finished_at"),
        "progress": f.object("progress"),
        "error": f.maybe_object("error"),
        "result": f.maybe_object("result"),
        "deleted": bool(f.members.get("deleted")),
    }


class FileJobs(Resource, ABC, Generic[FileJobT]):
    """The routes that all kinds of file jobs have.

    Attributes:
        path: of the kind's routes.
        title: what people call one.
    """

    path: ClassVar[str]
    title: ClassVar[str]

    @abstractmethod
    def _of_json(self, document: object) -> FileJobT:
        """One from the service's JSON."""

    @abstractmethod
    def _suffix(self, job_id: str) -> str:
        """How the name of one's file ends."""

    def list(self, *, limit: int | None = None) -> Listing[FileJobT]:
        """All, newest first, without what grows with their input."""
        return items(self._transport, self.path, self._of_json, {}, limit)

    def get(self, job_id: str) -> FileJobT:
        """One as it stands."""
        return self._of_json(self._get(f"{self.path}/{segment(job_id)}"))

    def wait(self, job_id: str, *, timeout_s: float | None = None) -> FileJobT:
        """One once it has ended well.

        Raises:
            JobFailedError: it did not.
            WaitTimeoutError: ``timeout_s`` has passed; it goes on.
        """
        return self.ended(Jobs(self._transport).wait(job_id, timeout_s=timeout_s))

    def ended(self, job: Job) -> FileJobT:
        """The one behind a job that has ended.

        Raises:
            JobFailedError: it has not ended well.
        """
        if not job.succeeded:
            raise job_failed(f"{self.title.capitalize()} {job.id}", job.id, job.status, job.error)
        return self.get(job.id)

    def download(self, job_id: str, path: str | Path | None = None) -> Path:
        """Save the results in a file and return where; a broken connection is resumed.

        Args:
            job_id: which one.
            path: file or directory; the id with the fitting suffix, here, where it is left out. It appears whole or not
                at all.

        Raises:
            ProtocolError: the bytes that arrived are not those of the service.
            ApiError: it has not succeeded (``service.conflict``), or its files were deleted (``service.not_found``).
        """
        target = target_path(path, f"{job_id}.{self._suffix(job_id)}")
        download(self._transport, self._file(job_id), target)
        return target

    def delete(self, job_id: str) -> None:
        """Delete the files of one that has ended; the job and its counts stay."""
        self._delete(f"{self.path}/{segment(job_id)}")

    def _file(self, job_id: str) -> str:
        return f"{self.path}/{segment(job_id)}/file"
