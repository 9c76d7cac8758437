"""The input files of a run: arguments become input files, whose content is then checked."""

from __future__ import annotations

import glob
import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from fnmatch import fnmatchcase
from functools import partial
from itertools import chain
from pathlib import Path

from batchdigits.errors import IOFailedError, NoInputError, UnusableInputError, UsageError
from batchdigits.files.commit import named_outputs, read_planned, read_receipt
from batchdigits.files.content import format_of, read_head, refuse_content, refuse_decompressed
from batchdigits.files.names import (
    SEARCHED_SUFFIXES,
    STANDARD_INPUT,
    InputFile,
    InputFiles,
    is_partition,
    partitions_of,
    path_named,
    split_name,
)
from batchdigits.files.objects.address import is_object
from batchdigits.files.objects.path import ObjectPath, as_path
from batchdigits.files.streams import open_input, read_first
from batchdigits.files.targets import OUTPUT_ROLES
from batchdigits.text import count_of, listing, one_line

logger = logging.getLogger("batchdigits")

MOST_LOOKED_AT = 100_000
"""Files and folders among which an input is looked for where none is read."""

_OURS = ("*.predictions.*", "*.rejects.*", "*.reviewed.*", "*.receipt.json")


def scorable_inputs(
    arguments: Sequence[str], *, allow_empty: bool = False, recursive: bool = False
) -> InputFiles:
    """Expand arguments as `expand_inputs` does, without outputs that a receipt of predict names.

    So `*.csv` means the same after a run as before. With `allow_empty` folders and globs may have
    no input file. Raises NoInputError if nothing else is left.
    """
    found = expand_inputs(arguments, allow_empty=allow_empty, recursive=recursive)
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


