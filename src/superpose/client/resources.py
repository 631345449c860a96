"""One class per noun of the service, each a thin face of its routes."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
import tempfile
import uuid
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from superpose.client.data_checks import Finding
from superpose.client.data_sheet import DataSheet
from superpose.client.downloads import download, target_path, transfer_timeout_s
from superpose.client.image_folder import pack_folder
from superpose.client.json_fields import Fields
from superpose.client.lineage import Lineage
from superpose.client.nouns import Dataset, Event, Listing, NounT
from superpose.client.transport import Call, Reply, Transport
from superpose.client.uploads import LARGE_BYTES, give_up, upload
from superpose.errors import ApiError, DatasetFormatError, ProtocolError, RequestError

__all__ = ["Datasets", "json_body", "json_call", "read_json"]

_PAGE: Final = 200
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_CONTENT_TYPES: Final = {
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "npz": "application/x-npz",
    "images": "application/zip",
}


def json_call(method: str, path: str, document: Mapping[str, Any], **options: Any) -> Call:
    """A call with a JSON body; members that are None are left out."""
    present = {name: value for name, value in document.items() if value is not None}
    return Call(method, path, body=json_body(present), **options)


def json_body(document: Mapping[str, Any]) -> bytes:
    """A document as it is sent.

    Raises:
        RequestError: a number in it is not finite, or a value is none of JSON's.
    """
    try:
        return json.dumps(document, allow_nan=False).encode()
    except ValueError:
        place = _not_finite(document, "")
        raise RequestError(f"{place}: must be finite; JSON has no form for NaN and infinity.", field=place) from None
    except TypeError as error:
        raise RequestError(
            f"The request holds what JSON has no form for: {error}. Allowed are numbers, text, booleans, None, lists "
            "and dicts of Python itself."
        ) from None


def _not_finite(value: object, place: str) -> str:
    """Where in a document the first number is that is not finite, such as ``spec.privacy.epsilon``; else empty."""
    if isinstance(value, float) and not math.isfinite(value):
        return place
    parts = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    return next(filter(None, (_not_finite(part, f"{place}.{name}".lstrip(".")) for name, part in parts)), "")


def read_json(reply: Reply) -> Any:
    """The JSON document in an answer.

    Raises:
        ProtocolError: the body is not JSON.
    """
    try:
        return json.loads(reply.body)
    except ValueError:
        raise ProtocolError(
            f"The answer (status {reply.status}) is not JSON, so no superpose service gave it. Check the URL."
        ) from None


def segment(name: str) -> str:
    """A name as one path segment."""
    return quote(name, safe="")


def items(
    transport: Transport, path: str, from_json: Callable[[object], NounT], query: Mapping[str, str], limit: int | None
) -> Listing[NounT]:
    """All items of a list, page by page, or the first ``limit``."""
    found: Listing[NounT] = Listing()
    cursor: str | None = None
    while limit is None or len(found) < limit:
        asked: dict[str, str | int] = {**query, "limit": _PAGE if limit is None else min(_PAGE, limit - len(found))}
        if cursor is not None:
            asked["cursor"] = cursor
        page = read_json(transport.send(Call("GET", path, query=asked)))
        if not isinstance(page, dict) or not isinstance(page.get("items"), list):
            raise ProtocolError(
                f"GET {path} did not answer with a list; client and service may be of different releases."
            )
        found.extend(from_json(item) for item in page["items"])
        cursor = page.get("next")
        if cursor is None:
            break
    return found


class Resource:
    """A noun's routes over one transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _get(self, path: str) -> Any:
        return read_json(self._transport.send(Call("GET", path)))

    def _read(self, call: Call) -> Any:
        return read_json(self._transport.send(call))

    def _post(self, path: str, document: Mapping[str, Any]) -> Any:
        return read_json(self._transport.send(json_call("POST", path, document)))

    def _submit(self, path: str, document: Mapping[str, Any], idempotency_key: str | None) -> Any:
        """A POST that makes one job, however often it is sent; a key is made up where none is given."""
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        return read_json(self._transport.send(json_call("POST", path, document, headers=headers, repeatable=True)))

    def _change(self, method: str, path: str, document: Mapping[str, Any]) -> Any:
        """A PUT or PATCH; members that are None are sent, because here null has a meaning of its own."""
        call = Call(method, path, body=json_body(document), repeatable=method == "PUT")
        return read_json(self._transport.send(call))

    def _delete(self, path: str) -> None:
        self._transport.send(Call("DELETE", path))


