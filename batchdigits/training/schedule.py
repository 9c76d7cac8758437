"""How fast a network learns at each step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from batchdigits.training.settings import Settings

WARM_UP_SHARE = 0.1
WARM_UP_FROM = 0.1


def learning_rates(settings: Settings, steps: int) -> NDArray[np.float32]:
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
