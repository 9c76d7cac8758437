"""`python -m batchdigits.train`: train a network and publish it as a bundle."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from batchdigits.cli.boundary import end, run_command
from batchdigits.cli.flags import (
    Parser,
    add_common_options,
    add_json_option,
    add_report_option,
    add_row_options,
    make_parser,
    share,
)
from batchdigits.cli.terminal import StatusLine, print_summary
from batchdigits.errors import UsageError
from batchdigits.training.settings import SETTINGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from batchdigits.training.job import TrainResult
    from batchdigits.training.options import TrainOptions

EXAMPLES = (
    "{program}",
    "{program} --arch mlp2 --recipe article",
    "{program} --data labelled.csv --label digit --name forms",
    "{program} --test-share 0 --folds 10 --output digits.bundle",
    "{program} --sweep sweep.toml",
)


def parser() -> Parser:
    """The command's flags."""
    result = make_parser(
        "train",
        "Train a network on 64-pixel rows with labels, measure it on rows that it has not seen, "
        "compile it to ONNX, prove that both give the same answers, and publish them as the next "
        "version in a store of bundles. Without --data, train on scikit-learn's 1,797 digits.",
        EXAMPLES,
    )
    _add_model_options(result)
    _add_data_options(result)
    _add_judging_options(result)
    _add_output_options(result)
    add_json_option(result)
    add_common_options(result)
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(parser(), _train, argv)


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("model")
    for setting in SETTINGS:
        if setting.metavar is not None:
            group.add_argument(
                setting.flag,
                type=share if setting.share else setting.kind,
                default=setting.flag_default,
                metavar=setting.metavar,
                help=f"{setting.help} (default: {setting.default_words})",
            )


def _add_data_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data")
    group.add_argument(
        "--data",
        action="append",
        metavar="FILE",
        help="CSV or Parquet file of labelled rows, a folder or a glob; give it again for more "
        "(default: scikit-learn's digits)",
    )
    group.add_argument(
        "--label", default="label", metavar="COLUMN", help="column of labels (default: label)"
    )
    add_row_options(group)


def _add_judging_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("measuring")
    group.add_argument(
        "--test-share",
        type=share,
        default=0.3,
        metavar="P",
        help="share of the rows held out for measuring; 0 trains on all rows and measures by "
        "cross-validation (default: 0.3)",
    )
    group.add_argument(
        "--folds",
        type=int,
        metavar="N",
        help="folds of the cross-validation, only with --test-share 0 (default: 10)",
    )
    group.add_argument(
        "--split-seed",
        type=int,
        default=0,
        metavar="N",
        help="seed that decides which rows are held out (default: 0, the tutorial's split)",
    )
    group = parser.add_argument_group("accept or review")
    group.add_argument(
        "--max-error",
        metavar="P%",
        help="prove the confidence from which on no more accepted rows are wrong than this share, "
        "such as 0.5%%; predict then writes a decision for each row. The proof holds with 95%% "
        "confidence, for rows of the same source: for new writers ask for half of the error",
    )
    group = parser.add_argument_group("sweep")
    group.add_argument(
        "--sweep",
        metavar="FILE",
        help="first choose settings: cross-validate the combinations that this TOML file lists, "
        "then train the most accurate; the same command continues a killed sweep",
    )
    group.add_argument(
        "--study",
        metavar="FILE",
        help="file of the sweep's trials; FILE.png gets a picture of them (default: the sweep's "
        "name with .study)",
    )


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument("--name", default="digits", help="name of the bundle (default: digits)")
    group.add_argument(
        "--store",
        metavar="DIR",
        help="store to publish in as the next version (default: $BATCHDIGITS_STORE, else "
        "./bundles)",
    )
    group.add_argument(
        "--output",
        metavar="FILE",
        help="write this one bundle file as version 1, and use no store",
    )
    group.add_argument(
        "--overwrite", action="store_true", help="replace the file that --output names"
    )
    add_report_option(group)


def _train(arguments: argparse.Namespace) -> int:
    options = _options(arguments)
    from batchdigits.report.page import check_page, write_page
    from batchdigits.training.job import train

    page = check_page(arguments.report)

    line = StatusLine()
    try:
        result = train(options, line.show)
    finally:
        line.clear()
    _report(result)
    summary = _summary(result)
    print_summary(summary, lambda: "", as_json=arguments.json)
    if page is not None:
        from batchdigits.report.quality import training_page

        sweep = () if result.sweep is None else result.sweep.lines()
        write_page(page, training_page(result.contents.scores, summary, sweep))
    return 0


def _options(arguments: argparse.Namespace) -> TrainOptions:
    from dataclasses import fields

    from batchdigits.rows.options import ReadOptions
    from batchdigits.training.options import TrainOptions

    if arguments.folds is not None and arguments.test_share != 0:
        raise UsageError(
            f"--folds {arguments.folds}: folds are used only if no rows are held out; add "
            "--test-share 0, or leave --folds out"
        )
    given = vars(arguments)
    settings = {
        setting.name: given[setting.name]
        for setting in SETTINGS
        if setting.metavar is not None and given[setting.name] != setting.flag_default
    }
    names = (option.name for option in fields(TrainOptions))
    others = {name: given[name] for name in names if given.get(name) is not None}
    if "data" in others:
        others["data"] = tuple(others["data"])
    rows = ReadOptions.of_flags(arguments)
    return TrainOptions(settings=settings, rows=rows, **others).checked()


def _report(result: TrainResult) -> None:
    """Log the scores as a table, and what was done in one line."""
    import logging

    from batchdigits.packing.card import describe_chosen
    from batchdigits.report.training import format_scores, format_sweep

    logger = logging.getLogger("batchdigits")
    contents, sweep = result.contents, result.sweep
    if sweep is not None:
        logger.info("%s\n", format_sweep(sweep.lines(), sweep.study, sweep.picture))
    logger.info("%s", format_scores(contents.scores))
    logger.info(
        "trained %s %s: %s epochs on %s of %s rows, fit in %.1f s, accuracy %.4f, in %s",
        *(result.name, result.version, contents.recipe["epochs_run"]),
        *(contents.split["train"], contents.data["rows"], result.fit_seconds),
        *(contents.scores.accuracy, result.path),
    )
    if "chosen" in contents.data:
        logger.warning("%s", describe_chosen(contents.data))
    review = contents.thresholds.facts
    if "review_below" in review:
        logger.info(
            "predictions are accepted from confidence %.6g on: %.1f %% of rows, at most %.3g %% of "
            "them wrong (with 95 %% confidence; %s of %s were) for the same writers; for new "
            "writers ask for half of the error",
            *(review["review_below"], 100 * review["coverage"]),
            *(100 * review["max_error"], review["errors"], review["accepted"]),
        )


def _summary(result: TrainResult) -> dict[str, object]:
    contents, sweep = result.contents, result.sweep
    return {
        "bundle": str(result.path),
        "name": result.name,
        "version": str(result.version),
        "digest": result.digest,
        "accuracy": contents.scores.accuracy,
        "rows": contents.data["rows"],
        "review_below": contents.thresholds.review_below,
        "coverage": contents.thresholds.facts.get("coverage"),
        "fit_seconds": round(result.fit_seconds, 3),
        "seconds": round(result.seconds, 3),
        "sweep": None
        if sweep is None
        else {**sweep.as_facts(), "study": str(sweep.study), "picture": str(sweep.picture)},
    }


if __name__ == "__main__":
    end(main)
