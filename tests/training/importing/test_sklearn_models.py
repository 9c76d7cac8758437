"""Classifiers of scikit-learn as scaler and network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from saved_models import joblibbed
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelBinarizer, MinMaxScaler, PolynomialFeatures, StandardScaler

from batchdigits.errors import BundleError, UnusableInputError
from batchdigits.packing.onnx.export import ScaledModel
from batchdigits.training.importing.network import build_model, output_matrix, output_width
from batchdigits.training.importing.pickled import Record, read_record
from batchdigits.training.importing.sklearn_models import Classifier, read_classifier

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 17, (120, 64)).astype(float)
LABELS = np.arange(120) % 3
MLP = {"max_iter": 3, "random_state": 0}

CLASSIFIERS = [
    (make_pipeline(StandardScaler(), MLPClassifier((5,), "relu", **MLP)), LABELS),
    (MLPClassifier((5, 4), "tanh", **MLP), LABELS),
    (MLPClassifier((5,), "logistic", solver="sgd", early_stopping=True, **MLP), LABELS > 1),
    (MLPClassifier((5,), "identity", solver="lbfgs", **MLP), LABELS),
    (make_pipeline(MinMaxScaler(), "passthrough", LogisticRegression()), LABELS),
    (LogisticRegression(fit_intercept=False, max_iter=20), LABELS),
    (LogisticRegression(solver="liblinear", max_iter=20), LABELS > 1),
]


def read(fitted: Any) -> Classifier:
    return read_classifier(read_record(joblibbed(fitted)), "model.joblib")


@pytest.mark.usefixtures("digits")
@pytest.mark.filterwarnings("ignore")  # they need not converge
@pytest.mark.parametrize(("model", "labels"), CLASSIFIERS, ids=str)
def test_each_becomes_dense_layers_with_the_same_probabilities(model: Any, labels: Any) -> None:
    classifier = read(model.fit(PIXELS, labels))
    assert classifier.labels.tolist() == np.unique(labels).tolist()
    matrix = output_matrix(classifier.network, output_width(classifier.network), logits=False)
    rewritten = ScaledModel(
        build_model(classifier.network, matrix), classifier.scaler.standard_scaler()
    )
    found = rewritten.probabilities(PIXELS)
    np.testing.assert_allclose(found, model.predict_proba(PIXELS), atol=1e-5)


def made(**state: Any) -> Record:
    """A LogisticRegression as an older scikit-learn saved it."""
    record = Record()
    record.kind = "LogisticRegression"
    record.state = {"classes_": np.array([0, 1]), "intercept_": np.array([0.5]), **state}
    return record


def test_two_classes_are_multinomial_where_an_older_version_said_so() -> None:
    """softmax(-z, z) is the sigmoid of 2 z."""
    coef = np.ones((1, 64))
    once = read_classifier(made(coef_=coef, multi_class="auto"), "m").network.layers[0]
    twice = read_classifier(made(coef_=coef, multi_class="multinomial"), "m").network.layers[0]
    for part, doubled in zip(once.weights, twice.weights, strict=True):
        np.testing.assert_array_equal(doubled, 2 * part)


@pytest.mark.parametrize("state", [{"multi_class": "ovr"}, {"solver": "liblinear"}])
def test_one_versus_rest_of_three_classes_is_refused(state: Any) -> None:
    three = {"coef_": np.ones((3, 64)), "classes_": np.arange(3), "intercept_": np.zeros(3)}
    with pytest.raises(UnusableInputError, match="one-versus-rest.*lbfgs"):
        read_classifier(made(**three, **state), "m")


ONE_HOT = np.eye(3)[LABELS]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("model", "fit", "told"),
    [
        (MLPClassifier(), None, "is not fitted"),
        (LogisticRegression(), None, "is not fitted"),
        (MLPClassifier((4,), max_iter=1), (PIXELS, ONE_HOT), "several labels each"),
        (MLPClassifier((4,), max_iter=1), (PIXELS[:, :9], LABELS), "takes 9 values for a row"),
        (StandardScaler(), (PIXELS,), "holds a StandardScaler, expected an MLPClassifier"),
        (make_pipeline(StandardScaler()), (PIXELS,), "holds a StandardScaler, expected an MLP"),
        (make_pipeline(LabelBinarizer(), LogisticRegression()), None, "holds a LabelBinarizer"),
        (make_pipeline(PolynomialFeatures(2), LogisticRegression()), None, "PolynomialFeatures"),
    ],
)
def test_another_estimator_is_refused_in_one_line(model: Any, fit: Any, told: str) -> None:
    with pytest.raises(UnusableInputError, match=told):
        read(model if fit is None else model.fit(*fit))


def test_matrices_that_no_fit_gives_are_damage() -> None:
    with pytest.raises(BundleError, match="no matrix"):
        read_classifier(made(coef_=np.ones(64)), "m")
    with pytest.raises(BundleError, match="no matrix"):
        read_classifier(made(coef_=np.array([["a"]])), "m")
