"""The input files of a run: arguments become input files, whose content is then checked."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from fnmatch import fnmatchcase
from functools import partial
from itertools import chain
from pathlib import Path

from batchdigits.errors import IOFailedError, NoInputError, UsageError
from batchdigits.files.commit import named_outputs, read_planned, read_receipt
from batchdigits.files.content import format_of, read_head, refuse_content, refuse_decompressed
from batchdigits.files.names import (
    SEARCHED_SUFFIXES,
    STANDARD_INPUT,
    InputFile,
    InputFiles,
    refuse_url,
    split_name,
)
from batchdigits.files.streams import open_input, read_first
from batchdigits.files.targets import OUTPUT_ROLES
from batchdigits.text import count_of

_OURS = ("*.predictions.*", "*.rejects.*", "*.reviewed.*", "*.receipt.json")


def scorable_inputs(arguments: Sequence[str], *, allow_empty: bool = False) -> InputFiles:
    """Expand arguments as `expand_inputs` does, without outputs that a receipt of predict names.

    So `*.csv` means the same after a run as before. With `allow_empty` folders and globs may have
    no input file. Raises NoInputError if nothing else is left.
    """
    found = expand_inputs(arguments, allow_empty=allow_empty)
    outputs = {
        input_file.name: receipt
        for input_file in found.inputs
        if (receipt := _receipt_naming(input_file)) is not None
    }
    left = tuple(i for i in found.inputs if i.name not in outputs)
    if outputs and not left and not allow_empty:
        name, receipt = next(iter(outputs.items()))
        raise NoInputError(
            f"{name}: is an output that {receipt.name} names, and no input is left; name the files "
            "to score"
        )
    return InputFiles(left, found.several)


def _receipt_naming(input_file: InputFile) -> Path | None:
    """The receipt of predict that names the file as its output, if there is one."""
    if input_file.path is None:
        return None
    stems = [input_file.stem, *(input_file.stem.removesuffix(role) for role in OUTPUT_ROLES)]
    for stem in dict.fromkeys(stems):
        path = input_file.path.with_name(f"{stem}.receipt.json")
        with suppress(IOFailedError):  # it concerns its own input, in its turn
            for receipt in (read_receipt(path), read_planned(path)):
                outputs = named_outputs(path.parent, receipt or {}) or []
                names = [output.path for output in outputs]
                if receipt and "kind" not in receipt and input_file.path in names:
                    return path
    return None


def expand_inputs(arguments: Sequence[str], *, allow_empty: bool = False) -> InputFiles:
    """Expand files, folders (not recursive), globs, or `-` alone for standard input.

    Folders and globs are sorted by name. Hidden names, names that begin with `_` and our own
    outputs are left out. A named file that is missing or can't be read is an input file too:
    check_content refuses it in its turn, so that it does not stop the others. Two names of one file
    are two input files. Raises NoInputError for a folder or glob without an input file, unless
    `allow_empty` lets it have none, and UsageError for `-` among others.
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
    for argument in arguments:
        refuse_url(argument, "")
    several = len(arguments) > 1 or _means_several(arguments[0])
    expand = partial(_expand, allow_empty=allow_empty)
    return InputFiles(tuple(chain.from_iterable(map(expand, arguments))), several)


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


def _expand(argument: str, *, allow_empty: bool) -> Iterator[InputFile]:
    if not _means_several(argument):
        yield _named_file(Path(argument))
    elif _is_folder(argument):
        yield from _in_folder(Path(argument), allow_empty=allow_empty)
    else:
        yield from _matching(argument, allow_empty=allow_empty)


def _in_folder(folder: Path, *, allow_empty: bool) -> list[InputFile]:
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise NoInputError(f"{folder}: can't be read: {error.strerror or error}") from error
    names = sorted(entry.name for entry in entries if not entry.is_dir())
    wanted = [n for n in names if n.lower().endswith(SEARCHED_SUFFIXES) and not _is_skipped(n)]
    if not wanted and not allow_empty:
        folders = len(entries) - len(names)
        inside = f", nor in its {count_of(folders, 'subfolder')}: name those" if folders else ""
        raise NoInputError(
            f"{folder}: no input among its {count_of(len(names), 'file')}{inside}; expected "
            f"{' '.join(SEARCHED_SUFFIXES)}; hidden names, _* and outputs don't count"
        )
    return [_named_file(folder / name) for name in wanted]


def _matching(pattern: str, *, allow_empty: bool) -> list[InputFile]:
    paths = [Path(match) for match in sorted(glob.glob(pattern)) if not Path(match).is_dir()]
    wanted = [path for path in paths if not _is_skipped(path.name)]
    if not wanted and not allow_empty:
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
