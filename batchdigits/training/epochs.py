"""The training loops: epochs of steps over standardized rows, until the last or until they stop."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.images import PIXELS, SIDE
from batchdigits.threads import prefetch
from batchdigits.training.networks import build_network
from batchdigits.training.settings import Settings
from batchdigits.training.workers import raise_if_stopped

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

    keras.utils.set_random_seed(settings.seed)
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
    rates = learning_rates(settings, steps * settings.epochs).reshape(settings.epochs, steps)
    _cut_to_windows(model, settings)
    with _compiled(model, settings, batch) as compiled:
        watch = None if valid is None else _Watch(compiled.model, valid, settings)
        epoch = 0
        with closing(prefetch(_epochs(train, settings, steps, batch))) as epochs:
            for epoch, (pixels, targets) in enumerate(epochs, start=1):
                raise_if_stopped()
                loss = compiled.run_epoch(pixels, targets, rates[epoch - 1])
                on_epoch(epoch, settings.epochs, float(loss))
                if watch is not None and watch.must_stop():
                    break
        if watch is not None:
            watch.restore_best()
        _assign(model, compiled.model)
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
            noise *= np.float32(settings.noise)
            pixels += noise
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


def _cut_to_windows(model: Any, settings: Settings) -> None:
    """Zero the first layer's weights outside its units' windows, if there are windows.

    The other weights are scaled up, so that sums over fewer pixels are as large.
    """
    fields = receptive_fields(settings)
    if fields is None or settings.window is None:
        return
    first = model.layers[0]
    kernel, bias = first.get_weights()
    first.set_weights([kernel * fields * np.float32(SIDE / settings.window), bias])


class _Compiled:
    """A network with its optimizer, and an epoch of its steps as one TensorFlow function.

    form  what it was compiled for; networks of the same form differ only in their weights
    """

    def __init__(self, form: tuple[Any, ...], classes: int, settings: Settings, batch: int) -> None:
        import tensorflow as tf

        self.form = form
        self.model = build_network(classes, settings)
        self._optimizer = _optimizer(settings)
        self._optimizer.build(self.model.trainable_variables)
        self._initial = [variable.numpy() for variable in self._optimizer.variables]
        self._fields = None
        if settings.window is not None:
            self._fields = tf.Variable(tf.zeros((PIXELS, settings.units)))
        shapes = (None, batch, PIXELS), (None, batch, classes), (None,)
        signature = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
        self.run_epoch = tf.function(self._run_epoch, input_signature=signature)

    def begin(self, model: Any, settings: Settings) -> None:
        """Take over the weights of a new network; the optimizer begins anew."""
        _assign(self.model, model)
        for variable, initial in zip(self._optimizer.variables, self._initial, strict=True):
            variable.assign(initial)
        if self._fields is not None:
            self._fields.assign(receptive_fields(settings))

    def _run_epoch(self, pixels: Any, targets: Any, rates: Any) -> Any:
        """Run as many steps as there are rates, and return their mean loss.

        Where `_fields` (64, units) is 0, the first layer's weights have no gradient and stay as
        they are.
        """
        import keras
        import tensorflow as tf

        steps, weights = tf.shape(rates)[0], self.model.trainable_variables
        total = tf.constant(0.0)
        for step in tf.range(steps):
            with tf.GradientTape() as tape:
                outputs = self.model(pixels[step], training=True)
                loss = tf.reduce_mean(keras.losses.categorical_crossentropy(targets[step], outputs))
            self._optimizer.learning_rate.assign(rates[step])
            gradients = tape.gradient(loss, weights)
            if self._fields is not None:
                gradients[0] *= self._fields
            self._optimizer.apply(gradients, weights)
            total += loss
        return total / tf.cast(steps, tf.float32)


# To trace and to optimize the function takes as long as three epochs of the default. A fold, a
# member and a teacher differ from the fit before only in their weights.
_IDLE: deque[_Compiled] = deque(maxlen=4)
_LOCK = Lock()


@contextmanager
def _compiled(model: Any, settings: Settings, batch: int) -> Iterator[_Compiled]:
    """The compiled epoch for networks of this form, which begins with the weights of `model`."""
    facts, classes = settings.as_facts(), model.output_shape[1]
    names = ("arch", "layers", "units", "dropout", "window", "optimizer")
    form = (classes, batch, *(facts[name] for name in names))
    with _LOCK:
        compiled = next((idle for idle in _IDLE if idle.form == form), None)
        if compiled is not None:
            _IDLE.remove(compiled)
    if compiled is None:
        compiled = _Compiled(form, classes, settings, batch)
    compiled.begin(model, settings)
    yield compiled
    with _LOCK:
        _IDLE.append(compiled)


def _assign(model: Any, other: Any) -> None:
    """Give a network the variables of another of the same form."""
    for own, value in zip(model.variables, other.variables, strict=True):
        own.assign(value)


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
