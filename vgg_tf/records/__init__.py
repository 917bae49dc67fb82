"""TFRecord shards: schema, encoding, writing, statistics and checks."""
