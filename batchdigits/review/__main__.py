"""`python -m batchdigits.review`: look at doubtful cells, and lead the corrections back."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from batchdigits.cli.boundary import end, pandas_kept_out, run_command
from batchdigits.cli.flags import (
    Parser,
    add_common_options,
    add_version,
    column_names,
    count,
    make_parser,
    path_text,
    share,
)
from batchdigits.cli.terminal import print_json, print_result
from batchdigits.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from batchdigits.review.apply import Applied, Opened
    from batchdigits.scoring.published import Predictions

EXAMPLES = (
    "{program} make scored/forms.predictions.parquet --output review/",
    "{program} serve review/",
    "{program} apply review/ana.journal.jsonl",
    "{program} rows review/ana.journal.jsonl --output corrected.parquet",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(parser(), lambda arguments: arguments.body(arguments), argv)


def parser() -> Parser:
    """Make the parser of `review` and its subcommands."""
    result = make_parser(
        "review",
        "Show the cells that are in doubt to a person, and lead the corrections back into the "
        "predictions and the next training.",
        EXAMPLES,
    )
    add_version(result)
    commands = result.add_subparsers(required=True, metavar="COMMAND")
    _add_make(commands)
    _add_serve(commands)
    _add_apply(commands)
    _add_rows(commands)
    return result


def _add_command(
    commands: Any, name: str, what: str, body: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=what, description=f"{what[0].upper()}{what[1:]}.", allow_abbrev=False
    )
    command.set_defaults(body=body)
    return command


def _add_make(commands: Any) -> None:
    command = _add_command(
        commands, "make", "make the page that shows the doubtful cells of predictions", _make
    )
    command.add_argument(
        "predictions",
        nargs="+",
        metavar="PREDICTIONS",
        help="files that predict wrote, with their receipts beside them, or folders of them",
    )
    command.add_argument(
        "--output", required=True, metavar="PATH", help="the folder of the review; a new one"
    )
    command.add_argument(
        "--limit",
        type=count,
        metavar="N",
        help="the most cells in doubt, the least confident first (default: all of them)",
    )
    command.add_argument(
        "--planted",
        type=share,
        default=0.07,
        metavar="P%",
        help="the share of planted cells among those shown: accepted rows under a wrong reading, "
        "which tell how many errors a reviewer misses (default: 7%%)",
    )
    command.add_argument(
        "--sample",
        type=count,
        default=100,
        metavar="N",
        help="accepted rows to show too, chosen by chance, which bound the errors that nobody "
        "looked at (default: 100)",
    )
    command.add_argument(
        "--allow-empty",
        action="store_true",
        help="end with 0 and write nothing if there is no cell to show; without this flag it is 65",
    )
    command.add_argument(
        "--seed",
        type=count,
        default=0,
        metavar="N",
        help="seed of the choice of sample and planted cells (default: 0)",
    )
    command.add_argument(
        "--group",
        type=column_names,
        default=(),
        metavar="COL,…",
        help="the columns that name a field, such as form_id,field: its other cells can be looked "
        "at (default: none)",
    )
    command.add_argument(
        "--input",
        type=path_text,
        metavar="PATH",
        help="where the input of a single file of predictions is now, if they hold no pixels "
        "(default: where their receipt says it was)",
    )
    command.add_argument(
        "--bundle",
        metavar="REF",
        help="the bundle of the predictions: a path, NAME@VERSION, NAME@ALIAS or NAME (default: "
        "the bundle with the receipt's digest, in the store or inside the package)",
    )
    command.add_argument(
        "--store",
        metavar="DIR",
        help="the folder of bundles (default: $BATCHDIGITS_STORE, else ./bundles)",
    )
    add_common_options(command)


def _add_serve(commands: Any) -> None:
    command = _add_command(
        commands,
        "serve",
        "serve a review's page to this computer's browser, and keep a journal",
        _serve,
    )
    command.add_argument("review", metavar="DIR", help="the folder that `review make` wrote")
    command.add_argument(
        "--reviewer",
        metavar="NAME",
        help="who decides; the journal is NAME.journal.jsonl in the folder (default: the user's "
        "name)",
    )
    command.add_argument(
        "--port",
        type=count,
        metavar="N",
        help="the port on 127.0.0.1 (default: that of the last time, else a free one)",
    )
    add_common_options(command)


def _add_apply(commands: Any) -> None:
    command = _add_command(
        commands, "apply", "write the reviewed predictions next to the untouched ones", _apply
    )
    _add_journals(command)
    command.add_argument(
        "--overwrite",
        action="store_true",
        help="replace reviewed files that were changed, or that hold decisions of other reviewers",
    )
    command.add_argument(
        "--json", action="store_true", help="print one line of JSON for each reviewed file"
    )
    add_common_options(command)


def _add_rows(commands: Any) -> None:
    command = _add_command(
        commands,
        "rows",
        "write what reviewers said as labelled rows, for train and evaluate",
        _rows,
    )
    _add_journals(command)
    command.add_argument(
        "--output", required=True, metavar="PATH", help="the file to write, .parquet or .csv"
    )
    command.add_argument(
        "--overwrite", action="store_true", help="replace the file that --output names"
    )
    add_common_options(command)


def _add_journals(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "journals",
        nargs="+",
        metavar="JOURNAL",
        help="the journals of one review, or its folder for all of them",
    )
    command.add_argument(
        "--review",
        metavar="DIR",
        help="the review's folder, for journals kept elsewhere (default: the first journal's)",
    )


def _folder(text: str, flag: str) -> Path:
    if not text:
        raise UsageError(f"{flag} is empty: name a folder")
    return Path(text)


@pandas_kept_out()
def _make(arguments: argparse.Namespace) -> int:
    from batchdigits.review.choose import ChoiceOptions, NothingToReviewError
    from batchdigits.review.make import Sources, make_review, write_review
    from batchdigits.review.merge import kinds_of

    folder = _folder(arguments.output, "--output")
    names = ("limit", "planted", "sample", "seed", "group")
    options = ChoiceOptions(**{name: getattr(arguments, name) for name in names}).checked()
    sources = Sources(arguments.bundle, arguments.store, arguments.input)
    try:
        review = make_review(_open_all(arguments.predictions), options, sources, folder)
    except NothingToReviewError:
        if not arguments.allow_empty:
            raise
        print_json({"review": None, "page": None, "cells": 0})
        return 0
    write_review(review, folder)
    print_json(
        {
            "review": str(folder),
            "page": str(folder / "index.html"),
            "cells": len(review.cells),
            **kinds_of(review),
            "accepted": sum(file.accepted for file in review.files),
        }
    )
    return 0


def _open_all(names: Sequence[str]) -> list[Predictions]:
    from batchdigits.errors import NoInputError
    from batchdigits.files.names import visible
    from batchdigits.scoring.published import open_predictions

    paths = []
    for name in names:
        path = Path(name)
        found = visible(path, "*.predictions.*") if name and path.is_dir() else [path]
        if not name or not found:
            raise NoInputError(
                f"{name or 'an empty name'}: no predictions; name NAME.predictions.EXT"
            )
        paths += found
    doubled = [path for path in paths if paths.count(path) > 1]
    if doubled:
        raise UsageError(f"{doubled[0]}: is named twice; name it once")
    return [open_predictions(path) for path in paths]


def _serve(arguments: argparse.Namespace) -> int:
    import logging

    from batchdigits.files.lock import hold_lock
    from batchdigits.review.document import Review
    from batchdigits.review.serve import JournalFile, ReviewServer, journal_path

    folder = _folder(arguments.review, "DIR")
    review = Review.read(folder)
    reviewer = _user() if arguments.reviewer is None else arguments.reviewer.strip()
    if not reviewer:
        raise UsageError("--reviewer is empty: name who decides, or leave the flag out")
    path = journal_path(folder, reviewer)
    with hold_lock(path):
        journal = JournalFile(path, review, reviewer)
        server = ReviewServer(folder, review, journal, arguments.port)
        print_result(server.url)
        logging.getLogger("batchdigits").info(
            "open this address in a browser on this computer; %s keeps every decision; end with "
            "Ctrl-C",
            path,
        )
        try:
            server.serve_forever(poll_interval=0.2)
        finally:
            server.server_close()
            journal.close()
    return 0


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in a container
        return "reviewer"


def _opened(arguments: argparse.Namespace) -> Opened:
    from batchdigits.review.apply import open_journals

    folder = None if arguments.review is None else _folder(arguments.review, "--review")
    return open_journals([_folder(name, "JOURNAL") for name in arguments.journals], folder)


@pandas_kept_out()
def _apply(arguments: argparse.Namespace) -> int:
    from batchdigits.review.apply import apply_journals

    opened = _opened(arguments)
    for applied in apply_journals(opened, overwrite=arguments.overwrite):
        if arguments.json:
            facts = applied.receipt.facts()
            print_json({"output": str(applied.output), "status": applied.status, **facts})
        else:
            print_result(_line(applied))
    _warn(opened)
    return 0


def _line(applied: Applied) -> str:
    from batchdigits.review.receipt import describe_certificate

    counts = applied.receipt.counts
    decided = ", ".join(f"{counts.get(by, 0)} {by}" for by in ("reviewer", "agreed", "model"))
    return f"{applied.status} {applied.output}: {decided}; {describe_certificate(applied.receipt)}"


def _warn(opened: Opened) -> None:
    """Log what is still open."""
    import logging

    from batchdigits.text import count_of, listing

    logger, review = logging.getLogger("batchdigits"), opened.review
    merged = opened.merged
    if merged.disputed:
        logger.warning(
            "reviewers disagree on %s: they stay in review with the cause disputed; open the "
            "review again, which shows them at its end",
            count_of(len(merged.disputed), "cell"),
        )
    if merged.doubts:
        cells = [review.cells[number] for number in merged.doubts]
        where = (f"{review.files[c.file].path} prediction {c.place + 1}" for c in cells)
        logger.warning(
            "%s reviewers read otherwise than predict, although it was sure (%s): they go to "
            "review with the cause disputed",
            count_of(len(cells), "planted cell"),
            listing(where),
        )
    left = merged.open_cells(review)
    if left > len(merged.disputed):
        logger.warning(
            "%s of this review %s not settled", count_of(left, "cell"), "is" if left == 1 else "are"
        )


@pandas_kept_out()
def _rows(arguments: argparse.Namespace) -> int:
    from batchdigits.review.labelled import check_rows_output, labelled_rows, write_rows

    path = check_rows_output(arguments.output, overwrite=arguments.overwrite)
    opened = _opened(arguments)
    _refuse_overwriting(path, opened)
    table = labelled_rows(opened)
    write_rows(table, path)
    print_json({"output": str(path), "rows": table.num_rows})
    return 0


def _refuse_overwriting(path: Path, opened: Opened) -> None:
    for file in opened.review.files:
        source = opened.folder / file.path
        if path.exists() and source.exists() and path.samefile(source):
            raise UsageError(
                f"{source}: was reviewed, and {path} would overwrite it; name another --output"
            )


if __name__ == "__main__":
    end(main)
