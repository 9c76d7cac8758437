"""Real inputs that are no part of the repo, as arrays."""

import numpy as np
from paths import shared_data


def shared_bits(name: str, side: int) -> np.ndarray:
    """Return the pictures of NAME.npz, bool (n, side, side); skip the test without that file."""
    bits = np.load(shared_data() / f"{name}.npz")["bits"]
    return np.unpackbits(bits, axis=1).reshape(-1, side, side).astype(np.bool_)
