"""The names of a run's outputs, beside the input file or elsewhere, planned before any work."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from batchdigits.errors import OutputError, UsageError
from batchdigits.files.atomic import explained, fsync_folder, temporary_name
from batchdigits.files.lock import lock_name
from batchdigits.files.names import (
    DATA_SUFFIXES,
    FORMATS,
    Compression,
    InputFile,
    InputFiles,
    data_suffix,
    path_named,
    split_name,
)
from batchdigits.files.objects.path import ObjectPath, as_path
from batchdigits.text import listing

OUTPUT_ROLES = _PREDICTIONS, _REJECTS = ".predictions", ".rejects"
"""What the stem of an output ends with."""


@dataclass(frozen=True, slots=True)
class Targets:
    """The final names of one input file's outputs, all in one folder, and their format `kind`.

    Every final name belongs to one receipt, whatever run writes it: who holds the receipt's lock is
    the only writer of them all. `problem` tells why no run may write them.
    """

    predictions: Path
    rejects: Path
    receipt: Path
    kind: str
    compression: Compression = None
    inputs: frozenset[tuple[int, int]] = frozenset()
    """Device and inode of every input file of the run."""
    problem: str = ""
    product: str = "predictions"
    """What a receipt calls the output that is not the rejects."""

    @property
    def folder(self) -> Path:
        return self.predictions.parent

    @property
    def commit(self) -> Path:
        """The future receipt, which exists only while the outputs are being renamed.

        It is named after the receipt, as the lock is: other outputs may share both.
        """
        return commit_name(self.receipt)

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


def commit_name(receipt: Path) -> Path:
    """`.NAME.commit` beside the receipt."""
    return receipt.with_name(f".{receipt.name}.commit")


def plan_targets(inputs: InputFiles, output: str | None, kind: str | None = None) -> list[Targets]:
    """Plan the outputs of each input file: beside it, or in the file or folder `output`.

    In a folder `output` they are in the subfolders that the input files are in. `kind` is their
    format; None: that of the input file, or what the name of the output file says.

    Creates nothing. Inputs that would write one name, or overwrite an input, have a `problem`,
    which check_targets raises; if all have one it is raised here. Raises UsageError for `-` without
    an output file, for one output file and several inputs, for a name of unknown suffix or with the
    suffix of rejects, and for a `kind` that is unknown or not that of the output file's name.
    """
    if kind is not None and kind not in FORMATS:
        raise UsageError(f"--format {kind!r}: expected {' or '.join(FORMATS)}")
    planned = _plan(inputs, output, kind)
    writers = _writers(inputs.inputs, planned)
    identities = {
        identity: input_file.name
        for input_file in inputs.inputs
        if (identity := _identity(0 if input_file.path is None else input_file.path))
    }
    problems = [
        _collision(targets, writers) or _overwritten_input(_all_names(targets), identities)
        for targets in planned
    ]
    if problems and all(problems):
        raise UsageError(problems[0])
    all_inputs = frozenset(identities)  # one for all: a run may have 100,000 files
    return [
        replace(targets, inputs=all_inputs, problem=problem)
        for targets, problem in zip(planned, problems, strict=True)
    ]


def check_targets(targets: Targets) -> None:
    """Refuse, before any work, names that can't be written or are not regular files.

    Raises UsageError for names that no run may write, OutputError with every problem of the disk in
    one line. Creates nothing.
    """
    if targets.problem:
        raise UsageError(targets.problem)
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


def _plan(inputs: InputFiles, output: str | None, kind: str | None) -> list[Targets]:
    if output == "":
        raise UsageError("--output is empty; name a file or a folder")
    path = path_named(output, "--output") if output else None
    is_folder = path and (inputs.several or str(output).endswith("/") or _is_folder(path))
    if path and not is_folder:
        return [_named(path, kind)]
    if any(input_file.path is None for input_file in inputs.inputs):
        raise UsageError(
            "-: standard input has no folder and no name to derive those of outputs from; name an "
            "output file, such as --output forms.csv"
        )
    if output and output.lower().endswith(DATA_SUFFIXES) and not as_path(output).is_dir():
        raise UsageError(
            f"--output {output}: names one file, but several inputs (or a folder or glob) need a "
            "folder; add / to its end"
        )
    return [
        _in_folder(
            path / input_file.subfolder if path else input_file.path.parent,
            input_file,
            kind,
        )
        for input_file in inputs.inputs
        if input_file.path
    ]


def _is_folder(path: Path) -> bool:
    """Whether a name without a slash at its end is a folder; in object storage it is a file."""
    return not isinstance(path, ObjectPath) and path.is_dir()


def _in_folder(folder: Path, input_file: InputFile, kind: str | None) -> Targets:
    kind = kind or input_file.kind
    packed = input_file.compression
    compression = packed if packed in FORMATS[kind].compressions else None
    suffix = data_suffix(kind, compression)
    return Targets(
        predictions=folder / f"{input_file.stem}{_PREDICTIONS}{suffix}",
        rejects=folder / f"{input_file.stem}{_REJECTS}{suffix}",
        receipt=folder / f"{input_file.stem}.receipt.json",
        kind=kind,
        compression=compression,
    )


def _named(output: Path, wanted: str | None) -> Targets:
    stem, kind, compression = split_name(output.name)
    suffix = output.name[len(stem) :]
    if kind is None or suffix.lower() not in DATA_SUFFIXES:
        raise UsageError(
            f"--output {output}: expected a name that ends in one of "
            f"{' '.join(DATA_SUFFIXES)}, or in / for a folder"
        )
    if wanted not in (None, kind):
        raise UsageError(
            f"--output {output} and --format {wanted}: a file's name gives its format; leave "
            "--format out, or name a folder"
        )
    stem = _stem_of_run(output, stem)
    return Targets(
        predictions=output,
        rejects=output.with_name(f"{stem}{_REJECTS}{suffix}"),
        receipt=output.with_name(f"{stem}.receipt.json"),
        kind=kind,
        compression=compression,
    )


def _stem_of_run(output: Path, stem: str) -> str:
    """The stem of the receipt: that of the input whose outputs in a folder have the same name.

    Then both runs have one receipt and one lock: neither can overwrite what the other writes.
    """
    if stem.lower().endswith(_REJECTS):
        raise UsageError(
            f"--output {output}: a name that ends in {_REJECTS} is for the rejects of another "
            "output; choose another name"
        )
    return stem[: -len(_PREDICTIONS)] if stem[1:].lower().endswith(_PREDICTIONS) else stem


def _writers(
    input_files: Sequence[InputFile], planned: Sequence[Targets]
) -> dict[tuple[str, str], list[str]]:
    """The input files that would write each final name, by its real folder and its name."""
    writers: dict[tuple[str, str], list[str]] = {}
    for input_file, targets in zip(input_files, planned, strict=True):
        for name in _final_names(targets):
            writers.setdefault(name, []).append(input_file.name)
    return writers


def _final_names(targets: Targets) -> list[tuple[str, str]]:
    folder = targets.folder
    real = str(folder) if isinstance(folder, ObjectPath) else os.path.realpath(folder)
    return [(real, path.name) for path in targets.finals]


def _collision(targets: Targets, writers: Mapping[tuple[str, str], Sequence[str]]) -> str:
    for path, name in zip(targets.finals, _final_names(targets), strict=True):
        if len(names := writers[name]) > 1:
            both = (
                f"{names[0]} and {names[1]} would both"
                if len(names) == 2
                else (f"{listing(names)} would all")
            )
            return f"{both} write {path}; score each in a run of its own with another --output"
    return ""


def refuse_overwriting(outputs: Targets | Iterable[Path], inputs: Iterable[str | Path]) -> None:
    """Raise UsageError if one of the outputs is one of the inputs, also through a link."""
    present = [str(name) for name in inputs if os.path.exists(name)]  # noqa: PTH110
    identities = {found: name for name in present if (found := _identity(Path(name))) is not None}
    names = _all_names(outputs) if isinstance(outputs, Targets) else outputs
    problem = _overwritten_input(names, identities)
    if problem:
        raise UsageError(problem)


def _overwritten_input(outputs: Iterable[Path], identities: Mapping[tuple[int, int], str]) -> str:
    for path in outputs:
        identity = _identity(path)
        if identity is not None and identity in identities:
            return (
                f"{identities[identity]}: is an input, and {path} would overwrite it; name another "
                "--output"
            )
    return ""


def _identity(path: Path | int) -> tuple[int, int] | None:
    """Device and inode of the file at a path or descriptor, links followed; None if absent.

    An object has its address instead, whether it is there or not.
    """
    if isinstance(path, ObjectPath):
        return -1, int.from_bytes(hashlib.sha256(str(path).encode()).digest(), "big")
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
