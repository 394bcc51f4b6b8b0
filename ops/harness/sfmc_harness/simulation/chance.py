"""Random numbers that depend on a seed and a place only: taking one fault away changes no other number."""

_MASK = 2**64 - 1


def unit(seed: int, *place: int) -> float:
    """Give a number from 0 to below 1 for a place."""
    mixed = seed & _MASK
    for number in place:
        mixed = _mix((mixed ^ number) + 0x9E3779B97F4A7C15)
    return (_mix(mixed) >> 11) / 2**53


def below(bound: int, seed: int, *place: int) -> int:
    """Give a whole number from 0 to below the bound for a place."""
    return int(unit(seed, *place) * bound)


def _mix(number: int) -> int:
    """The finalizer of SplitMix64."""
    number &= _MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return number ^ (number >> 31)
