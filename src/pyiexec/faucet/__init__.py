"""The service that gives away coin and RLC on networks where they are worth nothing."""
