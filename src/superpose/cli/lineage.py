"""Drawings of lineage graphs, for the commands that have one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from superpose.cli.output import print_json

if TYPE_CHECKING:
    from superpose.client import Lineage

__all__ = ["DrawingOption", "draw"]


def _form(text: str) -> str:
    if text not in ("text", "mermaid"):
        raise typer.BadParameter(f"must be text or mermaid, got {text!r}")
    return text


DrawingOption = Annotated[
    str, typer.Option("--format", callback=_form, metavar="FORM", help="text or mermaid [default: text].")
]


def draw(lineage: Lineage, form: str, *, as_json: bool) -> None:
    """Print a lineage as JSON, as a tree of text, or as a Mermaid flowchart."""
    if as_json:
        print_json(lineage.to_dict())
    else:
        typer.echo(lineage.to_mermaid() if form == "mermaid" else lineage.to_text())
