"""The JSON bodies that the routes of quantum functions read."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from superpose.api.documents import LARGEST_VERSION, Document

__all__ = ["FunctionCall", "FunctionRollback", "NewFunction"]

_PAULIS = "Pauli texts such as ZZI, or sums {text: coefficient}; by default what the file says, else counts"


class NewFunction(Document):
    """A file to make a quantum function of, or a new version of one."""

    name: str
    file_name: Annotated[str, Field(description="its ending says what it holds: .qasm, .json, .quil, .qs or .py")]
    source: Annotated[str, Field(description="the file's text")]
    shots: Annotated[int | None, Field(ge=0, description="measurements; 0 is exact; by default what the file says")] = (
        None
    )
    observables: Annotated[list[str | dict[str, float]] | None, Field(description=_PAULIS)] = None
    backend: Annotated[str, Field(description="where the circuit runs")] = "local"


class FunctionCall(Document):
    """The input of a call."""

    input: Annotated[Any, Field(description="any JSON that fits the function's input_schema")] = None
    shots: Annotated[int | None, Field(ge=1, description="instead of the function's")] = None
    seed: Annotated[int | None, Field(ge=0, lt=2**63, description="of the sampling")] = None


class FunctionRollback(Document):
    """Which version is to answer again."""

    version: Annotated[
        int | None, Field(ge=1, le=LARGEST_VERSION, description="by default the one before the present one")
    ] = None
