"""Keys of a keyboard that scripts and players agree on, by their SDL names in lower case."""

PLAYER_KEYS = frozenset({"space", "return", "enter", "escape", "tab", "/", ".", *(f"f{n}" for n in range(1, 13))})
"""keys that events cannot have, because the player uses or keeps them"""
NAMED_KEYS = ("up", "down", "left", "right", "home", "end", "page up", "page down", "insert", "delete", "backspace")
"""keys of more than one letter that events can have"""
