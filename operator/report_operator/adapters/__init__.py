"""Thin access to the outside: the API server, PostgreSQL, Redis, the HTTP endpoints."""
