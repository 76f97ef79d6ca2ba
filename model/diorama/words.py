"""The words of the caption grammar: for every label, the many ways a person may put it.

In each list the first entry is the plain word, used most often. Words that could mean two labels are left out
("golden hour" is a time and a colour, "snow-white" a colour and a weather).
"""

from typing import Final

Words = dict[str, list[str]]


def _table(**phrases: str) -> Words:
    """Lists of phrases from comma-separated lines, by label."""
    return {label: line.split(", ") for label, line in phrases.items()}


PLACES: Final = _table(
    meadow=(
        "meadow, field, grassland, pasture, green hills, countryside, prairie, grassy hills, wide meadow, "
        "flowering meadow, green fields, farmland, grass, meadows, fields, flower meadow, wildflower meadow, "
        "grassy plain, grassy meadow, open field, open country, rolling countryside, rolling meadows, farm "
        "country, rural land, hay meadow, sheep pasture, pastureland, windmill country, windmill hills, green "
        "countryside, lush meadow, flowery field, field of flowers, grasslands, gentle hills, village green, "
        "hilly meadow, clover field"
    ),
    forest=(
        "forest, woods, woodland, pine forest, deep forest, fir trees, thick forest, tall trees, dark forest, "
        "pines, evergreen forest, wood, forests, fir forest, pine wood, pine woods, pine trees, conifer "
        "forest, dense forest, dense woods, deep woods, wild woods, old forest, ancient forest, fairy-tale "
        "forest, enchanted forest, mossy forest, quiet forest, shady forest, shady woods, tall pines, tall "
        "firs, wall of trees, wooded land, timberland, fir wood, mushroom forest, northern forest, tangle of "
        "trees"
    ),
    desert=(
        "desert, dunes, sand dunes, sandy desert, dry desert, sands, badlands, sahara, cactus desert, sandy "
        "plain, canyon land, deserts, desert sands, desert dunes, rolling dunes, wind-blown dunes, wind-blown "
        "sand, sand, hot desert, hot sands, burning sands, dry land, barren land, barren desert, wide desert, "
        "rocky desert, mesas, mesa country, red rocks, cactus land, cacti, pyramids, land of the pyramids, "
        "egyptian desert, arabian desert, wild west, sandy wilderness, sand hills, parched land"
    ),
    mountains=(
        "mountains, peaks, mountain range, high mountains, alps, tall mountains, highlands, mountain valley, "
        "rocky peaks, summits, mountain slopes, snowy peaks, snow-capped mountains, snow-capped peaks, "
        "mountain peaks, mountain tops, mountainside, mountain landscape, mountain country, mountain path, "
        "mountain trail, alpine valley, alpine path, alpine landscape, great peaks, high peaks, steep "
        "mountains, steep slopes, rocky mountains, rocky slopes, crags, massif, high country, chain of "
        "mountains, mountain chain, mountain ridges, craggy peaks, jagged peaks, stony peaks"
    ),
    city=(
        "city, town, big city, city skyline, skyscrapers, city streets, downtown, streets, rooftops of a "
        "city, buildings, houses of the town, street, cities, busy city, great city, large city, city centre, "
        "city center, town centre, town center, city street, town street, main street, high street, city "
        "blocks, tall buildings, high-rises, office towers, apartment blocks, row of houses, street of "
        "houses, street with lamps, boulevard, urban landscape, urban scene, cityscape, townscape, capital, "
        "rooftops"
    ),
    ocean=(
        "ocean, sea, open ocean, open water, waves, open sea, blue sea, rolling waves, water, high seas, "
        "coast, oceans, seas, wide sea, wide ocean, deep ocean, blue ocean, blue water, deep water, deep blue "
        "sea, sea waves, ocean waves, swell, big waves, tall waves, rolling sea, choppy sea, choppy water, "
        "calm sea, foaming waves, seven seas, seascape, watery world, lighthouse coast, sea with a "
        "lighthouse, islands in the sea, tropical sea, rolling ocean, salty sea"
    ),
)

