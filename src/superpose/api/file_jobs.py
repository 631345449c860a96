"""The routes that all file jobs have: list, one, its file, delete."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from superpose.api.answers import Json, caller, page_answer, part_of
from superpose.api.files import file_answer, file_answers
from superpose.service import FileJob, FileJobs, Part

__all__ = ["add_file_job_routes", "submitted"]


def submitted(made: FileJob) -> Json:
    """The answer to a submission."""
    return Json(made.to_json(), 202, {"Location": f"{made.sort.path}/{made.job.id}"})


def add_file_job_routes(router: APIRouter, found_in: FileJobs, *media_types: str) -> None:
    """Give a router the routes of a kind of file jobs.

    Args:
        router: with the kind's path as its prefix.
        found_in: the jobs.
        media_types: what their files may be.
    """
    title = found_in.sort.title

    @router.get("", summary=f"List {title}s", description=f"The project's {title}s, newest first.")
    def list_file_jobs(request: Request, part: Annotated[Part, Depends(part_of)]) -> Response:
        return page_answer(found_in.list(caller(request), part), FileJob.summary)

    @router.get(
        "/{job_id}",
        summary=f"Get a {title}",
        description=f"One {title} as it stands; its events are those of the job of the same id.",
    )
    def get(request: Request, job_id: str) -> Response:
        return Json(found_in.get(caller(request), job_id).to_json())

    @router.get(
        "/{job_id}/file",
        response_class=Response,
        responses=file_answers(*media_types),
        summary=f"Get the results of a {title}",
        description="The results; `Repr-Digest` (RFC 9530) is that of the whole file, `Range` asks for a part.",
    )
    def file(request: Request, job_id: str) -> Response:
        found, stored = found_in.file(caller(request), job_id)
        return file_answer(request, stored, media_type=found.media_type, filename=found.filename)

    @router.delete(
        "/{job_id}",
        status_code=204,
        summary=f"Delete a {title}",
        description=f"Delete the files of a {title} that has ended.",
    )
    def delete(request: Request, job_id: str) -> Response:
        found_in.delete(caller(request), job_id)
        return Response(status_code=204)
