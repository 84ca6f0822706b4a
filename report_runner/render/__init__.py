"""Pages and documents. Nothing is imported here: the workers start with this package."""
