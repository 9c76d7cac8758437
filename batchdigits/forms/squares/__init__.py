"""Rows of square pictures of another size than 8x8, such as the 784 columns of 28x28.

Files (CSV, Parquet, npy) give blocks of checked squares with their other columns; each square is
then judged as a crop is.
"""
