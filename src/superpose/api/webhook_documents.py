"""The JSON bodies of the routes of webhooks."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from superpose.api.documents import Document

__all__ = ["NewWebhook", "WebhookRotation"]

_Words = Annotated[list[str] | None, Field(max_length=100)]


class NewWebhook(Document):
    """A webhook to be made."""

    url: Annotated[str, Field(max_length=2_000, description="where messages are posted; https")]
    events: Annotated[_Words, Field(description="such as job.failed; by default the ends of jobs")] = None
    kinds: Annotated[_Words, Field(description="kinds of jobs; by default all")] = None
    label: Annotated[str, Field(max_length=200, description="what it is for")] = ""


class WebhookRotation(Document):
    """How a webhook gets a new secret."""

    grace_s: Annotated[
        float, Field(ge=0, le=2_592_000, strict=False, description="how long messages are signed with the old one too")
    ] = 86_400.0
