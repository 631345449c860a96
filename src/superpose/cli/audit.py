"""`superpose audit`: list, export, verify."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.output import note, print_json, print_table
from superpose.errors import RequestError

__all__ = ["app"]

app = typer.Typer(
    name="audit", help="Who changed what (needs the role admin).", no_args_is_help=True, rich_markup_mode=None
)

ProjectOption = Annotated[str | None, typer.Option(help="Only of this project.", metavar="NAME")]
ActorOption = Annotated[str | None, typer.Option(help="Only by this key.", metavar="KEY_ID")]
UserOption = Annotated[str | None, typer.Option(help="Only by keys of this user.", metavar="USER_ID")]
ActionOption = Annotated[str | None, typer.Option(help="dataset.deleted, or dataset.", metavar="ACTION")]
SubjectOption = Annotated[str | None, typer.Option(help="Only of this thing.", metavar="ID")]
SinceOption = Annotated[datetime | None, typer.Option(help="Not before, UTC.", metavar="TIME")]
UntilOption = Annotated[datetime | None, typer.Option(help="Before, UTC.", metavar="TIME")]


@app.command("list")
def list_entries(  # noqa: PLR0913  # one parameter per option
    limit: Annotated[int, typer.Option(help="Entries at most.", metavar="N", min=1)] = 50,
    project: ProjectOption = None,
    actor: ActorOption = None,
    user: UserOption = None,
    action: ActionOption = None,
    subject: SubjectOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the newest entries of your project; for operators, of all."""
    filters = _filters(project, actor, user, action, subject, since, until)
    with connect(url, key_file) as client:
        found = client.audit.list(limit=limit, **filters)
    if as_json:
        print_json([dict(entry.document) for entry in found])
        return
    rows = [(e.seq, e.at, e.project, e.action, e.subject, e.actor, e.source) for e in found]
    print_table(("seq", "at", "project", "action", "subject", "by", "from"), rows, right=("seq",))


@app.command()
def export(  # noqa: PLR0913  # one parameter per option
    output: Annotated[Path | None, typer.Option(help="New file [default: stdout].", metavar="FILE")] = None,
    project: ProjectOption = None,
    actor: ActorOption = None,
    user: UserOption = None,
    action: ActionOption = None,
    subject: SubjectOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write all entries, oldest first, one JSON document per line."""
    if output is None and as_json:
        raise typer.BadParameter("--json tells about the file; say --output too", param_hint="--json")
    filters = _filters(project, actor, user, action, subject, since, until)
    n_entries = 0
    with connect(url, key_file) as client, _opened(output) as file:
        for entry in client.audit.export(**filters):
            file.write(json.dumps(entry.document, separators=(",", ":")) + "\n")
            n_entries += 1
    if output is not None:
        if as_json:
            print_json({"file": str(output.absolute()), "n_entries": n_entries})
        else:
            note(f"{n_entries} entries written to {output}")


@app.command()
def verify(
    head: Annotated[
        str | None, typer.Option(help="Head of an earlier verification, kept elsewhere.", metavar="SEQ:DIGEST")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Verify an export instead; needs no service.", metavar="FILE")
    ] = None,
    part: Annotated[bool, typer.Option("--part", help="The export holds some entries only.")] = False,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look for changed, missing or moved entries (for operators).

    Exits with 1 if there are any. Keep the head that is printed elsewhere,
    and give it next time: it tells whether the whole log was written anew.
    """
    document = _verified_file(file, head, part) if file else _verified(head, url, key_file)
    if as_json:
        print_json(document)
    else:
        for fault in document["faults"]:
            typer.echo(f"{fault['kind']}: {fault['message']}")
        state = "intact" if document["intact"] else "NOT intact"
        typer.echo(f"{document['n_entries']} entries, {state}; head {document['head']}")
    if not document["intact"]:
        raise typer.Exit(1)


def _verified(head: str | None, url: str | None, key_file: Path | None) -> dict[str, Any]:
    with connect(url, key_file) as client:
        return client.audit.verify(head).to_dict()


def _verified_file(path: Path, head: str | None, part: bool) -> dict[str, Any]:
    from superpose.service import read_head, verify_entries

    try:
        with path.expanduser().open(encoding="utf-8") as file:
            expected = None if head is None else read_head(head)
            return verify_entries(map(_document, file), expected, whole=not part).to_json()
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} cannot be read: {error}.", path=str(path)) from None


def _document(line: str) -> Mapping[str, object]:
    try:
        document = json.loads(line)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise RequestError("The file holds a line that is no JSON object, so it is no export of the audit log.")
    return document


def _filters(  # one parameter per filter
    project: str | None,
    actor: str | None,
    user: str | None,
    action: str | None,
    subject: str | None,
    since: datetime | None,
    until: datetime | None,
) -> dict[str, str | datetime | None]:
    return {
        "project": project,
        "actor": actor,
        "user": user,
        "action": action,
        "subject": subject,
        "since": since and since.replace(tzinfo=UTC),
        "until": until and until.replace(tzinfo=UTC),
    }


@contextmanager
def _opened(path: Path | None) -> Iterator[IO[str]]:
    """Stdout, or a new file that only its owner can read; it appears whole or not at all: half a log verifies too."""
    if path is None:
        yield sys.stdout
        return
    target = path.expanduser().absolute()
    if target.exists():
        raise typer.BadParameter(f"{path} exists already", param_hint="--output")
    try:
        descriptor, unfinished = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # mode 0600
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be written: {error.strerror}", param_hint="--output") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(unfinished).replace(target)
    except BaseException as error:
        Path(unfinished).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
