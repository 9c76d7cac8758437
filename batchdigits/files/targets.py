"""What a run writes: the names beside or apart from an input, planned before any work."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
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
    Kind,
    data_suffix,
    split_name,
)
from batchdigits.text import listing


@dataclass(frozen=True, slots=True)
class Targets:
    """The final names of one input's outputs, all in one folder, and their format."""

    predictions: Path
    rejects: Path
    receipt: Path
    kind: Kind
    compression: Compression = None
    inputs: frozenset[tuple[int, int]] = frozenset()
    """Device and inode of every input of the run."""

    @property
    def folder(self) -> Path:
        return self.predictions.parent

    @property
    def commit(self) -> Path:
        """The receipt to be, there only while the outputs are being renamed.

        Named after the receipt like the lock: other outputs may share it.
        """
        return self.receipt.with_name(f".{self.receipt.name}.commit")

    @property
    def finals(self) -> tuple[Path, Path, Path]:
        return self.predictions, self.rejects, self.receipt

    @property
    def leftovers(self) -> tuple[Path, ...]:
        """Temporaries of a run that did not end, `commit` aside."""
        return tuple(map(temporary_name, (*self.finals, self.commit)))

    def reads(self, path: Path) -> bool:
        """Whether the file is an input of the run, under whatever name."""
        return _identity(path) in self.inputs


def plan_targets(inputs: InputFiles, output: str | None) -> list[Targets]:
    """The outputs of each input: beside it, as `output` names them, or in the folder it names.

    Creates nothing. Raises UsageError for `-` without a file as output, for one file and several
    inputs, an unknown suffix, two inputs that would write one name, and an input that would be
    written over.
    """
    planned = _plan(inputs, output)
    _refuse_collisions(inputs.inputs, planned)
    read = dict(_identities(inputs.inputs))
    _refuse_inputs_as_targets(read, planned)
    return [replace(targets, inputs=frozenset(read)) for targets in planned]


def check_targets(targets: Targets) -> None:
    """Refuses, before any work, names that can't be written or are no plain files.

    Raises OutputError, one line with all that is wrong. Creates nothing.
    """
    folder = targets.folder
    problem = _folder_problem(folder)
    if problem:
        raise OutputError(f"{targets.predictions}: {folder} {problem}; choose another --output")
    problems = [f"{path.name} {what}" for path in _all_names(targets) if (what := _oddity(path))]
    if problems:
        raise OutputError(
            f"{targets.predictions}: can't be written: {listing(problems)}; choose another --output"
        )


def make_folder(targets: Targets) -> None:
    """Creates the folder of the outputs, its parents too, and syncs what was created.

    Raises OutputError or IOFailedError.
    """
    missing = [f for f in (targets.folder, *targets.folder.parents) if not f.exists()]
    with explained(targets.folder):
        targets.folder.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        fsync_folder(folder.parent)


def _plan(inputs: InputFiles, output: str | None) -> list[Targets]:
    piped = any(input_file.path is None for input_file in inputs.inputs)
    if output is None:
        if piped:
            raise UsageError("-: standard input has no place beside it; name a file with --output")
        return [
            _beside(input_file, input_file.path.parent)
            for input_file in inputs.inputs
            if input_file.path
        ]
    if not output:
        raise UsageError("--output is empty; name a file or a folder")
    if inputs.several or output.endswith("/") or Path(output).is_dir():
        if piped:
            raise UsageError(
                f"--output {output}: is a folder, and standard input has no name; name a file"
            )
        _refuse_file_for_several(output)
        return [_beside(input_file, Path(output)) for input_file in inputs.inputs]
    return [_named(Path(output))]


def _beside(input_file: InputFile, folder: Path) -> Targets:
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
            f"--output {output}: its suffix names no format; known are "
            f"{' '.join(DATA_SUFFIXES)}, and a folder ends in /"
        )
    return Targets(
        predictions=output,
        rejects=output.with_name(f"{stem}.rejects{suffix}"),
        receipt=output.with_name(f"{stem}.receipt.json"),
        kind=kind,
        compression=compression,
    )


def _refuse_file_for_several(output: str) -> None:
    names_file = output.lower().endswith(DATA_SUFFIXES)
    if names_file and not Path(output).is_dir():
        raise UsageError(
            f"--output {output}: names one file, but several inputs (or a folder or "
            f"glob) need a folder; end it in / to make it one"
        )


def _refuse_collisions(input_files: Sequence[InputFile], planned: Sequence[Targets]) -> None:
    writers: dict[str, InputFile] = {}
    for input_file, targets in zip(input_files, planned, strict=True):
        folder = os.path.realpath(targets.folder)
        for path in targets.finals:
            first = writers.setdefault(f"{folder}/{path.name}", input_file)
            if first is not input_file:
                raise UsageError(
                    f"{first.name} and {input_file.name} would both write {path}; run "
                    "them apart, each with its own --output"
                )


def _refuse_inputs_as_targets(
    read: Mapping[tuple[int, int], str], planned: Sequence[Targets]
) -> None:
    for targets in planned:
        for path in _all_names(targets):
            identity = _identity(path)
            if identity is not None and identity in read:
                raise UsageError(
                    f"{read[identity]}: is an input, and {path} would be written "
                    "over it; name another --output"
                )


def _identities(input_files: Sequence[InputFile]) -> Iterator[tuple[tuple[int, int], str]]:
    for input_file in input_files:
        identity = _identity(0 if input_file.path is None else input_file.path)
        if identity is not None:
            yield identity, input_file.name


def _identity(path: Path | int) -> tuple[int, int] | None:
    """Device and inode of what is behind a path or descriptor, links followed; None if absent."""
    try:
        status = os.stat(path)  # noqa: PTH116  # takes descriptors too
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _all_names(targets: Targets) -> tuple[Path, ...]:
    return (*targets.finals, targets.commit, *targets.leftovers, lock_name(targets.receipt))


def _folder_problem(folder: Path) -> str:
    """Why nothing can be written in a folder that may yet have to be created; else empty."""
    present = next(f for f in (folder, *folder.parents) if os.path.lexists(f))
    if not present.is_dir():
        return f"can't be a folder: {present} is none"
    if not os.access(present, os.W_OK | os.X_OK):
        return f"is not writable: this user can't write in {present}"
    return ""


def _oddity(path: Path) -> str:
    """What keeps a name from being written as a plain file; else empty."""
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
