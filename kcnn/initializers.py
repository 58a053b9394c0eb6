"""Kaiming initializers."""
