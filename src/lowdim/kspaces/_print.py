"""The only place of the library from which a function prints, because kspaces' functions do."""


def say(text: object, *, silent: bool = False) -> None:
    """Print a line, unless told to be silent."""
    if not silent:
        print(text)
