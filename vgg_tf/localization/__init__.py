"""Localization of objects by box regression (appendix A)."""
