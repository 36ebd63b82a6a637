"""What trust means: error and cost of Proof-of-Contribution, of voting and of adaptive replication, by Monte Carlo."""
