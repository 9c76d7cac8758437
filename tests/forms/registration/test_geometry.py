"""Homographies from the blank form to a page."""

import numpy as np

from batchdigits.forms.registration.geometry import apply, from_corners, resolution, similarity

SQUARE = np.array([[0.0, 0], [100, 0], [100, 200], [0, 200]])
LEANING = np.array([[10.0, 20], [130, 30], [120, 260], [0, 250]])


def test_four_corners_go_to_four_corners() -> None:
    np.testing.assert_allclose(apply(from_corners(SQUARE, LEANING), SQUARE), LEANING)


def test_a_similarity_keeps_its_centre_and_scales_all_distances() -> None:
    form, page = np.array([50.0, 60]), np.array([500.0, 400])
    matrix = similarity(2.0, 0.3, form, page)
    centre, beside = apply(matrix, np.array([form, form + [3, 4]]))
    np.testing.assert_allclose(centre, page)
    assert np.isclose(np.linalg.norm(beside - centre), 10)


def test_a_clockwise_turn_moves_the_right_side_down() -> None:
    matrix = similarity(1.0, 0.1, np.zeros(2), np.zeros(2))
    assert apply(matrix, np.array([[10.0, 0]]))[0, 1] > 0


def test_resolution_is_the_scale_at_a_place() -> None:
    assert np.isclose(resolution(np.diag([0.5, 0.5, 1.0]), np.array([100.0, 100])), 0.5)
