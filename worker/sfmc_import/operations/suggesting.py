"""Names that people type: which of the known ones a mistyped one probably meant."""

import difflib
from collections.abc import Collection

MOST_SUGGESTIONS = 3


def suggestion(word: str, known: Collection[str]) -> str:
    """Say which of the known names are near to a mistyped one; empty if none is."""
    by_lower_case = {each.strip().lower(): each for each in sorted(known)}
    near = difflib.get_close_matches(word.strip().lower(), by_lower_case, n=MOST_SUGGESTIONS)
    return f"did you mean {' or '.join(by_lower_case[each] for each in near)}?" if near else ""
