"""The rules of the market and of Proof-of-Contribution: pure functions and types, no I/O, clock or randomness."""
