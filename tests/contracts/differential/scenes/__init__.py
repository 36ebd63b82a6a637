"""The directed stories, and what they make a full run reach."""
