"""The JSON bodies that the routes of endpoints read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from superpose.api.documents import LARGEST_VERSION, Document
from superpose.errors import RequestError

if TYPE_CHECKING:
    from superpose.explain import Explain

__all__ = [
    "EndpointChange",
    "LimitChanges",
    "NewCanary",
    "NewEndpoint",
    "Rollback",
    "ToExplain",
    "WantedCounterfactuals",
    "WantedPicture",
]

_OR_SETTING = "null for the service's setting"


class LimitChanges(Document):
    """Limits of an endpoint; absent ones stay as they are."""

    max_batch_rows: Annotated[int | None, Field(description=f"rows that one engine call answers; {_OR_SETTING}")] = None
    max_delay_ms: Annotated[
        float | None, Field(description=f"longest wait on purpose for others to join a batch; {_OR_SETTING}")
    ] = None
    max_queue_rows: Annotated[int | None, Field(description=f"rows that may wait; {_OR_SETTING}")] = None
    max_concurrency: Annotated[int | None, Field(description=f"requests that may be under way; {_OR_SETTING}")] = None

    def given(self) -> dict[str, float | None]:
        """The limits that the body names."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class NewEndpoint(Document):
    """A name for a model version to answer under."""

    name: str
    model: str
    version: Annotated[int | None, Field(ge=1, le=LARGEST_VERSION, description="by default the newest")] = None
    alias: Annotated[str | None, Field(description="the version by its alias; it is looked up once")] = None
    limits: LimitChanges = LimitChanges()
    stage: Annotated[
        str | None, Field(description="development, the default, or production, which asks for complete versions")
    ] = None
    override: Annotated[
        str | None,
        Field(description="an admin's reason to let a version into production although something is missing"),
    ] = None


class EndpointChange(Document):
    """What an endpoint is to answer with from now on; absent fields stay as they are."""

    model: Annotated[str | None, Field(description="by default the one it has")] = None
    version: Annotated[
        int | None, Field(ge=1, le=LARGEST_VERSION, description="by default the newest if a model is given")
    ] = None
    alias: Annotated[str | None, Field(description="the version by its alias; it is looked up once")] = None
    limits: LimitChanges = LimitChanges()
    stage: Annotated[str | None, Field(description="development or production")] = None
    override: Annotated[
        str | None,
        Field(description="an admin's reason to let a version into production although something is missing"),
    ] = None


class Rollback(Document):
    """Which revision to go back to."""

    revision: Annotated[
        int | None, Field(ge=1, le=LARGEST_VERSION, description="by default the one before the present one")
    ] = None
    override: Annotated[
        str | None,
        Field(description="an admin's reason to let a version into production although something is missing"),
    ] = None


class WantedCounterfactuals(Document):
    """What of a row may change, so that its label does."""

    n: Annotated[int, Field(ge=1, le=10, description="how many to look for")] = 3
    to_class: Annotated[str | None, Field(description="the class wanted; by default any other")] = None
    fixed: Annotated[list[str], Field(default_factory=list, description="columns that must stay")]
    ranges: Annotated[
        dict[str, Annotated[list[float | None], Field(min_length=2, max_length=2)]],
        Field(default_factory=dict, description="low and high of number columns; null is the training data's"),
    ]
    max_changes: Annotated[int, Field(ge=1, le=6, description="columns that may change at once")] = 4
    norm: Annotated[str, Field(description="l1 or l2")] = "l1"
    min_probability: Annotated[float, Field(ge=0, le=1, description="of the new class")] = 0.0


class WantedPicture(Document):
    """What is to be drawn of rows that are images."""

    kind: Annotated[str, Field(description="auto, class_activation, attribution or occlusion")] = "auto"
    height: Annotated[int | None, Field(ge=2, le=1024, description="of the image, where columns do not tell")] = None
    width: Annotated[int | None, Field(ge=2, le=1024, description="of the image, where columns do not tell")] = None


class ToExplain(Document):
    """Rows whose predictions are to be explained."""

    rows: Annotated[
        list[dict[str, float | str | bool | None] | list[float | str | bool | None]],
        Field(description="as for predictions, at most 100"),
    ]
    method: Annotated[str, Field(description="integrated_gradients, gradient_x_input, occlusion or shapley")] = (
        "integrated_gradients"
    )
    of_class: Annotated[
        str | None, Field(description="whose probability is explained; by default each row's own prediction")
    ] = None
    counterfactuals: Annotated[
        WantedCounterfactuals | None,
        Field(description="the smallest changes that change the label, for at most 20 rows"),
    ] = None
    shots: Annotated[
        int | None, Field(ge=1, le=10**9, description="tell how likely labels are to flip with so many shots")
    ] = None
    words: Annotated[bool, Field(description="say it in plain words too")] = False
    picture: Annotated[
        WantedPicture | None, Field(description="for images: a PNG of each row, in base64, for at most 20 rows")
    ] = None

    def wanted(self) -> Explain:
        """What `superpose.explain` is asked.

        Raises:
            ExplanationError, RequestError: options that are none.
        """
        from superpose.explain import CounterfactualOptions, Explain, Picture

        options = None
        if self.counterfactuals is not None:
            given = self.counterfactuals.model_dump()
            ranges = {name: (low, high) for name, (low, high) in given.pop("ranges").items()}
            options = CounterfactualOptions(**given, ranges=ranges)
        picture = None
        if self.picture is not None:
            height, width = self.picture.height, self.picture.width
            if (height is None) != (width is None):
                raise RequestError("picture.height and picture.width belong together; give both.", field="picture")
            picture = Picture(self.picture.kind, None if height is None or width is None else (height, width))
        return Explain(self.method, self.of_class, options, self.shots, self.words, picture)


class NewCanary(Document):
    """A model version that is to answer a share of an endpoint's requests."""

    percent: Annotated[float, Field(description="share of the requests, above 0 and below 100")]
    version: Annotated[int | None, Field(ge=1, le=LARGEST_VERSION, description="by default the newest")] = None
    alias: Annotated[str | None, Field(description="the version by its alias; it is looked up once")] = None
    model: Annotated[str | None, Field(description="by default the endpoint's")] = None
    by: Annotated[str, Field(description="how requests are chosen: request_id or random")] = "request_id"
    seed: Annotated[int, Field(ge=0, lt=2**63, description="of the choice")] = 0
    override: Annotated[
        str | None,
        Field(description="an admin's reason to let a version into production although something is missing"),
    ] = None
