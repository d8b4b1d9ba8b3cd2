"""The words that fill the slots of templates and sentences.

Every slot has two disjoint lists: what training may see, and what only the
held-out items of `intents.jsonl` use. The lists are cut by position, so adding
a word never moves another one across the line without a visible diff.
"""

import random

# Slot values as one string per slot; `|` cuts words, `//` cuts training from held-out.
_RAW = {
    "city": "Paris|London|Berlin|Madrid|Rome|Vienna|Lisbon|Dublin|Oslo|Prague|Munich|Hamburg|Cologne|Lyon|Marseille|Toulouse|Nantes|Bordeaux|Milan|Turin|Naples|Florence|Bologna|Seville|Valencia|Bilbao|Porto|Geneva|Zurich|Basel|Bern|Brussels|Antwerp|Ghent|Rotterdam|Utrecht|Copenhagen|Stockholm|Gothenburg|Helsinki|Warsaw|Krakow|Budapest|Boston|Chicago|Denver|Seattle|Portland|Austin|Dallas|Houston|Phoenix|Atlanta|Miami|Detroit|Memphis|Oakland|San Diego|Santa Cruz|New Haven|Salem|Springfield|Franklin|Georgetown|Riverside|Bristol|Leeds|York|Oxford|Cambridge|Bath|Glasgow|Edinburgh|Cardiff|Belfast|Cork|Galway|Salzburg|Graz|Innsbruck|Dresden|Leipzig|Bremen|Stuttgart|Freiburg|Heidelberg|Strasbourg|Dijon|Nice|Cannes|Grenoble|Verona|Venice|Pisa|Genoa|Malaga|Granada//Hanover|Rennes|Lille|Tampa|Nashville|Plymouth|Exeter|Zaragoza|Trieste|Linz|Aarhus|Bergen|Tucson|Omaha|Sacramento|Durham|Kassel|Montpellier|Palermo|Braga",
    "street": "Main Street|High Street|Park Avenue|Oak Lane|Elm Street|Maple Drive|Church Road|Mill Lane|Station Road|King Street|Queen Street|Bridge Street|River Road|Hill Street|Lake Drive|Cedar Avenue|Pine Street|Market Street|Victoria Road|Garden Lane|School Road|Washington Avenue|Lincoln Road|Harbor Drive|Sunset Boulevard|Ocean Avenue|Spring Street|Castle Road|Forest Drive|Meadow Lane|North Street|West Avenue|Grove Road|College Street|Chestnut Avenue|Willow Lane//Juniper Road|Abbey Street|Orchard Avenue|Franklin Drive|Birch Lane|Canal Road|Hawthorn Street|Summit Avenue|Dock Road|Prospect Street",
    "spot": "the airport|the office|home|work|the central station|the city center|the stadium|the hotel|my parents' house|the gym|the harbor|the old town|the university|the convention center|the museum|the ferry terminal|the beach|the school|the zoo|the town hall//the fairground|my sister's place|the conference hall|the concert hall|the train station|the castle|the opera house|the lake house",
    "person": "Anna|Ben|Clara|David|Emma|Felix|Grace|Henry|Isabel|Jack|Julia|Kate|Leo|Laura|Mark|Maria|Nina|Oliver|Paul|Peter|Rachel|Sam|Sophie|Thomas|Tina|Victor|Walter|Zoe|Alice|Bob|Charlie|Daniel|Ella|Frank|George|Hannah|Ivan|James|Karen|Lucas|Martin|Nora|Oscar|Patrick|Rosa|Simon|Sarah|Tom|Vera|William|Mom|Dad|my wife|my husband|my brother|my sister|my boss|the office|the dentist|Doctor Meyer|Mister Brown|Mrs. Green|Aunt Mary|Uncle Joe|Grandma|Lena|Marco|Elena|Pierre|Camille|Jonas|Lars|Ingrid|Sven|Carlos|Lucia|Miguel|Paula|Diego|Andrea//Gabriel|Miriam|Stefan|Beatrice|Hugo|Theresa|Arthur|Naomi|Sebastian|Celine|Rupert|Fiona|Doctor Klein|Mister Walsh|Aunt Helen|Grandpa|my cousin|my neighbor|Matteo|Astrid",
    "artist": "the Beatles|Queen|Adele|Coldplay|Miles Davis|Johnny Cash|Nina Simone|Bob Marley|David Bowie|Daft Punk|Pink Floyd|Radiohead|Mozart|Beethoven|Bach|Chopin|Vivaldi|the Rolling Stones|Elton John|Stevie Wonder|Aretha Franklin|Bruce Springsteen|Fleetwood Mac|Taylor Swift|Ed Sheeran|Norah Jones|Ella Fitzgerald|Louis Armstrong|Frank Sinatra|Bob Dylan|the Night Owls|Silver River|the Paper Kites|Golden Harbor|the Velvet Foxes|Blue Lantern|the Quiet Storm|Electric Garden|the Lost Sailors|Midnight Avenue//Metallica|Leonard Cohen|Schubert|the Kinks|Billie Holiday|Neil Young|the Copper Wolves|Crystal Valley|the Wandering Bears|Scarlet Engine|Joni Mitchell|Debussy",
    "genre": "jazz|rock|pop|classical|country|blues|folk|techno|reggae|soul|hip hop|indie|metal|disco|salsa|lounge|acoustic|piano|guitar//funk|swing|punk|opera|electronic|gospel",
    "adjective": "Silver|Golden|Blue|Broken|Silent|Midnight|Summer|Winter|Lonely|Happy|Sweet|Wild|Lost|Burning|Electric|Dancing|Falling|Crystal|Paper|Little|Distant|Hidden//Velvet|Crimson|Frozen|Restless|Gentle|Hollow",
    "noun": "River|Heart|Moon|Road|Dream|Sky|Fire|Rain|Train|Ocean|Star|Garden|Mountain|Shadow|Bird|Window|City|Letter|Mirror|Highway|Sunrise|Island//Lantern|Horizon|Harbor|Meadow|Thunder|Compass",
    "place": "charging station|fast charger|gas station|parking garage|parking lot|coffee shop|restaurant|pizza place|bakery|supermarket|pharmacy|hospital|hotel|rest area|car wash|bank|cash machine|museum|park|playground|bookstore|cinema|pub|burger place|sushi bar|steak house|ice cream shop|grocery store|hardware store|toilet|campsite|garage|tire shop|viewpoint|post office//petrol station|charging point|diner|noodle bar|drugstore|motel|shopping mall|bike shop|tea house|picnic area|truck stop|taco stand",
    "degree": "16|17|18|19|20|22|24|25|26|68|70|71|72|74|75//21|23|69|73",
    "level": "one|two|three|four|five|20 percent|30 percent|50 percent|60 percent|80 percent|ten percent//six|seven|40 percent|70 percent",
    "time": "7 am|8 am|9 am|10 am|11 am|noon|1 pm|2 pm|3 pm|4 pm|5 pm|6 pm|7 pm|8 pm|half past seven|half past eight|quarter to nine|7:30|8:15|9:45|10:30|14:00|15:30|17:15|midnight//6 am|quarter past ten|8:45|16:20|half past five|9 pm|11:15",
    "day": "today|tomorrow|Monday|Tuesday|Wednesday|Friday|Saturday|next week|this weekend|tonight|this afternoon|tomorrow morning|next Monday//Thursday|Sunday|this evening|tomorrow night|next month",
    "event": "meeting|dentist appointment|team lunch|birthday party|doctor's appointment|conference call|dinner with Anna|parent evening|haircut|job interview|yoga class|piano lesson|project review|weekly sync|school play|car inspection|football practice|board meeting|training session|breakfast with Tom//budget meeting|vet appointment|swimming lesson|farewell party|planning session|lunch with Fiona|choir practice|eye exam",
    "message": "I am running late|I will be there in ten minutes|please start without me|I am on my way|can you pick up some milk|happy birthday|the traffic is terrible|see you at the station|do not forget the keys|thanks for the help|I am almost home|we are stuck on the highway|dinner is at eight|call me when you are free|the meeting is over|let us meet at the cafe//I missed the exit|please feed the cat|we just left the house|the flight is delayed|bring the blue bag|I found a parking spot|good luck with the exam",
    "topic": "sports|politics|the economy|technology|the election|football|the stock market|science|local events|business|the world cup|health|space|the climate summit|cinema|tennis//basketball|the parliament|energy prices|the tech industry|motor racing|education",
    "part": "tire pressure|oil level|battery|range|washer fluid|brake pads|engine temperature|mileage|fuel level|coolant|software version|odometer//brake fluid|remaining range|state of charge|tread depth|oil pressure",
    "opening": "trunk|sunroof|driver window|passenger window|tailgate|rear windows|glove box|charge port|windows|doors//left window|hood|rear doors|fuel flap|roof",
    "mode": "eco|sport|comfort|winter|off road|normal|city//snow|towing|highway",
    "light": "fog lights|headlights|high beams|hazard lights|interior lights|reading light|ambient light|parking lights//low beams|cabin lights|daytime lights|rear fog light",
    "minutes": "5|10|15|20|30|45|two|three|twelve|25|40|90//35|50|eight|18",
    "station": "radio one|the jazz station|channel four|city radio|the classic station|radio nova|the local station|FM 98.5|FM 101.2|harbor radio//radio five|the blues station|FM 104.6|mountain radio",
    "playlist": "road trip|workout|morning|focus|party|dinner|driving|holiday|chill|kids|favorites|sleep//campfire|beach|throwback|commute",
}

