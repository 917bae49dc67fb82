"""Speed, memory and time before a long training."""
