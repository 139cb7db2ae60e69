"""How the agent reaches a bioreactor: one Driver protocol, several plants behind it."""
