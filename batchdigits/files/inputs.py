"""The input files of a run: arguments become input files, whose content is then checked."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path

from batchdigits.errors import NoInputError, UsageError
from batchdigits.files.content import format_of, read_head, refuse_content, refuse_decompressed
from batchdigits.files.names import DATA_SUFFIXES, STANDARD_INPUT, InputFile, InputFiles, split_name
from batchdigits.files.streams import open_input, read_first
from batchdigits.text import count_of

_OURS = ("*.predictions.*", "*.rejects.*", "*.reviewed.*", "*.receipt.json")


def expand_inputs(arguments: Sequence[str]) -> InputFiles:
    """Expand files, folders (not recursive), globs, or `-` alone for standard input.

    Folders and globs are sorted by name. Hidden names, names that begin with `_` and our own
    outputs are left out. A named file that is missing or can't be read is an input file too:
    check_content refuses it in its turn, so that it does not stop the others. Two names of one file
    are two input files. Raises NoInputError for a folder or glob without an input file, UsageError
    for `-` among others.
    """
    if list(arguments) == ["-"]:
        return InputFiles((InputFile(None, STANDARD_INPUT),), several=False)
    if "-" in arguments:
        raise UsageError(
            "-: standard input can't be read together with other inputs; name it alone, or "
            "write ./- for a file of that name"
        )
    if not arguments or "" in arguments:  # an unset variable must not mean this folder
        raise NoInputError("no input, or an empty name; name files, folders, globs or -")
    several = len(arguments) > 1 or _means_several(arguments[0])
    return InputFiles(tuple(chain.from_iterable(map(_expand, arguments))), several)


def check_content(input_file: InputFile) -> None:
    """Refuse an input file whose first bytes contradict its name. `-` is checked on opening.

    Raises NoInputError when the file can't be read or is not a regular file, UnusableInputError
    when it is empty, in another format or encoding, or can't be decompressed.
    """
    if input_file.path is None:
        return
    _refuse_special(input_file.path)
    refuse_content(read_head(input_file.path), input_file)
    if input_file.compression is not None:
        with closing(open_input(input_file)) as stream:
            refuse_decompressed(read_first(stream), input_file)


def _expand(argument: str) -> Iterator[InputFile]:
    if not _means_several(argument):
        yield _named_file(Path(argument))
    elif _is_folder(argument):
        yield from _in_folder(Path(argument))
    else:
        yield from _matching(argument)


def _in_folder(folder: Path) -> list[InputFile]:
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if not entry.is_dir())
    except OSError as error:
        raise NoInputError(f"{folder}: can't be read: {error.strerror or error}") from error
    wanted = [n for n in names if n.lower().endswith(DATA_SUFFIXES) and not _is_skipped(n)]
    if not wanted:
        raise NoInputError(
            f"{folder}: no input among its {count_of(len(names), 'file')}; expected "
            f"{' '.join(DATA_SUFFIXES)}; hidden names, _* and outputs don't count"
        )
    return [_named_file(folder / name) for name in wanted]


def _matching(pattern: str) -> list[InputFile]:
    paths = [Path(match) for match in sorted(glob.glob(pattern)) if not Path(match).is_dir()]
    wanted = [path for path in paths if not _is_skipped(path.name)]
    if not wanted:
        raise NoInputError(
            f"{pattern}: matches no input among {count_of(len(paths), 'file')}; hidden names, _* "
            "and outputs don't count"
        )
    return [_named_file(path) for path in wanted]


def _named_file(path: Path) -> InputFile:
    """The input file at a path: the suffix decides its format, else the first bytes do."""
    _, kind, compression = split_name(path.name)
    if kind is None:
        head = b""
        with suppress(NoInputError):  # check_content refuses the file in its turn
            head = read_head(path) if os.path.isfile(path) else b""  # noqa: PTH113  # as below
        kind, compression = format_of(head)
    return InputFile(path, kind, compression)


def _is_skipped(name: str) -> bool:
    return name.startswith((".", "_")) or any(fnmatchcase(name, pattern) for pattern in _OURS)


def _means_several(argument: str) -> bool:
    is_glob = not set("*?[").isdisjoint(argument)
    return _is_folder(argument) or (is_glob and not os.path.lexists(argument))


def _is_folder(argument: str) -> bool:
    # os.path.isdir() is False where permission is denied; Path.is_dir() raises there.
    return os.path.isdir(argument)  # noqa: PTH112


def _refuse_special(path: Path) -> None:
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError as error:
        raise NoInputError(f"{path}: no such file or folder; check the path") from error
    except OSError as error:
        raise NoInputError(f"{path}: can't be read: {error.strerror or error}") from error
    if not regular:
        raise NoInputError(f"{path}: is a pipe or device, not a file; pipe it to - instead")
