"""Predictors of what cells are worth."""
