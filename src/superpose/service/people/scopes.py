"""Scopes: what a key may touch, beside its role.

A scope reads ``NOUN:ACTION`` or ``NOUN/NAME:ACTION``: ``datasets:read``, ``endpoints/triage:predict``. The action is
*read*, *write* (which includes read) or, of endpoints, *predict* (which includes reading that endpoint), and of quantum
functions likewise *call*. A key without
scopes may do all that its role may; a key with scopes only what its role and one of its scopes allow. The check goes by
method and path, in front of routing, so a route that comes tomorrow is closed to scoped keys until a scope names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from superpose.errors import RequestError, ScopeError
from superpose.service.nouns import Principal

__all__ = ["NOUNS", "Need", "check_scope", "need_of", "read_scopes"]

#: What a scope may name: the nouns of the routes, and ``metrics``.
NOUNS = (
    "audit",
    "budgets",
    "costs",
    "datasets",
    "endpoints",
    "functions",
    "jobs",
    "keys",
    "metrics",
    "models",
    "modules",
    "predictions",
    "program-sets",
    "programs",
    "projects",
    "solutions",
    "sweeps",
    "usage",
    "users",
    "waits",
    "webhooks",
)

_ACTIONS = ("read", "write", "predict", "call")
_USING = {"predict": "endpoints", "call": "functions"}
_SCOPE = re.compile(r"([a-z][a-z_-]*)(?:/([A-Za-z0-9][A-Za-z0-9._-]{0,62}))?:([a-z]+)", re.ASCII)
_MAX_SCOPES = 100
_LOOKING = frozenset(
    {("datasets", "checks"), ("jobs", "estimate"), ("models", "drift")}
)  # POST, but they change nothing
_FREE = frozenset({"/v1/version", "/v2", "/v2/", "/openapi.json"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Need:
    """What a request does: ``action`` on a noun, on one thing of it where ``name`` is not None."""

    noun: str
    name: str | None
    action: str

    def met_by(self, scope: str) -> bool:
        """Whether a scope, as ``read_scopes`` accepts it, allows this."""
        match = _SCOPE.fullmatch(scope)
        if match is None:
            return False
        noun, name, action = match.groups()
        if noun != self.noun or (name is not None and name != self.name):
            return False
        if action == self.action:
            return True
        if self.action == "read":
            return action == "write" or (action in _USING and self.name is not None)
        return False


def read_scopes(scopes: Iterable[str] | None) -> tuple[str, ...] | None:
    """Scopes in order, each once; None where nothing but the role restricts.

    Raises:
        RequestError: not a list, too many, or one of another form; an empty list would allow nothing.
    """
    if scopes is None:
        return None
    wanted = sorted(set(scopes)) if isinstance(scopes, list | tuple) and all(isinstance(s, str) for s in scopes) else []
    if not 1 <= len(wanted) <= _MAX_SCOPES:
        raise RequestError(
            f"scopes must be a list of 1 to {_MAX_SCOPES} texts such as 'datasets:read'; leave them out for a key that "
            "only its role restricts.",
            field="scopes",
        )
    for scope in wanted:
        match = _SCOPE.fullmatch(scope)
        noun, _, action = match.groups() if match else ("", None, "")
        if noun not in NOUNS or action not in _ACTIONS or noun != _USING.get(action, noun):
            raise RequestError(
                f"Scope {scope[:100]!r} is not understood. The form is NOUN:ACTION or NOUN/NAME:ACTION with NOUN one "
                f"of {', '.join(NOUNS)} and ACTION read or write, or predict for endpoints and call for functions.",
                field="scopes",
                allowed=list(NOUNS),
            )
    return tuple(wanted)


def need_of(method: str, path: str) -> Need | None:
    """What a request needs; None if every key may do it."""
    if path in _FREE:
        return None
    parts = path.split("/")[1:]
    action = "read" if method in _READING else "write"
    if parts[0] == "v2":
        return _inference_need(parts, action)
    if parts[0] == "v1":
        parts = parts[1:]
    noun, name = parts[0] if parts else "", parts[1] if len(parts) > 1 else None
    if noun == "endpoints" and parts[2:] in (["predict"], ["explain"]):
        action = "predict"
    if noun == "functions" and parts[2:3] in (["call"], ["calls"]):
        action = "call"
    if noun == "uploads":  # files of data sets to be
        return Need("datasets", None, "write")
    if (noun, *parts[-1:]) in _LOOKING:
        action = "read"
    return Need(noun, name, action)


def check_scope(principal: Principal, method: str, path: str) -> None:
    """Refuse what none of the key's scopes allows.

    Raises:
        ScopeError: the key has scopes, and none for this; whether the thing exists was not looked at.
    """
    if principal.scopes is None:
        return
    need = need_of(method, path)
    if need is None or any(need.met_by(scope) for scope in principal.scopes):
        return
    raise ScopeError(
        f"Key {principal.key_id} has the scopes {', '.join(principal.scopes)}; none of them allows this. It needs "
        f"'{need.noun}:{need.action}'. Ask an admin of project {principal.project!r} for a key with that scope.",
        scopes=list(principal.scopes),
        needed=f"{need.noun}:{need.action}",
    )


def _inference_need(parts: list[str], action: str) -> Need:
    """Of the Open Inference Protocol, whose models are our endpoints."""
    rest = parts[2:] if parts[1:2] == ["repository"] else parts[1:]
    name = rest[1] if rest[:1] == ["models"] and len(rest) > 1 else None
    if rest[-1:] == ["infer"]:
        action = "predict"
    elif rest[-1:] == ["index"]:
        action = "read"
    return Need("endpoints", name, action)
