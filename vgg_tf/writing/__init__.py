"""Writing a source as shards."""
