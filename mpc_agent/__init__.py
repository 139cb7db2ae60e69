"""The agent: estimates, plans and guards one fed-batch bioreactor, and keeps its record."""
