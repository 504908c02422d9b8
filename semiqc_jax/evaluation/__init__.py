"""Overlap and surface metrics, agreement of indices, tables, plots and reports."""
