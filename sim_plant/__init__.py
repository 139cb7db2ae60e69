"""The simulated plant: a reactor that differs from the model, its sensors, faults and server."""
