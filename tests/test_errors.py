"""Exit codes of runs over several inputs."""

import pytest

from batchdigits.errors import worst_exit_code


@pytest.mark.parametrize(
    ("codes", "worst"),
    [
        ([], 0),
        ([0, 0], 0),
        ([0, 3, 4], 3),
        ([3, 65, 75], 65),
        ([2, 0], 2),
        ([69, 3], 69),
        ([66, 73, 74], 74),
        ([78, 70], 70),
    ],
)
def test_the_worst_code_follows_the_documented_order(codes: list[int], worst: int) -> None:
    assert worst_exit_code(codes) == worst
