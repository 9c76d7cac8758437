"""The bundle as bytes and facts.

The container gives members, the manifest and the signature say whether they are the right ones,
and each document is parsed once into a frozen type.
"""
