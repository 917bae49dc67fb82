"""Descriptors and linear SVMs (appendix B)."""
