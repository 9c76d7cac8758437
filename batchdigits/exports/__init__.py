"""A bundle for other tools.

Members become files of their own, or the whole bundle becomes an MLflow model.
"""
