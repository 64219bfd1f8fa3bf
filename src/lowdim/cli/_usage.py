"""Arguments that make no sense together."""


class UsageError(ValueError):
    """A mistake in the arguments, which the exit code 2 tells apart from a failure."""
