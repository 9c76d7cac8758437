"""Fits the scaler and the network: rows in, weights out, and nothing is judged here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.images import SIDE
from batchdigits.packing.onnx_export import ScaledModel
from batchdigits.training.augmentation import copies_for, with_copies
from batchdigits.training.ensemble import fill_in
from batchdigits.training.networks import NETWORKS, receptive_fields
from batchdigits.training.schedule import learning_rates
from batchdigits.training.settings import RECIPES, Settings

OnEpoch = Callable[[int, int, float], None]
"""Told after each epoch: epochs done, epochs at most, mean loss of the epoch."""

Pixels = NDArray[np.float64]
Targets = NDArray[np.int64]

VALIDATION_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Fitted(ScaledModel):
    """A trained network and its scaler.

    settings it was built and fitted with
    seconds  of fitting alone
    epochs   number of epochs run
    copies   changed copies of each row that it learned from besides the row itself
    """

    settings: Settings
    seconds: float
    epochs: int
    copies: int


def fit(
    pixels: Pixels,
    targets: Targets,
    classes: int,
    settings: Settings,
    on_epoch: OnEpoch = lambda *_: None,
) -> Fitted:
    """Train on pixels (n, 64) in 0..16 and targets (n,), each the number of a class.

    The scaler is fitted on what the network learns from, copies included: a pixel at the edge that
    is nearly always paper would otherwise count for ten times its worth as soon as ink gets there.
    The same arguments give the same weights on the same machine.
    """
    import keras
    from sklearn.preprocessing import StandardScaler

    if settings.arch == "best":
        return _fit_ensemble(pixels, targets, classes, settings, on_epoch)
    keras.utils.set_random_seed(settings.seed)
    model = NETWORKS[settings.arch](classes, settings)
    train, valid = _validation_split(len(targets), settings)
    copies = copies_for(len(train), settings.copies)
    started = time.perf_counter()
    seen = with_copies(pixels[train], copies, np.random.default_rng(settings.seed))
    seen_targets = np.tile(targets[train], copies + 1)
    scaler = StandardScaler().fit(seen)
    taught = _taught(pixels[train], targets[train], classes, settings, seen)
    # Teachers have drawn from the same source of chance.
    keras.utils.set_random_seed(settings.seed)
    job = _Job(model, scaler, seen, seen_targets, pixels[valid], targets[valid], classes, taught)
    run = _fit_as_article if settings.recipe == "article" else _fit_whole_epochs
    epochs = run(job, settings, on_epoch)
    return Fitted(model, scaler, settings, time.perf_counter() - started, epochs, copies)


def _taught(
    pixels: Pixels, targets: Targets, classes: int, settings: Settings, seen: Pixels
) -> NDArray[np.float32] | None:
    """The teachers' mean probabilities (n, k) of what the network will see; None without teachers.

    How alike a teacher finds two digits tells a small network more than a label does: Hinton,
    Vinyals and Dean, "Distilling the knowledge in a neural network", 2015. Teachers learn from
    the same rows and no others.
    """
    if not settings.teachers:
        return None
    total = np.zeros((len(seen), classes), np.float32)
    for number in range(settings.teachers):
        seed = (settings.seed + 1 + number) % 2**32
        teacher = replace(RECIPES["default"], copies=settings.copies, seed=seed)
        total += fit(pixels, targets, classes, teacher).probabilities(seen)
    mean: NDArray[np.float32] = total / np.float32(settings.teachers)
    return mean


def _fit_ensemble(
    pixels: Pixels, targets: Targets, classes: int, settings: Settings, on_epoch: OnEpoch
) -> Fitted:
    """Members by their own seeds and copies: what they err on should differ."""
    count, members = settings.members, []
    started = time.perf_counter()
    for number in range(count):

        def told(epoch: int, epochs: int, loss: float, before: int = number) -> None:
            on_epoch(before * epochs + epoch, count * epochs, loss)

        # Ensembles of different seeds share no member.
        seed = (settings.seed * count + number) % 2**32
        one = replace(settings, arch="mlp", members=1, seed=seed)
        members.append(fit(pixels, targets, classes, one, told))
    model, scaler = NETWORKS[settings.arch](classes, settings), members[0].scaler
    fill_in(model, scaler, [(one.scaler, one.model.get_weights()) for one in members])
    seconds = time.perf_counter() - started
    epochs = max(one.epochs for one in members)
    return Fitted(model, scaler, settings, seconds, epochs, members[0].copies)


@dataclass(frozen=True, slots=True)
class _Job:
    model: Any
    scaler: Any
    pixels: Pixels
    targets: Targets
    valid_pixels: Pixels
    valid_targets: Targets
    classes: int
    taught: NDArray[np.float32] | None

    def scaled(self, pixels: Pixels) -> NDArray[np.float32]:
        result: NDArray[np.float32] = self.scaler.transform(pixels).astype(np.float32)
        return result

    def one_hot(self, targets: Targets, smoothing: float = 0.0) -> NDArray[np.float32]:
        exact = np.eye(self.classes, dtype=np.float32)[targets]
        return (exact * (1 - smoothing) + smoothing / self.classes).astype(np.float32)


def _validation_split(rows: int, settings: Settings) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to train on and rows that early stopping watches, none unless it is asked for."""
    if settings.early_stopping is None:
        return np.arange(rows), np.arange(0)
    order = np.random.default_rng(settings.seed).permutation(rows)
    held = max(1, round(rows * VALIDATION_SHARE))
    return np.sort(order[held:]), np.sort(order[:held])


