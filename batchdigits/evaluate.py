"""`python -m batchdigits.evaluate`: how good a bundle is on labelled files."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence

from batchdigits.cli.boundary import end, pandas_kept_out, run_command
from batchdigits.cli.flags import (
    Parser,
    add_bundle_options,
    add_common_options,
    add_row_options,
    column_names,
    make_parser,
)
from batchdigits.cli.terminal import Progress, print_json
from batchdigits.errors import OutputError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from batchdigits.api import Bundle
    from batchdigits.evaluation.summary import Evaluation
    from batchdigits.files.names import InputFile
    from batchdigits.scoring.options import Limit

EXAMPLES = (
    "python -m batchdigits.evaluate labelled.parquet",
    "python -m batchdigits.evaluate labelled/ --label digit --bundle digits@production",
    "python -m batchdigits.evaluate labelled.csv --by form_id --groups 50",
    "python -m batchdigits.evaluate uci.csv --no-header --label column_65",
    "python -m batchdigits.evaluate labelled.parquet --review-below 0.95 --output figures.json",
)

SHOWN_GROUPS = 20
TOO_MANY_REJECTS = 3


def parser() -> Parser:
    """The command's flags."""
    result = make_parser(
        "evaluate",
        "Score labelled CSV or Parquet files of 64-pixel rows and tell how good the bundle is on "
        "them: accuracy, every class, what is confused with what, how far the confidence can be "
        "trusted. Tables go to standard error, one line of JSON to standard output.",
        EXAMPLES,
    )
    result.add_argument(
        "inputs", nargs="+", metavar="LABELLED", help="files, folders or globs, taken together"
    )
    add_bundle_options(result.add_argument_group("bundle"))
    _add_input_options(result)
    _add_output_options(result)
    add_common_options(result)
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(parser(), _evaluate, argv)


def _add_input_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("input")
    group.add_argument(
        "--label", default="label", metavar="COLUMN", help="of true labels (default: label)"
    )
    group.add_argument(
        "--by",
        type=column_names,
        default=(),
        metavar="COL,…",
        help="count by the values of this other column too, or by those of several together",
    )
    add_row_options(group)


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument(
        "--review-below",
        metavar="P",
        help="tell what is left if rows with less than this confidence, 0..1, go to review "
        "(default: the bundle's threshold, if it has one)",
    )
    group.add_argument(
        "--groups",
        type=int,
        default=SHOWN_GROUPS,
        metavar="N",
        help="how many groups of --by to list, the worst first; all are counted (default: 20)",
    )
    group.add_argument(
        "--max-rejects",
        default="0",
        metavar="N|P%",
        help="end with 0 up to this many rejected rows of all inputs, a count or a share (default: "
        "0); above it the figures are told all the same and the exit code is 3",
    )
    group.add_argument("--output", metavar="FILE", help="write the JSON there too")
    group.add_argument("--overwrite", action="store_true", help="replace the file --output names")


def _evaluate(arguments: argparse.Namespace) -> int:
    from batchdigits.scoring.options import Limit

    started = time.monotonic()
    limit = Limit.parse(arguments.max_rejects)
    _check_groups(arguments.by, arguments.groups)
    output = _check_output(arguments.output, overwrite=arguments.overwrite)
    # NumPy's matrix products are not used: its threads would only reserve memory.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with pandas_kept_out():
        bundle, found = _judge(arguments, output)
        code = _tell(found, bundle, arguments.groups, limit)
        facts = {
            "exit_code": code,
            "seconds": round(time.monotonic() - started, 3),
            "bundle": bundle.facts,
            "label": arguments.label,
            **found.as_facts(arguments.groups),
        }
    if output is not None:
        _write(output, facts, overwrite=arguments.overwrite)
    print_json(facts)
    return code