def _named_by(file: str) -> str:
    """The name that a file gives its data set.

    Raises:
        DatasetFormatError: none that a service takes.
    """
    if not _NAME.fullmatch(file):
        raise DatasetFormatError(
            f"{file[:80]!r}, the file's own name, cannot be that of a data set, which is 1 to 63 letters, digits, "
            "'.', '_' or '-', a letter or digit first. Say another: name=, or --name on the command line."
        )
    return file


def _refuse_no_file(source: object) -> None:
    """Raise for what is neither a path nor bytes, and say of a data frame how to make a file of it."""
    if isinstance(source, str | bytes | os.PathLike):
        return
    frame = " Of a data frame: frame.to_parquet('NAME.parquet', index=False), and add that file."
    raise DatasetFormatError(
        f"A data set is a file, its bytes or a folder of images, got {type(source).__name__}."
        + (frame if hasattr(source, "to_parquet") else ""),
        got=type(source).__name__,
    )


def _of_own_file(error: ApiError, sent: Mapping[str, str]) -> ApiError:
    """What a service says of an image, with the name that its file has here; it was sent under a number."""
    number = str(error.details.get("file", ""))
    if number not in sent:
        return error
    said = f"{error.message} It was sent without its name, and is {sent[number][:200]!r} here."
    details = {**error.details, "file": sent[number][:200]}
    return ApiError(said, problem_code=error.problem_code, status=error.status, **details)


