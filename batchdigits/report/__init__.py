"""Results as text for people.

Figures and tables come in as values, aligned text goes out.
"""
