"""The one exception that people see."""


class PlantError(Exception):
    """The simulated plant cannot be run as asked; the message is a sentence for people."""