ACTORS: Final = _table(
    balloon=(
        "balloon, hot air balloon, hot-air balloon, airship balloon, montgolfier, round balloon, striped "
        "balloon, balloon with a basket, gas balloon, big balloon, great balloon, giant balloon, huge "
        "balloon, little balloon, small balloon, old balloon, floating balloon, drifting balloon, flying "
        "balloon, rising balloon, festival balloon, passenger balloon, fire balloon, free balloon, toy "
        "balloon, air balloon, balloon craft, wicker-basket balloon, stripy balloon, paper balloon"
    ),
    bird=(
        "bird, little bird, songbird, sparrow, small bird, flying bird, finch, swallow, gull, plump bird, "
        "feathered bird, tiny bird, big bird, young bird, wild bird, pretty bird, cute bird, round bird, fat "
        "bird, happy bird, singing bird, flapping bird, soaring bird, winged bird, bird in flight, garden "
        "bird, baby bird, lark, thrush, starling, chirping bird, warbler, chaffinch, titmouse, cuckoo, paper "
        "bird"
    ),
    plane=(
        "plane, airplane, aeroplane, aircraft, propeller plane, small plane, old plane, biplane, light "
        "aircraft, toy plane, little plane, tiny plane, flying machine, propeller airplane, propeller "
        "aeroplane, prop plane, small aircraft, small airplane, light plane, sports plane, sport plane, stunt "
        "plane, mail plane, vintage plane, vintage aircraft, old-fashioned plane, classic airplane, "
        "single-engine plane, toy airplane, paper plane, model plane, pilot's plane"
    ),
    train=(
        "train, steam train, locomotive, railway train, steam engine, steam locomotive, old train, choo-choo "
        "train, railroad engine, little train, small train, toy train, long train, passenger train, country "
        "train, branch-line train, vintage train, old-fashioned train, classic locomotive, puffing train, "
        "puffing engine, smoking locomotive, choo choo, choo-choo, railroad train, rail train, steam-powered "
        "train, little locomotive, old locomotive, coal train, train with a coach, little engine"
    ),
    boat=(
        "boat, sailboat, sailing boat, ship, sailing ship, yacht, little boat, small boat, dinghy, schooner, "
        "fishing boat, tiny boat, big boat, toy boat, old boat, wooden boat, boat with sails, ship with "
        "sails, sailing yacht, two-masted boat, sailing craft, sailing dinghy, little ship, small ship, tall "
        "ship, old ship, wooden ship, toy ship, little sailboat, small sailboat, ketch, cutter, skiff, racing "
        "yacht"
    ),
    fox=(
        "fox, little fox, vixen, running fox, young fox, fox cub, bushy-tailed fox, clever fox, small fox, "
        "wild fox, baby fox, fox kit, cute fox, sly fox, cunning fox, big fox, swift fox, quick fox, nimble "
        "fox, playful fox, trotting fox, happy fox, pretty fox, lone fox, hunting fox, storybook fox, mother "
        "fox, fluffy fox, furry fox"
    ),
)

COLOURS: Final = _table(
    red=(
        "red, crimson, scarlet, ruby, cherry red, vermilion, bright red, ruby-red, maroon, deep red, dark "
        "red, light red, vivid red, fire-engine red, fire red, tomato red, brick red, rose red, poppy red, "
        "strawberry red, lipstick red, reddish, signal red, cherry-coloured, berry red, apple-red"
    ),
    orange=(
        "orange, amber, tangerine, pumpkin-orange, bright orange, apricot, copper, deep orange, dark orange, "
        "light orange, vivid orange, pale orange, pumpkin, pumpkin-coloured, mandarin, clementine, carrot "
        "orange, terracotta orange, flame-orange, burnt orange, orange-coloured, ochre-orange, peach-orange, "
        "rusty orange, tangerine-coloured, persimmon"
    ),
    yellow=(
        "yellow, golden, lemon, canary yellow, mustard, gold, bright yellow, lemon-yellow, deep yellow, light "
        "yellow, pale yellow, vivid yellow, sunflower yellow, sun-yellow, canary, butter-yellow, corn-yellow, "
        "mustard yellow, golden yellow, yellow-gold, daffodil yellow, lemon-coloured, gold-coloured, "
        "honey-yellow, primrose yellow, maize"
    ),
    green=(
        "green, emerald, jade, lime, moss-green, olive, bright green, emerald-green, leaf-green, deep green, "
        "dark green, light green, pale green, vivid green, lime green, olive green, apple green, pea green, "
        "bottle green, fern green, jade-green, clover-green, frog-green, parrot-green, spring green, "
        "green-coloured"
    ),
    blue=(
        "blue, azure, navy, cobalt, sapphire, royal blue, bright blue, navy-blue, ultramarine, deep blue, "
        "vivid blue, pale blue, cobalt blue, sapphire blue, azure blue, electric blue, cornflower blue, "
        "ink-blue, denim blue, peacock blue, enamel blue, blueberry, blueberry blue, prussian blue, "
        "blue-coloured, marine blue"
    ),
    purple=(
        "purple, violet, lavender, plum, lilac, mauve, deep purple, amethyst, grape-purple, dark purple, "
        "light purple, bright purple, vivid purple, pale purple, royal purple, grape, plum-coloured, "
        "violet-coloured, lavender-coloured, deep violet, lilac-coloured, purple-coloured, mulberry, eggplant "
        "purple, iris purple, byzantium"
    ),
    white=(
        "white, ivory, pearl, milk-white, chalk-white, pure white, pearly white, alabaster, bright white, "
        "plain white, all-white, clean white, brilliant white, gleaming white, paper-white, cloud-white, "
        "porcelain white, lily-white, swan-white, ivory-coloured, pearl-white, creamy white, white-painted, "
        "cotton-white, dove-white, sugar-white"
    ),
    black=(
        "black, jet-black, ebony, coal-black, onyx, inky black, raven-black, charcoal black, deep black, pure "
        "black, all-black, plain black, glossy black, shiny black, dark black, coal-coloured, ink-black, "
        "crow-black, tar-black, black-painted, charcoal, ebony black, onyx black, liquorice black, "
        "lacquer-black, sable"
    ),
)

