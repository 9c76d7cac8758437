"""Train models as people save them, with the libraries of this environment, and keep their answers.

    python benchmarks/scripts/make_artefacts.py ROWS.npz FOLDER NAME...

ROWS.npz holds `digits` and `labels`, to train on, and `rows`, to answer. Each NAME of `RECIPES`
becomes FOLDER/NAME with the files that somebody would hand over, `flags.json` (the flags of
`bundles import` that fit them) and `answers.npz` (the classes and the probabilities that the
original gives for `rows`). It needs NumPy, scikit-learn and joblib, and Keras where the recipe has
a network; it knows nothing of batchdigits.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    LabelBinarizer,
    LabelEncoder,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    RobustScaler,
    StandardScaler,
)

# What a recipe says: `model` is a function below or an estimator; `scaler` an estimator or a
# number; `labels` an encoder or a list in the order of the outputs; `pick` makes the labels to
# learn.
RECIPES: dict[str, dict[str, Any]] = {
    "keras2-tutorial-h5": {"model": "tutorial", "file": "model.h5", "scaler": StandardScaler()},
    "keras2-cnn-keras": {"model": "cnn", "file": "model.keras", "scaler": 16, "labels": range(10)},
    "keras2-functional-h5": {
        "model": "functional",
        "file": "model.h5",
        "scaler": MinMaxScaler(),
        "labels": LabelEncoder(),
        "compress": ("zlib", 3),
    },
    "keras2-logits-h5": {
        "model": "logits",
        "file": "model.h5",
        "scaler": RobustScaler(),
        "labels": OneHotEncoder(),
        "flags": ["--logits"],
        "protocol": 4,
    },
    "keras2-sigmoid-h5": {
        "model": "sigmoid",
        "file": "model.h5",
        "scaler": StandardScaler(),
        "named": True,
        "labels": LabelBinarizer(neg_label=-1, pos_label=2),
        "pick": "large",
    },
    "keras2-sklearn-mlp": {
        "model": make_pipeline(
            StandardScaler(), MLPClassifier((16,), max_iter=100, random_state=1)
        ),
        "file": "model.joblib",
    },
    "keras2-sklearn-logistic": {
        "model": LogisticRegression(max_iter=300),
        "file": "model.joblib",
        "scaler": MaxAbsScaler(),
        "compress": ("bz2", 3),
    },
    "keras30-tutorial-keras": {
        "model": "tutorial",
        "file": "model.keras",
        "scaler": StandardScaler(),
        "labels": LabelBinarizer(sparse_output=True),
        "pick": "words",
        "compress": ("gzip", 3),
    },
    "keras30-tutorial-h5": {"model": "tutorial", "file": "model.h5", "scaler": 255},
    "keras30-normalization-keras": {
        "model": "normalization",
        "file": "model.keras",
        "labels": [3, 1, 4, 0, 5, 9, 2, 6, 8, 7],
    },
    "keras30-cnn-h5": {"model": "batch_normalization", "file": "model.h5", "scaler": 16},
    "keras30-logits-keras": {
        "model": "logits",
        "file": "model.keras",
        "scaler": MinMaxScaler((-1, 1)),
        "flags": ["--logits"],
    },
    "keras30-sklearn-two": {
        "model": make_pipeline(MinMaxScaler(), LogisticRegression(C=10, solver="liblinear")),
        "file": "model.pkl",
        "pick": "large",
        "protocol": 2,
    },
    "today-tutorial-keras": {
        "model": "tutorial",
        "file": "model.keras",
        "scaler": StandardScaler(),
    },
    "today-tutorial-h5": {
        "model": "tutorial",
        "file": "model.h5",
        "scaler": StandardScaler(),
        "named": True,
        "labels": OneHotEncoder(),
        "pick": "words",
    },
    "today-rescaling-keras": {"model": "rescaling", "file": "model.keras", "epochs": 120},
    "today-sigmoid-keras": {
        "model": "sigmoid",
        "file": "model.keras",
        "scaler": RobustScaler(),
        "labels": LabelEncoder(),
        "pick": "large",
        "compress": ("lzma", 3),
    },
    "today-activations-keras": {
        "model": "activations",
        "file": "model.keras",
        "scaler": MaxAbsScaler(),
    },
    "today-sklearn-mlp": {
        "model": make_pipeline(
            RobustScaler(), MLPClassifier((24, 12), "tanh", max_iter=100, random_state=1)
        ),
        "file": "model.joblib",
        "compress": ("xz", 3),
        "pick": "words",
    },
    "today-sklearn-logistic": {
        "model": make_pipeline(MaxAbsScaler(), LogisticRegression(max_iter=300)),
        "file": "model.pkl",
        "protocol": 5,
    },
    "sklearn16-mlp-two": {
        "model": MLPClassifier((12,), "logistic", max_iter=300, random_state=1),
        "file": "model.joblib",
        "scaler": StandardScaler(),
        "pick": "large",
        "compress": ("gzip", 3),
    },
    "sklearn16-logistic": {"model": LogisticRegression(max_iter=500), "file": "model.joblib"},
}


def main() -> None:
    """Make the artefacts that the arguments name."""
    warnings.simplefilter("ignore")
    data, folder, names = np.load(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    for name in names:
        make(folder / name, RECIPES[name], data["digits"], data["labels"], data["rows"])


def make(folder: Path, recipe: dict[str, Any], pixels: Any, digits: Any, rows: Any) -> None:
    """Fit the recipe, save its parts, and keep what it answers."""
    folder.mkdir(parents=True, exist_ok=True)
    labels, flags = picked(recipe.get("pick"), digits), list(recipe.get("flags", []))
    scaler = recipe.get("scaler")
    scale: Any = np.asarray
    if isinstance(scaler, int):
        flags += ["--scaler-divide", str(scaler)]
        scale = partial(_divided, scaler)
    elif scaler is not None:
        scaler.fit(as_frame(pixels) if recipe.get("named") else pixels)
        save(scaler, folder / "scaler.joblib", recipe)
        flags += ["--scaler", "scaler.joblib"]
        scale = scaler.transform
    if isinstance(recipe["model"], str):
        classes, probabilities = make_network(folder, recipe, scale, (pixels, labels, rows), flags)
    else:
        model = recipe["model"].fit(scale(pixels), labels)
        save(model, folder / recipe["file"], recipe)
        flags += ["--sklearn", recipe["file"]]
        classes, probabilities = model.classes_, model.predict_proba(scale(rows))
    (folder / "flags.json").write_text(json.dumps({"pick": recipe.get("pick"), "flags": flags}))
    np.savez_compressed(
        folder / "answers.npz",
        classes=np.array(classes.tolist()),
        probabilities=probabilities.astype(np.float32),
    )
    print(folder.name, f"{np.mean(accuracy_of(classes, probabilities, rows, pixels, labels)):.3f}")


def accuracy_of(classes: Any, probabilities: Any, rows: Any, pixels: Any, labels: Any) -> Any:
    """Whether each of the rows that are digits is right."""
    known = min(len(rows), len(pixels))
    same = (rows[:known] == pixels[:known]).all(axis=1)
    predicted = np.array(classes.tolist())[probabilities[:known].argmax(axis=1)]
    return (predicted == labels[:known])[same]


def _divided(number: int, pixels: Any) -> Any:
    return pixels / number


def picked(pick: str | None, digits: Any) -> Any:
    """The labels to learn: the digits, words for them, or whether they are large."""
    words = ["zero", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"]
    if pick == "words":
        return np.array([words[digit] for digit in digits], dtype=object)
    return digits > 4 if pick == "large" else digits


def make_network(
    folder: Path, recipe: dict[str, Any], scale: Any, data: tuple[Any, Any, Any], flags: list[str]
) -> tuple[Any, Any]:
    """Fit and save a network; return the classes and its probabilities for the rows."""
    import keras

    pixels, labels, rows = data
    keras.utils.set_random_seed(1)
    encoder = recipe.get("labels", LabelBinarizer())
    if isinstance(encoder, list | range):
        classes = np.array(list(encoder))
        flags += ["--labels", ",".join(map(str, classes))]
    else:
        wide = isinstance(encoder, OneHotEncoder)
        encoder.fit(labels[:, None] if wide else labels)
        classes = encoder.categories_[0] if wide else encoder.classes_
        save(encoder, folder / "labels.joblib", recipe)
        flags += ["--label-binarizer", "labels.joblib"]
    order = {label: place for place, label in enumerate(classes.tolist())}
    targets = np.array([order[label] for label in labels.tolist()])
    build, two = globals()[f"build_{recipe['model']}"], recipe["model"] == "sigmoid"
    model = build(keras, keras.layers)
    if recipe["model"] == "normalization":
        model.layers[1].adapt(shaped(model, pixels))
    logits = "--logits" in flags
    loss = (
        "binary_crossentropy"
        if two
        else (
            keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            if logits
            else "sparse_categorical_crossentropy"
        )
    )
    model.compile(keras.optimizers.Adam(0.005), loss)
    model.fit(
        shaped(model, scale(pixels)),
        targets,
        epochs=recipe.get("epochs", 25),
        batch_size=64,
        verbose=0,
    )
    if recipe["file"].endswith(".h5"):
        model.save(folder / recipe["file"], include_optimizer=False)
    else:
        build_again = build(keras, keras.layers)  # not compiled, so saved without an optimizer
        build_again.set_weights(model.get_weights())
        build_again.save(folder / recipe["file"])
    flags += ["--keras", recipe["file"]]
    answers = np.asarray(model.predict(shaped(model, scale(rows)), verbose=0), np.float64)
    if logits:
        powers = np.exp(answers - answers.max(axis=1, keepdims=True))
        answers = powers / powers.sum(axis=1, keepdims=True)
    return classes, np.hstack([1 - answers, answers]) if two else answers


def shaped(model: Any, pixels: Any) -> Any:
    """Rows in the shape that the model takes."""
    return np.asarray(pixels, np.float32).reshape(len(pixels), *model.input_shape[1:])


def build_tutorial(keras: Any, layers: Any) -> Any:
    """The article's network, with fewer units."""
    return keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(20, activation="relu"),
            layers.Dropout(0.1),
            layers.Dense(10, activation="softmax"),
        ]
    )


