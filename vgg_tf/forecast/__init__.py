"""Estimates of throughput, memory and time before a long training."""
