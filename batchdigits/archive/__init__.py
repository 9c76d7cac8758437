"""The bundle as bytes and facts: manifest, ZIP container and store. No engine."""
