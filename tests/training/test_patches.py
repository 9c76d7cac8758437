import numpy as np
import pytest

from batchdigits.training.patches import FILTERS, fit_patches


@pytest.fixture(scope="module")
def strokes() -> tuple[np.ndarray, np.ndarray]:
    """Bars at any place: 0 lies, 1 stands, 2 is slanted."""
    generator = np.random.default_rng(0)
    targets = np.arange(240) % 3
    images = np.zeros((240, 12, 12))
    for image, target in zip(images, targets, strict=True):
        down, right = generator.integers(2, 7, 2)
        for step in range(4):
            places = (
                (down + 2, right + step),
                (down + step, right + 2),
                (down + step, right + step),
            )
            image[places[target]] = generator.uniform(10, 16)
    return images[:, 2:10, 2:10].reshape(240, 64), targets


def predict(pixels: np.ndarray, targets: np.ndarray, rows: np.ndarray) -> np.ndarray:
    import keras

    one = fit_patches(pixels, targets, 3, 0)
    images = rows.reshape(-1, 8, 8, 1).astype(np.float32)
    found = keras.ops.relu(keras.ops.conv(images, one.kernels, padding="same") + one.bias)
    pooled = np.asarray(keras.ops.average_pool(found, 4)).reshape(len(rows), 4 * FILTERS)
    return pooled @ one.readout + one.constant


def test_strokes_are_known_where_none_was_seen(strokes: tuple[np.ndarray, np.ndarray]) -> None:
    """By the direction of a bar, wherever it lies; the outputs are near one and zero."""
    pytest.importorskip("keras")
    pixels, targets = strokes
    found = predict(pixels[:180], targets[:180], pixels[180:])
    assert (found.argmax(axis=1) == targets[180:]).mean() > 0.9
    assert np.allclose(found.sum(axis=1), 1, atol=1e-3)


def test_the_same_seed_gives_the_same_weights(strokes: tuple[np.ndarray, np.ndarray]) -> None:
    first, second = (fit_patches(*strokes, 3, 5) for _ in range(2))
    assert np.array_equal(first.readout, second.readout)
    assert not np.array_equal(first.readout, fit_patches(*strokes, 3, 6).readout)


def test_paper_alone_gives_finite_weights() -> None:
    """Nothing to learn from is no reason to break off: the constant is each class's share."""
    found = fit_patches(np.zeros((9, 64)), np.arange(9) % 3, 3, 0)
    assert np.isfinite(found.readout).all()
    assert np.allclose(found.constant, 1 / 3, atol=1e-3)
