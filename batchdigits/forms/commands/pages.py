"""`forms read`, `forms template` and `forms show`: pages of forms to rows."""

from __future__ import annotations

import argparse
import logging
import os
from typing import Any

from batchdigits.cli.boundary import pandas_kept_out
from batchdigits.cli.flags import add_common_options, add_json_option, whole_number
from batchdigits.cli.terminal import Progress, print_json, print_summary
from batchdigits.forms.commands.cells import add_output_options
from batchdigits.text import listing

logger = logging.getLogger("batchdigits.forms")


def add_template(commands: Any) -> None:
    """Add the subcommand `template`."""
    command = commands.add_parser(
        "template",
        help="find the fields of a blank form",
        description="Find the boxes and combs of a blank form and write a template, a JSON file "
        "that people edit: the names of the fields and the number of their digits. Next to it "
        "go NAME.blank.png, the blank form, and NAME.fields.png, a picture of the fields.",
        allow_abbrev=False,
    )
    command.set_defaults(body=_template)
    command.add_argument("blank", metavar="BLANK", help="a picture or a PDF of the blank form")
    command.add_argument(
        "--output", required=True, metavar="FILE", help="the template to write, NAME.json"
    )
    _add_page(command)
    command.add_argument(
        "--dpi",
        type=whole_number,
        metavar="N",
        help="pixels to an inch, in place of what the picture tells, or to draw a PDF with (300)",
    )
    _add_overwrite(command)
    add_common_options(command)


def add_read(commands: Any) -> None:
    """Add the subcommand `read`."""
    command = commands.add_parser(
        "read",
        help="make rows of pages of forms",
        description="Make rows for predict of scanned or photographed pages (PDF, TIFF, PNG, "
        "JPEG): each page is registered to the blank form, its fields are cut into characters. A "
        "page or a field that can't be used is a reject with the reason.",
        allow_abbrev=False,
    )
    command.set_defaults(body=_read)
    command.add_argument(
        "inputs", nargs="+", metavar="PAGES", help="a PDF, a picture, a folder, a ZIP or a glob"
    )
    _add_templates(command)
    command.add_argument(
        "--blank-cells", action="store_true", help="make rows of blank cells and fields too"
    )
    add_output_options(command)
    add_json_option(command)
    add_common_options(command)


def add_show(commands: Any) -> None:
    """Add the subcommand `show`."""
    command = commands.add_parser(
        "show",
        help="draw what is found on a page",
        description="Draw on a page what forms read finds there: fields, characters, lines that "
        "are missing, and the reason of everything that is refused.",
        allow_abbrev=False,
    )
    command.set_defaults(body=_show)
    command.add_argument("page_file", metavar="PAGE", help="a PDF or a picture")
    _add_templates(command)
    command.add_argument(
        "--output", required=True, metavar="FILE", help="the picture to write, NAME.png"
    )
    _add_page(command)
    _add_overwrite(command)
    add_common_options(command)


def _add_templates(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--template",
        required=True,
        action="append",
        metavar="PATH",
        help="the template, NAME.json, or a folder of templates; give it once for each. Of "
        "several, a page in a folder of a template's name is of that one, another of the one that "
        "fits best",
    )


def _add_page(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--page", type=whole_number, default=1, metavar="N", help="the page's number (default: 1)"
    )


def _add_overwrite(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--overwrite", action="store_true", help="replace files that are there already"
    )


@pandas_kept_out()
def _template(arguments: argparse.Namespace) -> int:
    from batchdigits.forms.pages.look import make_template

    made = make_template(
        arguments.blank,
        arguments.output,
        page=arguments.page,
        dpi=arguments.dpi,
        overwrite=arguments.overwrite,
    )
    print_json(made.facts())
    return 0


@pandas_kept_out()
def _show(arguments: argparse.Namespace) -> int:
    from batchdigits.forms.pages.look import show_page

    facts = show_page(
        arguments.page_file,
        arguments.template,
        arguments.output,
        page=arguments.page,
        overwrite=arguments.overwrite,
    )
    print_json(facts)
    return 0


@pandas_kept_out()
def _read(arguments: argparse.Namespace) -> int:
    # Every worker would start threads of NumPy's own, for matrices far too small for them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from batchdigits.cpus import available_workers
    from batchdigits.scoring.options import Limit

    limit = Limit.parse(arguments.max_rejects)
    from batchdigits.forms.pages.read import PagesPolicy, read_pages

    workers = arguments.workers or available_workers()
    policy = PagesPolicy(arguments.blank_cells, limit, arguments.overwrite, workers)
    progress = Progress()
    try:
        result = read_pages(
            arguments.inputs, arguments.template, arguments.output, policy, progress
        )
    finally:
        progress.finish()
    counts, rejects = result.counts, result.place.targets.rejects
    if result.exit_code:
        logger.error(
            "%d of %d pages were refused (%s), more than --max-rejects; the others are published; "
            "see %s",
            *(counts.pages_refused, counts.pages_in, _listed(counts.page_reasons), rejects),
        )
    if counts.fields_refused:
        logger.warning(
            "%d of %d fields were refused (%s); see %s",
            *(counts.fields_refused, counts.fields_in, _listed(counts.field_reasons), rejects),
        )
    print_summary(result.facts(), result.text, as_json=arguments.json)
    return result.exit_code


def _listed(reasons: Any) -> str:
    return listing(f"{count} {reason}" for reason, count in reasons.items())
