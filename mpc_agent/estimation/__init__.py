"""Estimation: what the plant's state is, from readings and late assays. Pure."""
