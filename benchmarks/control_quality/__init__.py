"""How good control is, and what bounds it: the same batches under agents that know more or less."""
