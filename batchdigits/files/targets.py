"""The names of a run's outputs, beside the input file or elsewhere, planned before any work."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from batchdigits.errors import OutputError, UsageError
from batchdigits.files.atomic import explained, fsync_folder, temporary_name
from batchdigits.files.lock import lock_name
from batchdigits.files.names import (
    DATA_SUFFIXES,
    Compression,
    InputFile,
    InputFiles,
    data_suffix,
    split_name,
)
from batchdigits.text import listing


@dataclass(frozen=True, slots=True)
class Targets:
    """The final names of one input file's outputs, all in one folder, and their format `kind`."""

    predictions: Path
    rejects: Path
    receipt: Path
    kind: str
    compression: Compression = None
    inputs: frozenset[tuple[int, int]] = frozenset()
    """Device and inode of every input file of the run."""

    @property
    def folder(self) -> Path:
        return self.predictions.parent

    @property
    def commit(self) -> Path:
        """The future receipt, which exists only while the outputs are being renamed.

        It is named after the receipt, as the lock is: other outputs may share both.
        """
        return self.receipt.with_name(f".{self.receipt.name}.commit")

    @property
    def finals(self) -> tuple[Path, Path, Path]:
        return self.predictions, self.rejects, self.receipt

    @property
    def leftovers(self) -> tuple[Path, ...]:
        """The temporary files that a killed run may leave, `commit` not among them."""
        return tuple(map(temporary_name, (*self.finals, self.commit)))

    def reads(self, path: Path) -> bool:
        """Whether the file is an input file of the run, under this name or another."""
        return _identity(path) in self.inputs


def plan_targets(inputs: InputFiles, output: str | None) -> list[Targets]:
    """Plan the outputs of each input file: beside it, or in the file or folder `output`.

    Creates nothing. Raises UsageError for `-` without an output file, for one output file and
    several inputs, an unknown suffix, two inputs that would write one name, and an input that
    would be overwritten.
    """
    planned = _plan(inputs, output)
    _refuse_collisions(inputs.inputs, planned)
    identities = {
        identity: input_file.name
        for input_file in inputs.inputs
        if (identity := _identity(0 if input_file.path is None else input_file.path))
    }
    _refuse_inputs_as_targets(identities, planned)
    return [replace(targets, inputs=frozenset(identities)) for targets in planned]


def check_targets(targets: Targets) -> None:
    """Refuse, before any work, names that can't be written or are not regular files.

    Raises OutputError with every problem in one line. Creates nothing.
    """
    folder = targets.folder
    problem = _folder_problem(folder)
    if problem:
        raise OutputError(f"{targets.predictions}: {folder} {problem}; choose another --output")
    problems = [
        f"{path.name} {problem}" for path in _all_names(targets) if (problem := _problem(path))
    ]
    if problems:
        raise OutputError(
            f"{targets.predictions}: can't be written: {listing(problems)}; choose another --output"
        )


def make_folder(targets: Targets) -> None:
    """Create the folder of the outputs with its parents, and sync every folder created.

    Raises OutputError or IOFailedError.
    """
    folders = (targets.folder, *targets.folder.parents)
    missing = [folder for folder in folders if not folder.exists()]
    with explained(targets.folder):
        targets.folder.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        fsync_folder(folder.parent)


def _plan(inputs: InputFiles, output: str | None) -> list[Targets]:
    if output == "":
        raise UsageError("--output is empty; name a file or a folder")
    is_folder = output and (inputs.several or output.endswith("/") or Path(output).is_dir())
    if output and not is_folder:
        return [_named(Path(output))]
    if any(input_file.path is None for input_file in inputs.inputs):
        raise UsageError(
            "-: standard input has no folder and no name to derive those of outputs from; name an "
            "output file, such as --output forms.csv"
        )
    if output and output.lower().endswith(DATA_SUFFIXES) and not Path(output).is_dir():
        raise UsageError(
            f"--output {output}: names one file, but several inputs (or a folder or glob) need a "
            "folder; add / to its end"
        )
    return [
        _in_folder(Path(output) if output else input_file.path.parent, input_file)
        for input_file in inputs.inputs
        if input_file.path
    ]


def _in_folder(folder: Path, input_file: InputFile) -> Targets:
    suffix = data_suffix(input_file.kind, input_file.compression)
    return Targets(
        predictions=folder / f"{input_file.stem}.predictions{suffix}",
        rejects=folder / f"{input_file.stem}.rejects{suffix}",
        receipt=folder / f"{input_file.stem}.receipt.json",
        kind=input_file.kind,
        compression=input_file.compression,
    )


def _named(output: Path) -> Targets:
    stem, kind, compression = split_name(output.name)
    suffix = output.name[len(stem) :]
    if kind is None or suffix.lower() not in DATA_SUFFIXES:
        raise UsageError(
            f"--output {output}: expected a name that ends in one of "
            f"{' '.join(DATA_SUFFIXES)}, or in / for a folder"
        )
    return Targets(
        predictions=output,
        rejects=output.with_name(f"{stem}.rejects{suffix}"),
        receipt=output.with_name(f"{stem}.receipt.json"),
        kind=kind,
        compression=compression,
    )


def _refuse_collisions(input_files: Sequence[InputFile], planned: Sequence[Targets]) -> None:
    writers: dict[str, InputFile] = {}
    for input_file, targets in zip(input_files, planned, strict=True):
        folder = os.path.realpath(targets.folder)
        for path in targets.finals:
            first = writers.setdefault(f"{folder}/{path.name}", input_file)
            if first is not input_file:
                raise UsageError(
                    f"{first.name} and {input_file.name} would both write {path}; score each in a "
                    "run of its own with another --output"
                )


def _refuse_inputs_as_targets(
    identities: Mapping[tuple[int, int], str], planned: Sequence[Targets]
) -> None:
    for targets in planned:
        for path in _all_names(targets):
            identity = _identity(path)
            if identity is not None and identity in identities:
                raise UsageError(
                    f"{identities[identity]}: is an input, and {path} would overwrite it; name "
                    "another --output"
                )


def _identity(path: Path | int) -> tuple[int, int] | None:
    """Device and inode of the file at a path or descriptor, links followed; None if absent."""
    try:
        status = os.stat(path)  # noqa: PTH116  # takes descriptors too
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _all_names(targets: Targets) -> tuple[Path, ...]:
    return (*targets.finals, targets.commit, *targets.leftovers, lock_name(targets.receipt))


def _folder_problem(folder: Path) -> str:
    """The reason why a folder, which may not exist yet, can't be written; else empty."""
    present = next(parent for parent in (folder, *folder.parents) if os.path.lexists(parent))
    if not present.is_dir():
        return f"can't be created: {present} is not a folder"
    if not os.access(present, os.W_OK | os.X_OK):
        return f"is not writable: this user can't write in {present}"
    return ""


def _problem(path: Path) -> str:
    """The reason why a name can't be written as a regular file; else empty."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"can't be written ({error.strerror or error})"
    if stat.S_ISREG(mode):
        return ""
    kinds = {stat.S_IFLNK: "is a link", stat.S_IFDIR: "is a folder"}
    return kinds.get(stat.S_IFMT(mode), "is a pipe, socket or device")
