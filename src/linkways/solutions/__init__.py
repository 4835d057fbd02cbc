"""The built-in solutions: one folder each, with the documented record, its study and its small data."""
