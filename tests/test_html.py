"""HTML shows text from outside, and never runs it."""

from batchdigits.html import element, escaped, table


def test_text_from_outside_is_shown_as_it_is() -> None:
    assert escaped("<b>\"&'") == "&lt;b&gt;&quot;&amp;&#x27;"


def test_attributes_are_escaped_and_reserved_words_end_in_an_underscore() -> None:
    made = element("p", "x", class_='a"b', aria_label="<")
    assert made == '<p class="a&quot;b" aria-label="&lt;">x</p>'


def test_every_cell_of_a_table_is_escaped() -> None:
    made = table(["<n>"], [["a&b"], [3]])
    assert made == (
        '<table><thead><tr><th scope="col">&lt;n&gt;</th></tr></thead>'
        "<tbody><tr><td>a&amp;b</td></tr><tr><td>3</td></tr></tbody></table>"
    )
