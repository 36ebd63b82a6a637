"""One local network composed of all parts."""
