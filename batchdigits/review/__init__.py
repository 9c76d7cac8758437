"""The review: a person looks at doubtful cells, and the corrections come back as files.

Predictions -> cells to show -> one page -> journals of decisions -> reviewed predictions, labelled
rows, and a certificate of what may still be wrong.
"""
