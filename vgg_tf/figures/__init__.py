"""Matplotlib figures from arrays, and tables in Markdown."""
