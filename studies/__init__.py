"""Studies of the protocol's rules; each writes its figures into a page of the documentation."""
