"""One small training, shared by the tests that look at its parts."""

from training_fixtures import digits, small_fit

__all__ = ["digits", "small_fit"]