SPEEDS: Final = _table(
    slow=(
        "slowly, gently, lazily, at a slow pace, unhurriedly, leisurely, calmly, in no hurry, very slowly, "
        "quite slowly, slow, at low speed, at a leisurely pace, at a gentle pace, taking its time, without "
        "haste, without hurry, sluggishly, at a snail's pace, softly and slowly, peacefully, idly, in slow "
        "motion, dawdling"
    ),
    normal=(
        "steadily, along, onward, at an easy pace, at a steady pace, forward, at a medium pace, at an even "
        "pace, onwards, ahead, on its way, as usual, smoothly, evenly, at its own pace, at a moderate pace, "
        "at a regular pace, straight on"
    ),
    fast=(
        "fast, quickly, swiftly, at full speed, rapidly, at high speed, in a hurry, speedily, very fast, at "
        "top speed, at great speed, at a fast pace, in haste, hastily, racing along, at full tilt, with all "
        "speed, like the wind, in a rush, speeding along, at a gallop, briskly, flat out, at a quick pace"
    ),
)

TIME_NAMES: Final = _table(
    dawn=(
        "dawn, sunrise, daybreak, early morning, first light, morning, crack of dawn, early dawn, rosy dawn, "
        "morning light, dawn light, pink dawn, breaking dawn, sun-up, early in the morning, morning glow"
    ),
    day=(
        "day, daytime, midday, noon, daylight, afternoon, broad daylight, bright daylight, bright day light, "
        "middle of the day, noontime, noonday, early afternoon, day time, full day, day light"
    ),
    dusk=(
        "dusk, sunset, evening, twilight, sundown, nightfall, early evening, evening light, evening glow, "
        "sunset light, sunset glow, red sunset, fading light, evening sun, dusky light, end of the day"
    ),
    night=(
        "night, midnight, nighttime, late night, dark night, night time, deep night, starlit night, moonlit "
        "night, clear dark night, night-time, small hours, dark hours, night hours, moonlit hour, quiet night"
    ),
)