def expand_inputs(
    arguments: Sequence[str], *, allow_empty: bool = False, recursive: bool | None = None
) -> InputFiles:
    """Expand files, folders, globs, or `-` alone for standard input.

    Folders are read with their subfolders `key=value`, to any depth, and with all others if
    `recursive` (None: the command has no such flag); what is left out is logged. Folders and globs
    are sorted by path. Hidden names, names that begin with `_` and our own outputs are left out.

    A named file that is missing or can't be read is an input file too: check_content refuses it in
    its turn, so that it does not stop the others. Two names of one file are two input files. Raises
    NoInputError for a folder or glob without an input file, unless `allow_empty` lets it have none,
    and UsageError for `-` among others.
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
        path_named(argument, "")
    several = len(arguments) > 1 or _means_several(arguments[0])
    expand = partial(_expand, allow_empty=allow_empty, recursive=recursive)
    return InputFiles(tuple(chain.from_iterable(map(expand, arguments))), several)


def check_content(input_file: InputFile) -> None:
    """Refuse an input file whose first bytes contradict its name. `-` is checked on opening.

    Raises NoInputError when the file can't be read or is not a regular file, UnusableInputError
    when it is empty, in another format or encoding, or can't be decompressed, or when its folders
    `key=value` can't be columns.
    """
    if input_file.path is None:
        return
    _refuse_partitions(input_file)
    _refuse_special(input_file.path)
    refuse_content(read_head(input_file.path), input_file)
    if input_file.compression is not None:
        with closing(open_input(input_file)) as stream:
            refuse_decompressed(read_first(stream), input_file)


def _expand(argument: str, *, allow_empty: bool, recursive: bool | None) -> Iterator[InputFile]:
    if not _means_several(argument):
        yield _named_file(as_path(argument))
    elif _is_folder(argument):
        search = _Search(as_path(argument), recursive=recursive)
        yield from search.inputs(search.folder(""), allow_empty=allow_empty)
    else:
        search = _Search(_fixed_part(argument), recursive=recursive, pattern=argument)
        yield from search.inputs(search.matches(), allow_empty=allow_empty)


class _Search:
    """The search for input files below a folder, which `pattern` may be a glob in.

    left_out  the subfolders that were not read
    others    the number of files that don't count
    """

    def __init__(self, top: Path, *, recursive: bool | None, pattern: str = "") -> None:
        self._fix = f"{'' if recursive is None else 'add --recursive, or '}name what to read"
        self._top = top
        self._recursive = recursive
        self._pattern = pattern
        self.left_out: list[Path] = []
        self.others = 0

    def inputs(self, found: Iterator[str], *, allow_empty: bool) -> list[InputFile]:
        """Make the input files of paths below the top, sorted, and log what was left out."""
        paths = sorted(found)
        if not paths and not allow_empty:
            raise NoInputError(self._nothing())
        warn_of_left_out(self._top, self.left_out, _is_searched, self._fix)
        return [_named_file(self._top / path, os.path.dirname(path)) for path in paths]  # noqa: PTH120  # text, not a path

    def folder(self, subfolder: str) -> Iterator[str]:
        """Yield the input files in a folder, and in those of its subfolders that are read.

        A subfolder that can't be read is an input file too: check_content refuses it in its turn.
        """
        pending = [subfolder]
        while pending:
            subfolder = pending.pop()
            try:
                entries = list(_entries(self._top / subfolder))
            except OSError as error:
                if not subfolder:
                    cause = error.strerror or error
                    raise NoInputError(f"{self._top}: can't be read: {cause}") from error
                yield subfolder
                continue
            for name, is_folder in entries:
                path = f"{subfolder}/{name}" if subfolder else name
                if not is_folder:
                    if _is_searched(name):
                        yield path
                    else:
                        self.others += 1
                elif not _is_hidden(name) and self._reads(path):
                    pending.append(path)

    def _reads(self, subfolder: str) -> bool:
        """Return whether a subfolder is read, and note it if not."""
        where = self._top / subfolder
        # Through a link a file would be read twice, or for ever.
        if (self._recursive or is_partition(where.name)) and not where.is_symlink():
            return True
        self.left_out.append(where)
        return False

    def matches(self) -> Iterator[str]:
        """Yield the files that match the glob, and those in matching folders that are read.

        What `**` matches are all folders and their files: of it only the files are taken.
        """
        deep = "**" in Path(self._pattern).parts
        for match in glob.glob(self._pattern, recursive=deep):
            path = Path(match).relative_to(self._top).as_posix()
            *folders, name = path.split("/")
            if any(_is_hidden(folder) for folder in folders if folder != ".."):
                continue
            if deep and (_is_folder(match) or self._is_behind_a_link(folders)):
                continue
            if not _is_folder(match):
                if _is_skipped(name):
                    self.others += 1
                else:
                    yield path
            elif not _is_hidden(name) and self._reads(path):
                yield from self.folder(path)

    def _is_behind_a_link(self, folders: Sequence[str]) -> bool:
        return any(
            self._top.joinpath(*folders[:end]).is_symlink() for end in range(1, len(folders) + 1)
        )

    def _nothing(self) -> str:
        """Say that there is no input file, and what there is instead."""
        inside = ""
        if self.left_out:
            folders = count_of(len(self.left_out), "subfolder")
            inside = f", and {folders} left out: {self._fix}"
        if self._pattern:
            return (
                f"{self._pattern}: matches no input among {count_of(self.others, 'file')}{inside}; "
                "hidden names, _* and outputs don't count"
            )
        return (
            f"{self._top}: no input among its {count_of(self.others, 'file')}{inside}; expected "
            f"{' '.join(SEARCHED_SUFFIXES)}; hidden names, _* and outputs don't count"
        )


def _entries(folder: Path) -> Iterator[tuple[str, bool]]:
    """Yield the names in a folder, and whether each is a folder itself."""
    if isinstance(folder, ObjectPath):
        yield from folder.entries()
        return
    for entry in os.scandir(folder):
        yield entry.name, _is_folder(entry.path)


def warn_of_left_out(
    top: Path, folders: Iterable[Path], counts: Callable[[str], bool], fix: str
) -> None:
    """Log which of the folders that were left out below `top` hold a file whose name counts."""
    ignored = [folder for folder in sorted(folders) if _has_input(folder, counts)]
    if ignored:
        names = listing(str(folder.relative_to(top)) for folder in ignored)
        where = "a subfolder" if len(ignored) == 1 else "subfolders"
        text = one_line(f"{top}: left out the input files in {where}: {names}; {fix}")
        logger.warning("%s", text)


def _has_input(folder: Path, counts: Callable[[str], bool]) -> bool:
    """Look for an input file in a folder that is left out: far enough to find one, not for ever."""
    if isinstance(folder, ObjectPath):  # a prefix is there because of what is below it
        return True
    seen = 0
    for _, folders, names in os.walk(folder):
        if any(map(counts, names)):
            return True
        folders[:] = [name for name in folders if not _is_hidden(name)]
        seen += 1 + len(names)
        if seen > MOST_LOOKED_AT:
            break
    return False


def _fixed_part(pattern: str) -> Path:
    """The folder of a glob: what comes before the first part with a wildcard."""
    parts = Path(pattern).parts
    wild = next(i for i, part in enumerate(parts) if not set("*?[").isdisjoint(part))
    return Path(*parts[:wild])


def _named_file(path: Path, subfolder: str = "") -> InputFile:
    """The input file at a path: the suffix decides its format, else the first bytes do."""
    _, kind, compression = split_name(path.name)
    if kind is None:
        head = b""
        with suppress(NoInputError):  # check_content refuses the file in its turn
            is_file = isinstance(path, ObjectPath) or os.path.isfile(path)  # noqa: PTH113  # as below
            head = read_head(path) if is_file else b""
        kind, compression = format_of(head)
    folders = subfolder.split("/")
    if ".." in folders:  # outputs must not leave their folder
        return InputFile(path, kind, compression)
    return InputFile(path, kind, compression, subfolder, partitions_of(folders))


def _is_searched(name: str) -> bool:
    return name.lower().endswith(SEARCHED_SUFFIXES) and not _is_skipped(name)


def _is_skipped(name: str) -> bool:
    return name.startswith((".", "_")) or any(fnmatchcase(name, pattern) for pattern in _OURS)


def _is_hidden(folder: str) -> bool:
    """Return whether a folder is not for readers, as `_temporary` and `.staging` of Spark."""
    return (
        folder == "lost+found"
        or folder.startswith(".")
        or (folder.startswith("_") and not is_partition(folder))
    )


def _means_several(argument: str) -> bool:
    is_glob = not set("*?[").isdisjoint(argument)
    if is_glob and is_object(argument):
        raise UsageError(
            f"{argument}: globs are not looked up in object storage; name a folder, with / at its "
            "end, or each object"
        )
    return _is_folder(argument) or (is_glob and not os.path.lexists(argument))


def _is_folder(argument: str) -> bool:
    if is_object(argument):  # a name alone is an object, unless there are only others below it
        path = as_path(argument)
        return argument.endswith("/") or (not path.is_file() and path.is_dir())
    # os.path.isdir() is False where permission is denied; Path.is_dir() raises there.
    return os.path.isdir(argument)  # noqa: PTH112


def _refuse_partitions(input_file: InputFile) -> None:
    """Refuse folders `key=value` that stand for one column twice, or for no text."""
    names = [name for name, _ in input_file.partitions]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise UnusableInputError(
            f"{input_file.name}: its folders give the column {doubled[0]!r} more than one value; "
            "give each folder a key of its own, or name the file itself"
        )
    for text in {text for pair in input_file.partitions for text in pair if text is not None}:
        if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text):
            raise UnusableInputError(
                f"{input_file.name}: its folders hold {text!r}, which is not text in UTF-8; rename "
                "the folder, or name the file itself"
            )


def _refuse_special(path: Path) -> None:
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError as error:
        raise NoInputError(f"{path}: no such file or folder; check the path") from error
    except OSError as error:
        raise NoInputError(f"{path}: can't be read: {error.strerror or error}") from error
    if not isinstance(path, ObjectPath) and _is_folder(str(path)):
        raise NoInputError(f"{path}: is a folder that can't be read; check its permissions")
    if not regular:
        raise NoInputError(f"{path}: is a pipe or device, not a file; pipe it to - instead")
