"""Text as engine and applications see it: languages, words, near-duplicates."""
