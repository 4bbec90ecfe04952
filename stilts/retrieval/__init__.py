"""Similarity search over sentence embeddings, in numpy."""
