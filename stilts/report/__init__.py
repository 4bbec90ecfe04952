"""From scores to tables, and from tables to the page people read."""
