"""What a Python user imports."""
