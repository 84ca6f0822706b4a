"""The web page for on-call at `/`: rendered here, refreshed by htmx, usable without JavaScript."""
