"""Tests of classifiers: posteriors, scores, reports, tables."""
