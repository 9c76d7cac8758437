"""The training loops: epochs of steps over standardized rows, until the last or until they stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.images import PIXELS, SIDE
from batchdigits.training.settings import Settings

OnEpoch = Callable[[int, int, float], None]
"""Called after each epoch with the epochs done, the most epochs, and the mean loss of the epoch."""

WARM_UP_SHARE = 0.1
WARM_UP_FROM = 0.1

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Examples:
    """Standardized pixels (n, 64), and the probabilities (n, k) that the network should give."""

    pixels: Floats
    targets: Floats


def run_as_article(
    model: Any, train: Examples, valid: Examples | None, settings: Settings, on_epoch: OnEpoch
) -> int:
    """Train as the tutorial does, by Keras' `fit`; arguments and result of `run_whole_epochs`.

    A second model of the same layers is compiled. The first is saved, and would otherwise be saved
    with the optimizer's state, twice the weights.
    """
    import keras

    trainer = keras.Model(model.inputs, model.outputs)
    trainer.compile(
        optimizer=_optimizer(settings), loss="categorical_crossentropy", metrics=["accuracy"]
    )
    report = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: on_epoch(epoch + 1, settings.epochs, logs["loss"])
    )
    callbacks = [report]
    if settings.early_stopping is not None:
        callbacks.append(
            keras.callbacks.EarlyStopping(
                patience=settings.early_stopping, restore_best_weights=True
            )
        )
    history = trainer.fit(
        train.pixels,
        train.targets,
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        validation_data=None if valid is None else (valid.pixels, valid.targets),
        callbacks=callbacks,
        verbose=0,
    )
    return len(history.epoch)


def run_whole_epochs(
    model: Any, train: Examples, valid: Examples | None, settings: Settings, on_epoch: OnEpoch
) -> int:
    """Train `model` with one call for each epoch; return the number of epochs run.

    valid  rows that early stopping measures the loss on; None without early stopping

    The steps of an epoch are a loop inside TensorFlow: around each step of a network this small,
    Keras' `fit` spends several times the time of the step. A short last batch is left out; the next
    epoch's order leaves out other rows.
    """
    batch = min(settings.batch_size, len(train.targets))
    steps = len(train.targets) // batch
    optimizer = _optimizer(settings)
    optimizer.build(model.trainable_variables)
    run_epoch = _epoch_runner(model, optimizer, steps, _cut_to_windows(model, settings))
    rates = learning_rates(settings, steps * settings.epochs).reshape(settings.epochs, steps)
    watch = None if valid is None else _Watch(model, valid, settings)
    epoch = 0
    for epoch, (pixels, targets) in enumerate(_epochs(train, settings, steps, batch), start=1):
        loss = run_epoch(pixels, targets, rates[epoch - 1])
        on_epoch(epoch, settings.epochs, float(loss))
        if watch is not None and watch.must_stop():
            break
    if watch is not None:
        watch.restore_best()
    return epoch


def _epochs(
    train: Examples, settings: Settings, steps: int, batch: int
) -> Iterator[tuple[Floats, Floats]]:
    """Pixels (steps, batch, 64) and targets (steps, batch, k) of each epoch."""
    generator = np.random.default_rng(settings.seed)
    for _ in range(settings.epochs):
        order = generator.permutation(len(train.targets))[: steps * batch]
        pixels = train.pixels[order]
        if settings.noise:
            noise = generator.standard_normal(pixels.shape, np.float32)
            pixels += noise * np.float32(settings.noise)
        yield pixels.reshape(steps, batch, -1), train.targets[order].reshape(steps, batch, -1)


def learning_rates(settings: Settings, steps: int) -> Floats:
    """The learning rate of each of `steps` steps, float32 (steps,).

    With `one_cycle`: a linear rise from a tenth of the highest over the first tenth of the steps
    (Smith and Topin, "Super-convergence", 2018), then half a cosine down to zero (Loshchilov and
    Hutter, "SGDR", 2017).
    """
    highest = settings.learning_rate
    if not settings.one_cycle:
        return np.full(steps, highest, np.float32)
    step = np.arange(steps)
    warm = int(steps * WARM_UP_SHARE)
    rise = highest * (WARM_UP_FROM + (1 - WARM_UP_FROM) * (step + 1) / max(warm, 1))
    fall = highest / 2 * (1 + np.cos(np.pi * (step - warm) / (steps - warm)))
    return np.where(step < warm, rise, fall).astype(np.float32)


def receptive_fields(settings: Settings) -> Floats | None:
    """The pixels that each unit of the first layer reads: 1 or 0, float32 (64, units).

    A unit reads a square window of the image; None if it reads the whole. The column of each window
    is random. Units are dealt out to the rows at which windows begin: those that read the same rows
    of pixels make groups of one size, and a scored row costs little (`packing/onnx/groups.py`).
    Strokes are local, and pixels that are far apart in one writer's image say little about the next
    writer's: a unit that sees a part of the image can't learn such accidents. LeCun,
    "Generalization and network design strategies", 1989.
    """
    if settings.window is None:
        return None
    units, last = np.arange(settings.units), SIDE - settings.window
    rows = np.linspace(0, last, settings.bands).astype(int)[units % settings.bands]
    columns = np.random.default_rng(settings.seed).integers(0, last + 1, settings.units)
    offset = np.arange(SIDE) - np.stack([rows, columns])[:, :, np.newaxis]
    down, right = (offset >= 0) & (offset < settings.window)
    fields = down[:, :, np.newaxis] & right[:, np.newaxis, :]
    return np.ascontiguousarray(fields.reshape(settings.units, PIXELS).T, np.float32)


def _cut_to_windows(model: Any, settings: Settings) -> Floats | None:
    """Zero the first layer's weights outside its units' windows; None without windows.

    The other weights are scaled up, so that sums over fewer pixels are as large.
    """
    fields = receptive_fields(settings)
    if fields is None or settings.window is None:
        return None
    first = model.layers[0]
    kernel, bias = first.get_weights()
    first.set_weights([kernel * fields * np.float32(SIDE / settings.window), bias])
    return fields


def _epoch_runner(
    model: Any, optimizer: Any, steps: int, fields: Floats | None
) -> Callable[..., Any]:
    """A TensorFlow function that runs `steps` steps and returns their mean loss.

    Where `fields` (64, units) is 0, the first layer's weights have no gradient and stay as they
    are.
    """
    import keras
    import tensorflow as tf

    def run_epoch(pixels: Any, targets: Any, rates: Any) -> Any:
        total = tf.constant(0.0)
        for step in tf.range(steps):
            with tf.GradientTape() as tape:
                outputs = model(pixels[step], training=True)
                loss = tf.reduce_mean(keras.losses.categorical_crossentropy(targets[step], outputs))
            optimizer.learning_rate.assign(rates[step])
            gradients = tape.gradient(loss, model.trainable_variables)
            if fields is not None:
                gradients[0] *= fields
            optimizer.apply(gradients, model.trainable_variables)
            total += loss
        return total / steps

    compiled: Callable[..., Any] = tf.function(run_epoch)
    return compiled


class _Watch:
    """Early stopping: keeps the weights with the least loss on the validation rows."""

    def __init__(self, model: Any, valid: Examples, settings: Settings) -> None:
        self._model, self._valid = model, valid
        self._patience, self._waited = settings.early_stopping or 0, 0
        self._least, self._best = float("inf"), None

    def must_stop(self) -> bool:
        """Measure the loss after an epoch; True if it is time to stop."""
        import keras

        outputs = self._model(self._valid.pixels, training=False)
        losses = keras.losses.categorical_crossentropy(self._valid.targets, outputs)
        loss = float(np.mean(losses))
        if loss < self._least:
            self._least, self._best, self._waited = loss, self._model.get_weights(), 0
        else:
            self._waited += 1
        return self._waited >= self._patience

    def restore_best(self) -> None:
        """Restore the best weights, if any loss was measured."""
        if self._best is not None:
            self._model.set_weights(self._best)


def _optimizer(settings: Settings) -> Any:
    import keras

    return keras.optimizers.get(
        {"class_name": settings.optimizer, "config": {"learning_rate": settings.learning_rate}}
    )
