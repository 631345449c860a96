"""`superpose datasets deidentify`: DICOM files without their patients' identities, and what was removed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from superpose.cli.connection import JsonOption
from superpose.cli.output import note, print_json, section, unwritten
from superpose.learning.canonical import write_whole

__all__ = ["deidentify", "removal_facts"]


def deidentify(
    source: Annotated[Path, typer.Argument(metavar="FOLDER", help="With DICOM files.", exists=True, file_okay=False)],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write to: new, or empty.")],
    key_file: Annotated[
        Path | None,
        typer.Option(
            help="File with a secret of 16 bytes or more, for the same pseudonyms another time [default: random].",
            metavar="FILE",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write what was removed to a JSON file.", metavar="FILE", dir_okay=False)
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", help="Folder that names a class and stays so; may be repeated.", metavar="NAME"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write DICOM files without their patients' identities.

    Only pixels, what reads them, the view, the sex and the age up to 90 stay. Patients and
    images get pseudonyms, files numbers as names. Folders of classes and parts keep their
    names, those of patients get the pseudonyms of their files. Text in the pixels is not
    found: files that may have some are counted. Needs superpose[dicom], no service.
    """
    from superpose.datasets.dicom import deidentify_folder

    key = key_file.read_bytes() if key_file else None
    found = deidentify_folder(source, target, key=key, classes=classes or ()).to_dict()
    if report is not None:
        try:
            report.parent.mkdir(parents=True, exist_ok=True)  # the key is forgotten: nothing could be counted once more
            write_whole(report, json.dumps(found, indent=2) + "\n")
        except OSError as error:
            print_json(found)
            raise unwritten(report, error, "The report is printed instead.") from None
    if as_json:
        print_json(found)
        return
    section(removal_facts(found))
    for warning in found["warnings"]:
        note(f"warning: {warning}")


def removal_facts(report: Mapping[str, Any]) -> dict[str, str]:
    """A report of removal in rows: how many files lost which attribute, or what was in them besides pixels."""
    by_sender = report.get("by_sender") or {}
    facts = _of_dicom(report, by_sender) if report["n_files"] else {}
    if pictures := report.get("pictures"):
        facts["PNG and JPEG files"] = f"{pictures['n_files']}"
        sent = by_sender.get("pictures") or {}
        for name in ("removed", "replaced", "kept") if sent else ():
            facts[f"of them {name} before sending"] = _counted(sent[name]) or "nothing"
        facts["of them removed at the service"] = _counted(pictures["removed"]) or "nothing"
    return facts


def _of_dicom(report: Mapping[str, Any], by_sender: Mapping[str, Any]) -> dict[str, str]:
    facts = {
        "DICOM files": f"{report['n_files']} of {report['n_patients']} patients",
        "already without identities": f"{report['n_deidentified_before']}",
    }
    if by_sender.get("removed"):
        facts["removed before sending"] = _counted(by_sender["removed"])
    for name in ("removed", "replaced", "kept"):
        facts[name] = _counted(report[name]) or "nothing"
    if folders := report.get("folders"):
        facts["folders kept, with files"] = _counted(folders["kept"]) or "none"
        facts["folders renamed"] = f"{folders['n_replaced']}, and {folders['n_removed']} others left out"
    return facts


def _counted(files_of: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in files_of.items())
