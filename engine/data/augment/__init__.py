"""Augment: more train rows out of those there are, with their labels."""
