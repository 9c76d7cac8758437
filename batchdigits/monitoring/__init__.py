"""What rows look like, in constant memory.

Each batch adds to the evidence; at the end suspicion says whether the rows are digits at all, and
drift how far they are from the training data.
"""
