"""Picks the compiled modules that fit this CPU."""


def available() -> tuple[str, ...]:
    return ()
