"""How fast the optimiser is, beside do-mpc on the very same problems."""
