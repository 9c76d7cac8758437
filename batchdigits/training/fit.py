"""Fitting: rows in, a scaler and the weights of a network out; nothing is judged here."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.packing.onnx.export import ScaledModel
from batchdigits.training.augmentation import copies_for, drawn_shapes, with_copies
from batchdigits.training.epochs import Examples, OnEpoch, run_as_article, run_whole_epochs
from batchdigits.training.networks import build_network
from batchdigits.training.settings import Settings, make_settings
from batchdigits.training.workers import side_by_side

Pixels = NDArray[np.float64]
Targets = NDArray[np.int64]
Floats = NDArray[np.float32]

VALIDATION_SHARE = 0.1
REDRAWN_SHARE = 0.5
"""The least share of redrawn copies for the `redrawn_members` of an ensemble."""


@dataclass(frozen=True, slots=True)
class Fitted(ScaledModel):
    """A fitted network and its scaler.

    settings  the network's and the fit's
    seconds   of fitting alone
    epochs    number of epochs run
    copies    changed copies of each row that it learned from besides the row itself
    """

    settings: Settings
    seconds: float
    epochs: int
    copies: int

    def recipe(self) -> dict[str, Any]:
        """The settings and what came of them as plain JSON values, for the manifest."""
        made = {"epochs_run": self.epochs, "copies_made": self.copies}
        return {**self.settings.as_facts(), **made}


def fit(
    pixels: Pixels,
    targets: Targets,
    classes: int,
    settings: Settings,
    on_epoch: OnEpoch = lambda *_: None,
) -> Fitted:
    """Train on pixels (n, 64) in 0..16 and targets (n,), each the number of a class.

    With `settings.shapes` the numbers of the classes are their digits.

    The scaler is fitted on everything that the network learns from, copies included: otherwise a
    pixel at the edge, which is nearly always paper, would count ten times too much as soon as ink
    gets there. The same arguments give the same weights on the same machine.
    """
    from sklearn.preprocessing import StandardScaler

    if settings.arch == "best":
        return _fit_ensemble(pixels, targets, classes, settings, on_epoch)
    model = build_network(classes, settings)
    train, held = _validation_split(len(targets), settings)
    copies = copies_for(len(train), settings.copies)
    started = time.perf_counter()
    generator = np.random.default_rng(settings.seed)
    seen = with_copies(pixels[train], copies, generator, settings.redrawn)
    seen_targets = np.tile(targets[train], copies + 1)
    if settings.shapes:
        drawn, digits = drawn_shapes(settings.shapes, generator)
        seen, seen_targets = np.concatenate([seen, drawn]), np.append(seen_targets, digits)
    scaler = StandardScaler().fit(seen)
    if settings.teachers:
        wanted = _ask_teachers(pixels[train], targets[train], classes, settings, seen)
    else:
        wanted = _one_hot(seen_targets, classes, settings.label_smoothing)
    valid = None
    if len(held):
        valid = Examples(_scaled(scaler, pixels[held]), _one_hot(targets[held], classes))
    run = run_as_article if settings.recipe == "article" else run_whole_epochs
    epochs = run(model, Examples(_scaled(scaler, seen), wanted), valid, settings, on_epoch)
    return Fitted(model, scaler, settings, time.perf_counter() - started, epochs, copies)


def _validation_split(rows: int, settings: Settings) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to train on, and rows for early stopping to watch; none of those without it."""
    if settings.early_stopping is None:
        return np.arange(rows), np.arange(0)
    order = np.random.default_rng(settings.seed).permutation(rows)
    held = max(1, round(rows * VALIDATION_SHARE))
    return np.sort(order[held:]), np.sort(order[:held])


def _scaled(scaler: Any, pixels: NDArray[Any]) -> Floats:
    scaled: Floats = scaler.transform(pixels).astype(np.float32)
    return scaled


def _one_hot(targets: Targets, classes: int, smoothing: float = 0.0) -> Floats:
    exact = np.eye(classes, dtype=np.float32)[targets]
    return (exact * (1 - smoothing) + smoothing / classes).astype(np.float32)


def _ask_teachers(
    pixels: Pixels, targets: Targets, classes: int, settings: Settings, seen: NDArray[Any]
) -> Floats:
    """The mean probabilities (n, k) that teachers give the rows `seen` (n, 64).

    A small network learns more from how alike a teacher finds two digits than from the labels:
    Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network", 2015. Teachers are
    mlps of the default recipe, and learn from the same rows and no others.
    """
    same = {name: vars(settings)[name] for name in ("copies", "redrawn", "shapes")}

    def ask(number: int) -> Floats:
        teacher = make_settings(**same, seed=(settings.seed + 1 + number) % 2**32)
        return fit(pixels, targets, classes, teacher).probabilities(seen)

    total = np.zeros((len(seen), classes), np.float32)
    for given in side_by_side(ask, range(settings.teachers), settings):
        total += given
    mean: Floats = total / np.float32(settings.teachers)
    return mean


def _fit_ensemble(
    pixels: Pixels, targets: Targets, classes: int, settings: Settings, on_epoch: OnEpoch
) -> Fitted:
    """Fit each member with a seed and copies of its own, so that members err on different rows.

    The last of them learn from redrawn copies too: alone they err more, but on other rows.
    """
    count, done = settings.members, itertools.count(1)
    started = time.perf_counter()

    def on_member_epoch(_: int, epochs: int, loss: float) -> None:
        on_epoch(next(done), count * epochs, loss)

    def fit_member(number: int) -> Fitted:
        # Ensembles of different seeds share no member.
        seed = (settings.seed * count + number) % 2**32
        redrawn = settings.redrawn
        if number >= count - settings.redrawn_members:
            redrawn = max(redrawn, REDRAWN_SHARE)
        member = settings.changed(
            arch="mlp", members=1, redrawn_members=0, seed=seed, redrawn=redrawn
        )
        return fit(pixels, targets, classes, member, on_member_epoch)

    members = list(side_by_side(fit_member, range(count), settings))
    model, scaler = build_network(classes, settings), members[0].scaler
    model.set_weights(_joined_weights(members))
    seconds = time.perf_counter() - started
    epochs = max(member.epochs for member in members)
    return Fitted(model, scaler, settings, seconds, epochs, members[0].copies)


def _joined_weights(members: Sequence[Fitted]) -> list[NDArray[Any]]:
    """The weights of the one network that gives the mean of the members' logits.

    Its last layer reads the hidden units of all members: it is each member's own last layer,
    divided by their number. Its inputs are standardized by the first member's scaler.
    """
    weights = [member.model.get_weights() for member in members]
    hidden = [
        _for_scaler(own[0], own[1], member.scaler, members[0].scaler)
        for member, own in zip(members, weights, strict=True)
    ]
    return [
        np.concatenate([kernel for kernel, _ in hidden], axis=1),
        np.concatenate([bias for _, bias in hidden]),
        np.concatenate([own[2] for own in weights]) / len(members),
        sum(own[3] for own in weights) / len(members),
    ]


def _for_scaler(
    kernel: NDArray[Any], bias: NDArray[Any], own: Any, other: Any
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Kernel and bias of a first layer behind the scaler `own`, changed to stand behind `other`."""
    kernel = kernel / own.scale_[:, np.newaxis]
    return kernel * other.scale_[:, np.newaxis], bias + (other.mean_ - own.mean_) @ kernel
