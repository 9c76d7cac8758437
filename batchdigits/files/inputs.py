"""Which files a run reads: arguments to inputs, and whether their content is what they say."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing
from fnmatch import fnmatchcase
from pathlib import Path

from batchdigits.errors import NoInputError, UsageError
from batchdigits.files.content import format_of, read_head, refuse_content, refuse_text
from batchdigits.files.names import DATA_SUFFIXES, InputFile, InputFiles, split_name
from batchdigits.files.streams import open_input, read_first
from batchdigits.text import count_of

_OURS = ("*.predictions.*", "*.rejects.*", "*.reviewed.*", "*.receipt.json")
_GLOB_CHARACTERS = frozenset("*?[")


def expand_inputs(arguments: Sequence[str]) -> InputFiles:
    """Files, folders (not recursive), globs, or `-` alone for standard input.

    What folders and globs give is sorted by name, without hidden names, names that begin with
    `_` and our own outputs. A named file that is missing or can't be read is an input all the same:
    check_content refuses it in its turn, so that it does not stop the others. Raises NoInputError
    for a folder or glob that gives nothing, UsageError for `-` among others. Two names of one file
    are two inputs; two that would write one name are refused by plan_targets.
    """
    if list(arguments) == ["-"]:
        return InputFiles((InputFile(None, "csv"),), several=False)
    if "-" in arguments:
        raise UsageError("-: standard input goes alone; for a file of that name write ./-")
    if not arguments or "" in arguments:  # an unset variable must not mean this folder
        raise NoInputError("no input or an empty name; name files, folders, globs or -")
    found = tuple(input_file for argument in arguments for input_file in _expand(argument))
    return InputFiles(found, several=len(arguments) > 1 or _means_several(arguments[0]))


def check_content(input_file: InputFile) -> None:
    """Refuses an input whose first bytes are not what its name says. `-` is judged on opening.

    Raises NoInputError when it can't be read or is no regular file, UnusableInputError when it is
    empty, in another format or encoding, or can't be decompressed.
    """
    if input_file.path is None:
        return
    _refuse_special(input_file.path)
    refuse_content(read_head(input_file.path), input_file)
    if input_file.compression is not None:
        with closing(open_input(input_file)) as stream:
            refuse_text(read_first(stream), input_file)


def _expand(argument: str) -> Iterator[InputFile]:
    if not _means_several(argument):
        yield _seen(Path(argument))
    elif _is_folder(argument):
        yield from _in_folder(Path(argument))
    else:
        yield from _matching(argument)


def _named(path: Path, head: bytes) -> InputFile:
    """An input whose suffix decides, or whose first bytes do where the suffix says nothing."""
    _, kind, compression = split_name(path.name)
    if kind is None:
        kind, compression = format_of(head)
    return InputFile(path, kind, compression)


def _in_folder(folder: Path) -> list[InputFile]:
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if not entry.is_dir())
    except OSError as error:
        raise NoInputError(f"{folder}: can't be read: {error.strerror or error}") from error
    wanted = [n for n in names if n.lower().endswith(DATA_SUFFIXES) and not _is_skipped(n)]
    if not wanted:
        raise NoInputError(
            f"{folder}: no input among its {count_of(len(names), 'file')}; looked for "
            f"{' '.join(DATA_SUFFIXES)}, leaving out hidden names, _* and outputs"
        )
    return [_named(folder / name, b"") for name in wanted]


def _matching(pattern: str) -> list[InputFile]:
    paths = [Path(match) for match in sorted(glob.glob(pattern)) if not Path(match).is_dir()]
    wanted = [path for path in paths if not _is_skipped(path.name)]
    if not wanted:
        raise NoInputError(
            f"{pattern}: matches no input; {count_of(len(paths), 'file')} found, leaving out "
            "hidden names, _* and outputs"
        )
    return [_seen(path) for path in wanted]


def _seen(path: Path) -> InputFile:
    """An input of that path, told by its content where it can be read."""
    try:
        return _named(path, read_head(path) if os.path.isfile(path) else b"")  # noqa: PTH113  # as below
    except NoInputError:
        return _named(path, b"")


def _is_skipped(name: str) -> bool:
    return name.startswith((".", "_")) or any(fnmatchcase(name, pattern) for pattern in _OURS)


def _is_glob(argument: str) -> bool:
    return not _GLOB_CHARACTERS.isdisjoint(argument)


def _means_several(argument: str) -> bool:
    return _is_folder(argument) or (_is_glob(argument) and not os.path.lexists(argument))


def _is_folder(argument: str) -> bool:
    """Whether a folder can be seen there. os.path takes what may not be looked at for absent."""
    return os.path.isdir(argument)  # noqa: PTH112  # Path.is_dir() raises PermissionError


def _refuse_special(path: Path) -> None:
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError as error:
        raise NoInputError(f"{path}: no such file or folder; check the path") from error
    except OSError as error:
        raise NoInputError(f"{path}: can't be read: {error.strerror or error}") from error
    if not regular:
        raise NoInputError(f"{path}: is a pipe or device, not a file; pipe it into - instead")
