"""The tutorial's training script for one hidden layer, as printed there.

    python benchmarks/scripts/tutorial_train.py [--seed 0]

The tutorial's lines are between the two rules. Around them are a seed, and one JSON line with the
time of its `fit` and its accuracy on the test part.
"""

from __future__ import annotations

import argparse
import json
import os
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
from keras.layers import Dense
from keras.models import Sequential
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelBinarizer, StandardScaler


def main() -> None:
    """Train, and print the time and the accuracy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    keras.utils.set_random_seed(parser.parse_args().seed)

    # ------------------------------------------------------------------------------------------
    digits = load_digits()
    features = digits.data
    targets = digits.target

    binarizer = LabelBinarizer()
    labels = binarizer.fit_transform(targets)
    x_train, x_test, y_train, y_test = train_test_split(
        features, labels, test_size=0.3, random_state=0
    )
    scaler = StandardScaler()
    x_train = scaler.fit_transform(x_train)
    x_test = scaler.transform(x_test)

    model = Sequential()
    model.add(Dense(500, input_dim=64, kernel_initializer="uniform", activation="relu"))
    model.add(Dense(10, kernel_initializer="uniform", activation="softmax"))
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    started = time.perf_counter()
    model.fit(x_train, y_train, epochs=100, batch_size=10, verbose=1)
    seconds = time.perf_counter() - started
    # ------------------------------------------------------------------------------------------

    predicted = model.predict(x_test, verbose=0).argmax(axis=1)
    accuracy = float(np.mean(predicted == y_test.argmax(axis=1)))
    print("\n" + json.dumps({"accuracy": accuracy, "fit_seconds": round(seconds, 3)}))


if __name__ == "__main__":
    main()
