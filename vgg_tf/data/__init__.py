"""Image sources: selection, opening, loading as batches, writing as shards."""
