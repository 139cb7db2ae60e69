"""Plant models: equations only, written once and run on three engines (JAX, CasADi, NumPy)."""
