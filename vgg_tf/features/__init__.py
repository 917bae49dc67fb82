"""Image descriptors and linear SVMs (appendix B)."""
