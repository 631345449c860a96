"""What the commands of all file jobs share: `list`, `show`, `download`, `remove`, and waiting for one that is new."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.output import age, print_json, print_table, removed, saved, section
from superpose.errors import RequestError

if TYPE_CHECKING:
    from superpose.client import Client

__all__ = ["FileJobFace", "add_file_job_commands", "check_folder", "fetched", "followed"]

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the job (job_...).")]
LimitOption = Annotated[int, typer.Option(help="At most this many, newest first.", metavar="N", min=1)]
OutputOption = Annotated[
    Path | None, typer.Option(help="File or directory [default: here, named by the id].", metavar="PATH")
]


@dataclass(frozen=True, kw_only=True)
class FileJobFace:
    """How a kind of file jobs looks on the command line.

    Attributes:
        title: what people call one.
        jobs: its part of the client.
        columns: headings of the list between status and age, and which of them are aligned to the right.
        row: what stands under them.
        members: what `show` says beside id, status and error.
        tell: says on stderr what else there is to say of a result.
    """

    title: str
    jobs: Callable[[Client], Any]
    columns: tuple[Sequence[str], Sequence[str]]
    row: Callable[[Any], Sequence[object]]
    members: Callable[[Any], Mapping[str, object]]
    tell: Callable[[Any], None]


def followed(client: Client, jobs: Any, job_id: str, *, verdict: bool = True) -> Any:
    """The file job once it has ended well, its progress shown on stderr; ``verdict`` as `follow` has it.

    Raises:
        JobFailedError: it did not end well.
    """
    from superpose.cli.following import follow

    return jobs.ended(follow(client, job_id, verdict=verdict))


def check_folder(path: Path | None) -> None:
    """Refuse, before any work, a file in a folder that is not there; None is no file.

    Raises:
        RequestError: there is no such folder.
    """
    if path is not None and not path.expanduser().absolute().parent.is_dir():
        raise RequestError(
            f"{path} cannot be written: there is no folder {path.parent}. Make it, or choose another.", path=str(path)
        )


def fetched(jobs: Any, job_id: str, target: Path, command: str) -> None:
    """Download what a job has made; ``command`` is the group whose `download` does it again.

    Raises:
        RequestError: the file cannot be written.
    """
    try:
        jobs.download(job_id, target)
    except OSError as error:
        message = (
            f"{target} cannot be written: {error.strerror}. The results are kept; fetch them with: superpose {command} "
            f"download {job_id} --output FILE"
        )
        raise RequestError(message, path=str(target), id=job_id) from error


def add_file_job_commands(app: typer.Typer, face: FileJobFace) -> None:
    """Give an app the commands that all kinds of file jobs have."""

    @app.command("list", help=f"List {face.title}s, newest first.")
    def list_jobs(
        limit: LimitOption = 20, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
    ) -> None:
        with connect(url, key_file) as client:
            found = face.jobs(client).list(limit=limit)
        if as_json:
            print_json([one.to_dict() for one in found])
            return
        header, right = face.columns
        rows = [(one.id, one.status, *face.row(one), age(one.created_at)) for one in found]
        print_table(("id", "status", *header, "age"), rows, right=right)

    @app.command(help=f"Show a {face.title}: how far it is, and what it has to report.")
    def show(
        job_id: IdArgument, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
    ) -> None:
        with connect(url, key_file) as client:
            found = face.jobs(client).get(job_id)
        if as_json:
            print_json(found.to_dict())
            return
        error = (found.error or {}).get("message")
        section({"id": found.id, "status": found.status, **face.members(found), "error": error})
        if found.result is not None:
            face.tell(found)

    @app.command(help=f"Save the results of a {face.title}.")
    def download(
        job_id: IdArgument,
        output: OutputOption = None,
        url: UrlOption = None,
        key_file: KeyFileOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with connect(url, key_file) as client:
            saved(lambda: face.jobs(client).download(job_id, output), output, {"id": job_id}, as_json=as_json)

    @app.command(help=f"Delete the files of a {face.title} that has ended.")
    def remove(
        job_id: IdArgument, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
    ) -> None:
        with connect(url, key_file) as client:
            face.jobs(client).delete(job_id)
        removed(job_id, f"the files of {job_id}", as_json=as_json)
