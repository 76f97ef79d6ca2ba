"""Words that no training caption uses; tests use them to see whether meaning carries over."""

from typing import Final

from longtake.model.diorama.words import Words

HELD_OUT: Final[dict[str, Words]] = {
    "place": {
        "meadow": ["lea", "grassy field", "hilly farmland"],
        "forest": ["grove", "thicket", "spruce trees"],
        "desert": ["sandy wasteland", "arid land", "dry sands"],
        "mountains": ["mountain pass", "alpine peaks", "cliffs"],
        "city": ["metropolis", "urban street", "town houses"],
        "ocean": ["seaside", "surf", "salt water"],
    },
    "time": {
        "dawn": ["at the break of day", "at cockcrow", "just after sunrise"],
        "day": ["at lunchtime", "in full daylight", "at high noon"],
        "dusk": ["at the close of day", "after sundown", "in the late evening"],
        "night": ["in the dead of night", "under moon and stars", "after midnight"],
    },
    "weather": {
        "clear": ["with no clouds at all", "in lovely weather", "beneath a spotless sky"],
        "rain": ["in a cloudburst", "in wet weather", "under raindrops"],
        "snow": ["amid snowflakes", "in wintry weather", "under a snow flurry"],
        "fog": ["in a pea soup", "in misty weather", "behind a veil of fog"],
    },
    "actor": {
        "balloon": ["aerostat", "big air balloon", "hot air ballon"],
        "bird": ["pigeon", "robin", "birdie"],
        "plane": ["propeller aircraft", "aviator's plane", "air plane"],
        "train": ["railway engine", "steam railway", "loco"],
        "boat": ["sloop", "sail boat", "vessel"],
        "fox": ["foxie", "bushy fox", "fluffy fox cub"],
    },
    "colour": {
        "red": ["blood-red", "cardinal red", "carmine"],
        "orange": ["carrot-coloured", "orangey", "marigold orange"],
        "yellow": ["banana yellow", "yellowish", "buttercup yellow"],
        "green": ["grass-green", "shamrock", "greenish"],
        "blue": ["cerulean", "bluish", "indigo blue"],
        "purple": ["aubergine", "purplish", "orchid"],
        "white": ["whitish", "bone white", "eggshell white"],
        "black": ["obsidian", "soot-black", "pitch black"],
    },
    "speed": {
        "slow": ["at a crawl", "ever so slowly"],
        "normal": ["at an ordinary pace", "at normal speed"],
        "fast": ["at breakneck speed", "as fast as it can"],
    },
}
