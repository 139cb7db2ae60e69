"""The verbs of the command line: what `mpc-agent demo`, `run`, `simulate` and the others do."""
