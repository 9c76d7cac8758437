"""Characters as bitmaps of 32x32 points, which rows of 64 counts are made of.

Ink becomes bitmaps and bitmaps become counts; the other way, smooth bitmaps are found from counts.
"""
