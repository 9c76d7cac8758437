"""The images of digits: 8x8 pixels, each 0 (paper) to 16 (ink)."""

from __future__ import annotations

SIDE = 8
"""Pixels along each side of an image."""

PIXELS = SIDE * SIDE
"""Pixels of an image, row by row from the top left."""

DARKEST = 16
"""The value of a pixel that is all ink; paper is 0."""

LEVELS = DARKEST + 1
"""The number of whole values that a pixel can have, 0 to 16."""
