"""Everything else that reads what somebody wrote: cursors, scopes, program sets, functions, options of commands.

The property is that of every parser here: a refusal of ours, or a result.
"""

from __future__ import annotations

import base64
import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from superpose import client
from superpose.circuits import (
    Circuit,
    Parameter,
    ProgramGrid,
    ProgramSet,
    program_set_from_json,
    program_set_from_npz,
    program_set_to_json,
    program_set_to_npz,
)
from superpose.circuits.sets.files import open_result
from superpose.cli.jobs import params_of
from superpose.cli.program_sets import parse_index
from superpose.cli.run_program import parse_observable, parse_param, parse_value
from superpose.cli.units import read_units
from superpose.client.json_fields import Fields
from superpose.datasets import RowFile
from superpose.errors import CheckpointError, SuperposeError
from superpose.facade import run
from superpose.frontends.texts import form_of_text
from superpose.functions import FunctionSource, JobOptions
from superpose.learning.checkpoint import read_sealed_json
from superpose.service import ServiceConfig, verify_entries
from superpose.service.operations.trace_context import TraceContext
from superpose.service.people.audit import read_head
from superpose.service.people.keys import read_role
from superpose.service.people.quotas import QUANTITIES, check_quotas
from superpose.service.people.scopes import NOUNS, need_of, read_scopes
from superpose.service.quantum_functions.admission import Asked, admit_function_file
from superpose.service.quantum_functions.content import Content
from superpose.service.quantum_functions.schema import check_schema, input_check
from superpose.service.store.pages import decode_cursor, encode_cursor
from superpose.service.work.function_jobs import admit_function
from superpose.trust import parse_key_id, read_key_file

from .mutations import JSON, broken, broken_document, refused_or_read, short, zipped

CONFIG = ServiceConfig(data_dir=Path(tempfile.gettempdir(), "superpose-nowhere"), allow_user_code=True)
TEXT = st.text(max_size=30) | st.sampled_from(["9" * 5_000, "\ud800", "\0", "-", "²", "٣", "1e999", "[" * 100_000])
SET = ProgramSet(
    ProgramGrid(Circuit(2).rx(Parameter("a"), 0).cx(0, 1), {"a": [0.1, 0.2, 0.3]}, shots=20, name="g"), seed=1
)
SET_JSON = json.loads(json.dumps(program_set_to_json(SET)))
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 1}, "s": {"type": "string", "pattern": "^a+$"}},
    "required": ["n"],
    "$defs": {"x": {"enum": [1, "a", None]}},
    "additionalProperties": {"$ref": "#/$defs/x"},
}
SOURCE = 'import superpose\n\n@superpose.job(checkpoint=True, retries=2)\ndef f(ctx, n, *, m=1):\n    """Doc."""\n'
OPENQASM = 'OPENQASM 3.0;\ninclude "stdgates.inc";\ninput float a;\nqubit[2] q;\nrx(a) q[0];\ncx q[0], q[1];\n'


def test_what_is_broken_below_is_right_before() -> None:
    assert program_set_from_json(SET_JSON) == SET == program_set_from_npz(program_set_to_npz(SET))
    assert check_schema(SCHEMA) == SCHEMA
    assert FunctionSource("f.py", "f", SOURCE).options == JobOptions(checkpoint=True, retries=2)
    assert Content.from_bytes(content().to_bytes()) == content()


@short(30)
@given(JSON.map(lambda v: encode_cursor(v)) | TEXT | st.binary(max_size=20).map(lambda b: base64.b64encode(b).decode()))
def test_cursors(cursor: str) -> None:
    value = refused_or_read(lambda: decode_cursor(cursor))
    if isinstance(value, int):
        assert -(2**63) <= value < 2**63
    elif value is not None:
        value.encode()


@short(30)
@given(st.lists(st.from_regex(r"[a-z-]{1,12}(/[A-Za-z0-9._-]{1,8})?:[a-z]{1,8}") | TEXT, max_size=4) | JSON)
def test_scopes(scopes: Any) -> None:
    for scope in refused_or_read(lambda: read_scopes(scopes)) or ():
        assert scope.partition(":")[0].partition("/")[0] in NOUNS


@short(30)
@given(st.sampled_from(["GET", "POST", "X"]), st.lists(st.sampled_from([*NOUNS, "v1", "v2", "models", "", "infer"])))
def test_what_a_path_needs(method: str, parts: list[str]) -> None:
    refused_or_read(lambda: need_of(method, "/" + "/".join(parts)))


@short(30)
@given(TEXT | st.from_regex(r"[0-9]{1,25}:[0-9a-f]{60,68}", fullmatch=True))
def test_short_texts_of_people_and_requests(text: str) -> None:
    for read in (read_head, read_role, parse_key_id, TraceContext.parse, form_of_text):
        refused_or_read(lambda read=read: read(text))


