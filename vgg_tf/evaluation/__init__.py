"""Tests of classifiers: probabilities, metrics, reports and tables."""