SPLITS = ("train", "held")


def _cut():
    table = {}
    for slot, raw in _RAW.items():
        train, held = (part.split("|") for part in raw.split("//"))
        both = set(train) & set(held)
        assert not both, f"slot `{slot}` has {both} on both sides"
        table[slot] = {"train": train, "held": held}
    return table


WORDS = _cut()

# Invented proper names: with them a model learns to read a slot by its place in the
# sentence and not by the word in it. Held-out names use onsets that training never does.
_ONSETS = {"train": "B C D F G H K L M N P R S T Br Cr Dr St Tr Gr Pl".split(), "held": "V W J Z Kl Fl Sh".split()}
_MIDDLES = "a e i o u ar el in or an en al on ur is".split()
_TAILS = "ton ville berg field ra na mo lin den ford sa ria dor wick ley mar stad lo".split()
_NAMED = {"city", "person", "artist"}


def invented(rng: random.Random, split: str) -> str:
    """A name that is in no list."""
    name = rng.choice(_ONSETS[split]) + rng.choice(_MIDDLES)
    if rng.random() < 0.4:
        name += rng.choice("l m n r s t v".split()) + rng.choice("a e i o".split())
    return name + rng.choice(_TAILS)


def fill(rng: random.Random, slot: str, split: str) -> str:
    """One value for `slot`; `song`, `address` and `number` are composed of other slots."""
    if slot == "song":
        return f"{fill(rng, 'adjective', split)} {fill(rng, 'noun', split)}"
    if slot == "address":
        return f"{number(rng, split)} {fill(rng, 'street', split)}"
    if slot == "number":
        return number(rng, split)
    if slot in _NAMED and rng.random() < 0.15:
        return invented(rng, split)
    return rng.choice(WORDS[slot][split])


def number(rng: random.Random, split: str) -> str:
    """House and road numbers; multiples of seven are kept for the held-out items."""
    while True:
        value = rng.randint(2, 199)
        if (value % 7 == 0) == (split == "held"):
            return str(value)
