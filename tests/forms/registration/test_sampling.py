"""Pixels of a page at places of the form."""

import warnings

import numpy as np

from batchdigits.forms.registration.sampling import Grid, bilinear, nearest, reduced

PAGE = np.arange(12, dtype=np.uint8).reshape(3, 4) * 10


def test_the_grid_of_the_whole_page_gives_the_page() -> None:
    x, y = Grid(0, 0, 4, 3).on(np.eye(3))
    np.testing.assert_array_equal(nearest(PAGE, x, y), PAGE)
    np.testing.assert_allclose(bilinear(PAGE, x, y), PAGE, atol=0.2)


def test_between_two_pixels_lies_their_mean() -> None:
    assert np.isclose(bilinear(PAGE, np.array([[1.0]]), np.array([[0.5]]))[0, 0], 5, atol=0.1)


def test_outside_of_the_page_there_is_paper() -> None:
    assert nearest(PAGE, np.array([-1.0, 4.5]), np.array([2.5, 2.5])).tolist() == [0, 0]


def test_reduced_blocks_are_means_and_a_rest_is_dropped() -> None:
    assert reduced(PAGE, 2).tolist() == [[25, 45]]


def test_a_guess_that_sees_the_horizon_is_outside_without_a_warning() -> None:
    horizon = np.array([[1.0, 0, 0], [0, 1, 0], [0, 1, -1.5]])  # the middle row has depth 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x, y = Grid(0, 0, 4, 3).on(horizon)
        assert nearest(PAGE, x, y)[1].tolist() == [0, 0, 0, 0]
        assert np.isfinite(bilinear(PAGE, x, y)).all()