class Datasets(Resource):
    """Data sets of the key's project, addressed by id or name."""

    def add(  # noqa: PLR0913  # what a file may need to be told
        self,
        source: str | Path | bytes,
        *,
        target: str | None = None,
        name: str | None = None,
        format: str | None = None,
        units: Mapping[str, str] | None = None,
        image_size: int | None = None,
        image_mode: str | None = None,
        image_patients: bool = False,
        domain: str | None = None,
        target_kind: str | None = None,
    ) -> Dataset:
        """Register a table: a CSV, Parquet or NPZ file, sent in pieces, its bytes, or a folder of images.

        Args:
            source: path of the file, or its content; or a directory with a folder of PNG, JPEG or DICOM images
                per class, in which there may be a folder per patient. Identities are taken out of DICOM files, and all
                but the pixels out of PNG and JPEG files, before anything is sent, under numbers for names. Files of
                other kinds, and links out of the directory, are refused.
            target: name of the column to predict; for images the name it shall have, "class" by default.
            name: name in the project; the file's own name where it is left out.
            format: "csv", "parquet", "npz" or "images" (a zip archive); the file's suffix where it is left out.
            units: unit by column; goes before units that a Parquet file states itself.
            image_size: width and height in pixels that images are brought to; 28 by default.
            image_mode: "grey" (the default) or "rgb".
            image_patients: whether a column "patient" numbers the patients, to split by: those of DICOM files, or of
                the folders inside those of the classes.
            domain: "medical" for data about patients: models trained on them carry "Not for clinical use.". What was
                made from DICOM files is medical in any case. Added again as medical, known data become it.
            target_kind: "class" (the default), or "number" for a CSV or Parquet file whose target is measured or
                counted, such as demand; it may be missing in some rows, as in periods to be forecast.

        Raises:
            DatasetFormatError: no such file, no known format, or no file, such as a data frame.
            ApiError: the service refuses the table (``dataset.*``) or the name is taken.
        """
        _refuse_no_file(source)
        path = None if isinstance(source, bytes) else Path(source).expanduser()
        if path is not None and path.is_dir():
            with tempfile.TemporaryDirectory(prefix="superpose-images-") as directory:
                archive = Path(directory) / "images.zip"
                sent = pack_folder(path, archive)
                try:
                    return self.add(
                        archive,
                        target=target,
                        name=name or _named_by(path.resolve().name),
                        format="images",
                        image_size=image_size,
                        image_mode=image_mode,
                        image_patients=image_patients,
                        domain=domain,
                        target_kind=target_kind,
                    )
                except ApiError as error:
                    raise _of_own_file(error, sent) from None
        stem, suffix = ("", "") if path is None else (path.stem, path.suffix.lower().lstrip("."))
        kind = format or ("images" if suffix == "zip" else suffix)
        if kind not in _CONTENT_TYPES:
            raise DatasetFormatError(
                f"The format of the table is {kind or 'not given'!r}; allowed are {', '.join(_CONTENT_TYPES)}. Say "
                "format=.",
                got=kind,
            )
        if not (name or stem):
            raise DatasetFormatError("A table given as bytes needs a name. Say name=.")
        if target is None and kind != "images":
            raise DatasetFormatError("Say which column to predict: target=.")
        asked = {"name": name or _named_by(stem), "target": target or "class", "size": image_size, "mode": image_mode}
        asked |= {"domain": domain, "target_kind": target_kind}
        asked |= {"patients": "true"} if image_patients else {}
        query: dict[str, str | int | float] = {key: value for key, value in asked.items() if value is not None}
        if units:
            query["units"] = json.dumps(dict(units))
        body = source if isinstance(source, bytes) else path
        if path is None or _file_size(path) < LARGE_BYTES:
            return self._added(table_call("/v1/datasets", body, kind, query))
        upload_id = upload(self._transport, path)
        try:
            return self._added(table_call("/v1/datasets", b"", kind, {**query, "upload": upload_id}))
        except BaseException:
            give_up(self._transport, upload_id)
            raise

    def _added(self, call: Call) -> Dataset:
        patient = replace(call, timeout_s=max(self._transport.timeout_s, call.timeout_s or 0.0))
        return Dataset.from_json(read_json(self._transport.send(patient)))

    def add_builtin(self, name: str, builtin: str | None = None, *, domain: str | None = None) -> Dataset:
        """Register data that come with superpose (see `superpose.datasets.builtin_names`) under a name.

        ``breast_cancer`` is of the domain "medical" in any case.
        """
        asked = {"name": name, "builtin": builtin or name} | ({} if domain is None else {"domain": domain})
        return Dataset.from_json(self._post("/v1/datasets", asked))

    def list(self) -> Listing[Dataset]:
        """All data sets, newest first."""
        return items(self._transport, "/v1/datasets", Dataset.from_json, {}, None)

    def get(self, id_or_name: str) -> Dataset:
        """One data set."""
        return Dataset.from_json(self._get(f"/v1/datasets/{segment(id_or_name)}"))

    def lineage(self, id_or_name: str) -> Lineage:
        """What was made from this content, under whatever name it was registered."""
        return Lineage.from_json(self._get(f"/v1/datasets/{segment(id_or_name)}/lineage"))

    def sheet(self, id_or_name: str) -> DataSheet:
        """The data sheet: types, missing values, units, ranges, quantiles, categories, and what is odd."""
        return DataSheet.from_json(self._get(f"/v1/datasets/{segment(id_or_name)}/sheet"))

    def edit_sheet(  # what can be said of a data set
        self,
        id_or_name: str,
        *,
        units: Mapping[str, str | None] | None = None,
        descriptions: Mapping[str, str | None] | None = None,
        note: str | None = None,
        expected: int | None = None,
    ) -> DataSheet:
        """Change what people say of a data set; each edit is a revision, and the history has what was there before.

        Args:
            id_or_name: the data set.
            units: unit by column; None removes one.
            descriptions: by column, what it holds; None removes one.
            note: the new note, empty to remove it; None leaves it.
            expected: the revision that you have read; the edit is refused if there is a newer one.

        Raises:
            ApiError: no such column (``dataset.format``), or the sheet was edited meanwhile (``service.conflict``).
        """
        columns: dict[str, dict[str, str | None]] = {}
        for field, values in (("unit", units), ("description", descriptions)):
            for name, value in (values or {}).items():
                columns.setdefault(name, {})[field] = value
        document = {"columns": columns, "note": note, "expected": expected}
        return DataSheet.from_json(self._change("PATCH", f"/v1/datasets/{segment(id_or_name)}/sheet", document))

    def history(self, id_or_name: str, *, limit: int | None = None) -> Listing[Event]:
        """What happened to a data set, newest first: its registration, and each edit of its sheet."""
        return items(self._transport, f"/v1/datasets/{segment(id_or_name)}/history", Event.from_json, {}, limit)

    def check(self, id_or_name: str, spec: Mapping[str, Any] | None = None) -> Listing[Finding]:
        """What is odd between the parts that a training spec would make: leaks, shared groups, doubles, drift.

        Args:
            id_or_name: the data set.
            spec: a training spec; its ``split``, ``evaluation`` and ``preprocessing.exclude`` matter.
        """
        answer = self._post(f"/v1/datasets/{segment(id_or_name)}/checks", {"spec": dict(spec or {})})
        return Listing(Finding.from_json(item) for item in Fields.of("checks", answer).array("findings"))

    def download(self, id_or_name: str, path: str | Path | None = None) -> Path:
        """Save a data set as Parquet and return where.

        Args:
            id_or_name: the data set.
            path: file or directory to write; ``NAME.parquet`` here where it is left out. The file appears whole, with
                the digest that the service states, or not at all; a broken connection is resumed.

        Raises:
            ProtocolError: the bytes that arrived are not those of the service.
            OSError: the file cannot be written.
        """
        found = self.get(id_or_name)
        target = target_path(path, f"{found.name}.parquet")
        download(self._transport, f"/v1/datasets/{segment(found.id)}/file", target)
        return target

    def delete(self, id_or_name: str) -> None:
        """Remove a data set; models trained on it stay."""
        self._delete(f"/v1/datasets/{segment(id_or_name)}")


