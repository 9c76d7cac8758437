import io
import json
import zipfile
from pathlib import Path

import numpy as np

from batchdigits.engines.keras.model_file import check_keras_archive
from batchdigits.packing.keras_file import keras_bytes
from batchdigits.training.fit import Fitted


def test_a_saved_model_has_no_dates_and_no_optimizer(small_fit: Fitted) -> None:
    data = keras_bytes(small_fit.model)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert json.loads(archive.read("metadata.json"))["date_saved"] == "1980-01-01@00:00:00"
        assert json.loads(archive.read("config.json"))["compile_config"] == {}
    weights = sum(weight.nbytes for weight in small_fit.model.get_weights())
    assert len(data) < 2 * weights + 40_000


def test_the_same_model_saves_as_the_same_bytes(small_fit: Fitted) -> None:
    assert keras_bytes(small_fit.model) == keras_bytes(small_fit.model)


def test_the_keras_engine_may_open_it_and_gets_the_same_weights(
    small_fit: Fitted, tmp_path: Path
) -> None:
    import keras  # after the fixture has silenced TensorFlow

    data = keras_bytes(small_fit.model)
    check_keras_archive(data)
    path = tmp_path / "model.keras"
    path.write_bytes(data)
    loaded = keras.saving.load_model(path, compile=False, safe_mode=True)
    for one, other in zip(loaded.get_weights(), small_fit.model.get_weights(), strict=True):
        assert np.array_equal(one, other)
