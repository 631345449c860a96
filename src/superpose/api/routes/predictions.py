"""``/v1/predictions``: a file of rows in, a file of predictions out."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from superpose.api.answers import caller
from superpose.api.bodies import media_type_of, read_model, receive_file
from superpose.api.documents import LARGEST_VERSION, Document, body_of, version_of
from superpose.api.file_jobs import add_file_job_routes, submitted
from superpose.api.routes.datasets import FORMAT_OF
from superpose.errors import MediaTypeError, RequestError
from superpose.service import Asked, Role, Service
from superpose.service.predictions.result_files import MEDIA_TYPES

__all__ = ["routes"]


_Abstain = Annotated[
    bool | float | Literal["set"],
    Field(description="true, a probability or set: rows of which the model is unsure get no label"),
]


class _OfDataset(Document):
    """A stored data set to be predicted, and by which model."""

    dataset: Annotated[str, Field(description="id or name of a data set")]
    model: Annotated[str, Field(description="name of the model")]
    version: Annotated[int | None, Field(ge=1, le=LARGEST_VERSION, description="by default the newest")] = None
    alias: Annotated[str | None, Field(description="the version by its alias; it is looked up once")] = None
    format: Annotated[Literal["csv", "parquet", "npz"], Field(description="of the file that comes out")] = "csv"
    on_error: Annotated[
        Literal["fail", "skip"], Field(description="skip leaves out rows that cannot be predicted, and reports them")
    ] = "fail"
    priority: Annotated[int, Field(ge=-10, le=10, description="higher goes first")] = 0
    after: Annotated[list[str], Field(max_length=100, description="jobs that must have succeeded before")] = Field([])
    prediction_set: Annotated[bool, Field(description="also which classes are in each row's prediction set")] = False
    abstain: Annotated[
        bool | float | Literal["set"],
        Field(description="true, a probability or set: rows of which the model is unsure get no label"),
    ] = False
    novelty: Annotated[bool, Field(description="also how unlike the training rows each row is")] = False

    def asked(self, idempotency_key: str | None) -> Asked:
        """What the service takes."""
        return Asked(
            model=self.model,
            version=version_of(self.version, self.alias),
            format=self.format,
            on_error=self.on_error,
            priority=self.priority,
            idempotency_key=idempotency_key,
            after=tuple(self.after),
            more=_more(self),
        )


class _InUrl(BaseModel):
    """What the URL says of a file in the body."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Annotated[str | None, Field(description="name of the model, for a file in the body")] = None
    version: Annotated[int | None, Field(ge=1, le=LARGEST_VERSION, description="by default the newest")] = None
    alias: Annotated[str | None, Field(description="the version by its alias; it is looked up once")] = None
    format: Annotated[Literal["csv", "parquet", "npz"], Field(description="of the file that comes out")] = "csv"
    on_error: Annotated[Literal["fail", "skip"], Field(description="what becomes of rows that cannot be predicted")] = (
        "fail"
    )
    priority: Annotated[int, Field(ge=-10, le=10, description="higher goes first")] = 0
    after: Annotated[tuple[str, ...], Field(max_length=100, description="jobs that must have succeeded before")] = ()
    prediction_set: Annotated[bool, Field(description="also which classes are in each row's prediction set")] = False
    abstain: Annotated[
        bool | float | Literal["set"],
        Field(description="true, a probability or set: rows of which the model is unsure get no label"),
    ] = False
    novelty: Annotated[bool, Field(description="also how unlike the training rows each row is")] = False

    def asked(self, idempotency_key: str | None) -> Asked:
        """What the service takes.

        Raises:
            RequestError: no model is named.
        """
        if not self.model:
            raise RequestError("A file in the body needs ?model= in the URL.", field="model")
        return Asked(
            model=self.model,
            version=version_of(self.version, self.alias),
            format=self.format,
            on_error=self.on_error,
            priority=self.priority,
            idempotency_key=idempotency_key,
            after=self.after,
            more=_more(self),
        )


def _more(asked: _OfDataset | _InUrl) -> dict[str, object]:
    """What is asked for besides labels and probabilities."""
    values = {"prediction_set": asked.prediction_set, "abstain": asked.abstain, "novelty": asked.novelty}
    return {name: value for name, value in values.items() if value is not False}


def routes(service: Service) -> APIRouter:
    """The routes of batch predictions."""
    router = APIRouter(prefix="/v1/predictions", tags=["predictions"])
    config = service.config

    @router.post("", status_code=202, openapi_extra=_body())
    async def submit(
        request: Request,
        in_url: Annotated[_InUrl, Query()],
        idempotency_key: Annotated[str | None, Header(description="one job per key")] = None,
    ) -> Response:
        """Predict the rows in the body, which goes to disk as it arrives, or those of a stored data set."""
        principal = caller(request)
        principal.require(Role.EDITOR)  # before megabytes are read
        media_type = media_type_of(request)
        if media_type == "application/json":
            wanted = await read_model(request, _OfDataset, config.max_body_bytes)
            made = await run_in_threadpool(
                service.predictions.submit_dataset, principal, wanted.dataset, wanted.asked(idempotency_key)
            )
        else:
            if media_type not in FORMAT_OF:
                raise MediaTypeError(
                    f"Rows are sent as {', '.join(FORMAT_OF)} or, for a stored data set, application/json; got "
                    f"Content-Type {media_type[:80]!r}.",
                    allowed=[*FORMAT_OF, "application/json"],
                )
            asked = in_url.asked(idempotency_key)
            with service.datasets.arriving() as path:
                await receive_file(request, path, config.max_dataset_bytes)
                made = await run_in_threadpool(
                    service.predictions.submit_file,
                    principal,
                    path,
                    FORMAT_OF[media_type],
                    asked,
                )
        return submitted(made)

    add_file_job_routes(router, service.predictions, *MEDIA_TYPES.values())
    return router


def _body() -> dict[str, object]:
    files = {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in FORMAT_OF}
    stored = body_of(_OfDataset)["requestBody"]["content"]
    return {"requestBody": {"required": True, "content": {**stored, **files}}}
