"""The fillers of every sentence: places, people, songs, numbers.

Each list is cut in two by `split`: what training may use, and what only the held-out items use. Names of towns,
streets, people and bands are put together from syllables, so that there are thousands and none is real.
"""

import random


def _names(seed, firsts, lasts, count):
    rng = random.Random(seed)
    names = sorted({(a + b).capitalize() for a in firsts for b in lasts})
    rng.shuffle(names)
    return names[:count]


TOWNS = _names(
    1,
    "amber ash barn birch black bram bridge brook clay clear copper crow dal dun east elm fair fern fox glen gold "
    "hal hart hazel high holm iron kes lake lark lin mar mill moor nor oak ost pen pine raven red ridge rose sal "
    "sand silver stan stone thorn tilden wal wes whit wil win wood".split(),
    "borough bridge brook burg bury by dale field ford gate ham haven hill hurst land ley mere minster mont mouth "
    "port ridge shire side stead stoke ton vale view ville water wick worth".split(),
    900,
)
PEOPLE = _names(
    2,
    "al an ar bel ben bri cal car dan del ed el em fin gar gre hal han hel is jan jo kar kel la le li lo mar mi mo "
    "na ni ol or pa pe ra ri ro sa se so ta te ti to va vi wen za".split(),
    "a anna bert bin da den dra ena fred ia ian ina iel ka la lan len lia lin lo ma man na nan nia ra rick ris ron "
    "sa son ta ton va vin ya".split(),
    700,
)
BANDS = [
    f"{a} {b}"
    for a in "Paper Velvet Copper Midnight Hollow Electric Golden Winter Crystal Silent Neon Wild Broken Marble".split()
    for b in "Foxes Harbor Lanterns Rivers Signals Wolves Gardens Engines Mirrors Orchids Pilots Tigers".split()
]
SONGS = [
    f"{a} {b}"
    for a in "Blue Distant Endless Falling Gentle Hidden Little Lonely Lucky Open Quiet Rolling Second Slow".split()
    for b in "Morning Thunder Highway Letters Summer Shadows Dancer Horizon Heart Avenue Stories Sunday".split()
]
STREETS = [f"{town} {kind}" for town in TOWNS[:300] for kind in ("Street", "Road", "Avenue", "Lane")]
GENRES = "jazz rock blues soul disco techno folk reggae opera country funk metal indie salsa gospel swing".split()
PLACES = (
    "airport station hospital library museum stadium harbor castle university theater market hotel campsite zoo "
    "aquarium cathedral gallery arena ferry office school gym".split()
)
SHOPS = (
    "restaurant|coffee shop|bakery|pharmacy|supermarket|charging station|gas station|car wash|parking garage|rest area|"
    "bank|pizza place|burger bar|ice cream parlor|bookstore|tire shop|florist|dentist|playground|sushi bar"
).split("|")
RELATIVES = "my mother|my father|my sister|my brother|my wife|my husband|my boss|my neighbor|grandma|my son|my daughter".split("|")
EVENTS = (
    "meeting|dentist appointment|team lunch|piano lesson|parents evening|job interview|yoga class|birthday party|"
    "doctor appointment|budget review|soccer practice|book club|school play|haircut|conference call|wedding"
).split("|")
PARTS = (
    "tire pressure|oil level|battery|brake fluid|washer fluid|fuel level|coolant|engine light|mileage|service interval|"
    "brake pads|range|headlights|odometer|air filter|wiper blades"
).split("|")
ZONES = "driver seat|passenger seat|back seats|rear window|windshield|left side|right side|front row|whole cabin".split("|")
TEXTS = (
    "I am running late|I am on my way|dinner is ready|the train is delayed|I will be there soon|please buy some milk|"
    "we just arrived|traffic is terrible|do not wait for me|I forgot the keys|the meeting is moved|see you tonight|"
    "happy birthday|can you pick up the kids|I found a parking spot|save me a seat"
).split("|")
DAYS = "today tomorrow Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split() + ["this weekend"]
DEGREES = [str(n) for n in range(15, 30)]
MINUTES = [str(n) for n in range(2, 60)]
HOURS = [str(n) for n in range(1, 13)]
ROADS = [f"{a}{n}" for a in "ABM" for n in range(1, 90)]

ALL = {
    "town": TOWNS, "person": PEOPLE, "band": BANDS, "song": SONGS, "street": STREETS, "genre": GENRES,
    "place": PLACES, "shop": SHOPS, "relative": RELATIVES, "event": EVENTS, "part": PARTS, "zone": ZONES,
    "text": TEXTS, "day": DAYS, "degrees": DEGREES, "minutes": MINUTES, "hour": HOURS, "road": ROADS,
}
# Days, hours and degrees are closed classes: a car knows all of them, so they are not held out.
CLOSED = {"day", "hour", "degrees", "minutes", "zone", "part"}


def split(held_out_share=0.2):
    """(training, held_out): two dictionaries of lists that share no filler."""
    training, held_out = {}, {}
    for kind, values in ALL.items():
        values = list(values)
        random.Random(kind).shuffle(values)
        cut = max(1, int(len(values) * held_out_share))
        held_out[kind] = values if kind in CLOSED else values[:cut]
        training[kind] = values if kind in CLOSED else values[cut:]
    return training, held_out
