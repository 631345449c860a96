"""Errors as the edge tells them: one table from code to HTTP status and title, one form (RFC 9457 problem details).

Under ``/v2`` the document also carries ``error``, which the Open Inference Protocol asks for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from superpose.errors import (
    ByteRangeError,
    InternalError,
    MethodError,
    NotFoundError,
    RequestError,
    SuperposeError,
)

__all__ = ["PROBLEMS", "from_http_exception", "from_validation_error", "problem_response", "request_id_of"]

#: code -> (HTTP status, title). A code that is not listed is told as an internal error.
PROBLEMS: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "circuit.gate_unknown": (422, "Unknown gate"),
        "circuit.gate_arity": (422, "Wrong number of qubits or angles"),
        "circuit.qubit_out_of_range": (422, "Qubit out of range"),
        "circuit.angle": (422, "Unusable angle"),
        "circuit.parameter_unbound": (422, "Parameters and values do not fit"),
        "circuit.parameter_name": (422, "Unusable parameter name"),
        "circuit.feature_map": (422, "Unusable feature map"),
        "circuit.observable": (422, "Unusable observable"),
        "circuit.program": (422, "Program is inconsistent"),
        "circuit.program_set": (422, "Program set is inconsistent"),
        "circuit.format": (422, "Not a circuit document"),
        "circuit.qasm": (422, "OpenQASM cannot be read"),
        "circuit.conversion": (422, "A circuit cannot be carried over"),
        "circuit.toolkit_missing": (501, "A toolkit is not installed"),
        "circuit.drawing": (422, "A circuit cannot be drawn as asked"),
        "engine.state_too_large": (422, "Program needs more memory than there is"),
        "engine.shape": (422, "Wrong array shape"),
        "engine.unsupported": (422, "Not supported by the local engine"),
        "backend.unknown": (422, "Unknown backend"),
        "backend.provider": (502, "Provider failed"),
        "backend.calibration": (502, "Calibration not usable"),
        "backend.estimate_input": (422, "Prices or waits cannot be read"),
        "backend.none_fits": (422, "No backend fits"),
        "backend.decision": (422, "Not a decision"),
        "backend.disagreement": (502, "Backends disagree"),
        "backend.fleet_journal": (500, "Fleet journal not usable"),
        "backend.residency": (403, "Not allowed by the project's residency rules"),
        "backend.residency_rules": (422, "Residency rules cannot be kept"),
        "backend.piece_failed": (502, "A piece of a program set failed"),
        "backend.too_many_cuts": (422, "Cutting costs too much"),
        "optimization.problem": (422, "Not a problem to optimise"),
        "optimization.format": (422, "Problem cannot be read"),
        "optimization.infeasible": (422, "No feasible solution"),
        "optimization.too_large": (422, "Problem is too large"),
        "optimization.solver_stuck": (500, "Solver does not end"),
        "dataset.format": (422, "Data cannot be read"),
        "dataset.empty": (422, "Data set is empty"),
        "dataset.target": (422, "Target column is unusable"),
        "dataset.one_class": (422, "Only one class"),
        "dataset.too_wide": (422, "Too many columns"),
        "dataset.too_large": (413, "Data set is too large"),
        "dataset.too_small": (422, "Data set is too small"),
        "spec.invalid": (422, "Training spec is invalid"),
        "learning.not_fitted": (409, "Model is not fitted"),
        "learning.feature_mismatch": (422, "Rows do not fit the model"),
        "learning.row_refused": (422, "A row cannot be predicted"),
        "learning.diverged": (422, "Training diverged"),
        "learning.explanation": (422, "Cannot be explained this way"),
        "learning.safeguard_absent": (422, "The model version cannot tell that"),
        "learning.predicts_numbers": (422, "The model has no classes"),
        "learning.predicts_classes": (422, "The model predicts classes"),
        "function.invalid": (422, "Function or parameters do not fit"),
        "function.failed": (500, "Function failed"),
        "function.stopped": (409, "Job is stopping"),
        "quantum_function.file": (422, "File defines no quantum function"),
        "quantum_function.input": (422, "Input does not fit the function"),
        "quantum_function.code": (422, "The function's own code failed"),
        "quantum_function.limit": (422, "The function's own code exceeds a limit"),
        "quantum_function.isolation": (501, "Users' Python cannot be shut in here"),
        "service.user_code": (403, "User code is not allowed here"),
        "module.not_exportable": (422, "Module cannot be exported"),
        "module.format": (422, "Not an exported module"),
        "learning.checkpoint": (500, "Checkpoint is unusable"),
        "model.corrupt": (500, "Model file is corrupt"),
        "model.format": (500, "Model file cannot be read"),
        "auth.key_missing": (401, "API key is missing"),
        "auth.key_invalid": (401, "API key is not valid"),
        "auth.key_expired": (401, "API key has expired"),
        "auth.too_many_wrong_keys": (429, "Too many wrong API keys"),
        "auth.project_archived": (403, "Project is archived"),
        "auth.scope": (403, "Outside this key's scopes"),
        "quota.jobs": (429, "Too many jobs"),
        "quota.budget": (402, "Budget used up"),
        "quota.price_unknown": (409, "Price unknown"),
        "quota.bytes": (409, "No room left"),
        "quota.seconds": (429, "Compute time is used up"),
        "quota.requests": (429, "Too many requests"),
        "auth.key_file": (500, "Key file is unusable"),
        "auth.forbidden": (403, "Not allowed for this key"),
        "service.extra_missing": (501, "An optional part is not installed"),
        "service.sweep": (500, "Sweep failed"),
        "service.not_found": (404, "Not found"),
        "service.conflict": (409, "Conflict"),
        "service.version_in_use": (409, "Model version is in use"),
        "service.request": (400, "Request is not well formed"),
        "service.media_type": (415, "Unsupported media type"),
        "service.method": (405, "Method not allowed"),
        "service.payload_too_large": (413, "Body is too large"),
        "service.overloaded": (503, "Overloaded"),
        "service.store": (500, "Store failed"),
        "service.certificate": (500, "TLS certificate is unusable"),
        "service.setting": (500, "Setting is unusable"),
        "service.backup": (500, "Backup failed"),
        "service.store_full": (507, "Disk is full"),
        "service.store_read_only": (503, "Disk can only be read"),
        "service.artifact": (500, "Stored file is damaged"),
        "service.no_baseline": (409, "Model has no drift baseline"),
        "service.promotion": (409, "Not ready for production"),
        "service.range": (416, "Range is outside the file"),
        "service.lease_lost": (409, "Lease lost"),
        "service.job_time": (409, "Job took too long"),
        "service.job_crashed": (500, "Job crashed"),
        "service.job_dependency": (409, "A job that it comes after did not succeed"),
        "service.transition": (409, "Not possible in this status"),
        "service.internal": (500, "Internal error"),
    }
)

_MEDIA_TYPE = "application/problem+json"
_CHALLENGE = 'Bearer realm="superpose"'
_MAX_LISTED = 20


def request_id_of(scope: Scope) -> str:
    """The id that the edge gave the request."""
    return str(scope.get("state", {}).get("request_id", ""))


def problem_response(scope: Scope, error: SuperposeError) -> Response:
    """The answer that tells of ``error``.

    Of a failure on our side (status 500) only code and title are told; the rest stands in the log under the request
    id, which the sentence names, as terminals show no more than that.
    """
    status, title = PROBLEMS.get(error.code, PROBLEMS[InternalError.code])
    code = error.code if error.code in PROBLEMS else InternalError.code
    detail, details = error.message, error.details
    if status == 500:
        detail = f"{title}: a failure on the service's side. Its log tells more under {request_id_of(scope)}."
        details = {}
    document: dict[str, Any] = {
        "type": f"urn:superpose:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id_of(scope),
        "details": details,
    }
    if str(scope.get("path", "")).startswith("/v2"):
        document["error"] = detail
    # ASCII escapes carry any text a caller may have sent, lone surrogates included.
    body = json.dumps(document, default=str).encode("ascii")
    return Response(body, status, _headers(status, error), _MEDIA_TYPE)


def from_http_exception(error: HTTPException, scope: Scope, allowed: Sequence[str] = ()) -> SuperposeError:
    """What Starlette refuses by itself, in our words."""
    method, path = scope.get("method", ""), str(scope.get("path", ""))[:200]
    if error.status_code == 404:
        return NotFoundError(f"There is nothing at {path!r}. The routes begin with /v1 or /v2.")
    if error.status_code == 405:
        return MethodError(f"{path!r} does not take {method}; allowed: {', '.join(allowed)}.", allowed=list(allowed))
    return RequestError("The request is not well formed.")


def from_validation_error(error: RequestValidationError | ValidationError) -> RequestError:
    """The fields that do not fit, without their values: these may be secret or personal."""
    problems = [_field_problem(item) for item in error.errors()[:_MAX_LISTED]]
    said = "; ".join(f"{item['field']}: {item['message']}" if item["field"] else item["message"] for item in problems)
    return RequestError(f"The request does not fit: {said}.", errors=problems)


def _field_problem(item: Mapping[str, Any]) -> dict[str, str]:
    place = [str(part)[:80] for part in item["loc"] if part not in ("body", "query", "path", "header")]
    message = "no such field" if item["type"] == "extra_forbidden" else str(item["msg"]).rstrip(".")
    return {"field": ".".join(place), "message": message[:1].lower() + message[1:], "type": str(item["type"])}


def _headers(status: int, error: SuperposeError) -> dict[str, str]:
    headers = {"Cache-Control": "no-store"}
    if status == 401:
        headers["WWW-Authenticate"] = _CHALLENGE
    if status == 413:
        headers["Connection"] = "close"
    if isinstance(error, MethodError):
        headers["Allow"] = ", ".join(map(str, cast("list[str]", error.details.get("allowed", []))))
    if isinstance(error, ByteRangeError):
        headers["Content-Range"] = f"bytes */{error.details.get('n_bytes', 0)}"
    retry_after_s = getattr(error, "retry_after_s", None)
    if status in (429, 503) and isinstance(retry_after_s, int | float):
        headers["Retry-After"] = str(max(1, math.ceil(retry_after_s)))
    return headers
