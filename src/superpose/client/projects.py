"""Projects and users over their routes."""

from __future__ import annotations

from collections.abc import Sequence

from superpose.client.nouns import Listing
from superpose.client.people_nouns import Member, Project, Residency, Usage, User
from superpose.client.resources import Resource, items, segment
from superpose.client.transport import Call

__all__ = ["Projects", "Users"]


class Projects(Resource):
    """Projects, their members and quotas; making and limiting them is for operators."""

    def create(self, name: str, *, title: str = "") -> Project:
        """A new project."""
        return Project.from_json(self._post("/v1/projects", {"name": name, "title": title}))

    def list(self) -> Listing[Project]:
        """The caller's project; for operators, all, archived ones too."""
        return items(self._transport, "/v1/projects", Project.from_json, {}, None)

    def get(self, name: str) -> Project:
        """One project with its quotas."""
        return Project.from_json(self._get(_path(name)))

    def change(self, name: str, *, title: str) -> Project:
        """Give a project another title."""
        return Project.from_json(self._change("PATCH", _path(name), {"title": title}))

    def set_quotas(
        self,
        name: str,
        *,
        jobs: int | None = None,
        bytes: int | None = None,
        seconds_per_day: int | None = None,
        seconds_per_month: int | None = None,
        requests_per_minute: int | None = None,
    ) -> Project:
        """Set all quotas of a project at once; what is left out is not limited.

        Args:
            name: the project.
            jobs: jobs that have not ended.
            bytes: bytes of data sets and model files.
            seconds_per_day: seconds of workers since midnight UTC.
            seconds_per_month: seconds of workers since the month began, UTC.
            requests_per_minute: requests of all its keys together.
        """
        document = {
            "jobs": jobs,
            "bytes": bytes,
            "seconds_per_day": seconds_per_day,
            "seconds_per_month": seconds_per_month,
            "requests_per_minute": requests_per_minute,
        }
        return Project.from_json(self._change("PUT", f"{_path(name)}/quotas", document))

    def usage(self, name: str | None = None) -> Usage:
        """What a project uses of its quotas; the caller's where it is left out."""
        query = {} if name is None else {"project": name}
        return Usage.from_json(self._read(Call("GET", "/v1/usage", query=query)))

    def residency(self, name: str) -> Residency:
        """Where a project's programs and data may go."""
        return Residency.from_json(self._get(f"{_path(name)}/residency"))

    def set_residency(
        self,
        name: str,
        *,
        regions: Sequence[str] | None = None,
        providers: Sequence[str] | None = None,
        deny_providers: Sequence[str] = (),
        backends: Sequence[str] | None = None,
        deny_backends: Sequence[str] = (),
        processors: bool = True,
    ) -> Residency:
        """Set all residency rules of a project at once, for its admins; what is left out is no rule.

        Args:
            name: the project.
            regions: where backends must be: "here", "eu", a country ("us") or a provider's own word ("eu-north-1").
            providers: who must offer them.
            deny_providers: who may not.
            backends: names or patterns ("ibm:*"), one of which a backend must be.
            deny_backends: names or patterns of which it may be none.
            processors: whether quantum processors may be used at all.
        """
        document = {
            "regions": None if regions is None else list(regions),
            "providers": None if providers is None else list(providers),
            "deny_providers": list(deny_providers),
            "backends": None if backends is None else list(backends),
            "deny_backends": list(deny_backends),
            "processors": processors,
        }
        return Residency.from_json(self._change("PUT", f"{_path(name)}/residency", document))

    def clear_residency(self, name: str) -> None:
        """Let programs of a project go anywhere again; for its admins."""
        self._delete(f"{_path(name)}/residency")

    def archive(self, name: str) -> Project:
        """Have no key of a project open anything until it is restored; all that it holds stays."""
        return Project.from_json(self._post(f"{_path(name)}/archive", {}))

    def restore(self, name: str) -> Project:
        """Open an archived project again."""
        return Project.from_json(self._post(f"{_path(name)}/restore", {}))

    def members(self, name: str) -> Listing[Member]:
        """Who belongs to a project."""
        return items(self._transport, f"{_path(name)}/members", Member.from_json, {}, None)

    def set_member(self, name: str, user: str, role: str) -> Member:
        """Give a user a role in a project; admins their members, operators every user."""
        return Member.from_json(self._change("PUT", f"{_path(name)}/members/{segment(user)}", {"role": role}))

    def remove_member(self, name: str, user: str) -> None:
        """Take a user out of a project; the user's keys there are revoked."""
        self._delete(f"{_path(name)}/members/{segment(user)}")


class Users(Resource):
    """People and service accounts; admins make them for their project, operators for every one."""

    def create(
        self,
        name: str,
        *,
        email: str | None = None,
        kind: str = "person",
        project: str | None = None,
        role: str = "editor",
    ) -> User:
        """A new user, a member of one project from the start.

        Args:
            name: what people call the user.
            email: optional.
            kind: "person", or "service" for an account that a program uses.
            project: the caller's where it is left out.
            role: the user's role there.
        """
        document = {"name": name, "email": email, "kind": kind, "project": project, "role": role}
        return User.from_json(self._post("/v1/users", document))

    def list(self) -> Listing[User]:
        """Members of the caller's project; for operators, all users."""
        return items(self._transport, "/v1/users", User.from_json, {}, None)

    def get(self, user_id: str) -> User:
        """One user; the caller's own with any role."""
        return User.from_json(self._get(f"/v1/users/{segment(user_id)}"))

    def change(self, user_id: str, *, name: str | None = None, email: str | None = None) -> User:
        """Give a user another name or address; an empty address removes it. For operators."""
        document = {field: value for field, value in (("name", name), ("email", email)) if value is not None}
        return User.from_json(self._change("PATCH", f"/v1/users/{segment(user_id)}", document))

    def disable(self, user_id: str) -> User:
        """Have no key of a user open anything, in any project. For operators."""
        return User.from_json(self._post(f"/v1/users/{segment(user_id)}/disable", {}))

    def enable(self, user_id: str) -> User:
        """Take disabling back. For operators."""
        return User.from_json(self._post(f"/v1/users/{segment(user_id)}/enable", {}))


def _path(name: str) -> str:
    return f"/v1/projects/{segment(name)}"
