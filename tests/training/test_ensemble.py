import numpy as np

from batchdigits.training.data import Labelled
from batchdigits.training.fit import fit
from batchdigits.training.networks import build_network
from batchdigits.training.settings import make_settings

ROWS = 300


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def centred(logits: np.ndarray) -> np.ndarray:
    return logits - logits.mean(axis=1, keepdims=True)


def test_an_ensemble_is_the_mean_of_its_members_logits(digits: Labelled) -> None:
    """Members with scalers of their own, in one network; the last learns from redrawn copies."""
    pixels, targets, rows = digits.pixels[:ROWS], digits.targets[:ROWS], digits.pixels[-40:]
    few = {"epochs": 1, "units": 12, "copies": 2}
    settings = make_settings(arch="best", seed=3, members=2, **few)
    probabilities = fit(pixels, targets, digits.classes, settings).probabilities(rows)
    total = np.zeros((len(rows), 10))
    for seed, redrawn in ((6, 0.0), (7, 0.5)):
        own = make_settings(seed=seed, redrawn=redrawn, **few)
        mlp = fit(pixels, targets, digits.classes, own)
        total += centred(np.log(mlp.probabilities(rows)))
    assert np.allclose(probabilities, softmax(total / 2), atol=1e-5)


def test_every_epoch_of_every_member_is_told(digits: Labelled) -> None:
    epochs_reported: list[tuple[int, int]] = []
    few = {"epochs": 2, "units": 4, "copies": 0}
    settings = make_settings(arch="best", members=2, **few)
    pixels, targets = digits.pixels[:ROWS], digits.targets[:ROWS]
    fit(
        pixels,
        targets,
        10,
        settings,
        lambda epoch, epochs, _: epochs_reported.append((epoch, epochs)),
    )
    assert epochs_reported == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_network_for_every_name_has_the_same_input_and_output() -> None:
    settings = make_settings(arch="best", units=4)
    model = build_network(7, settings)
    assert model.input_shape == (None, 64)
    assert model.output_shape == (None, 7)
