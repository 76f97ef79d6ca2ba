"""Words for things that are not quite in the world, and the nearest label that is: an eagle is shown as a bird.

Captions never use them, since the renderer draws no eagle; the text encoder learns them so that what people type lands
on something sensible.
"""

from typing import Final

from longtake.model.diorama.words import Words


def _table(**phrases: str) -> Words:
    return {label: line.split(", ") for label, line in phrases.items()}


LOOSE: Final[dict[str, Words]] = {
    "actor": _table(
        balloon="zeppelin, airship, blimp, dirigible, sky balloon, hot air baloon, montgolfiere, ballon",
        bird="eagle, owl, duck, goose, dove, hawk, crow, parrot, seagull, crane, stork, swan, pelican, albatross, "
        "hummingbird, penguin, falcon, woodpecker, magpie, kingfisher, canary, chick, heron, flamingo, wren, toucan",
        plane="jet, airliner, jumbo jet, glider, seaplane, jet plane, fighter plane, helicopter, rocket, spaceship, "
        "spitfire, cessna, drone, airbus, boeing, bomber, monoplane, jetliner",
        train="tram, express, railcar, subway train, bullet train, tank engine, goods train, freight train, wagon, "
        "carriage, trolley, streetcar, express train, metro train, lorry, truck, car, bus",
        boat="canoe, ferry, tugboat, steamboat, pirate ship, kayak, gondola, submarine, catamaran, galleon, rowboat, "
        "cruise ship, barge, "
        "lifeboat, frigate, tanker, clipper, motorboat, viking ship, steamer, junk, longship",
        fox="wolf, dog, coyote, jackal, puppy, hound, cat, animal, beast, creature, raccoon, deer, horse, rabbit, "
        "bear, kitten, squirrel, dingo, husky, lynx, tiger, lion",
    ),
    "place": _table(
        meadow="park, farm, hills, garden, plain, steppe, savanna, moor, pampas, hillside, fields of flowers, lawn, "
        "paddock, vineyard, shire, grassy plains, rolling hills, green valley, pastures",
        forest="jungle, rainforest, taiga, redwoods, bamboo forest, trees, wooded hills, black forest, wilderness, "
        "christmas trees, spruces, conifers, clearing in the woods, undergrowth",
        desert="gobi, outback, mesa, canyon, arizona, egypt, dust bowl, mojave, sandbank, nevada, mars, oasis, "
        "kalahari, "
        "grand canyon, sandy hills",
        mountains="himalayas, rockies, andes, everest, volcano, ridge, hilltop, mont blanc, sierra, mountain, "
        "mountain pass, glacier, tibet, nepal, switzerland, snowcapped peaks, fjords, mount fuji",
        city="new york, london, paris, tokyo, village, suburb, manhattan, berlin, rome, chicago, harbour town, road, "
        "avenue, marketplace, skyline, amsterdam, old town, houses, towers, square, san francisco",
        ocean="pacific, atlantic, lake, bay, harbour, harbor, beach, island, river, lagoon, shore, seashore, pond, "
        "mediterranean, gulf, caribbean, deep sea, coastline, waterway, sound, baltic, estuary",
    ),
    "colour": _table(
        red="rose, brick-red, burgundy, wine-red, rosy, strawberry, fiery, cherry, tomato",
        orange="brown, rust, bronze, rusty, peach, terracotta, tan, coral, chestnut, ginger, caramel",
        yellow="sunny yellow, blonde, sand-coloured, honey, straw, saffron, khaki",
        green="mint, forest-green, sea-green, pistachio, avocado, turf-green, chartreuse",
        blue="teal, turquoise, cyan, aqua, indigo, sky-blue, light blue, dark blue, aquamarine, steel-blue",
        purple="pink, magenta, fuchsia, hot pink, maroon-purple, purply, wine-coloured, heather",
        white="grey, gray, silver, cream, pale, snow-coloured, colourless, silvery, beige",
        black="dark, midnight-black, soot, shadowy, dark grey, inky",
    ),
    "time": _table(
        dawn="dawning day, the morning, cockcrow, sunup, early light, daybreak hour, breakfast time",
        day="the day, bright day, lunchtime, full daylight, high noon, daylight hours",
        dusk="gloaming, the evening, eventide, setting sun, late evening, sunset hour, nightfall",
        night="nite, the night, the dead of night, starry night, moonlight, full moon, night sky, bedtime, darkness",
    ),
    "weather": _table(
        clear="bright weather, fair weather, blue sky, blue skies, no clouds, good weather, clear air, bright sky",
        rain="rainy weather, wet weather, thunder, lightning, monsoon, cloudburst, rainy day, sprinkles, "
        "thundery rain, "
        "rainstorm, hail, hurricane, typhoon, bad weather",
        snow="snowy weather, winter, wintry weather, frost, christmas snow, snow flurry, snow flurries, sleet, ice, "
        "freezing cold, deep winter, powder snow",
        fog="foggy weather, misty weather, smog, smoke, low clouds, overcast, cloudy weather, murk, pea soup, "
        "drizzly mist, "
        "grey haze, clouds",
    ),
}
"""Phrases by kind and label; the first of each is the plainest."""
