"""Exit codes of runs over several inputs; errors that name the file in work."""

import re

import pytest
from paths import PACKAGE, ROOT

from batchdigits.errors import BundleError, OutputError, naming, worst_exit_code


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


def test_a_bundle_error_gets_the_name_of_its_file_and_no_other_error_does() -> None:
    with pytest.raises(BundleError, match=r"^a\.bundle: is damaged$"), naming("a.bundle"):
        raise BundleError("is damaged")
    with pytest.raises(OutputError, match="^exists$"), naming("a.bundle"):
        raise OutputError("exists")


def test_nothing_says_to_install_batchdigits_from_an_index() -> None:
    """It is on none: there the name could be anybody's."""
    for path in (*PACKAGE.rglob("*.py"), *ROOT.glob("docs/**/*.md"), ROOT / "README.md"):
        assert not re.search(r"pip install (-\S+ )*'?batchdigits", path.read_text("utf-8")), path