TIME_CLAUSES: Final = _table(
    dawn=(
        "at dawn, at sunrise, at daybreak, in the early morning, at first light, as the sun comes up, in the "
        "morning, while the day begins, as the sun rises, at the crack of dawn, in the morning light, in the "
        "light of dawn, early in the morning, as dawn breaks, when the sun rises, as the morning begins, in "
        "the pink of dawn, in the first light, while the sun rises, as a new day begins, at sun-up, in the "
        "dawn glow, under a dawn sky, under a morning sky, with the rising sun behind, as morning breaks"
    ),
    day=(
        "by day, in daylight, at midday, during the day, at noon, in the daytime, in bright daylight, in the "
        "middle of the day, in the afternoon, in broad daylight, at noontime, around noon, around midday, in "
        "the early afternoon, in plain daylight, during the afternoon, during daytime, by daylight, with the "
        "sun high up, while the sun is high, in the light of day, at the height of day, under a midday sky, "
        "under the noon sky, in the noonday light, while it is day"
    ),
    dusk=(
        "at dusk, at sunset, in the evening, at twilight, at sundown, as the sun goes down, in the evening "
        "glow, while the sun sets, at the end of the day, at nightfall, in the twilight, in the evening "
        "light, in the sunset light, in the early evening, as the sun sets, as evening falls, as dusk falls, "
        "when the sun sets, in the glow of sunset, in the fading light, with the setting sun behind, under a "
        "sunset sky, under an evening sky, under a red evening sky, in the last light, as daylight fades"
    ),
    night=(
        "at night, at midnight, under the stars, in the moonlight, by moonlight, in the dark of night, under "
        "the moon, in the middle of the night, late at night, beneath a starry sky, in the night, during the "
        "night, by night, in the dark, after dark, in the small hours, under a starry sky, under a night sky, "
        "beneath the moon, beneath the stars, by starlight, in the starlight, under a crescent moon, while "
        "the moon shines, while the stars shine, in darkness"
    ),
)

TIME_ADJECTIVES: Final = _table(
    dawn=("early-morning, dawn-lit, sunrise, morning, dawn, rosy-lit, first-light"),
    day=("daytime, daylit, midday, noon, afternoon, noonday, day-lit"),
    dusk=("evening, twilight, sunset, dusk, sundown, dusky, sunset-lit"),
    night=("moonlit, starlit, midnight, night-time, nighttime, night, moon-lit, star-lit"),
)

WEATHER_NAMES: Final = _table(
    clear=(
        "clear sky, clear, cloudless sky, clear weather, fine weather, clear skies, sunshine, dry weather, "
        "cloudless, open sky, calm weather, clean air, nice weather, bright clear air, fine dry weather, fair "
        "skies, bright sunshine"
    ),
    rain=(
        "rain, drizzle, heavy rain, downpour, storm, showers, pouring rain, thunderstorm, rainfall, light "
        "rain, steady rain, rain shower, rain showers, raindrops, driving rain, rainstorms, rain clouds, "
        "lashing rain, stormy weather, wet rain, hard rain"
    ),
    snow=(
        "snow, snowfall, falling snow, snowstorm, blizzard, snowflakes, heavy snow, light snow, fresh snow, "
        "thick snow, soft snow, driving snow, snow showers, flakes of snow, drifting snow, snowing, whirling "
        "snow, big snowflakes, steady snow, deep snow"
    ),
    fog=(
        "fog, mist, haze, thick fog, dense mist, heavy fog, low mist, dense fog, thick mist, light fog, fog "
        "banks, banks of fog, drifting fog, drifting mist, grey fog, swirling mist, rolling fog, veils of "
        "mist, ground fog, foggy air, misty air"
    ),
)

WEATHER_CLAUSES: Final = _table(
    clear=(
        "under a clear sky, with a clear sky, in clear weather, under a cloudless sky, in fine weather, with "
        "clear skies, in the sunshine, with clear weather, on a sunny day, under clear skies, beneath a clear "
        "sky, in dry weather, in calm weather, in nice weather, without a cloud in sight, with no rain at "
        "all, under an open sky, with the sun out, in bright sunshine, in clean clear air, under cloudless "
        "skies, with a cloudless sky, in fine dry weather, as the sky is clear, while the sky is clear, under "
        "fair skies"
    ),
    rain=(
        "in heavy rain, in the rain, in a drizzle, in a downpour, in a storm, in pouring rain, while it "
        "rains, as rain falls, in rain showers, in a thunderstorm, in a rain storm, in light rain, in steady "
        "rain, in driving rain, in the pouring rain, through the rain, through heavy rain, through a storm, "
        "while rain pours down, while it pours, as it rains, as the rain comes down, under rain clouds, in a "
        "rain shower, in stormy weather, in rainy weather, with rain falling, in lashing rain"
    ),
    snow=(
        "in falling snow, in the snow, while it snows, in a snowstorm, in a blizzard, as snowflakes fall, in "
        "heavy snow, in a snow storm, in a flurry of snow, in light snow, in thick snow, through the snow, "
        "through falling snow, through a snowstorm, through a blizzard, as it snows, as snow falls, while "
        "snow falls, while snowflakes drift down, with snow falling, with snow on the ground, in fresh snow, "
        "in drifting snow, in driving snow, in snowy weather, in a snowfall, under falling snow"
    ),
    fog=(
        "in thick fog, in the fog, in the mist, in dense fog, in a haze, wrapped in mist, in heavy fog, while "
        "fog hangs low, through the mist, through the fog, through thick fog, in fog, in mist, in a thick "
        "mist, in dense mist, in drifting mist, in a bank of fog, through banks of fog, as fog rolls in, as "
        "mist rises, while mist drifts by, wrapped in fog, hidden in fog, half hidden in mist, in foggy "
        "weather, with fog all around, in a grey haze, in rolling fog"
    ),
)

