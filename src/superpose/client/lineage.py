"""A lineage graph as the client sees it, drawn as text or as a Mermaid flowchart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from superpose.client.json_fields import Fields
from superpose.client.nouns import Noun

__all__ = ["Lineage"]

_WORDS = {"dataset": "data set", "version": "", "job": "", "alias": "alias", "endpoint": "endpoint"}
_SHAPES = {"dataset": ("[(", ")]"), "job": ("([", "])"), "alias": (">", "]"), "endpoint": ("{{", "}}")}


@dataclass(frozen=True)
class Lineage(Noun):
    """What comes from what: ``nodes`` (id, kind, label, facts) and ``edges`` (source, target, relation)."""

    nodes: tuple[Mapping[str, Any], ...]
    edges: tuple[Mapping[str, Any], ...]

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A lineage from the service's JSON."""
        f = Fields.of("lineage", document)
        return cls(tuple(f.array("nodes")), tuple(f.array("edges")))

    def to_text(self) -> str:
        """The graph as a tree, a line per node, what came from it below it; each node is unfolded once."""
        below: dict[str, list[str]] = {}
        for edge in self.edges:
            below.setdefault(edge["source"], []).append(edge["target"])
        targets = {edge["target"] for edge in self.edges}
        by_id = {node["id"]: node for node in self.nodes}
        lines: list[str] = []
        shown: set[str] = set()

        def draw(node_id: str, before: str, branch: str) -> None:
            again = node_id in shown and bool(below.get(node_id))
            lines.append(f"{before}{branch}{_title(by_id[node_id])}{' (see above)' if again else ''}")
            if again:
                return
            shown.add(node_id)
            deeper = before + {"": "", "├── ": "│   ", "└── ": "    "}[branch]
            following = below.get(node_id, [])
            for place, target in enumerate(following):
                draw(target, deeper, "└── " if place == len(following) - 1 else "├── ")

        for node in self.nodes:
            if node["id"] not in targets:
                draw(node["id"], "", "")
        return "\n".join(lines)

    def to_mermaid(self) -> str:
        """The graph as a Mermaid flowchart, for Markdown pages that draw it."""
        short = {node["id"]: f"n{place}" for place, node in enumerate(self.nodes)}
        lines = ["flowchart LR"]
        for node in self.nodes:
            left, right = _SHAPES.get(node["kind"], ("[", "]"))
            lines.append(f'  {short[node["id"]]}{left}"{_escaped(_title(node))}"{right}')
        lines += [
            f"  {short[edge['source']]} -->|{_escaped(edge['relation'])}| {short[edge['target']]}"
            for edge in self.edges
        ]
        return "\n".join(lines)


def _title(node: Mapping[str, Any]) -> str:
    """A node in words: its kind, its name, and the digest it is known by."""
    digest = f" ({str(node['digest'])[:12]})" if node.get("digest") else ""
    deleted = ", deleted" if node.get("deleted") else ""
    return f"{_WORDS.get(node['kind'], node['kind'])} {node['label']}{digest}{deleted}".strip()


def _escaped(text: str) -> str:
    """Text that stands in quotes in Mermaid."""
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
