"""Bundles of made-up members, shared with the other rooms that take bundles as bytes."""

from archive_fixtures import facts, members, packed

__all__ = ["facts", "members", "packed"]
