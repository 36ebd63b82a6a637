"""The workerpool manager: turns deals into proved results."""
