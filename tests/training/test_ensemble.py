from dataclasses import replace

import numpy as np

from batchdigits.training.augmentation import with_copies
from batchdigits.training.data import Labelled
from batchdigits.training.ensemble import PATCH_SCALE
from batchdigits.training.fit import fit
from batchdigits.training.networks import NETWORKS
from batchdigits.training.patches import fit_patches
from batchdigits.training.recipes import make_settings

ROWS = 300


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def centred(logits: np.ndarray) -> np.ndarray:
    return logits - logits.mean(axis=1, keepdims=True)


def patch_outputs(
    pixels: np.ndarray, targets: np.ndarray, seed: int, rows: np.ndarray
) -> np.ndarray:
    """What one patch network finds in `rows`, place by place without any array tricks."""
    seen = with_copies(pixels, 1, np.random.default_rng([seed, 1]))
    one = fit_patches(seen, np.tile(targets, 2), 10, seed)
    framed = np.pad(rows.reshape(-1, 8, 8), ((0, 0), (2, 2), (2, 2)))
    quarters = np.zeros((len(rows), 2, 2, len(one.bias)))
    for down in range(8):
        for right in range(8):
            piece = framed[:, down : down + 5, right : right + 5, np.newaxis]
            found = np.einsum("nabc,abcf->nf", piece, one.kernels) + one.bias
            quarters[:, down // 4, right // 4] += np.maximum(found, 0) / 16
    return quarters.reshape(len(rows), -1) @ one.readout + one.constant


def test_an_ensemble_is_the_mean_of_its_members_logits(digits: Labelled) -> None:
    """Members with scalers of their own, in one network: mlps and patch networks."""
    pixels, targets, rows = digits.pixels[:ROWS], digits.targets[:ROWS], digits.pixels[-40:]
    few = {"epochs": 1, "units": 12, "copies": 1}
    settings = replace(make_settings("best", "default", 3, few), members=2)
    found = fit(pixels, targets, digits.classes, settings).probabilities(rows)
    total = np.zeros((len(rows), 10))
    for seed in (3, 4):
        mlp = fit(pixels, targets, digits.classes, make_settings("mlp", "default", seed, few))
        total += centred(np.log(mlp.probabilities(rows)))
        total += PATCH_SCALE * centred(patch_outputs(pixels, targets, seed, rows))
    assert np.allclose(found, softmax(total / 4), atol=1e-5)


def test_every_epoch_of_every_member_is_told(digits: Labelled) -> None:
    told: list[tuple[int, int]] = []
    few = {"epochs": 2, "units": 4, "copies": 0}
    settings = replace(make_settings("best", "default", 0, few), members=2)
    pixels, targets = digits.pixels[:ROWS], digits.targets[:ROWS]
    fit(pixels, targets, 10, settings, lambda epoch, epochs, _: told.append((epoch, epochs)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_network_for_every_name_has_the_same_input_and_output() -> None:
    settings = make_settings("best", "default", 0, {"units": 4})
    model = NETWORKS["best"](7, settings)
    assert model.input_shape == (None, 64)
    assert model.output_shape == (None, 7)
