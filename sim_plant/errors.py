"""The exceptions that people see."""


class PlantError(Exception):
    """The simulated plant cannot be run as asked; the message is a sentence for people."""


class NotServedError(PlantError):
    """The port is taken, or the host is not ours."""


class CannotSaveError(PlantError):
    """What really happened cannot be written."""
