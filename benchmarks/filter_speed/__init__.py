"""How fast the filter is, beside other people's and beside its own goals."""
