"""The published contracts that ours are compared to."""
