"""The order book service."""
