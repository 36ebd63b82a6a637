"""The service that keeps secrets for owners, and tells them to nobody but enclaves."""
