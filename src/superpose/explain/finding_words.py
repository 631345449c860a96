"""What was odd between training and test rows, in the sentences of a model's card and its report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["finding_words"]


def finding_words(manifest: Mapping[str, Any], *, text: Callable[[object], str] = str) -> list[str]:
    """Sentences on what was found before training; none where nobody looked.

    Args:
        manifest: of the model file.
        text: how words of others are written, such as Markdown.
    """
    findings = (manifest.get("evaluation") or {}).get("findings")
    if findings is None:
        return []
    if not findings:
        return ["Before training neither leaks, doubles, identifiers nor drift were found between its parts."]
    return [f"Found before training: {text(finding['message'])}" for finding in findings]
