"""The words of the caption grammar: for every label, the many ways a person may put it.

In each list the first entry is the plain word, used most often. Words that could mean two labels are left out
("golden hour" is a time and a colour, "snow-white" a colour and a weather). The held-out words appear in no
training caption; tests use them to see whether meaning carries over.
"""

from typing import Final

Words = dict[str, list[str]]


def _table(**phrases: str) -> Words:
    """Lists of phrases from comma-separated lines, by label."""
    return {label: line.split(", ") for label, line in phrases.items()}


PLACES: Final = _table(
    meadow=(
        "meadow, field, grassland, pasture, green hills, countryside, prairie, grassy hills, wide meadow, "
        "flowering meadow, green fields, farmland, grass"
    ),
    forest=(
        "forest, woods, woodland, pine forest, deep forest, fir trees, thick forest, tall trees, dark forest, "
        "pines, evergreen forest, wood"
    ),
    desert=(
        "desert, dunes, sand dunes, sandy desert, dry desert, sands, badlands, sahara, cactus desert, sandy "
        "plain, canyon land"
    ),
    mountains=(
        "mountains, peaks, mountain range, high mountains, alps, tall mountains, highlands, mountain valley, "
        "rocky peaks, summits, mountain slopes"
    ),
    city=(
        "city, town, big city, city skyline, skyscrapers, city streets, downtown, streets, rooftops of a "
        "city, buildings, houses of the town, street"
    ),
    ocean=("ocean, sea, open ocean, open water, waves, open sea, blue sea, rolling waves, water, high seas, coast"),
)

ACTORS: Final = _table(
    balloon=(
        "balloon, hot air balloon, hot-air balloon, airship balloon, montgolfier, round balloon, striped "
        "balloon, balloon with a basket, gas balloon"
    ),
    bird=(
        "bird, little bird, songbird, sparrow, small bird, flying bird, finch, swallow, gull, plump bird, "
        "feathered bird"
    ),
    plane=(
        "plane, airplane, aeroplane, aircraft, propeller plane, small plane, old plane, biplane, light "
        "aircraft, toy plane"
    ),
    train=(
        "train, steam train, locomotive, railway train, steam engine, steam locomotive, old train, choo-choo "
        "train, railroad engine, little train"
    ),
    boat=(
        "boat, sailboat, sailing boat, ship, sailing ship, yacht, little boat, small boat, dinghy, schooner, "
        "fishing boat"
    ),
    fox=("fox, little fox, vixen, running fox, young fox, fox cub, bushy-tailed fox, clever fox, small fox, wild fox"),
)

COLOURS: Final = _table(
    red=("red, crimson, scarlet, ruby, cherry red, vermilion, bright red, ruby-red, maroon"),
    orange=("orange, amber, tangerine, pumpkin-orange, bright orange, apricot, copper, deep orange"),
    yellow=("yellow, golden, lemon, canary yellow, mustard, gold, bright yellow, lemon-yellow"),
    green=("green, emerald, jade, lime, moss-green, olive, bright green, emerald-green, leaf-green"),
    blue=("blue, azure, navy, cobalt, sapphire, royal blue, bright blue, navy-blue, ultramarine"),
    purple=("purple, violet, lavender, plum, lilac, mauve, deep purple, amethyst, grape-purple"),
    white=("white, ivory, pearl, milk-white, chalk-white, pure white, pearly white, alabaster"),
    black=("black, jet-black, ebony, coal-black, onyx, inky black, raven-black, charcoal black"),
)

SPEEDS: Final = _table(
    slow=("slowly, gently, lazily, at a slow pace, unhurriedly, leisurely, calmly, in no hurry"),
    normal=("steadily, along, onward, at an easy pace, at a steady pace, forward"),
    fast=("fast, quickly, swiftly, at full speed, rapidly, at high speed, in a hurry, speedily"),
)

TIME_NAMES: Final = _table(
    dawn=("dawn, sunrise, daybreak, early morning, first light, morning"),
    day=("day, daytime, midday, noon, daylight, afternoon"),
    dusk=("dusk, sunset, evening, twilight, sundown, nightfall"),
    night=("night, midnight, nighttime, late night, dark night, night time"),
)

