"""Utterances and the specialist that each should go to.

`TRAIN` (read by the base in conversations, without the answer), `MORE` (read by the adapter only) and `HELD_OUT` share no template; together with `words.split` the held-out items share no filler either.
"""

SPECIALISTS = "navigation music climate phone messages places vehicle calendar weather".split()

TRAIN = {
    "navigation": """take me to {town}
navigate to {street}
drive to the {place} in {town}
how do I get to {town}
what is the fastest route to the {place}
avoid the highway on the way to {town}
show the way to {street}
start the route to {town}
set the destination to {street} in {town}
how long until we reach {town}
guide me to the {place}
is there traffic on the {road} to {town}
find a detour around the jam on the {road}
add a stop in {town} to the route
cancel the route
which exit do I take for {town}
when do we arrive at the {place}
take the next exit toward {town}
directions to {street}
reroute around the accident on the {road}
bring us home by the shortest route
how far is it to {town}
avoid toll roads""",
    "music": """play {song} by {band}
play some {genre}
put on the new album by {band}
skip this song
next track
turn the volume up
turn down the music
I want to hear {genre}
play the radio
shuffle my {genre} playlist
pause the music
who sings this song
play something by {band}
repeat the last track
add {song} to my playlist
mute the radio
resume the podcast
play the album {song}
louder
change the radio station
listen to {band}
play my favorite songs""",
    "climate": """set the temperature to {degrees} degrees
it is too hot in here
turn on the air conditioning
I am cold
warm up the {zone}
turn the heating down
defrost the {zone}
make it {degrees} degrees on the {zone}
cool down the car
turn the fan up
switch on the seat heating
my feet are cold
clear the fog from the {zone}
more air on the {zone}
stop the air conditioning
lower the temperature
heat the steering wheel
ventilate the {zone}
raise the temperature by two degrees
it is freezing on the {zone}
turn off the fan""",
    "phone": """call {person}
dial the number of {person}
ring {relative}
call {relative} at work
phone {person} back
answer the call
hang up
redial the last number
reject this call
call {person} on the mobile
who called me
put {person} on speaker
start a call with {relative}
call the office of {person}
accept the incoming call
end the call
did I miss a call from {person}
make a phone call to {person}
call voicemail
put the call on hold""",
    "messages": """send a message to {person}
text {relative} that {text}
tell {person} {text}
read my new messages
write to {person} that {text}
reply {text}
message {relative} saying {text}
send {person} a text
read the last message from {person}
dictate a message to {relative}
answer the text from {person} with {text}
do I have unread messages
forward the message to {person}
let {relative} know that {text}
what did {person} write
delete the last message
send {text} to {person}
read me the text from {relative}""",
    "places": """find a {shop} nearby
where is the nearest {shop}
is there a {shop} on this road
search for a {shop} in {town}
show me a good {shop}
find a {shop} with good reviews
which {shop} is still open
I need a {shop}
are there any {shop} options near {town}
look for a {shop} close to the {place}
find a cheap {shop}
what time does the {shop} close
recommend a {shop} in {town}
I am hungry
where can I charge the car
find a {shop} near the next exit
list every {shop} within {minutes} minutes
where can I park in {town}
is the {shop} at the {place} open""",
    "vehicle": """check the {part}
how is the {part}
open the trunk
lock the doors
close the windows
what does the warning about the {part} mean
is the {part} okay
open the sunroof
when is the next service due
turn on the headlights
fold the mirrors
report the {part}
show the {part}
unlock the car
switch to sport mode
how much fuel is left
start the wipers
close the tailgate
tell me the {part}
turn on the fog lights
reset the trip counter
how many miles until empty""",
    "calendar": """what is on my calendar {day}
add a {event} on {day}
schedule a {event} for {day} at {hour}
when is my {event}
cancel my {event} on {day}
move the {event} to {day}
do I have a {event} {day}
remind me of the {event} at {hour}
create an appointment with {person} on {day}
what is my next appointment
plan a {event} with {person}
am I free on {day} at {hour}
put a {event} in my calendar
set a reminder for {hour} on {day}
read my schedule for {day}
book a {event} for {day}
postpone the {event} by {minutes} minutes
clear my calendar for {day}""",
    "weather": """what is the weather like in {town}
will it rain {day}
how is the weather {day}
is it going to snow in {town}
do I need an umbrella {day}
what is the forecast for {day}
how warm will it be in {town}
is it windy in {town}
will there be a storm {day}
tell me the weather forecast
is it sunny in {town}
how cold will it get {day}
any chance of rain in {town}
weather report for {town}
will it be icy on {day}
when does the rain stop
is fog expected {day}
will the sun shine {day}""",
}

