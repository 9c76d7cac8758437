"""Each usual mistake is named, because undoing it makes the rows right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from saved_models import dense, network

from batchdigits.training.data import Labelled
from batchdigits.training.importing.causes import better_order, likely_cause, order_cause
from batchdigits.training.importing.parts import Parts
from batchdigits.training.importing.scalers import UNSCALED, Affine, dividing_by

LABELS = np.arange(10)
STANDARD = Affine(np.full(64, 5.0), np.full(64, 3.0))


def parts(divide: float = 1.0, scaler: Affine | None = None, labels: Any = LABELS) -> Parts:
    return Parts(network(dense(10, 64)), divide, scaler, labels, "labels.joblib", ())


def model_behind(truth: Affine, data: Labelled, look: Any = lambda pixels: pixels) -> Any:
    """A model that is right only for pixels as it learned them: it knows each row by heart."""
    learned = (look(data.pixels) - truth.mean) / truth.scale

    def predict(affine: Affine, pixels: Any) -> Any:
        scaled = (pixels - affine.mean) / affine.scale
        nearest = ((scaled[:, None] - learned) ** 2).sum(axis=2).argmin(axis=1)
        close = np.abs(scaled - learned[nearest]).max(axis=1) < 1e-6
        return np.where(close, data.targets[nearest], -1)

    return predict


@pytest.fixture
def rows(digits: Labelled) -> Labelled:
    return digits.part(np.arange(200))


def transposed(pixels: Any) -> Any:
    return pixels.reshape(-1, 8, 8).transpose(0, 2, 1).reshape(-1, 64)


@pytest.mark.parametrize(
    ("given", "truth", "told"),
    [
        (parts(255.0), dividing_by(16), "pixels divided by 16: give --scaler-divide 16 ("),
        (parts(16.0), dividing_by(255), "pixels divided by 255: give --scaler-divide 255 ("),
        (parts(16.0), UNSCALED, "the pixels as they are, 0..16: give no --scaler-divide ("),
        (parts(), dividing_by(16 / 255), "pixels of 0..255: give --scaler-divide 0.062745098"),
        (parts(), dividing_by(16), "learned from pixels divided by 16: give --scaler-divide 16"),
        (
            parts(1.0, STANDARD),
            dividing_by(16).then(STANDARD),
            "its scaler was fitted on pixels divided by 16: give --scaler-divide 16 and --scaler",
        ),
        (
            parts(16.0, STANDARD),
            STANDARD,
            "fitted on the pixels as they are, 0..16: give no --scaler-divide and --scaler",
        ),
        (
            parts(1.0, STANDARD),
            dividing_by(16),
            "pixels divided by 16: give --scaler-divide 16 and no --scaler",
        ),
    ],
)
def test_another_scaling_is_named_with_the_flag_that_mends_it(
    given: Parts, truth: Affine, told: str, rows: Labelled
) -> None:
    cause = likely_cause(given, rows, model_behind(truth, rows), 0.9)
    assert told in cause
    assert "100 % of the rows are right that way" in cause


@pytest.mark.parametrize(
    ("look", "told"),
    [
        (transposed, "rows and columns of the images are swapped"),
        (lambda pixels: 16 - pixels, "the model learned 0 for ink"),
    ],
)
def test_images_that_lie_or_shine_otherwise_are_named(look: Any, told: str, rows: Labelled) -> None:
    """Also together with another scaling."""
    same = likely_cause(parts(16.0), rows, model_behind(dividing_by(16), rows, look), 0.9)
    assert told in same
    assert ", and " not in same
    both = likely_cause(parts(255.0), rows, model_behind(dividing_by(16), rows, look), 0.9)
    assert told in both
    assert "and the model learned from pixels divided by 16" in both


def test_the_scaler_of_another_model_is_named(rows: Labelled) -> None:
    deviation = rows.pixels.std(axis=0)
    own = Affine(rows.pixels.mean(axis=0), np.where(deviation > 0, deviation, 1))
    cause = likely_cause(parts(1.0, STANDARD), rows, model_behind(own, rows), 0.9)
    assert "is that of another model" in cause
    assert "give --scaler" in cause


def test_where_nothing_helps_the_line_says_what_was_tried(rows: Labelled) -> None:
    cause = likely_cause(parts(), rows, lambda _, pixels: np.zeros(len(pixels), int), 0.9)
    assert cause.startswith("no usual cause explains it: the outputs in another order, ")


def test_the_order_that_fits_is_found(rows: Labelled) -> None:
    """The outputs of 3 and 8 are swapped, and the labels are given backwards."""
    swapped = np.array([0, 1, 2, 8, 4, 5, 6, 7, 3, 9])
    assert better_order(rows, rows.targets) is None
    order = better_order(rows, swapped[rows.targets])
    assert order is not None
    assert order.tolist() == swapped.tolist()
    assert order_cause(rows, order, parts(labels=LABELS[::-1])).endswith(
        "the rows fit --labels 9,3,7,6,5,4,8,2,1,0"
    )


def test_two_rare_classes_that_are_swapped_are_found(digits: Labelled) -> None:
    """Even if nearly all rows are right: an order is checked, not assumed."""
    common = np.flatnonzero(digits.targets > 1)
    rare = np.concatenate([np.flatnonzero(digits.targets == kind)[:3] for kind in (0, 1)])
    rows = replace(digits.part(np.concatenate([common, rare])))
    predicted = np.array([1, 0, *range(2, 10)])[rows.targets]
    assert (predicted == rows.targets).mean() > 0.99
    assert better_order(rows, predicted) is not None
