"""The module that MLflow imports from an exported model: the bundle as a pyfunc.

`bundles export --mlflow` names this module in the `MLmodel` file and puts a copy of the package
beside it. Nothing is unpickled, and the golden rows are replayed when the model is loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from batchdigits.api import Bundle, open_bundle

COLUMNS = ("prediction", "confidence")


class BundleModel:
    """The model that MLflow calls."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    def predict(self, model_input: Any, params: Any = None) -> Any:  # noqa: ARG002  # MLflow's
        """Return a pandas DataFrame of `prediction` and `confidence`, with the rows' own index.

        model_input  pandas DataFrame or NumPy array (n, 64) of pixels, 0..16, not scaled
        params       MLflow's inference parameters; ignored

        Raises UnusableInputError, naming the rows, if any row can't be scored.
        """
        scored = self.bundle.predict(model_input)
        frame = scored.to_pandas() if hasattr(scored, "to_pandas") else scored
        return frame[list(COLUMNS)]


def _load_pyfunc(data_path: str) -> BundleModel:
    """Open the only bundle in the folder `data_path`; MLflow looks for a function of this name.

    Honours $BATCHDIGITS_REQUIRE_SIGNATURE and $BATCHDIGITS_TRUSTED_KEYS.
    """
    (file,) = Path(data_path).resolve().glob("*.bundle")
    return BundleModel(open_bundle(file))
