"""The OpenAPI document, told truly: every route takes a key, and every refusal is a problem document."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from superpose.api.gate import OPEN_PATHS

__all__ = ["describe"]

_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "request_id", "details"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "stable name of the cause, such as dataset.one_class"},
        "request_id": {"type": "string"},
        "details": {"type": "object", "description": "facts for programs"},
        "error": {"type": "string", "description": "the detail again, under /v2 only"},
    },
}
_REFUSAL = {
    "description": "A problem (RFC 9457)",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


_PAGE = {
    "type": "object",
    "required": ["items", "next"],
    "properties": {
        "items": {"type": "array", "items": {"type": "object"}},
        "next": {"type": ["string", "null"], "description": "`cursor` of the next part"},
    },
}
_JSON = "application/json"
MADE = {
    "/v1/datasets": ("201", "id_or_name", "id"),
    "/v1/endpoints": ("201", "name", "name"),
    "/v1/functions": ("201", "name", "name"),
    "/v1/jobs": ("202", "job_id", "id"),
    "/v1/keys": ("201", "key_id", "id"),
    "/v1/predictions": ("202", "job_id", "id"),
    "/v1/program-sets": ("202", "job_id", "id"),
    "/v1/programs": ("202", "job_id", "id"),
    "/v1/projects": ("201", "name", "name"),
    "/v1/sweeps": ("202", "name", "name"),
    "/v1/users": ("201", "user_id", "id"),
}
"""What a POST makes: its status, the parameter that addresses the new thing, and the field that says it."""


def describe(app: FastAPI) -> dict[str, Any]:
    """Complete the app's OpenAPI document by what stands in front of its routes."""
    document = app.openapi()
    components = document.setdefault("components", {})
    components["schemas"] = {"Problem": _PROBLEM, "Page": _PAGE}
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"key": []}]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["responses"].pop("422", None)  # FastAPI's own form of refusal, which nobody gets to see
            _describe_answers(operation)
            operation["responses"]["default"] = _REFUSAL
            if path in OPEN_PATHS:
                operation["security"] = []
    _link(document["paths"])
    return document


def _link(paths: dict[str, Any]) -> None:
    """Say how the routes of a new thing are reached from the answer that tells of it."""
    for path, (status, parameter, field) in MADE.items():
        links = paths[path]["post"]["responses"][status].setdefault("links", {})
        for below, operations in paths.items():
            if not below.startswith(f"{path}/{{{parameter}}}") or below.count("{") > 1:
                continue
            for operation in operations.values():
                links[operation["operationId"]] = {
                    "operationId": operation["operationId"],
                    "parameters": {parameter: f"$response.body#/{field}"},
                }


def _describe_answers(operation: dict[str, Any]) -> None:
    """Say of each JSON answer that it is an object, or a part of a list."""
    is_list = {"limit", "cursor"} <= {parameter["name"] for parameter in operation.get("parameters", ())}
    schema = {"$ref": "#/components/schemas/Page"} if is_list else {"type": "object"}
    for status, answer in operation["responses"].items():
        if status.startswith("2") and status != "204" and ("content" not in answer or _JSON in answer["content"]):
            answer["content"] = {**answer.get("content", {}), _JSON: {"schema": schema}}
