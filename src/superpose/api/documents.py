"""The JSON bodies that the routes read. Unknown fields are refused, and nothing is converted silently."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from superpose.errors import RequestError
from superpose.service import SheetEdit

__all__ = [
    "LARGEST_VERSION",
    "AliasMove",
    "BuiltinDataset",
    "ColumnEdits",
    "Document",
    "DriftOfDataset",
    "Edits",
    "NewKey",
    "NewSolution",
    "NewSweep",
    "SheetEdits",
    "Spending",
    "SplitCheck",
    "SweepFields",
    "Time",
    "TrainingJob",
    "VersionEdits",
    "VersionName",
    "VersionNumber",
    "body_of",
    "version_of",
]

LARGEST_VERSION = 2**31 - 1

#: A model version in a path.
VersionNumber = Annotated[int, Path(ge=1, le=LARGEST_VERSION)]

#: A model version in a path, by number or alias.
VersionName = Annotated[str, Path(description="number or alias")]


def _text_only(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("a time is text in ISO 8601 with a zone, such as 2030-01-31T12:00:00Z")
    return value


#: A time with its zone, as ISO 8601 text.
Time = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_text_only)]


class Document(BaseModel):
    """A JSON object with known fields only."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class BuiltinDataset(Document):
    """A data set that comes with superpose, to be registered under a name."""

    name: str
    builtin: str
    domain: Literal["general", "medical"] = "general"


class DriftOfDataset(Document):
    """A registered data set to be held against a model's training data."""

    dataset: Annotated[str, Field(description="id or name of a data set")]


class SplitCheck(Document):
    """A training spec whose split is to be looked at."""

    spec: Annotated[dict[str, Any], Field(description="training spec; absent fields take their defaults")] = {}


class Spending(Document):
    """What a submission says about money and time."""

    max_cost_usd: Annotated[float | None, Field(ge=0, strict=False, description="refused if it may cost more")] = None
    max_seconds: Annotated[float | None, Field(gt=0, strict=False, description="longest time of workers")] = None

    def spending(self) -> dict[str, Any]:
        """Arguments of ``Jobs.submit``."""
        return {"max_cost_usd": self.max_cost_usd, "max_seconds": self.max_seconds}


class TrainingJob(Spending):
    """A training job."""

    kind: Literal["train"]
    dataset: Annotated[str, Field(description="id or name of a data set")]
    model: Annotated[str | None, Field(description="model that gets a new version; by default the data set's name")] = (
        None
    )
    spec: Annotated[dict[str, Any], Field(description="training spec; absent fields take their defaults")] = {}
    priority: Annotated[int, Field(ge=-10, le=10, description="higher goes first")] = 0
    after: Annotated[list[str], Field(max_length=100, description="jobs that must have succeeded before")] = []

    def submission(self) -> dict[str, Any]:
        """Payload and further arguments of ``Jobs.submit``."""
        return {"payload": self.spec, "model_name": self.model, "dataset": self.dataset, **self.spending()}


class SweepFields(Document):
    """What a sweep searches."""

    spec: Annotated[dict[str, Any], Field(description="the training spec that trials start from")] = {}
    space: Annotated[dict[str, Any], Field(description="field of the spec -> int, float or choice")]
    objective: Annotated[dict[str, Any] | None, Field(description="metric and folds")] = None
    sampler: Annotated[dict[str, Any] | None, Field(description="name (tpe, random, grid) and seed")] = None
    pruner: Annotated[dict[str, Any] | None, Field(description="name (median), startup_trials, warmup_folds")] = None
    n_trials: Annotated[int | None, Field(ge=1, description="20, or all points of a grid")] = None
    parallelism: Annotated[int, Field(ge=1, description="trials that may run at once")] = 1


