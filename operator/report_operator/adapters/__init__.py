"""Thin access to the world outside: the API server, the Lease, the HTTP endpoints."""
