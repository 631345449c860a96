"""`superpose predict`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.output import print_json, print_table
from superpose.errors import RequestError

__all__ = ["predict", "read_rows"]


def predict(
    endpoint: Annotated[str, typer.Argument(metavar="ENDPOINT", help="Name of the endpoint.")],
    rows: Annotated[
        str, typer.Argument(metavar="ROWS", help="A .json, .csv or .parquet file with rows; - reads JSON from stdin.")
    ],
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Predict the class of rows.

    JSON is a list of objects (column: value), a list of lists, or {"rows": [...]}. Missing values are null or empty.
    """
    wanted = read_rows(rows)
    with connect(url, key_file) as client:
        answer = client.predict(endpoint, wanted)
    if as_json:
        print_json(answer.to_dict())
        return
    lines = [
        (index, label, *(f"{p:.4f}" for p in probabilities))
        for index, (label, probabilities) in enumerate(zip(answer.predictions, answer.probabilities, strict=True))
    ]
    print_table(("row", "prediction", *(f"p({name})" for name in answer.classes)), lines, right=("row",))
    for column, count in answer.unknown_categories.items():
        typer.echo(f"{count} of the rows have a value in {column!r} that the model does not know", err=True)
    if answer.notice:
        typer.echo(answer.notice, err=True)
    typer.echo(f"{answer.model} version {answer.model_version}, request {answer.request_id}", err=True)


def read_rows(source: str) -> Any:
    """Rows from a file or stdin.

    Raises:
        RequestError: the file cannot be read or is not rows.
    """
    suffix = Path(source).suffix.lower()
    try:
        if suffix in (".csv", ".parquet"):
            import pandas as pd

            return pd.read_csv(source) if suffix == ".csv" else pd.read_parquet(source)
        document = json.loads(sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(f"{source} cannot be read: {error.strerror or error}.", path=source) from None
    except ValueError as error:
        kind = "a table" if suffix in (".csv", ".parquet") else "JSON"
        raise RequestError(f"{source} is not {kind}: {error}.", path=source) from None
    return document["rows"] if isinstance(document, dict) and set(document) == {"rows"} else document
