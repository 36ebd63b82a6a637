"""The public keeper: claims tasks that everybody else has forgotten, of any pool."""