class NewSweep(SweepFields):
    """A search for a good training spec."""

    dataset: Annotated[str, Field(description="id or name of a data set")]
    name: Annotated[str | None, Field(description="by default the model's")] = None
    model: Annotated[
        str | None, Field(description="model that gets the best trial; by default the data set's name")
    ] = None
    priority: Annotated[int, Field(ge=-10, le=10, description="higher goes first")] = 0
    after: Annotated[list[str], Field(max_length=100, description="jobs that must have succeeded before")] = []


class NewSolution(Document):
    """A problem, and how it is to be solved."""

    problem: Annotated[dict[str, Any], Field(description='{"kind": ...}, or {"file": NAME, "text": ...}')]
    method: Annotated[str, Field(description="qaoa, vqe, annealing or classical", max_length=100)] = "qaoa"
    options: Annotated[dict[str, Any], Field(description="of superpose.optimization.SolveOptions")] = {}
    priority: Annotated[int, Field(ge=-10, le=10, description="higher goes first")] = 0
    after: Annotated[list[str], Field(max_length=100, description="jobs that must have succeeded before")] = []


class AliasMove(Document):
    """Which version an alias is to stand for."""

    version: Annotated[int | None, Field(ge=1, le=LARGEST_VERSION, description="by default the newest")] = None
    alias: Annotated[str | None, Field(description="the version by another alias")] = None
    expected: Annotated[
        int | None, Field(ge=0, le=LARGEST_VERSION, description="refuse unless it stands for this now; 0: for none")
    ] = None


class Edits(Document):
    """Changes of a note and tags; what is absent stays."""

    note: Annotated[str | None, Field(description="the new note; empty removes it")] = None
    tags: Annotated[dict[str, str | None] | None, Field(description="values to set; null removes a tag")] = None


class VersionEdits(Edits):
    """Changes of a version's note, tags and statements; what is absent stays."""

    statements: Annotated[
        dict[str, str] | None,
        Field(description="intended_use, limits, no_subgroups: what is stated about the version; absent ones stay"),
    ] = None


class ColumnEdits(Document):
    """Changes of what is said of a column; what is absent stays, null removes."""

    unit: Annotated[str | None, Field(description="such as mg/dl; null removes it")] = None
    description: Annotated[str | None, Field(description="what the column holds; null removes it")] = None


class SheetEdits(Document):
    """Changes of a data sheet; what is absent stays."""

    columns: Annotated[dict[str, ColumnEdits], Field(description="changes by column")] = {}
    note: Annotated[str | None, Field(description="the new note; empty removes it")] = None
    expected: Annotated[int | None, Field(ge=1, description="refuse unless the sheet is at this revision now")] = None

    def edit(self) -> SheetEdit:
        """What the service takes."""
        said = {name: column.model_dump(exclude_unset=True) for name, column in self.columns.items()}
        return SheetEdit(
            units={name: fields["unit"] for name, fields in said.items() if "unit" in fields},
            descriptions={name: fields["description"] for name, fields in said.items() if "description" in fields},
            note=self.note,
            expected=self.expected,
        )


class NewKey(Document):
    """An API key to be made."""

    role: Annotated[str, Field(description="admin, editor, viewer or predictor")]
    project: Annotated[str | None, Field(description="by default the caller's")] = None
    label: str = ""
    expires_at: Time | None = None
    user: Annotated[str | None, Field(description="id of the member it belongs to; by default the caller's")] = None
    scopes: Annotated[list[str] | None, Field(description="such as datasets:read; by default all the role may")] = None
    operator: Annotated[bool, Field(description="whether it operates the whole installation")] = False


def version_of(number: int | None, alias: str | None) -> int | str | None:
    """The version that a document names by number, by alias, or not at all.

    Raises:
        RequestError: it names both.
    """
    if number is not None and alias is not None:
        raise RequestError("Name a version by 'version' or by 'alias', not by both.", field="alias")
    return number if alias is None else alias


def body_of(document: type[Document]) -> dict[str, Any]:
    """What OpenAPI says of a route that reads ``document`` by itself."""
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": document.model_json_schema()}}}
    }
