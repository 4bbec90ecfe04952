"""The field's scorers, each a small module without heavy imports."""
