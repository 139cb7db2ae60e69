"""Controllers: decisions as data in, data out."""
