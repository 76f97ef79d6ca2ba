"""Words for things that are not quite in the world, and the nearest label that is: an eagle is shown as a bird.

Captions never use them, since the renderer draws no eagle; the text encoder learns them so that what people type lands
on something sensible. None of `held_out_words` is among them.
"""

from typing import Final

from longtake.model.diorama.words import Words


def _table(**phrases: str) -> Words:
    return {label: line.split(", ") for label, line in phrases.items()}


LOOSE: Final[dict[str, Words]] = {
    "actor": _table(
        balloon=(
            "zeppelin, airship, blimp, dirigible, sky balloon, hot air baloon, montgolfiere, ballon, ballooning, "
            "balloonist, balloon basket, weather balloon, helium balloon, observation balloon, parachute, paraglider, "
            "hot-air airship, lighter-than-air craft, balloons, gondola of a balloon, aeronaut"
        ),
        bird=(
            "eagle, owl, duck, goose, dove, hawk, crow, parrot, seagull, crane, stork, swan, pelican, albatross, "
            "hummingbird, penguin, falcon, woodpecker, magpie, kingfisher, canary, chick, heron, flamingo, wren, "
            "toucan, blackbird, bluebird, nightingale, blue tit, jay, jackdaw, rook, raven, vulture, condor, osprey, "
            "kestrel, buzzard, turkey, rooster, hen, chicken, peacock, ostrich, puffin, tern, cormorant, oriole, "
            "bunting, linnet, goldfinch, bullfinch, skylark, martin, swift bird, cockatoo, budgie, macaw, egret, "
            "ibis, quail, pheasant, partridge, grouse, nuthatch, wagtail, feathered friend, fledgling, nestling, "
            "fowl, birds, songbirds, butterfly, dragonfly"
        ),
        plane=(
            "jet, airliner, jumbo jet, glider, seaplane, jet plane, fighter plane, helicopter, rocket, spaceship, "
            "spitfire, cessna, airbus, boeing, bomber, monoplane, jetliner, triplane, floatplane, warplane, passenger "
            "plane, cargo plane, crop duster, sailplane, microlight, ultralight, chopper, airmail plane, flying boat, "
            "aviator, flyer, winged machine, concorde, tiger moth, planes, airplanes, fighter jet, private jet, ufo, "
            "flying saucer, space shuttle, autogyro, hang glider"
        ),
        train=(
            "tram, express, railcar, subway train, bullet train, tank engine, goods train, freight train, wagon, "
            "carriage, trolley, streetcar, express train, metro train, lorry, truck, car, bus, steamer on rails, rail "
            "engine, engine on rails, railroad locomotive, locomotives, trains, orient express, flying scotsman, "
            "night train, sleeper train, commuter train, high-speed train, monorail, funicular, cable car, tramway, "
            "railroad, railway, rail carriage, tender engine, diesel engine, shunter, subway, tube train, taxi, van, "
            "tractor, motorbike, bicycle, bike, cart, coach, automobile, jeep, tank, vehicle, caravan, fire engine, "
            "racing car, scooter"
        ),
        boat=(
            "canoe, ferry, tugboat, steamboat, pirate ship, kayak, gondola, submarine, catamaran, galleon, rowboat, "
            "cruise ship, barge, lifeboat, frigate, tanker, clipper, motorboat, viking ship, steamer, junk, longship, "
            "brig, brigantine, caravel, corvette, trawler, trimaran, punt, raft, houseboat, paddle steamer, "
            "speedboat, cruiser, warship, battleship, destroyer, aircraft carrier, container ship, ocean liner, "
            "windjammer, lugger, dhow, felucca, sampan, coracle, tall-masted ship, three-master, square-rigger, "
            "regatta boat, galley, boats, ships, sails, watercraft, whaler, tug, hovercraft, whale, dolphin, shark, "
            "sea turtle"
        ),
        fox=(
            "wolf, dog, coyote, jackal, puppy, hound, cat, animal, beast, creature, raccoon, deer, horse, rabbit, "
            "bear, kitten, squirrel, dingo, husky, lynx, tiger, lion, arctic fox, desert fox, fennec, red-tailed fox, "
            "reynard, foxes, wolf cub, pup, terrier, spaniel, corgi, collie, retriever, badger, otter, beaver, "
            "weasel, stoat, ferret, marten, hare, hedgehog, mouse, rat, mole, elk, moose, stag, doe, fawn, reindeer, "
            "antelope, gazelle, pony, donkey, mule, cow, bull, sheep, lamb, goat, pig, boar, elephant, giraffe, "
            "zebra, camel, monkey, panda, leopard, cheetah, panther, puma, cougar, hyena, kangaroo, koala, wild "
            "animal, critter, four-legged friend, furry animal"
        ),
    ),
    "place": _table(
        meadow=(
            "park, farm, hills, garden, plain, steppe, savanna, moor, pampas, hillside, fields of flowers, lawn, "
            "paddock, vineyard, shire, grassy plains, rolling hills, green valley, pastures, downs, heath, moorland, "
            "savannah, fen, marsh, wheat field, corn field, cornfield, rice field, rice paddies, tulip field, poppy "
            "field, lavender field, sunflower field, orchard, ranch, farmstead, barnyard, rural landscape, croft, "
            "dale, glen, valley, veld, tundra, golf course, football pitch, playing field, bushland, clearing, "
            "hayfield, greensward, leas, meadowland, croplands, ploughed field, windmills, dandelions, daisies, "
            "buttercup field, grass plain, green plain, knoll, foothills, ireland, scotland, netherlands, tuscany, "
            "prairies"
        ),
        forest=(
            "jungle, rainforest, taiga, redwoods, bamboo forest, trees, wooded hills, black forest, wilderness, "
            "christmas trees, spruces, conifers, clearing in the woods, undergrowth, copse, coppice, spinney, "
            "woodlands, beech wood, oak wood, birch wood, birches, oaks, cedars, larches, willows, maples, bosk, "
            "greenwood, sherwood forest, mangrove, swamp, tree trunks, bushes, shrubs, shrubbery, underwood, "
            "brushwood, stand of trees, clump of trees, tree-lined path, leafy trees, foliage, forest path, forest "
            "trail, forest floor, backwoods, amazon, boreal forest, firs, sequoias, evergreens, tree tops, "
            "plantation, arboretum, weald, autumn woods, haunted forest, magic forest"
        ),
        desert=(
            "gobi, outback, mesa, canyon, arizona, egypt, dust bowl, mojave, sandbank, nevada, mars, oasis, kalahari, "
            "grand canyon, sandy hills, arabia, death valley, monument valley, namib, negev, atacama, sinai, sand "
            "sea, sandscape, sandpit, dry plain, dry lake, salt flats, wasteland, waste land, barrens, arid plain, "
            "arid hills, scrubland, red sands, dusty plain, dusty road, quarry, alien planet, tatooine, crater, "
            "morocco, utah, new mexico, texas, sphinx, camels' land, caravan route, sunbaked land, scorched earth, "
            "drought land, sandstone, buttes, saguaros, cactuses, tumbleweeds, sand plain"
        ),
        mountains=(
            "himalayas, rockies, andes, everest, volcano, ridge, hilltop, mont blanc, sierra, mountain, glacier, "
            "tibet, nepal, switzerland, snowcapped peaks, fjords, mount fuji, matterhorn, kilimanjaro, pyrenees, "
            "dolomites, carpathians, caucasus, urals, appalachians, patagonia, austria, tyrol, norway, bavaria, "
            "iceland, cordillera, escarpment, precipice, gorge, ravine, rock face, crag, bluff, stony slopes, scree, "
            "plateau, tableland, pinnacles, spires of rock, hill country, uplands, alp, mountaintop, summit, peak, "
            "ski slopes, ski resort, mountain village, rocky heights, heights, snowy mountains, icy peaks, mountain "
            "wall, high valley"
        ),
        city=(
            "new york, london, paris, tokyo, village, suburb, manhattan, berlin, rome, chicago, harbour town, road, "
            "avenue, marketplace, skyline, amsterdam, old town, houses, towers, square, san francisco, los angeles, "
            "hong kong, shanghai, beijing, moscow, madrid, barcelona, lisbon, prague, vienna, sydney, dubai, mumbai, "
            "istanbul, venice, boston, seattle, toronto, megacity, megalopolis, gotham, urban area, urban jungle, "
            "neighbourhood, neighborhood, district, borough, municipality, plaza, alley, alleyway, highway, motorway, "
            "crossroads, intersection, traffic lights, shopping street, market, railway station, airport, factory, "
            "factories, chimneys, industrial area, church, cathedral, apartments, tenements, terraces of houses, "
            "bridge, city lights, neon lights, neon city, cyberpunk city, roofs, metropolitan area, financial "
            "district, small town, hamlet, settlement, blocks of flats"
        ),
        ocean=(
            "pacific, atlantic, lake, bay, harbour, harbor, beach, island, river, lagoon, shore, seashore, pond, "
            "mediterranean, gulf, caribbean, deep sea, coastline, waterway, sound, baltic, estuary, arctic ocean, "
            "indian ocean, north sea, english channel, black sea, aegean, adriatic, hawaii, maldives, sea shore, "
            "oceanside, waterfront, pier, jetty, quay, dock, port, marina, cove, inlet, fjord, strait, channel, "
            "canal, stream, brook, creek, waterfall, reef, coral reef, atoll, underwater, breakers, billows, "
            "whitecaps, sea foam, open waters, waters, high tide, wavy water, wave crests, seawater, sandy beach, "
            "pebble beach, tropical beach, palm beach, lighthouse, reservoir, loch, rapids"
        ),
    ),
    "colour": _table(
        red=(
            "rose, brick-red, burgundy, wine-red, rosy, strawberry, fiery, cherry, tomato, garnet, claret, cerise, "
            "oxblood, sanguine, rouge, raspberry, cranberry, chilli red, paprika, ferrari red, ruby-coloured, "
            "cinnabar, rust red, flame red, ruddy, redder, postbox red, beetroot red, currant red, scarlet-red, "
            "crimson-red, barn red, venetian red, candy-apple red, lava red, pillar-box red, reddened, madder, "
            "alizarin"
        ),
        orange=(
            "brown, rust, bronze, rusty, peach, terracotta, tan, coral, chestnut, ginger, caramel, tangerine orange, "
            "cinnamon, hazel, auburn, russet, salmon, sienna, umber, sepia, chocolate, coffee, copper-coloured, "
            "papaya, mango, nectarine, satsuma, sunset orange, fox-coloured, neon orange, safety orange, orangish, "
            "more orange, cantaloupe, carroty, brownish, mahogany, amber-coloured, apricot orange, traffic-cone "
            "orange, titian"
        ),
        yellow=(
            "sunny yellow, blonde, sand-coloured, honey, straw, saffron, khaki, blond, flaxen, gilded, citrine, "
            "topaz, lemony, mustardy, cheese yellow, custard, egg-yolk yellow, buttery, vanilla, ochre yellow, "
            "wheat-coloured, corn-coloured, taxi yellow, neon yellow, brassy, brass, golden-haired, chick yellow, "
            "sulphur yellow, amber yellow, yellower, more yellow, pineapple, goldenrod, jonquil, sunshine yellow"
        ),
        green=(
            "mint, forest-green, sea-green, pistachio, avocado, turf-green, chartreuse, viridian, malachite, verdant, "
            "kelly green, hunter green, racing green, army green, mossy, sage green, ivy green, basil green, "
            "olive-coloured, pine green, cactus green, cucumber, kiwi, lettuce, spinach, celery, pea-coloured, neon "
            "green, grassy green, emerald-coloured, jade-coloured, limey, leafy green, crocodile green, greener, more "
            "green, fir green, seaweed, asparagus, pear green, beryl, peridot, absinthe, verdigris"
        ),
        blue=(
            "teal, turquoise, cyan, aqua, indigo, sky-blue, light blue, dark blue, aquamarine, steel-blue, lapis, "
            "lapis lazuli, baby blue, powder blue, midnight blue, navy-coloured, cyan blue, ice blue, ocean blue, sea "
            "blue, periwinkle, delft blue, forget-me-not blue, bluebell blue, gentian blue, jeans blue, slate blue, "
            "petrol blue, neon blue, azure-coloured, sapphire-coloured, bluer, more blue, blue-green, oxford blue, "
            "cambridge blue, woad, kingfisher blue, egyptian blue, zaffre, smurf blue, glacier blue, cobalt-coloured, "
            "topaz blue"
        ),
        purple=(
            "pink, magenta, fuchsia, hot pink, maroon-purple, purply, wine-coloured, heather, plum purple, damson, "
            "blackcurrant, beet, puce, heliotrope, orchid pink, crocus purple, hyacinth purple, wisteria purple, "
            "foxglove purple, thistle purple, lavender purple, lilac purple, violaceous, mauvish, pinkish, bubblegum "
            "pink, rose pink, salmon pink, baby pink, neon pink, tyrian purple, imperial purple, boysenberry, "
            "elderberry, fig, raisin, purple-blue, reddish purple, grape-coloured, amethyst-coloured, cassis, "
            "periwinkle purple, purpler"
        ),
        white=(
            "grey, gray, silver, cream, pale, snow-coloured, colourless, silvery, beige, bleached, frosted, chalky, "
            "milky, pearlescent, off-white, opal, opalescent, platinum, salt-white, marble white, ghostly, albino, "
            "bright silver, ash-coloured, ashen, light grey, lightest, sheet-white, spotless white, whiter, "
            "whitewashed, polar white, flour-white, moon-white, mother-of-pearl, pallid, blanched, cottony, ivory "
            "white, vanilla white"
        ),
        black=(
            "dark, midnight-black, soot, shadowy, dark grey, inky, sooty, ebon, sable-coloured, coaly, tarry, "
            "gunmetal, graphite, anthracite, swarthy, dusky black, night-black, blackened, blacker, blackish, "
            "darkest, gothic black, piano black, panther black, boot-black, oil-black, velvet black, matte black, "
            "stealth black, carbon black, licorice, lamp-black, spade-black"
        ),
    ),
    "time": _table(
        dawn=(
            "dawning day, the morning, sunup, early light, daybreak hour, breakfast time, dawning, daylight breaking, "
            "as the cock crows, rooster's call, before breakfast, wee morning, misty-eyed morning, rising of the sun, "
            "first rays, first rays of the sun, morning sun, new day, early hours of the morning, when the day "
            "breaks, six in the morning, sunrise colours, waking hour, dawn chorus, pre-dawn"
        ),
        day=(
            "the day, bright day, daylight hours, daytime hours, midmorning, late morning, the afternoon, "
            "mid-afternoon, lunch hour, lunch break, siesta, twelve o'clock, noon sun, high sun, sun at its highest, "
            "sun overhead, working hours, school hours, two in the afternoon, when the sun is highest, full sunlight, "
            "broad day, before noon, after lunch"
        ),
        dusk=(
            "gloaming, the evening, eventide, setting sun, sunset hour, nightfall, evenfall, vespers, dinner time, "
            "supper time, day's end, end of day, day is done, as the day ends, day's last light, sinking sun, sun "
            "sinks, going down of the sun, crepuscule, evening hour, before nightfall, before dark, getting dark, as "
            "it gets dark, eight in the evening, sunset colours, afterglow, last rays, last rays of the sun, happy "
            "hour"
        ),
        night=(
            "nite, the night, starry night, moonlight, full moon, night sky, bedtime, darkness, witching hour, "
            "starlight, milky way, northern lights, half moon, new moon, constellations, nocturne, nocturnal, at "
            "night time, dead of winter night, deep in the night, lights out, sleeping hours, hour of ghosts, "
            "moonrise, black night, under the milky way, shooting stars"
        ),
    ),
    "weather": _table(
        clear=(
            "bright weather, fair weather, blue sky, blue skies, no clouds, good weather, clear air, bright sky, "
            "unclouded sky, pristine sky, crystal clear sky, sky without clouds, no cloud, not a cloud, summer "
            "weather, hot weather, warm weather, heatwave, sunny weather, sunny spell, beautiful weather, perfect "
            "weather, glorious weather, mild weather, pleasant weather, dry spell, dry air, fresh air, good "
            "visibility, clear view, azure sky, bright sun, blazing sun, sun shining, the sun shines, summer's day, "
            "spring weather"
        ),
        rain=(
            "rainy weather, thunder, lightning, monsoon, rainy day, sprinkles, thundery rain, rainstorm, hail, "
            "hurricane, typhoon, bad weather, deluge, cats and dogs, torrential rain, torrents, squall, tempest, "
            "gale, stormy sky, thundercloud, rain drops, raining cats and dogs, soaking rain, spring shower, april "
            "showers, mizzle, precipitation, wetness, pelting rain, pattering rain, dripping rain, flash rainy "
            "season, tropical rain, storm clouds, cyclone, tornado, windy weather, heavy showers, bucketing down, "
            "drenching rain, damp weather, soggy weather"
        ),
        snow=(
            "snowy weather, winter, frost, christmas snow, snow flurries, sleet, ice, freezing cold, deep winter, "
            "powder snow, flurries, snow drift, snowdrifts, avalanche, white christmas, winter storm, winter weather, "
            "winter wonderland, winter's day, december, january, frosty weather, frozen land, arctic weather, icy "
            "weather, hoarfrost, snow shower, snow squall, white-out, fluffy flakes, flakes, first snow, snow cover, "
            "blanket of snow, snow-blanketed, icicles, polar weather, cold snap, subzero cold"
        ),
        fog=(
            "foggy weather, smog, smoke, low clouds, overcast, cloudy weather, murk, drizzly mist, grey haze, clouds, "
            "fogbank, sea fog, sea fret, haar, brume, murky air, murky weather, hazy air, hazy weather, heat haze, "
            "poor visibility, low visibility, thick air, cloud bank, cloudbank, cloud cover, dull weather, grey "
            "weather, grey day, gray skies, grey sky, leaden sky, shroud of mist, curtain of fog, blanket of fog, "
            "misty haze, mistiness, fogginess, morning mist, london fog, dust haze, soupy air, milky air"
        ),
    ),
}
"""Phrases by kind and label; the first of each is the plainest."""
