"""Where a blank form lies on a page: shift, turn, scale, shear, perspective.

A page becomes darkness beside its paper; guesses are brought onto the form's lines, marks or print,
and the homography under which most of them are found is the answer.
"""
