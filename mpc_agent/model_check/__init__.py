"""What every plant model is held to, whoever wrote it: checks that answer in plain words."""
