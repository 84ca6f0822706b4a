"""History in PostgreSQL: the schema, who writes it and who reads it."""
