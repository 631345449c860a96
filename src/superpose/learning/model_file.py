"""The model file: a manifest (JSON), circuits (OpenQASM 3) and arrays (safetensors) in one deterministic zip.

The manifest lists every member with its SHA-256, and the digest of the manifest is the digest of the model, which a
registry keeps and signatures sign. Signatures lie beside it, outside the digest. Reading executes and unpickles
nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from superpose import __version__
from superpose.circuits import from_qasm
from superpose.errors import ModelFileCorruptError, ModelFormatError, SuperposeError
from superpose.learning.calibration.safeguards import Safeguards
from superpose.learning.canonical import digest_bytes, write_atomically
from superpose.learning.container import MAX_FILE_BYTES, pack, unpack
from superpose.learning.trained_model import CIRCUIT_MEMBER, ServedModel, TrainedModel
from superpose.learning.trained_regressor import TrainedRegressor

__all__ = [
    "FORMAT_VERSION",
    "KIND",
    "KINDS",
    "ModelFacts",
    "ModelFile",
    "encode_model",
    "read_model",
    "with_signature",
    "write_model",
]

FORMAT_VERSION = 2
"""The newest that this release writes; files without safeguards are of version 1, which older releases read too."""

KIND = "hybrid_classifier"
KINDS = (KIND, "module_classifier", "family_classifier", TrainedRegressor.kind)
"""Kinds of models that this release reads: a circuit between classical layers, an exported module (a user's own, or a
family's network), a family without a network, such as a kernel method, and a circuit between layers that give a
number."""

_STUMBLES = ValueError, KeyError, TypeError, IndexError, AttributeError, ArithmeticError, RecursionError
"""What parts raise that are no model's."""

_ONE_CIRCUIT = (KIND, TrainedRegressor.kind)

_MANIFEST, _ARRAYS, _SAFEGUARDS = "manifest.json", "arrays.safetensors", "safeguards.safetensors"
_SIGNATURES = "signatures/"


@dataclass(frozen=True)
class ModelFacts:
    """What a model file says about its model besides what it computes; JSON values, nothing secret or personal.

    Attributes:
        evaluation: figures of this model and of the experiment it comes from.
        data: the data set: name, digest, counts; and the split that trained the model.
        provenance: spec, seeds, versions.
        baseline: how the training rows are distributed, from ``superpose.datasets.drift_baseline``; not in files of
            release 0.1.0.
    """

    evaluation: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    baseline: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ModelFile:
    """A model file that has been read and checked.

    Attributes:
        manifest: the whole manifest.
        model: what predicts.
        digest: SHA-256 of the manifest's bytes.
        signatures: content of each signature by its name; not checked here.
        safeguards: calibration, prediction sets, abstaining and novelty; empty in files of format version 1.
    """

    manifest: dict[str, Any]
    model: ServedModel
    digest: str
    signatures: dict[str, bytes]
    safeguards: Safeguards = field(default_factory=Safeguards)


def encode_model(
    model: ServedModel, facts: ModelFacts | None = None, safeguards: Safeguards | None = None
) -> tuple[bytes, str]:
    """The bytes of a model file and the model's digest; equal models, facts and safeguards give equal bytes."""
    facts = facts or ModelFacts()
    description, arrays = model.to_parts()
    members = {_ARRAYS: safetensors.numpy.save(arrays), **model.to_members()}
    guarded: dict[str, Any] = {}
    if safeguards is not None and not safeguards.empty:
        safeguards.check(len(model.classes), model.preprocessor.n_encoded)
        guarded["safeguards"], kept = safeguards.to_parts()
        members[_SAFEGUARDS] = safetensors.numpy.save(kept)
    manifest = {
        "format": "superpose-model",
        "format_version": FORMAT_VERSION if guarded else 1,
        "kind": model.kind,
        "superpose_version": __version__,
        "members": {name: {"sha256": digest_bytes(content), "size": len(content)} for name, content in members.items()},
        "pipeline": description,
        "evaluation": dict(facts.evaluation),
        "data": dict(facts.data),
        "provenance": dict(facts.provenance),
        **({"drift_baseline": dict(facts.baseline)} if facts.baseline else {}),
        **guarded,
    }
    text = json.dumps(manifest, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False).encode()
    return pack({_MANIFEST: text, **members}), digest_bytes(text)


def write_model(
    path: Path, model: ServedModel, facts: ModelFacts | None = None, safeguards: Safeguards | None = None
) -> str:
    """Write a model file atomically, and return its digest.

    Raises:
        OSError: the file cannot be written.
    """
    content, digest = encode_model(model, facts, safeguards)
    write_atomically(path, content)
    return digest


def with_signature(content: bytes, name: str, signature: bytes) -> bytes:
    """The model file with a signature added; the digest stays.

    Raises:
        ModelFileCorruptError: the content is not a model file.
        ValueError: the name is not plain.
    """
    members = unpack(content)
    signatures = {k: v for k, v in members.items() if k.startswith(_SIGNATURES)} | {_SIGNATURES + name: signature}
    rest = {k: v for k, v in members.items() if not k.startswith(_SIGNATURES)}
    return pack(rest | dict(sorted(signatures.items())))


def read_model(source: Path | str | bytes, expected_digest: str | None = None) -> ModelFile:
    """Read and check a model file.

    Steps: (1) the container is whole and canonical, (2) the manifest has the expected digest, (3) its format and kind
        are known, (4) members are exactly those listed, with the digests listed, (5) circuit and arrays fit the
        description.

    Args:
        source: path, or the file's bytes.
        expected_digest: from a registry; without it a forged file that is consistent in itself is not noticed.

    Raises:
        ModelFileCorruptError: step 1, 2, 4 or 5 fails.
        ModelFormatError: step 3 fails; a newer release may read the file.
        OSError: the file cannot be read.
    """
    members = unpack(_read(source))  # (1)
    if _MANIFEST not in members:
        raise ModelFileCorruptError("the file has no manifest.json; it is not a model file")
    digest = digest_bytes(members[_MANIFEST])
    if expected_digest is not None and digest != expected_digest:  # (2)
        raise ModelFileCorruptError(
            f"the model has the digest {digest}, expected was {expected_digest}; it is another model or was changed",
            digest=digest,
            expected=expected_digest,
        )
    manifest = _read_manifest(members[_MANIFEST])  # (3)
    signatures = {name.removeprefix(_SIGNATURES): v for name, v in members.items() if name.startswith(_SIGNATURES)}
    _check_members(members, manifest)  # (4)
    model, safeguards = _build(members, manifest)  # (5)
    return ModelFile(manifest, model, digest, signatures, safeguards)


def _read(source: Path | str | bytes) -> bytes:
    if isinstance(source, bytes):
        content = source
    else:
        with Path(source).open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ModelFileCorruptError(f"the file is larger than {MAX_FILE_BYTES} bytes, the most that a model file has")
    return content


def _read_manifest(content: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(content, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError):
        raise ModelFileCorruptError("manifest.json is not JSON of finite numbers") from None
    if not isinstance(manifest, dict) or manifest.get("format") != "superpose-model":
        raise ModelFormatError("manifest.json does not say that this is a superpose-model")
    version, kind = manifest.get("format_version"), manifest.get("kind")
    if version not in range(1, FORMAT_VERSION + 1) or isinstance(version, bool):
        raise ModelFormatError(
            f"the model file has format version {version!r}, this release reads 1 to {FORMAT_VERSION}; "
            "install the release that wrote it or a newer one",
            format_version=version if isinstance(version, int | str) else None,
        )
    if kind not in KINDS:
        raise ModelFormatError(f"the model file holds a {kind!r}, this release knows {', '.join(map(repr, KINDS))}")
    for name in ("evaluation", "data", "provenance"):
        if not isinstance(manifest.get(name), dict):
            raise ModelFileCorruptError(f"manifest.json has no {name} that is an object")
    return manifest


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    found = float(digits)
    if not math.isfinite(found):
        raise ValueError(f"{digits[:20]} is too large")
    return found


def _check_members(members: Mapping[str, bytes], manifest: Mapping[str, Any]) -> None:
    listed = manifest.get("members")
    present = {n for n in members if n != _MANIFEST and not n.startswith(_SIGNATURES)}
    plain = present - {_SAFEGUARDS}
    known = plain == {_ARRAYS, CIRCUIT_MEMBER} if manifest["kind"] in _ONE_CIRCUIT else _ARRAYS in present
    known = known and (_SAFEGUARDS in present) == (manifest["format_version"] > 1)
    if not isinstance(listed, dict) or present != set(listed) or not known:
        raise ModelFileCorruptError(
            f"members must be those that the manifest lists and this format has; got {sorted(present)}, "
            f"listed {sorted(listed) if isinstance(listed, dict) else listed!r}"
        )
    for name in sorted(present):
        stated = {"sha256": digest_bytes(members[name]), "size": len(members[name])}
        if listed[name] != stated:
            raise ModelFileCorruptError(f"member {name} is not the one that the manifest lists: its digest differs")


def _build(members: Mapping[str, bytes], manifest: Mapping[str, Any]) -> tuple[ServedModel, Safeguards]:
    try:
        model, safeguards = _model(members, manifest), Safeguards()
        if _SAFEGUARDS in members:
            safeguards = Safeguards.from_parts(manifest["safeguards"], _arrays(members[_SAFEGUARDS]))
            safeguards.check(len(model.classes), model.preprocessor.n_encoded)
    except (SuperposeError, SafetensorError, *_STUMBLES) as error:
        raise ModelFileCorruptError(
            f"the manifest, circuit and arrays do not make a model: {type(error).__name__}: {error}"
        ) from None
    return model, safeguards


def _arrays(content: bytes) -> dict[str, Any]:
    return {name: np.array(array) for name, array in safetensors.numpy.load(content).items()}


def _model(members: Mapping[str, bytes], manifest: Mapping[str, Any]) -> ServedModel:
    arrays = _arrays(members[_ARRAYS])
    rest = {name: members[name] for name in manifest["members"] if name != _SAFEGUARDS}
    if manifest["kind"] == "module_classifier":
        from superpose.learning.modules.model import ModuleModel

        return ModuleModel.from_parts(manifest["pipeline"], arrays, rest)
    if manifest["kind"] == "family_classifier":
        from superpose.learning.families.plain import FamilyModel

        return FamilyModel.from_parts(manifest["pipeline"], arrays, rest)
    kind = TrainedRegressor if manifest["kind"] == TrainedRegressor.kind else TrainedModel
    return kind.from_parts(manifest["pipeline"], arrays, from_qasm(members[CIRCUIT_MEMBER].decode()))
