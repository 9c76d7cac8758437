"""Patch networks: fixed filters that look for pieces of strokes, and a readout solved in one step.

A filter is the middle of a cluster of 5x5 pieces of training images. How much of it is found in
each quarter of an image are the features; a linear least-squares readout of them, 801 unknowns a
class, takes no gradient and a second. Coates, Lee and Ng, "An analysis of single-layer networks in
unsupervised feature learning", 2011.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDE = 8
WINDOW = 5
FILTERS = 200
THRESHOLD = 0.5
"""A filter counts what is above this part of its output's standard deviation."""

RIDGE = 0.01
"""Weight of the penalty, in parts of the features' mean square."""

_MOST_ROWS = 40_000
_SAMPLED_ROWS = 2000
_CLUSTERED = 20_000
_ROUNDS = 5
_BLOCK_ROWS = 512
# Whitening must not blow up directions that hardly vary: this part of the mean variance is added.
_WHITENING_FLOOR = 0.05
# A piece with less contrast than this, of 16 levels of ink, is paper or solid ink.
_LEAST_CONTRAST = 0.8 * 16
_FLOOR = 1e-9

Pixels = NDArray[np.float64]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PatchNetwork:
    """Weights as Keras lays them out.

    kernels    float32 (5, 5, 1, filters), of pixels in 0..16
    bias       float32 (filters,)
    readout    float32 (4 * filters, k), of the mean of each quarter, quarter by quarter
    constant   float32 (k,)

    The outputs are near 1 for the class that an image is of, near 0 for the others.
    """

    kernels: Floats
    bias: Floats
    readout: Floats
    constant: Floats


def fit_patches(
    pixels: Pixels, targets: NDArray[np.int64], classes: int, seed: int
) -> PatchNetwork:
    """Fit on pixels (n, 64) in 0..16 and class numbers (n,), at most 40,000 rows of them."""
    generator = np.random.default_rng(seed)
    chosen = generator.permutation(len(pixels))[:_MOST_ROWS]
    images, wanted = pixels[chosen].astype(np.float32), targets[chosen]
    pieces = _pieces(images[:_SAMPLED_ROWS]).reshape(-1, WINDOW * WINDOW)
    filters, bias = _filters(pieces, generator)
    readout, constant = _solve(images, wanted, classes, filters, bias)
    kernels = filters.reshape(WINDOW, WINDOW, 1, FILTERS)
    return PatchNetwork(kernels, bias, readout, constant)


def _pieces(images: Floats) -> Floats:
    """The 5x5 pixels about each pixel, paper outside: (n, 8, 8, 25)."""
    margin = WINDOW // 2
    framed = np.pad(images.reshape(-1, SIDE, SIDE), ((0, 0), (margin, margin), (margin, margin)))
    windows = np.lib.stride_tricks.sliding_window_view(framed, (WINDOW, WINDOW), axis=(1, 2))
    return windows.reshape(len(images), SIDE, SIDE, WINDOW * WINDOW)


def _filters(pieces: Floats, generator: np.random.Generator) -> tuple[Floats, Floats]:
    """Filters (25, 200) that answer to a piece's shape, not to its brightness, and their bias.

    Pieces with contrast are whitened, so that a filter does not answer to every smooth stroke.
    """
    varied = pieces - pieces.mean(axis=1, keepdims=True)
    varied = varied[np.linalg.norm(varied, axis=1) > _LEAST_CONTRAST]
    # Images without any contrast have no pieces: noise keeps the arithmetic going.
    noise = generator.normal(size=(FILTERS, WINDOW * WINDOW)).astype(np.float32)
    varied = np.concatenate([varied, noise]) if len(varied) < FILTERS else varied
    variance, directions = np.linalg.eigh(varied.T @ varied / len(varied))
    scale = 1 / np.sqrt(variance + _WHITENING_FLOOR * variance.mean())
    whitening = (directions * scale) @ directions.T
    white = _unit(varied[generator.permutation(len(varied))[:_CLUSTERED]] @ whitening)
    filters = whitening @ _clusters(white).T
    filters -= filters.mean(axis=0)
    level = THRESHOLD * (varied[generator.permutation(len(varied))[:5000]] @ filters).std()
    return filters.astype(np.float32), np.full(FILTERS, -level, np.float32)


def _clusters(pieces: Floats) -> Floats:
    """Spherical k-means of pieces (n, 25) of length 1: the middles, (200, 25)."""
    middles = pieces[:FILTERS]
    for _ in range(_ROUNDS):
        nearest = np.eye(FILTERS, dtype=np.float32)[(pieces @ middles.T).argmax(axis=1)]
        sums = nearest.T @ pieces
        # A cluster that lost its pieces stays where it is.
        middles = np.where(nearest.any(axis=0)[:, np.newaxis], _unit(sums), middles)
    return middles


def _unit(rows: Floats) -> Floats:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    result: Floats = (rows / np.maximum(lengths, _FLOOR)).astype(np.float32)
    return result


def _features(images: Floats, filters: Floats, bias: Floats) -> Floats:
    """What each filter finds in each quarter on average, (n, 4 * 200), quarter by quarter."""
    half = SIDE // 2
    pieces = _pieces(images).reshape(len(images), 2, half, 2, half, WINDOW * WINDOW)
    # Place by place within the quarters: the sums then stay small enough for the cache.
    places = pieces.transpose(2, 4, 0, 1, 3, 5).reshape(half * half, -1, WINDOW * WINDOW)
    total = np.zeros((places.shape[1], FILTERS), np.float32)
    for place in places:
        total += np.maximum(place @ filters + bias, 0)
    result: Floats = (total / np.float32(half * half)).reshape(len(images), 4 * FILTERS)
    return result


def _solve(
    images: Floats, targets: NDArray[np.int64], classes: int, filters: Floats, bias: Floats
) -> tuple[Floats, Floats]:
    """The ridge regression from features to one-hot targets: weights and constants."""
    exact = np.eye(classes, dtype=np.float32)
    size = 4 * FILTERS
    products, wanted = np.zeros((size, size)), np.zeros((size, classes))
    sums = np.zeros(size)
    for begin in range(0, len(images), _BLOCK_ROWS):
        features = _features(images[begin : begin + _BLOCK_ROWS], filters, bias)
        products += features.T @ features
        wanted += features.T @ exact[targets[begin : begin + _BLOCK_ROWS]]
        sums += features.sum(axis=0)
    rows = len(images)
    mean, share = sums / rows, np.bincount(targets, minlength=classes) / rows
    centred = products - rows * np.outer(mean, mean)
    penalty = RIDGE * np.trace(centred) / size + _FLOOR
    weights = np.linalg.solve(
        centred + penalty * np.eye(size), wanted - rows * np.outer(mean, share)
    )
    return weights.astype(np.float32), (share - mean @ weights).astype(np.float32)
