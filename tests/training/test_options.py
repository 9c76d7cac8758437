"""The options of a training: wrong values, and the command line that asks for the same."""

from dataclasses import replace
from typing import Any

import pytest

from batchdigits.errors import UsageError
from batchdigits.rows.options import ReadOptions
from batchdigits.training.options import TrainOptions, command_line, parse_max_error


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test_share": 1.0}, "--test-share 1.0: expected a share of at least 0"),
        ({"test_share": -0.1}, "--test-share -0.1"),
        ({"test_share": float("nan")}, "--test-share nan"),
        ({"folds": 1}, "--folds 1: expected 2 to 1000"),
        ({"split_seed": -1}, "--split-seed -1: expected 0 to 4294967295"),
        ({"name": "Über Digits"}, "--name"),
        ({"output": "b.bundle", "store": "bundles"}, "give one of them"),
        ({"max_error": "half"}, "--max-error 'half': expected the share"),
        ({"max_error": "0"}, "--max-error '0': expected the share"),
        ({"max_error": "100%"}, "--max-error '100%': expected the share"),
        ({"max_error": "1%", "settings": {"calibration_folds": 0}}, "add --calibration-folds 3"),
        ({"study": "x.study"}, "keeps the trials of a --sweep"),
        ({"sweep": "s.toml", "test_share": 0.0}, "--sweep needs held-out rows"),
        ({"settings": {"units": 0}}, "--units 0: expected 1 to 10000"),
        ({"rows": ReadOptions(delimiter="xx")}, "--delimiter"),
        ({"rows": ReadOptions(scale=-1.0)}, "--scale -1.0"),
        ({"rows": ReadOptions(pixels="a,b")}, "--pixels"),
    ],
)
def test_wrong_values_are_usage_errors(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(TrainOptions(), **changes).checked()


def test_right_values_are_returned() -> None:
    options = TrainOptions(max_error="0.5%", test_share=0, folds=2, settings={"arch": "cnn"})
    assert options.checked() is options


@pytest.mark.parametrize("text", ["0.5%", "0.005", ".5%", "5e-3"])
def test_a_share_may_be_written_either_way(text: str) -> None:
    assert parse_max_error(text) == pytest.approx(0.005)


@pytest.mark.parametrize("text", ["", "0", "0%", "100%", "1", "-1%", "nan", "0.5 %", "1e3"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="such as 0.5% or 0.005"):
        parse_max_error(text)


def test_the_command_line_asks_for_the_same_and_names_no_place() -> None:
    options = TrainOptions(
        settings={"arch": "cnn", "epochs": 3},
        data=("my rows.csv",),
        test_share=0,
        folds=5,
        rows=replace(TrainOptions().rows, scale=255, header=False, delimiter=";"),
        store="/somewhere",
    )
    assert command_line(options) == (
        "python -m batchdigits.train --arch cnn --data 'my rows.csv' --epochs 3 --test-share 0 "
        "--folds 5 --no-header --delimiter ';' --scale 255"
    )


def test_names_and_numbers_are_in_the_command_line_as_they_were_given() -> None:
    options = TrainOptions(
        settings={"arch": "mlp", "learning_rate": 0.00012345678901234567},
        data=("batch-2.0",),
        label="v1.0",
        name="digits-1.0",
        rows=replace(TrainOptions().rows, scale=16777215.0),
    )
    assert command_line(options) == (
        "python -m batchdigits.train --arch mlp --data batch-2.0 --label v1.0 "
        "--learning-rate 0.00012345678901234567 --name digits-1.0 --scale 16777215"
    )


def test_the_command_line_names_the_network_and_every_setting_that_was_given() -> None:
    """In the order of the flags, whatever the order in which they were given."""
    options = TrainOptions(
        settings={"copies": 0, "epochs": 3, "dropout": 0.0, "recipe": "article", "seed": 7},
        data=("rows.csv", "more/"),
        max_error="5%",
        name="forms",
        folds=5,
    )
    assert command_line(options) == (
        "python -m batchdigits.train --arch mlp --recipe article --data rows.csv --data more/ "
        "--dropout 0 --epochs 3 --copies 0 --seed 7 --max-error 5% --name forms"
    )
