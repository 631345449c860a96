"""A workspace of Azure Quantum: its jobs and its storage, over HTTP.

Source: the data plane's OpenAPI documents (github.com/Azure/azure-rest-api-specs, specification/quantum/data-plane,
2024-10-01-preview), and for version 2026-01-15-preview the client that Microsoft generated from its own, azure-quantum
3.13.0, ``azure/quantum/_client``; Azure Blob Storage's "Put Blob" and "Get Blob".
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

from superpose.backends.clouds.messenger import Answer, Messenger
from superpose.backends.clouds.retry import RETRYABLE_STATUSES, Retry
from superpose.errors import ProviderError

__all__ = ["CONNECTION", "AzureStore", "AzureWorkspace", "problem"]

CONNECTION: Final = "AZURE_QUANTUM_CONNECTION_STRING"
API_VERSION: Final = "2026-01-15-preview"
BLOB_VERSION: Final = "2021-12-02"
PAGE: Final = 100
_TAKEN_ALREADY: Final = 409


def problem(
    what: str, provider_job_id: str | None = None, *, retryable: bool, retry_after_s: float | None = None
) -> ProviderError:
    """Return the error."""
    return ProviderError(
        what, provider="azure", provider_job_id=provider_job_id, retryable=retryable, retry_after_s=retry_after_s
    )


@dataclass(frozen=True)
class AzureWorkspace:
    """Where a workspace is.

    Attributes:
        endpoint: Base URL of its region.
        path: Of the workspace there.
        region: Azure's name of the region; None where the endpoint does not tell it.
    """

    endpoint: str
    path: str
    region: str | None = None

    @classmethod
    def named(cls, subscription: str, resource_group: str, name: str, endpoint: str) -> AzureWorkspace:
        """Return the workspace of these names.

        >>> AzureWorkspace.named("s", "g", "w", "https://westus.quantum.azure.com/").region
        'westus'
        """
        parts = [quote(part, safe="") for part in (subscription, resource_group, name)]
        path = "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Quantum/workspaces/{}".format(*parts)
        found = re.fullmatch(r"([a-z0-9]+)(-v2)?\.quantum\.azure\.com", (urlsplit(endpoint).hostname or "").lower())
        return cls(endpoint.rstrip("/"), path, found[1] if found else None)

    @classmethod
    def connected(cls) -> AzureWorkspace:
        """Return the workspace of the connection string in AZURE_QUANTUM_CONNECTION_STRING.

        Raises:
            ProviderError: There is none, or it lacks something; its text stands in no message.
        """
        given = connection()
        wanted = ("subscriptionid", "resourcegroupname", "workspacename", "quantumendpoint")
        missing = [name for name in wanted if not given.get(name)]
        if missing:
            what = f"lacks {', '.join(missing)}" if given else "is not set"
            raise problem(
                f"The environment variable {CONNECTION} {what}; copy it from the workspace's access keys in Azure.",
                retryable=False,
            )
        return cls.named(*(given[name] for name in wanted))


def connection() -> dict[str, str]:
    """Return what the connection string says, names in small letters; nothing where there is none."""
    pairs = (part.partition("=") for part in os.environ.get(CONNECTION, "").split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if value}


class AzureStore:
    """Jobs and blobs of a workspace.

    Args:
        workspace: Which.
        retry: How often a request is tried.
        timeout_s: How long an answer may take, in seconds.
        token: Returns a bearer token; None for the connection string's key.
    """

    def __init__(
        self, workspace: AzureWorkspace, retry: Retry, timeout_s: float, token: Callable[[], str] | None = None
    ) -> None:
        self._workspace, self._retry, self._timeout_s, self._token = workspace, retry, timeout_s, token
        self._messenger = Messenger("azure", workspace.endpoint, self._proof, timeout_s)
        self._storage: dict[str, Messenger] = {}

    @property
    def region(self) -> str | None:
        """The region of the workspace, in Azure's word; None where its endpoint does not tell it."""
        return self._workspace.region

    def _proof(self) -> dict[str, str]:
        if self._token is not None:
            return {"Authorization": f"Bearer {self._token()}"}
        key = connection().get("apikey")
        return {"x-ms-quantum-api-key": key} if key else {}

    def ask(
        self,
        method: str,
        path: str,
        provider_job_id: str | None = None,
        body: Any = None,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        """Return the document that answers a request which may be sent twice, sent again after failures that may pass.

        Raises:
            ProviderError: There is no answer, or a refusal.
        """
        return self._retry.call(lambda: self._read(self._sent(method, path, body, query), provider_job_id))

    def rows(self, path: str, query: Mapping[str, str] | None = None) -> list[Mapping[str, Any]]:
        """Return all rows of a list, page by page.

        Raises:
            ProviderError: It cannot be had.
        """
        found: list[Mapping[str, Any]] = []
        while True:
            skip = {"skip": str(len(found)), "top": str(PAGE)} if query else {}
            page = self.ask("GET", path, query={**(query or {}), **skip})
            try:
                rows = list(page["value"])
            except (KeyError, TypeError):
                raise problem("A list of Azure's cannot be read.", retryable=True) from None
            found += rows
            if not query or len(rows) < PAGE:
                return found

    def put(self, job_id: str, details: Mapping[str, Any]) -> None:
        """Hand a job over under an id of ours, once: where nobody knows whether it arrived, it is looked for first.

        Raises:
            ProviderError: It was not taken.
        """
        tried = False

        def once() -> None:
            nonlocal tried
            if tried and self._exists(job_id):
                return
            tried = True
            answer = self._sent("PUT", f"/jobs/{job_id}", dict(details), None)
            if answer.status != _TAKEN_ALREADY:
                self._read(answer, job_id)

        self._retry.call(once)

    def _exists(self, job_id: str) -> bool:
        answer = self._sent("GET", f"/jobs/{job_id}", None, None)
        if answer.status == 404:
            return False
        self._read(answer, job_id)
        return True

    def container(self, job_id: str) -> str:
        """Return the URL of a job's container, with what lets us in for a while; it is made where it is missing.

        Raises:
            ProviderError: It could not be had.
        """
        found = self.ask("POST", "/storage/sasUri", job_id, {"containerName": f"job-{job_id}"})
        try:
            url = str(found["sasUri"])
        except (KeyError, TypeError):
            raise problem("Azure names no place for the job's data.", job_id, retryable=True) from None
        return url

    def upload(self, container: str, name: str, content: bytes, content_type: str, job_id: str) -> str:
        """Put a blob into a container and return its URL, without what lets us in. A blob of this name is replaced.

        Raises:
            ProviderError: It was not taken.
        """
        messenger, path = self._blob(container, name)
        headers = {"x-ms-blob-type": "BlockBlob", "x-ms-version": BLOB_VERSION, "Content-Type": content_type}

        def once() -> None:
            answer = messenger.send("PUT", path, content, headers=headers, as_json=False)
            if answer.status != 201:
                raise _blob_problem(answer, job_id) from None

        self._retry.call(once)
        return f"{container.partition('?')[0]}/{name}"

    def document(self, container: str, name: str, job_id: str) -> Any:
        """Return a blob of JSON.

        Raises:
            ProviderError: It cannot be had, or came in part.
        """
        messenger, path = self._blob(container, name)

        def once() -> Any:
            answer = messenger.send("GET", path, headers={"x-ms-version": BLOB_VERSION})
            if answer.status != 200 or answer.failure is not None:
                raise _blob_problem(answer, job_id) from None
            return answer.document

        return self._retry.call(once)

    def _blob(self, container: str, name: str) -> tuple[Messenger, str]:
        """Whom to ask, without the workspace's key, and the path with its query."""
        parts = urlsplit(container)
        base = f"{parts.scheme}://{parts.netloc}"
        if base not in self._storage:
            self._storage[base] = Messenger("azure", base, dict, self._timeout_s)
        return self._storage[base], f"{parts.path}/{quote(name)}?{parts.query}"

    def _sent(self, method: str, path: str, body: Any, query: Mapping[str, str] | None) -> Answer:
        every = {"api-version": API_VERSION, **(query or {})}
        return self._messenger.send(method, self._workspace.path + path, body, every)

    def _read(self, answer: Answer, provider_job_id: str | None) -> Any:
        """The document of a good answer.

        Raises:
            ProviderError: It is none.
        """
        if 200 <= answer.status < 300 and answer.failure is None:
            return answer.document
        told = answer.document.get("error") if isinstance(answer.document, Mapping) else None
        said = str(told.get("message", "")) if isinstance(told, Mapping) else ""
        if answer.status == 0:
            what, retryable = f"does not answer ({answer.failure})", True
        elif answer.status in (401, 403):
            hint = "The key or token counts no more; set a new one" if self._proof() else f"No key; set {CONNECTION}"
            what, retryable = f"does not let us in ({answer.status}). {hint}", False
        elif answer.status == 404:
            what, retryable = f"knows no such thing ({said or 'not found'})", False
        elif answer.status < 300:
            what, retryable = "answered with what is no JSON, perhaps cut short", True
        else:
            what, retryable = f"answered with HTTP status {answer.status}: {said}", answer.status in RETRYABLE_STATUSES
        raise problem(
            f"Azure Quantum {what}.", provider_job_id, retryable=retryable, retry_after_s=answer.retry_after_s
        ) from answer.failure


def _blob_problem(answer: Answer, job_id: str) -> ProviderError:
    """What the way there says holds the URL, and with it what lets anybody in: nothing of it is told."""
    what = f"answered with HTTP status {answer.status}" if answer.status else "does not answer"
    if answer.status == 200:
        what = "answered with what is no JSON, perhaps cut short"
    passing = answer.status in RETRYABLE_STATUSES or answer.status in (
        0,
        200,
        403,
    )  # 403: asked for again it lets us in
    return problem(
        f"Azure's storage {what}. Asked was for the data of the job {job_id}.",
        job_id,
        retryable=passing,
        retry_after_s=answer.retry_after_s,
    )
