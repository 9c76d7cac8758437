import json

import numpy as np

from batchdigits.archive.manifest import Classes
from batchdigits.training.reference import build_reference


def test_histograms_count_every_pixel_of_every_row_once() -> None:
    generator = np.random.default_rng(0)
    pixels = generator.uniform(0, 16, (40, 64))
    targets = np.arange(40) % 3
    document = json.loads(build_reference(pixels, targets, Classes("string", ("a", "b", "c"))))
    counts = np.array(document["class_pixel_counts"])
    assert document["classes"] == ["a", "b", "c"]
    assert document["class_counts"] == [14, 13, 13]
    assert counts.shape == (3, 64, 17)
    assert (counts.sum(axis=2) == np.array([[14], [13], [13]])).all()
    assert np.array_equal(counts.sum(axis=0), document["pixel_counts"])
    assert (
        document["pixel_counts"][5]
        == np.bincount(np.rint(pixels[:, 5]).astype(int), minlength=17).tolist()
    )
    assert np.allclose(document["class_means"][1], pixels[1::3].mean(axis=0), atol=1e-6)
