"""TFRecord shards: schema, statistics, integrity, encoding."""
