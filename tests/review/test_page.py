"""The page as text; tests/review/test_review_in_a_browser.py opens it."""

from __future__ import annotations

import base64
import hashlib
import json
import re

from reviews import cell, review_of

from batchdigits.review.page import build_page

HOSTILE = "</script><script>alert(1)</script><!--<script>&amp;'\"\u2028"


def page_of(**facts: object) -> str:
    return build_page(review_of(cell(0, **facts)).encode()).decode()  # type: ignore[arg-type]


def test_the_policy_allows_the_script_and_the_style_by_hash_and_nothing_else() -> None:
    page = page_of()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    assert policy[1].startswith("default-src 'none'; ")
    assert "unsafe" not in policy[1]
    script = re.search(r"<script>(.*)</script>", page, re.DOTALL)
    style = re.search(r"<style>(.*)</style>", page, re.DOTALL)
    assert script
    assert style
    for text in (script[1], style[1]):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy[1]


def test_the_page_names_nothing_outside_of_itself() -> None:
    page = page_of()
    assert not re.search(r"https?://(?!127)|//cdn|@import|url\(|src=", page)
    assert " style=" not in page
    assert not re.search(r" on[a-z]+=", page)


def test_hostile_texts_stay_inside_the_block_of_data() -> None:
    review = review_of(cell(0))
    hostile = json.loads(review.encode())
    hostile["files"][0]["path"] = hostile["labels"][3] = HOSTILE
    hostile["fields"] = [{"of": {HOSTILE: HOSTILE}, "cells": []}]
    page = build_page(json.dumps(hostile).encode()).decode()
    assert page.count("<script") == page_of().count("<script") == 2
    block = re.search(r'<script type="application/json"[^>]*>([^<]*)</script>', page)
    assert block
    assert json.loads(block[1]) == hostile
