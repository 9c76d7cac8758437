"""A bundle for other tools.

Members are written as files of their own, or the whole as an MLflow model.
"""
