"""A bundle as bytes and facts.

The signature is checked over the bytes, the container gives the members, and the manifest tells
whether they are complete. Each document is then parsed once into a frozen type.
"""
