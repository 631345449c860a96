"""The JSON bodies of ``POST /v1/jobs``, one per kind of job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, Field, ValidationError

from superpose.api.documents import Document, Spending, SweepFields, TrainingJob
from superpose.api.problems import from_validation_error
from superpose.errors import RequestError

__all__ = [
    "JOB_DOCUMENTS",
    "FunctionJob",
    "JobDocument",
    "JobEstimate",
    "ModuleTrainingJob",
    "TemplateTrainingJob",
    "job_bodies",
    "job_document",
]


class JobDocument(Protocol):
    """What every kind has."""

    kind: str
    priority: int
    after: list[str]

    def submission(self) -> dict[str, Any]:
        """Payload and further arguments of ``Jobs.submit``."""
        ...


class ModuleTrainingJob(Spending):
    """Train a user's own exported module."""

    kind: Literal["train_module"]
    module: Annotated[str, Field(description="id or name of an exported module")]
    dataset: Annotated[str, Field(description="id or name of a data set")]
    model: Annotated[str | None, Field(description="model that gets a new version; by default the data set's name")] = (
        None
    )
    loss: Annotated[str, Field(description="cross_entropy, nll or binary_cross_entropy")] = "cross_entropy"
    spec: Annotated[dict[str, Any], Field(default_factory=dict, description="training spec without the section model")]
    priority: Annotated[int, Field(ge=-10, le=10, description="higher goes first")] = 0
    after: Annotated[
        list[str], Field(default_factory=list, max_length=100, description="jobs that must have succeeded before")
    ]

    def submission(self) -> dict[str, Any]:
        """Payload and further arguments of ``Jobs.submit``."""
        payload = {"module": self.module, "loss": self.loss, "spec": self.spec}
        return {"payload": payload, "model_name": self.model, "dataset": self.dataset, **self.spending()}


class TemplateTrainingJob(Spending):
    """Train a template, a whole study of one kind of data."""

    kind: Literal["train_template"]
    template: Annotated[str, Field(description="pneumonia: pictures of two classes; demand: series of numbers")]
    dataset: Annotated[str, Field(description="id or name of a data set")]
    model: Annotated[str | None, Field(description="model that gets a new version; by default the data set's name")] = (
        None
    )
    options: Annotated[
        dict[str, Any],
        Field(
            default_factory=dict,
            description="pneumonia: preset, seeds, epochs, variants; demand: frequency, horizon, origins, calibration, "
            "seeds, epochs, variants, gaps",
        ),
    ]
    priority: Annotated[int, Field(ge=-10, le=10, description="higher goes first")] = 0
    after: Annotated[
        list[str], Field(default_factory=list, max_length=100, description="jobs that must have succeeded before")
    ]

    def submission(self) -> dict[str, Any]:
        """Payload and further arguments of ``Jobs.submit``."""
        payload = {"template": self.template, "options": self.options}
        return {"payload": payload, "model_name": self.model, "dataset": self.dataset, **self.spending()}


class JobEstimate(Document):
    """Ask what a training job, of a spec or of a template, or a sweep would be expected to take."""

    dataset: Annotated[str, Field(description="id or name of a data set")]
    spec: Annotated[dict[str, Any] | None, Field(description="training spec; {} takes all defaults")] = None
    template: Annotated[str | None, Field(description="pneumonia or demand, in place of a spec")] = None
    options: Annotated[dict[str, Any] | None, Field(description="of the template, as for the job")] = None
    sweep: Annotated[SweepFields | None, Field(description="in place of a spec, as for POST /v1/sweeps")] = None
    max_seconds: Annotated[float | None, Field(gt=0, strict=False, description="longest time of workers")] = None

    def asked(self) -> tuple[str, dict[str, Any]]:
        """Kind and payload of the job.

        Raises:
            RequestError: not one of a spec, a template and a sweep, options without a template, or a limit of a sweep.
        """
        given = [name for name in ("spec", "template", "sweep") if getattr(self, name) is not None]
        if len(given) != 1:
            got = " and ".join(given) or "none"
            raise RequestError(
                f"An estimate is of a spec, of a template, or of a sweep; got {got}. Send one of them.", field="spec"
            )
        if self.template is not None:
            return "train_template", {"template": self.template, "options": self.options or {}}
        if self.options is not None:
            raise RequestError(
                "Options are a template's; a spec or a sweep says all in itself. Leave them out.", field="options"
            )
        if self.sweep is None:
            return "train", dict(self.spec or {})
        if self.max_seconds is not None:
            raise RequestError(
                "A sweep takes no max_seconds: workers may hold each of its trials, and the final training, for the "
                "service's job_seconds. Leave it out.",
                field="max_seconds",
            )
        return "sweep", self.sweep.model_dump(exclude_none=True)


class FunctionOptions(Document):
    """How a function wants to be run."""

    checkpoint: bool = False
    retries: Annotated[int, Field(ge=0, le=100)] = 0
    timeout_s: Annotated[float | None, Field(gt=0)] = None


class FunctionJob(Spending):
    """Run a user's own function, where the service's operator allows user code."""

    kind: Literal["function"]
    source: Annotated[str, Field(description="text of the Python file")]
    file: Annotated[str, Field(description="the file's name, without directories")]
    function: Annotated[str, Field(description="name of a function decorated with @superpose.job")]
    sha256: Annotated[str | None, Field(description="of the text in UTF-8; another one is refused")] = None
    params: Annotated[dict[str, Any], Field(default_factory=dict, description="given to the function by name")]
    options: Annotated[FunctionOptions | None, Field(description="by default what stands at the decorator")] = None
    copy_from: Annotated[str | None, Field(description="finished job whose checkpoint this one starts with")] = None
    priority: Annotated[int, Field(ge=-10, le=10, description="higher goes first")] = 0
    after: Annotated[
        list[str], Field(default_factory=list, max_length=100, description="jobs that must have succeeded before")
    ]

    def submission(self) -> dict[str, Any]:
        """Payload and further arguments of ``Jobs.submit``."""
        same = self.model_dump(
            exclude={"kind", "priority", "after", "sha256", "options", "max_cost_usd", "max_seconds"}
        )
        stated = {} if self.sha256 is None else {"sha256": self.sha256}
        options = None if self.options is None else self.options.model_dump()
        return {"payload": {**same, **stated, "options": options}, **self.spending()}


#: kind -> its document.
JOB_DOCUMENTS: Mapping[str, type[BaseModel]] = {
    "train": TrainingJob,
    "train_module": ModuleTrainingJob,
    "train_template": TemplateTrainingJob,
    "function": FunctionJob,
}


def job_document(value: object) -> Any:
    """The document of a JSON body, by its ``kind``.

    Raises:
        RequestError: no such kind, or fields that do not fit; names them.
    """
    if not isinstance(value, dict):
        raise RequestError("The body must be a JSON object.")
    kind = value.get("kind")
    if not isinstance(kind, str) or kind not in JOB_DOCUMENTS:
        message = f"must be one of {', '.join(JOB_DOCUMENTS)}"
        raise RequestError(
            f"The request does not fit: kind: {message}; got {str(kind)[:40]!r}.",
            errors=[{"field": "kind", "message": message, "type": "literal_error"}],
            allowed=list(JOB_DOCUMENTS),
        )
    try:
        return JOB_DOCUMENTS[kind].model_validate(value)
    except ValidationError as error:
        raise from_validation_error(error) from None


def job_bodies() -> dict[str, Any]:
    """What OpenAPI says of the bodies."""
    schemas = [document.model_json_schema() for document in JOB_DOCUMENTS.values()]
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": {"oneOf": schemas}}}}}