def build_cnn(keras: Any, layers: Any) -> Any:
    """Convolutions on images with one channel."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(8, (2, 3), strides=(1, 1)),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(10),
            layers.Softmax(),
        ]
    )


def build_functional(keras: Any, layers: Any) -> Any:
    """A functional model of images without a channel."""
    images = keras.Input((8, 8))
    values = layers.Flatten()(images)
    values = layers.Dense(16, use_bias=False)(values)
    values = layers.BatchNormalization()(values)
    values = layers.Activation("relu")(values)
    values = layers.Dropout(0.1)(values)
    return keras.Model(images, layers.Dense(10, activation="softmax")(values))


def build_logits(keras: Any, layers: Any) -> Any:
    """No softmax at the end."""
    pixels = keras.Input((64,))
    return keras.Model(pixels, layers.Dense(10)(layers.Dense(16, activation="elu")(pixels)))


def build_sigmoid(keras: Any, layers: Any) -> Any:
    """One output for two classes."""
    return keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(16, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def build_normalization(keras: Any, layers: Any) -> Any:
    """The scaler inside."""
    images = keras.Input((8, 8, 1))
    values = layers.Normalization(axis=(1, 2, 3))(images)
    values = layers.Flatten()(values)
    values = layers.Dense(16, activation="tanh")(values)
    return keras.Model(images, layers.Dense(10, activation="softmax")(values))


def build_batch_normalization(keras: Any, layers: Any) -> Any:
    """Convolutions with batch normalization and pooling of means."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(12, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.AveragePooling2D(2),
            layers.Conv2D(24, 2, dilation_rate=2),
            layers.BatchNormalization(scale=False),
            layers.ELU(0.7),
            layers.GlobalMaxPooling2D(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def build_rescaling(keras: Any, layers: Any) -> Any:
    """Rescaling inside, and a Reshape of plain rows."""
    return keras.Sequential(
        [
            keras.Input((64,)),
            layers.Rescaling(1 / 8, offset=-1),
            layers.Reshape((8, 8, 1)),
            layers.Conv2D(8, 3, activation="relu", groups=1),
            layers.GlobalAveragePooling2D(keepdims=True),
            layers.Flatten(),
            layers.Dense(24, activation="swish"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def build_activations(keras: Any, layers: Any) -> Any:
    """One layer with each activation."""
    values = pixels = keras.Input((64,))
    for name in ("selu", "silu", "softplus", "softsign", "mish", "hard_sigmoid", "leaky_relu"):
        values = layers.Dense(14, activation=name)(values)
    return keras.Model(pixels, layers.Dense(10, activation="softmax")(values))


def as_frame(pixels: Any) -> Any:
    """The pixels as named columns."""
    import pandas as pd

    return pd.DataFrame(pixels, columns=[f"pixel_{number}" for number in range(64)])


def save(estimator: Any, path: Path, recipe: dict[str, Any]) -> None:
    """Save as people do: joblib, compressed or not, or pickle."""
    if "protocol" in recipe:
        path.write_bytes(pickle.dumps(estimator, protocol=recipe["protocol"]))
    else:
        joblib.dump(estimator, path, compress=recipe.get("compress", 0))


if __name__ == "__main__":
    main()