WEATHER_ADJECTIVES: Final = _table(
    clear=("clear, cloudless, sunny, clear-skied, sunlit, fair-weather"),
    rain=("rainy, stormy, drizzly, rain-soaked, rain-swept, dripping, wet, rain-washed"),
    snow=("snowy, wintry, snow-covered, snow-clad, snowbound, snow-dusted, white-covered, wintery"),
    fog=("foggy, misty, hazy, fog-bound, mist-covered, fogged, mist-veiled, fog-covered"),
)

WEATHER_STATEMENTS: Final = _table(
    clear=(
        "the sky is clear, there is not a cloud in the sky, the weather is fine, the weather is clear, the "
        "skies are clear, the air is clear, no rain is in sight, the weather is calm and clear"
    ),
    rain=(
        "it is raining, rain is falling, it pours with rain, raindrops fall, it rains, it is raining hard, "
        "rain pours down, the rain comes down, a storm is raging, it drizzles, a rain shower passes"
    ),
    snow=(
        "it is snowing, snow is falling, snowflakes drift down, it snows, it is snowing hard, snow lies on "
        "the ground, a snowstorm is blowing, snow comes down, big flakes are falling, everything is covered "
        "in snow"
    ),
    fog=(
        "it is foggy, fog lies over everything, mist fills the air, it is misty, the fog is thick, fog has "
        "rolled in, mist hangs in the air, thick fog hides the view, fog drifts by"
    ),
)

SUNNY: Final = frozenset(
    {"sunny", "sunshine", "in the sunshine", "on a sunny day", "sunlit", "with the sun out", "in bright sunshine"}
    | {"bright sunshine", "bright clear air"}
)
"""Words for clear weather that no one uses at dusk or at night."""

VERBS: Final = _table(
    balloon=("drifts, floats, flies, glides, hovers, sails, soars, hangs, wafts, travels, drifts along, floats along"),
    bird=("flies, flaps, glides, soars, wings its way, flutters, swoops, flits, wheels, darts, travels, sails"),
    plane=("flies, soars, cruises, buzzes, glides, hums, drones, roars, wings, travels, sweeps, swoops"),
    train=("rolls, steams, travels, chugs, rides, puffs, rattles, clatters, rumbles, huffs and puffs, goes, drives"),
    boat=("sails, floats, travels, glides, rocks, cruises, bobs, drifts, rides, skims, goes, makes its way"),
    fox=("trots, runs, walks, jogs, wanders, lopes, scampers, strolls, hurries, roams, travels, patters"),
)

AIR_PREPOSITIONS: Final = ("over", "above", "across", "high above")
LAND_PREPOSITIONS: Final = ("through", "across", "past", "in front of", "in")
SEA_PREPOSITIONS: Final = ("on", "across", "over")

BARE_NOUNS: Final = frozenset(
    {"surf", "salt water", "arid land", "grass", "farmland", "open water", "water", "canyon land", "downtown"}
    | {"open country", "farm country", "rural land", "pastureland", "windmill country", "wooded land", "timberland"}
    | {"sand", "dry land", "barren land", "mesa country", "cactus land", "cacti", "parched land", "mountain country"}
    | {"high country", "wind-blown sand", "blue water", "deep water", "choppy water", "main street"}
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
    | {"rolling countryside", "green countryside", "village green", "deep woods", "wild woods", "desert sands"}
    | {"burning sands", "land of the pyramids", "egyptian desert", "arabian desert", "wild west", "mountainside"}
    | {"city centre", "city center", "town centre", "town center", "high street", "capital", "blue ocean", "wide sea"}
    | {"wide ocean", "deep ocean", "deep blue sea", "rolling sea", "rolling ocean", "seven seas", "salty sea"}
)
"""Nouns that take "the"."""
