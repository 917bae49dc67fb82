"""Image sources: selection, opening, batches and shards."""
