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


def describe(app: FastAPI) -> dict[str, Any]:
    """Complete the app's OpenAPI document by what stands in front of its routes."""
    document = app.openapi()
    components = document.setdefault("components", {})
    components["schemas"] = {"Problem": _PROBLEM}
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"key": []}]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["responses"].pop("422", None)  # FastAPI's own form of refusal, which nobody gets to see
            operation["responses"]["default"] = _REFUSAL
            if path in OPEN_PATHS:
                operation["security"] = []
    return document
