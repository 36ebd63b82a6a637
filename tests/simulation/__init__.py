"""A whole network in one process: virtual time, one seed, the real decisions. See docs/simulation.md."""
