"""Safety: the mode machine, the fallback ladder and the guard. Pure, and ignorant of optimisers."""
