"""Programs on TFRecord shards."""