def _judge(arguments: argparse.Namespace, output: Path | None) -> tuple[Bundle, Evaluation]:
    from batchdigits.api import open_bundle
    from batchdigits.evaluation.files import evaluate_files
    from batchdigits.files.inputs import expand_inputs
    from batchdigits.rows.options import ReadOptions
    from batchdigits.scoring.options import parse_review_below

    options = ReadOptions(
        pixels=arguments.pixels,
        header=arguments.header,
        delimiter=arguments.delimiter,
        scale=arguments.scale,
        keep=arguments.by,
    ).checked()
    review_below = parse_review_below(arguments.review_below)
    input_files = expand_inputs(arguments.inputs).inputs
    _refuse_twice(input_files)
    _refuse_input(output, input_files)
    bundle = open_bundle(
        arguments.bundle,
        store=arguments.store,
        expect_digest=arguments.expect_digest,
        require_signature=arguments.require_signature,
        trusted_keys=arguments.trusted_keys,
    )
    progress = Progress()
    try:
        found = evaluate_files(
            input_files,
            arguments.label,
            options,
            engine=bundle.engine,
            bundle=bundle.file,
            review_below=review_below,
            on_progress=progress,
        )
    finally:
        progress.finish()
    return bundle, found


def _tell(found: Evaluation, bundle: Bundle, keep_groups: int, limit: Limit) -> int:
    """The tables, and more rejects than allowed as an error; gives the exit code."""
    import logging

    from batchdigits.report.evaluation import format_evaluation

    logger = logging.getLogger("batchdigits")
    name = f"{bundle.manifest.name}@{bundle.manifest.version}"
    logger.info("%s", format_evaluation(found, name, keep_groups))
    counts = found.total.counts
    if limit.allows(counts.rows_rejected, counts.rows_in):
        return 0
    logger.error(
        "%d of %d rows were rejected, more than --max-rejects; the figures are those of the "
        "others; predict lists the rejects with their reasons",
        *(counts.rows_rejected, counts.rows_in),
    )
    return TOO_MANY_REJECTS


def _check_groups(by: tuple[str, ...], groups: int) -> None:
    if len(set(by)) < len(by):
        raise UsageError(f"--by {','.join(by)}: names a column more than once; name each once")
    if groups < 0:
        raise UsageError(f"--groups {groups}: expected 0 or more groups")


def _check_output(name: str | None, *, overwrite: bool) -> Path | None:
    """Where the JSON goes: that it can is known before any row is read."""
    from pathlib import Path

    if name is None:
        return None
    path = Path(name)
    if not name.endswith(".json"):
        raise UsageError(f"--output {name!r}: expected a file name that ends in .json")
    if not path.absolute().parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}; make it, or name another")
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; name a file")
    if os.path.lexists(path) and not overwrite:
        raise _taken(path)
    return path


def _refuse_twice(input_files: Sequence[InputFile]) -> None:
    """Rows that count twice would make every figure look surer than it is."""
    seen: dict[tuple[int, int], str] = {}
    for input_file in input_files:
        if input_file.path is None or not input_file.path.exists():
            continue
        found = input_file.path.stat()
        file = found.st_dev, found.st_ino
        if file in seen:
            raise UsageError(f"{input_file.name}: is the same file as {seen[file]}; name it once")
        seen[file] = input_file.name


def _refuse_input(output: Path | None, input_files: Sequence[InputFile]) -> None:
    if output is None or not output.exists():
        return
    for input_file in input_files:
        if (
            input_file.path is not None
            and input_file.path.exists()
            and output.samefile(input_file.path)
        ):
            raise UsageError(f"--output {output}: is an input; name another file")


def _write(path: Path, facts: dict[str, Any], *, overwrite: bool) -> None:
    import json

    from batchdigits.files.atomic import create_file, replace_file

    data = f"{json.dumps(facts)}\n".encode()
    try:
        (replace_file if overwrite else create_file)(path, data)
    except FileExistsError as error:
        raise _taken(path) from error


def _taken(path: Path) -> OutputError:
    return OutputError(f"{path}: exists; give --overwrite, or name another file")


if __name__ == "__main__":
    end(main())
