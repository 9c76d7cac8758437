"""The evidence about the rows of an input, gathered batch by batch in constant memory.

Suspicion says whether the rows are digits at all. Drift says how far they are from the training
data.
"""
