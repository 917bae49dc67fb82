"""Box regression (appendix A)."""