@short(30)
@given(st.dictionaries(st.sampled_from(sorted(QUANTITIES)) | TEXT, JSON, max_size=4))
def test_quotas(wanted: dict[str, Any]) -> None:
    refused_or_read(lambda: check_quotas(wanted))


ENTRY = {"seq": 1, "at": "2026-01-01T00:00:00Z", "project": "p", "data": {"a": 1}, "previous": "0" * 64, "digest": "x"}


@short(30)
@given(st.lists(broken_document(ENTRY), max_size=3), st.booleans())
def test_exports_of_the_audit_log(documents: list[Any], whole: bool) -> None:
    entries = [item for item in documents if isinstance(item, dict)]
    try:
        found = refused_or_read(lambda: verify_entries(entries, whole=whole))
    except ValueError as error:  # a number that JSON has no form for; a file of JSON lines cannot hold it
        assert "JSON compliant" in str(error) or "surrogates" in str(error)
        return
    assert found is None or found.n_entries == len(entries)


@short(30)
@given(broken_document(SET_JSON) | JSON)
def test_program_sets(document: Any) -> None:
    refused_or_read(lambda: program_set_from_json(document))


@short(30)
@given(broken(program_set_to_npz(SET)) | st.binary(max_size=60))
def test_program_sets_in_bytes(content: bytes) -> None:
    refused_or_read(lambda: program_set_from_npz(content))


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED])
@short(30)
@given(data=st.data())
def test_program_sets_in_archives_of_other_compressions(compression: int, data: st.DataObject) -> None:
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(program_set_to_npz(SET))) as old,
        zipfile.ZipFile(file, "w", compression) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    refused_or_read(lambda: program_set_from_npz(data.draw(broken(file.getvalue()))))


@pytest.fixture(scope="module")
def result_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("set") / "set.zip"
    run(SET).save(path)
    return path.read_bytes()