MORE = {
    "navigation": """which way is the best to {town}
drive us to {street}
I would like to drive to the {place}
display the directions to {town}
is the way by {street} faster
what is the shortest way from here to the {place}
long way to go to {town}""",
    "music": """start the music
start some {genre}
start a playlist
my {genre} playlist
open the playlist with {song}
another song
can you play {song}
hear {band} now
music
switch to {genre} on the radio""",
    "climate": """make it warmer
the air is too dry
too cold on the {zone}
bring the temperature up to {degrees}
temperature {degrees}
heat the car
the {zone} is very warm
can you cool the {zone}
is it too warm on the {zone}""",
    "phone": """the phone please, {person}
connect me with {person}
I have to call {person}
I want to phone {relative}
call that number again
dial this number
who has called
give {person} a ring
get me {relative} on the line""",
    "messages": """are there unread messages
unread messages
read the messages of {relative}
the messages from {person}
write a message
text back
write {relative} {text}
show the unread messages
message to {person}
answer the message of {relative}""",
    "places": """best {shop} in {town}
where is a {shop}
find the best {shop} around here
search {shop} in {town}
cheap {shop}
any {shop} around the {place}
find me a {shop}
show {shop} options close to {street}
where do they have a {shop}
nearest {shop} please
is there a {shop} that is open near {town}""",
    "vehicle": """state of the car
is the {part} in a good state
have a look at the {part}
can you check the car
what does the {part} say
open the windows
lock the car
what is wrong with the {part}
how good is the {part} of this car
what about the {part}""",
    "calendar": """when does the {event} begin
set up an appointment on {day}
start time of the {event}
put an appointment on {day}
when does the next appointment start
is there an appointment {day}
schedule with {person}
set up something on {day} at {hour}
change the appointment to {hour}
when will my {event} start""",
    "weather": """how will the weather be
does it snow in {town}
is rain expected
what will it be like outside {day}
forecast {town}
give me the weather for {day}
weather {day}
is there snow on the way to {town}
will the weather get better""",
}

HELD_OUT = {
    "navigation": """what is the best route from here to {town}
we want to drive to {street} now
show directions to the {place} in {town}
how long is the way to {town}
is there a faster route to {street}""",
    "music": """can we hear {song} now
play another song by {band}
turn the music up
start my {genre} playlist
put some {genre} on the radio""",
    "climate": """can you make it warmer on the {zone}
the {zone} is too cold
turn the temperature down to {degrees}
heat the {zone} to {degrees} degrees
the air in here is too warm""",
    "phone": """get {person} on the phone
I want to call {relative}
please dial {person}
call back the number that called me
give {relative} a call at home""",
    "messages": """send {relative} the message {text}
write {person} a message
text {person} back {text}
read the unread messages from {person}
answer {relative} with the text {text}""",
    "places": """where do I find a {shop} in {town}
is any {shop} open near the {place}
show the nearest {shop}
search a cheap {shop} nearby
find me the best {shop} close to {town}""",
    "vehicle": """what is the state of the {part}
can you check the {part} for me
open the windows and the sunroof
please lock the car doors
show me the {part} of the car""",
    "calendar": """is there a {event} on my calendar {day}
add the {event} with {person} to my schedule
move my appointment to {day} at {hour}
when does my {event} start {day}
set up a {event} on {day}""",
    "weather": """how will the weather be {day} in {town}
does it rain in {town} {day}
give me the forecast for {town}
is snow expected in {town} {day}
what will the weather in {town} be like""",
}

TRAIN_OPENERS = ["", "", "", "", "please ", "hey car, ", "could you ", "okay, ", "hi, ", "quick, ", "can you please "]
TRAIN_CLOSERS = ["", "", "", "", " please", " now", ", thanks", " right away", " if possible"]
HELD_OUT_OPENERS = ["", "", "well, ", "assistant, ", "listen, "]
HELD_OUT_CLOSERS = ["", "", ", thank you", ", will you"]


SYLLABLES = "ba co du fel gri hon ja kel lom mar nis o par qui ras sto tri un ver wal xi yo zer in chi ta phar ble".split()


def fill(template, fillers, rng):
    """The template with each `{kind}` replaced by a random filler of the kind."""
    parts = template.split("{")
    text = parts[0]
    for part in parts[1:]:
        kind, rest = part.split("}", 1)
        text += rng.choice(fillers[kind]) + rest
    return text


def utterance(template, fillers, openers, closers, rng):
    """A filled template as somebody says it: an opener, a closer, sometimes a capital and a mark."""
    text = rng.choice(openers) + fill(template, fillers, rng) + rng.choice(closers)
    if rng.random() < 0.3:
        text = text[0].upper() + text[1:]
    if rng.random() < 0.2:
        text += rng.choice([".", "?", "!"])
    return text


def taught():
    """The templates that the adapter learns from: those in the base's small talk, and more."""
    return {specialist: f"{TRAIN[specialist]}\n{MORE[specialist]}" for specialist in SPECIALISTS}


def invented(rng):
    """A word of no language."""
    return "".join(rng.choice(SYLLABLES) for _ in range(rng.randint(1, 4)))


def invented_fillers(fillers, rng):
    """Fillers of which about a third are invented, so that the words around a name count and not the name."""
    chosen = {}
    for kind, known in fillers.items():
        words = [" ".join(invented(rng) for _ in range(rng.randint(1, 2)))]
        chosen[kind] = words if rng.random() < 0.35 else known
    return chosen


def training_item(fillers, rng, templates=TRAIN):
    """One (utterance, specialist)."""
    specialist = rng.choice(SPECIALISTS)
    template = rng.choice(templates[specialist].split("\n"))
    return utterance(template, fillers, TRAIN_OPENERS, TRAIN_CLOSERS, rng), specialist


def held_out_items(fillers, rng, per_specialist):
    """Balanced items whose templates, openers and fillers no training saw."""
    items = []
    for specialist in SPECIALISTS:
        seen = set()
        templates = HELD_OUT[specialist].split("\n")
        while len(seen) < per_specialist:
            template = templates[len(seen) % len(templates)]
            text = utterance(template, fillers, HELD_OUT_OPENERS, HELD_OUT_CLOSERS, rng)
            if text not in seen:
                seen.add(text)
                items.append((text, specialist))
    rng.shuffle(items)
    return items
