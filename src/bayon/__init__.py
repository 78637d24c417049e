"""Bayon: an open, self-hosted payments core for Cambodia."""
