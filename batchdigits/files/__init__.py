"""Files as the operator sees them: inputs, digests, locks, atomic writes and the commit."""
