"""Programs for TFRecord shards."""
