"""Tests of classifiers: posteriors, metrics, reports, tables."""
