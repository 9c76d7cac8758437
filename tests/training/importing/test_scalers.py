"""Every scaler as one shift and one scale for each pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from saved_models import joblibbed
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    LabelEncoder,
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)

from batchdigits.engines.keras.engine import _check_scaler
from batchdigits.errors import BundleError, UnusableInputError
from batchdigits.training.importing.pickled import read_record
from batchdigits.training.importing.scalers import UNSCALED, Affine, dividing_by, read_scaler

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 17, (200, 64)).astype(float)
PIXELS[:, 0] = 0  # a pixel that is always paper

SCALERS = [
    *(StandardScaler(), StandardScaler(with_mean=False), StandardScaler(with_std=False)),
    StandardScaler(with_mean=False, with_std=False),
    *(MinMaxScaler(), MinMaxScaler((-1, 3)), MaxAbsScaler()),
    *(RobustScaler(), RobustScaler(with_centering=False), RobustScaler(with_scaling=False)),
    RobustScaler(quantile_range=(10, 90), unit_variance=True),
    make_pipeline(MinMaxScaler(), "passthrough", StandardScaler()),
]


def read(fitted: Any) -> Affine:
    return read_scaler(read_record(joblibbed(fitted)), "part.joblib")


@pytest.mark.parametrize("scaler", SCALERS, ids=str)
def test_each_becomes_the_standard_scaler_that_computes_the_same(scaler: Any) -> None:
    scaler.fit(PIXELS)
    standard = read(scaler).standard_scaler()
    _check_scaler(standard)
    np.testing.assert_allclose(standard.transform(PIXELS), scaler.transform(PIXELS), atol=1e-12)


def test_a_number_divides_and_nothing_does_nothing() -> None:
    np.testing.assert_array_equal(dividing_by(16).standard_scaler().transform(PIXELS), PIXELS / 16)
    np.testing.assert_array_equal(UNSCALED.standard_scaler().transform(PIXELS), PIXELS)
    both = dividing_by(16).then(read(StandardScaler().fit(PIXELS / 16)))
    expected = StandardScaler().fit_transform(PIXELS / 16)
    np.testing.assert_allclose(both.standard_scaler().transform(PIXELS), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("fitted", "told"),
    [
        (MinMaxScaler(clip=True).fit(PIXELS), r"MinMaxScaler\(clip=True\) is not one scale"),
        (StandardScaler(), "is not fitted"),
        (StandardScaler().fit(PIXELS[:, :63]), "was fitted on 63 columns, expected the 64 pixels"),
        (LabelEncoder().fit([1, 2]), "holds a LabelEncoder, expected a StandardScaler"),
        (make_pipeline(StandardScaler(), LabelEncoder()), "is not fitted"),
    ],
)
def test_what_is_no_scaler_of_64_pixels_is_refused(fitted: Any, told: str) -> None:
    with pytest.raises(UnusableInputError, match=told):
        read(fitted)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_scale_that_no_fit_gives_is_damage(value: float) -> None:
    scaler = StandardScaler().fit(PIXELS)
    scaler.scale_[3] = value
    with pytest.raises(BundleError, match="0 or not finite"):
        read(scaler)
    scaler.scale_ = "text"
    with pytest.raises(BundleError, match="is not a list of numbers"):
        read(scaler)