TIME_CLAUSES: Final = _table(
    dawn=(
        "at dawn, at sunrise, at daybreak, in the early morning, at first light, as the sun comes up, in the "
        "morning, while the day begins, as the sun rises"
    ),
    day=(
        "by day, in daylight, at midday, during the day, at noon, in the daytime, in bright daylight, in the "
        "middle of the day, in the afternoon, in broad daylight"
    ),
    dusk=(
        "at dusk, at sunset, in the evening, at twilight, at sundown, as the sun goes down, in the evening "
        "glow, while the sun sets, at the end of the day"
    ),
    night=(
        "at night, at midnight, under the stars, in the moonlight, by moonlight, in the dark of night, under "
        "the moon, in the middle of the night, late at night, beneath a starry sky"
    ),
)

TIME_ADJECTIVES: Final = _table(
    dawn=("early-morning, dawn-lit, sunrise"),
    day=("daytime, daylit, midday"),
    dusk=("evening, twilight, sunset"),
    night=("moonlit, starlit, midnight, night-time"),
)

WEATHER_NAMES: Final = _table(
    clear=("clear sky, clear, cloudless sky, clear weather, fine weather, clear skies, sunshine"),
    rain=("rain, drizzle, heavy rain, downpour, storm, showers, pouring rain, thunderstorm"),
    snow=("snow, snowfall, falling snow, snowstorm, blizzard, snowflakes, heavy snow"),
    fog=("fog, mist, haze, thick fog, dense mist, heavy fog, low mist"),
)

WEATHER_CLAUSES: Final = _table(
    clear=(
        "under a clear sky, with a clear sky, in clear weather, under a cloudless sky, in fine weather, with "
        "clear skies, in the sunshine, with clear weather, on a sunny day"
    ),
    rain=(
        "in heavy rain, in the rain, in a drizzle, in a downpour, in a storm, in pouring rain, while it "
        "rains, as rain falls, in rain showers, in a thunderstorm, in a rain storm"
    ),
    snow=(
        "in falling snow, in the snow, while it snows, in a snowstorm, in a blizzard, as snowflakes fall, in "
        "heavy snow, in a snow storm, in a flurry of snow"
    ),
    fog=(
        "in thick fog, in the fog, in the mist, in dense fog, in a haze, wrapped in mist, in heavy fog, while "
        "fog hangs low, through the mist"
    ),
)

WEATHER_ADJECTIVES: Final = _table(
    clear=("clear, cloudless, sunny"),
    rain=("rainy, stormy, drizzly, rain-soaked"),
    snow=("snowy, wintry, snow-covered"),
    fog=("foggy, misty, hazy"),
)

WEATHER_STATEMENTS: Final = _table(
    clear=("the sky is clear, there is not a cloud in the sky, the weather is fine"),
    rain=("it is raining, rain is falling, it pours with rain, raindrops fall"),
    snow=("it is snowing, snow is falling, snowflakes drift down"),
    fog=("it is foggy, fog lies over everything, mist fills the air"),
)

SUNNY: Final = frozenset({"sunny", "sunshine", "in the sunshine", "on a sunny day"})
"""Words for clear weather that no one uses at dusk or at night."""

VERBS: Final = _table(
    balloon=("drifts, floats, flies, glides, hovers, sails"),
    bird=("flies, flaps, glides, soars, wings its way"),
    plane=("flies, soars, cruises, buzzes, glides"),
    train=("rolls, steams, travels, chugs, rides, puffs"),
    boat=("sails, floats, travels, glides, rocks"),
    fox=("trots, runs, walks, jogs, wanders"),
)

AIR_PREPOSITIONS: Final = ("over", "above", "across", "high above")
LAND_PREPOSITIONS: Final = ("through", "across", "past", "in front of", "in")
SEA_PREPOSITIONS: Final = ("on", "across", "over")

BARE_NOUNS: Final = frozenset(
    {"surf", "salt water", "arid land", "grass", "farmland", "open water", "water", "canyon land", "downtown"}
)
"""Nouns without an article, beside plurals."""
SINGULAR_NOUNS: Final = frozenset({"metropolis"})
"""Nouns that end like a plural and are none."""
DEFINITE_NOUNS: Final = frozenset(
    {
        "countryside",
        "sahara",
        "alps",
        "ocean",
        "sea",
        "open ocean",
        "open sea",
        "blue sea",
        "high seas",
        "coast",
        "highlands",
    }
    | {"woods", "sands", "badlands", "rooftops of a city", "houses of the town", "prairie"}
)
"""Nouns that take "the"."""

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