def manifest_digest(model_file: bytes | Path) -> str | None:
    """SHA-256 of a model file's manifest in hexadecimal, or None where it holds none."""
    try:
        with zipfile.ZipFile(io.BytesIO(model_file) if isinstance(model_file, bytes) else model_file) as archive:
            return hashlib.sha256(archive.read("manifest.json")).hexdigest()
    except (zipfile.BadZipFile, KeyError, ValueError, NotImplementedError, RuntimeError, EOFError):
        return None


def table_call(path: str, source: bytes | Path | None, kind: str, query: Mapping[str, str | int | float]) -> Call:
    """A call that sends a table as its body; a file is sent in pieces, with time enough for its size.

    Raises:
        DatasetFormatError: the file cannot be read.
    """
    file = source if isinstance(source, Path) else None
    n_bytes = len(source) if isinstance(source, bytes) else _file_size(file)
    return Call(
        "POST",
        path,
        query=query,
        body=source if isinstance(source, bytes) else None,
        body_file=file,
        content_type=_CONTENT_TYPES[kind],
        timeout_s=transfer_timeout_s(n_bytes),
    )


def _file_size(path: Path | None) -> int:
    """Bytes of a file that will be sent, 0 for none.

    Raises:
        DatasetFormatError: it cannot be read.
    """
    if path is None:
        return 0
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_size
    except OSError as error:
        raise DatasetFormatError(f"{path} cannot be read: {error.strerror}.", path=str(path)) from None