def _fit_as_article(job: _Job, settings: Settings, on_epoch: OnEpoch) -> int:
    """The tutorial's own way: Keras' `fit`, a step at a time.

    What is compiled is a second model of the same layers, so that the optimizer's state, twice the
    weights, is not saved with the first.
    """
    import keras

    trainer = keras.Model(job.model.inputs, job.model.outputs)
    trainer.compile(
        optimizer=_optimizer(settings), loss="categorical_crossentropy", metrics=["accuracy"]
    )
    told = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: on_epoch(epoch + 1, settings.epochs, logs["loss"])
    )
    callbacks, validation = [told], None
    if settings.early_stopping is not None:
        validation = (job.scaled(job.valid_pixels), job.one_hot(job.valid_targets))
        callbacks.append(
            keras.callbacks.EarlyStopping(
                patience=settings.early_stopping, restore_best_weights=True
            )
        )
    history = trainer.fit(
        job.scaled(job.pixels),
        job.one_hot(job.targets),
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        validation_data=validation,
        callbacks=callbacks,
        verbose=0,
    )
    return len(history.epoch)


def _fit_whole_epochs(job: _Job, settings: Settings, on_epoch: OnEpoch) -> int:
    """An epoch a call: the steps loop inside TensorFlow, on rows laid out for them beforehand.

    Keras' `fit` spends several times a step's own time around each step of a network this small.
    A last batch that would be short is left out; another order leaves out others next time.
    """
    batch = min(settings.batch_size, len(job.targets))
    steps = len(job.targets) // batch
    optimizer = _optimizer(settings)
    optimizer.build(job.model.trainable_variables)
    run_epoch = _epoch_runner(job.model, optimizer, steps, _see_windows(job.model, settings))
    rates = learning_rates(settings, steps * settings.epochs).reshape(settings.epochs, steps)
    watch = _Watch(job, settings.early_stopping)
    epoch = 0
    for epoch, (pixels, targets) in enumerate(_epochs(job, settings, steps, batch), start=1):
        loss = run_epoch(pixels, targets, rates[epoch - 1])
        on_epoch(epoch, settings.epochs, float(loss))
        if watch.says_stop():
            break
    watch.restore()
    return epoch


def _epochs(
    job: _Job, settings: Settings, steps: int, batch: int
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Pixels (steps, batch, 64) and targets (steps, batch, k) of each epoch."""
    generator = np.random.default_rng(settings.seed)
    scaled = job.scaled(job.pixels)
    targets = job.taught
    if targets is None:
        targets = job.one_hot(job.targets, settings.label_smoothing)
    for _ in range(settings.epochs):
        order = generator.permutation(len(targets))[: steps * batch]
        seen = scaled[order]
        if settings.noise:
            seen += generator.standard_normal(seen.shape, np.float32) * np.float32(settings.noise)
        yield seen.reshape(steps, batch, -1), targets[order].reshape(steps, batch, -1)


def _see_windows(model: Any, settings: Settings) -> NDArray[np.float32] | None:
    """Cut the first layer's weights down to what its units see; the cut, None where there is none.

    What is left is scaled up, so that the sums over fewer pixels are as large.
    """
    if settings.window is None:
        return None
    first = model.layers[0]
    fields = receptive_fields(settings.units, settings.window, settings.seed)
    kernel, bias = first.get_weights()
    first.set_weights([kernel * fields * np.float32(SIDE / settings.window), bias])
    return fields


def _epoch_runner(
    model: Any, optimizer: Any, steps: int, fields: NDArray[np.float32] | None
) -> Callable[..., Any]:
    """A TensorFlow function: `steps` steps, their mean loss.

    Where `fields` (64, units) is 0 the first layer's weights have no slope and stay as they are.
    """
    import keras
    import tensorflow as tf

    def run_epoch(pixels: Any, targets: Any, rates: Any) -> Any:
        total = tf.constant(0.0)
        for step in tf.range(steps):
            with tf.GradientTape() as tape:
                found = model(pixels[step], training=True)
                loss = tf.reduce_mean(keras.losses.categorical_crossentropy(targets[step], found))
            optimizer.learning_rate.assign(rates[step])
            slopes = tape.gradient(loss, model.trainable_variables)
            if fields is not None:
                slopes[0] *= fields
            optimizer.apply(slopes, model.trainable_variables)
            total += loss
        return total / steps

    compiled: Callable[..., Any] = tf.function(run_epoch)
    return compiled


class _Watch:
    """Early stopping: keeps the weights with the least validation loss."""

    def __init__(self, job: _Job, patience: int | None) -> None:
        self._model, self._patience, self._waited = job.model, patience, 0
        self._pixels = job.scaled(job.valid_pixels) if patience else None
        self._targets = job.one_hot(job.valid_targets)
        self._least, self._best = float("inf"), None

    def says_stop(self) -> bool:
        """Look at the model after an epoch."""
        import keras

        if self._patience is None:
            return False
        found = self._model(self._pixels, training=False)
        loss = float(np.mean(keras.losses.categorical_crossentropy(self._targets, found)))
        if loss < self._least:
            self._least, self._best, self._waited = loss, self._model.get_weights(), 0
        else:
            self._waited += 1
        return self._waited >= self._patience

    def restore(self) -> None:
        """Take the best weights back, if any were kept."""
        if self._best is not None:
            self._model.set_weights(self._best)


def _optimizer(settings: Settings) -> Any:
    import keras

    return keras.optimizers.get(
        {"class_name": settings.optimizer, "config": {"learning_rate": settings.learning_rate}}
    )
