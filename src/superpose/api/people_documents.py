"""The JSON bodies of the routes of projects, users and keys."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from superpose.api.documents import Document, Time

__all__ = [
    "BudgetFields",
    "Membership",
    "NewProject",
    "NewUser",
    "NewUserFields",
    "ProjectFields",
    "QuotaFields",
    "ResidencyFields",
    "Rotation",
]

_Allowed = Annotated[int | None, Field(ge=0, le=2**53, description="null or absent: not limited")]

_Names = list[Annotated[str, Field(min_length=1, max_length=200)]] | None


class NewProject(Document):
    """A project to be made."""

    name: str
    title: Annotated[str, Field(description="what people call it")] = ""


class ProjectFields(Document):
    """What can be changed of a project."""

    title: str


class QuotaFields(Document):
    """What a project may use; what is absent is not limited."""

    jobs: _Allowed = None
    bytes: _Allowed = None
    seconds_per_day: _Allowed = None
    seconds_per_month: _Allowed = None
    requests_per_minute: _Allowed = None


class ResidencyFields(Document):
    """Where programs and data may go; what is absent is no rule."""

    regions: Annotated[_Names, Field(description="here, eu, us (a country), eu-north-1 (a provider's word)")] = None
    providers: Annotated[_Names, Field(description="who must offer a backend")] = None
    deny_providers: Annotated[_Names, Field(description="who may not")] = None
    backends: Annotated[_Names, Field(description="names or patterns (ibm:*) of backends")] = None
    deny_backends: Annotated[_Names, Field(description="names or patterns of those that may not be used")] = None
    processors: Annotated[bool, Field(description="whether quantum processors may be used at all")] = True


class BudgetFields(Document):
    """A budget to be set."""

    period: Annotated[str, Field(description="day, month (UTC) or total")]
    limit_usd: Annotated[float, Field(ge=0, le=1e9, strict=False, description="US dollars")]
    project: Annotated[str | None, Field(description="by default the caller's")] = None
    user: Annotated[str | None, Field(description="id of the user whose jobs count; absent: all jobs")] = None


class Membership(Document):
    """A user's role in a project."""

    role: Annotated[str, Field(description="admin, editor, viewer or predictor")]


class NewUser(Document):
    """A user to be made, with the first project."""

    name: str
    email: str | None = None
    kind: Annotated[Literal["person", "service"], Field(description="service: an account that a program uses")] = (
        "person"
    )
    project: Annotated[str | None, Field(description="by default the caller's")] = None
    role: Annotated[str, Field(description="admin, editor, viewer or predictor")] = "editor"


class NewUserFields(Document):
    """What can be changed of a user; what is absent stays."""

    name: str | None = None
    email: Annotated[str | None, Field(description="empty: none from now on")] = None


class Rotation(Document):
    """How a key gets a new secret."""

    grace_s: Annotated[float, Field(ge=0, le=2_592_000, strict=False, description="how long the old one counts")] = (
        86_400.0
    )
    expires_at: Annotated[Time | None, Field(description="the key's new end; by default it stays")] = None
