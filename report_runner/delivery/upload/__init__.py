"""Upload of a report's files: the places, and the channel over them."""
