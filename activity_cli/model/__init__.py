"""The network, and its saved form."""
