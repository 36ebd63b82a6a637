"""The service that stores apps, inputs and results by content."""