def test_files_of_results_of_program_sets(result_file: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.zip"

    def read() -> Any:
        found = open_result(path)
        return [
            found[number].counts(...) if callable(getattr(found[number], "counts", None)) else found[number]
            for number in range(len(found))
        ]

    @short(30)
    @given(broken(result_file) | st.binary(max_size=60))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        refused_or_read(read)

    check()


@short(30)
@given(st.data())
def test_indexes_of_results_in_whole_archives(result_file: bytes, tmp_path: Path, data: st.DataObject) -> None:
    with zipfile.ZipFile(io.BytesIO(result_file)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    document = data.draw(broken_document(json.loads(members["index.json"])))
    try:
        members["index.json"] = json.dumps(document).encode()
    except ValueError:
        return
    path = tmp_path / "index.zip"
    path.write_bytes(zipped(members, zipfile.ZIP_STORED))
    refused_or_read(lambda: open_result(path))


@short(30)
@given(broken_document(SCHEMA) | JSON, JSON)
def test_schemas_of_inputs(schema: Any, value: Any) -> None:
    found = refused_or_read(lambda: check_schema(schema))
    if found is not None:
        refused_or_read(lambda: input_check(found)(value))


def content() -> Content:
    return admit_function_file("f.qasm", OPENQASM, Asked(), None, CONFIG)  # type: ignore[arg-type]  # nothing to build


@short(30)
@given(broken_document(json.loads(content().to_bytes())))
def test_stored_quantum_functions(document: Any) -> None:
    try:
        stored = json.dumps(document).encode()
    except ValueError:
        return
    refused_or_read(lambda: Content.from_bytes(stored))


@short(30)
@given(
    st.sampled_from(["f.qasm", "f.json", "f.QASM", "../f.qasm", "", "f"]),
    broken(OPENQASM.encode()).map(lambda text: text.decode("utf-8", "replace")) | TEXT,
    st.none() | st.lists(TEXT | st.dictionaries(st.sampled_from(["ZZ", "X", "?"]), JSON), max_size=2),
)
def test_files_of_quantum_functions(name: str, source: str, observables: Any) -> None:
    asked = Asked(observables=observables)
    refused_or_read(lambda: admit_function_file(name, source, asked, None, CONFIG))  # type: ignore[arg-type]


def no_job(job_id: str) -> Any:
    raise AssertionError(job_id)


FUNCTION_JOB = {"source": SOURCE, "file": "f.py", "function": "f", "params": {"n": 1}, "options": {"retries": 1}}


@short(30)
@given(broken_document(FUNCTION_JOB), broken(SOURCE.encode()).map(lambda text: text.decode("utf-8", "replace")) | TEXT)
def test_jobs_of_functions(document: Any, source: str) -> None:
    if isinstance(document, dict):
        payload = {name: value for name, value in document.items() if name != "copy_from"}
        refused_or_read(lambda: admit_function(payload, CONFIG, no_job))
    refused_or_read(lambda: admit_function({**FUNCTION_JOB, "source": source}, CONFIG, no_job))


@short(30)
@given(broken_document(CONFIG.to_json()))
def test_settings_as_workers_get_them(document: Any) -> None:
    if isinstance(document, dict):
        refused_or_read(lambda: ServiceConfig.from_json(document))


NOUNS_OF_THE_CLIENT = tuple(
    kind for name in client.__all__ if isinstance(kind := getattr(client, name), type) and "from_json" in dir(kind)
)
WIDE = {
    **{name: "2026-01-01T00:00:00Z" for name in ("created_at", "changed_at", "expires_at", "at", "started_at")},
    **{name: "x" for name in ("id", "name", "kind", "status", "project", "role", "model", "subject", "actor")},
    **{name: 1 for name in ("version", "seq", "n_rows", "number", "attempt", "n_bytes", "n_columns", "n_outputs")},
    **{name: {} for name in ("progress", "data", "quotas", "metrics", "manifest", "result", "tags", "quantities")},
    **{name: [] for name in ("columns", "classes", "warnings", "scopes", "circuits", "aliases", "trials", "nodes")},
}


@pytest.mark.parametrize("kind", NOUNS_OF_THE_CLIENT, ids=lambda kind: kind.__name__)
@short(8)
@given(document=broken_document(WIDE) | JSON)
def test_answers_of_a_service_that_is_not_ours(kind: Any, document: Any) -> None:
    refused_or_read(lambda: kind.from_json(document))


def option(read: Callable[[], Any]) -> None:
    """What an option of a command gives, or what the command line says of it."""
    try:
        refused_or_read(read)
    except typer.BadParameter as error:
        assert str(error)


@short(30)
@given(
    TEXT
    | st.from_regex(r"[a-z]{0,3}=[-0-9pie/*.]{0,8}", fullmatch=True)
    | st.from_regex(r"[-+ 0-9.*XYZ]{0,12}", fullmatch=True)
    | st.from_regex(r"[-:,.0-9]{0,12}", fullmatch=True)
)
def test_options_of_commands(text: str) -> None:
    option(lambda: params_of([text]))
    option(lambda: params_of([f"a={text}"]))
    option(lambda: parse_param(text))
    option(lambda: parse_value(text))
    option(lambda: parse_observable(text))
    option(lambda: parse_index(text))


UNITS = b"name,unit\nage,years\ndose,mg\n"


def test_files_of_small_things(tmp_path: Path) -> None:
    """Units, key files, sealed checkpoints, and rows to predict, each broken on the disk."""
    rows = {"csv": b'a,b\n1,x\n2,"y\n3"\n4,z\n', "npz": npz(), "parquet": parquet()}

    def read_rows(path: Path, form: str) -> None:
        list(RowFile(path, form, [("a", "number"), ("b", "category")]).chunks(2))

    @short(25)
    @given(st.sampled_from(["csv", "yaml", "json"]), broken(UNITS) | st.binary(max_size=30) | TEXT.map(utf8))
    def units(form: str, content: bytes) -> None:
        path = tmp_path / f"units.{form}"
        path.write_bytes(content)
        option(lambda: read_units(path, ()))

    @short(25)
    @given(broken(b'{"sha256": "' + b"0" * 64 + b'", "document": {"a": 1}}\n') | st.binary(max_size=40))
    def sealed(content: bytes) -> None:
        path = tmp_path / "checkpoint.json"
        path.write_bytes(content)
        try:
            assert read_sealed_json(path) is None or True
        except CheckpointError:
            return

    @short(20)
    @given(st.binary(max_size=60) | broken(b"sp_key_" + b"a" * 12 + b"_" + b"b" * 43))
    def keys(content: bytes) -> None:
        path = tmp_path / "some.key"
        path.write_bytes(content)
        path.chmod(0o600)
        refused_or_read(lambda: read_key_file(path))

    @short(30)
    @given(st.data())
    def predicted(data: st.DataObject) -> None:
        form = data.draw(st.sampled_from(sorted(rows)))
        path = tmp_path / f"rows.{form}"
        path.write_bytes(data.draw(broken(rows[form])))
        refused_or_read(lambda: read_rows(path, form))

    for check in (units, sealed, keys, predicted):
        check()


def utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, X=np.arange(8.0).reshape(4, 2), names=np.array(["a", "b"]))
    return file.getvalue()


def parquet() -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = io.BytesIO()
    pq.write_table(pa.table({"a": [1.0, 2.0, None], "b": ["x", "y", None]}), file)
    return file.getvalue()


def test_fields_of_answers_are_read_or_refused_by_name() -> None:
    with pytest.raises(SuperposeError, match="expected an integer"):
        Fields.of("thing", {"n": "x"}).whole("n")
