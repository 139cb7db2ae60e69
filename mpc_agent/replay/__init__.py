"""Replay: a batch's recorded readings once more through the estimator, and what comes of it."""
