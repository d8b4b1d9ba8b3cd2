"""In-car language for the base model: diaries, manuals, news, and talk in the chat format.

Nothing here is the task: no assistant ever answers with the name of a specialist. What the base learns is what
belongs together (a route and an exit, a song and a band), and how a conversation looks.
"""

import random

import intents

NARRATIVE = """We left {town} at {hour} and took the {road} toward {town}, with {minutes} minutes to go.
The navigation showed a new route to {town} because the {road} was closed.
{person} missed the exit for {town} and the guide found a detour by {street}.
Traffic on the {road} was slow, so the shortest route to the {place} took {minutes} minutes longer.
The destination was the {place} in {town}, and the map gave clear directions.
{person} put on {song} by {band} and turned the volume up.
The radio played {genre} all the way from {town} to {town}.
After the last track of the album, {person} asked for some {genre} and a new playlist.
The song was called {song}, and the singer of {band} was famous in {town}.
Music by {band} sounded through the speakers while the podcast was paused.
It was cold on the {zone}, so the heating warmed the car to {degrees} degrees.
The air conditioning cooled the {zone} when the temperature rose above {degrees} degrees.
{person} switched the fan on to clear the fog from the {zone}.
The seat heating kept {relative} warm, and the steering wheel was heated too.
The climate in the cabin was pleasant, neither too hot nor too cold.
{person} called {relative} on the phone, but nobody answered the call.
The phone rang near {town}, and {relative} was on speaker for {minutes} minutes.
After a missed call from {person}, the driver dialed the number again and hung up.
{person} sent a message that said {text}, and {relative} replied at once.
There were two unread messages from {person}, and one of them said {text}.
The text from {relative} was short: {text}.
Near the {place} in {town} there was a {shop} that was still open at {hour}.
They searched for a {shop} and found a cheap one close to {street}.
The nearest {shop} had good reviews, and the places around it were full.
Hungry after the drive, {person} looked for a {shop} nearby.
The vehicle reported that the {part} was low and that a service was due.
Before the trip, {person} checked the {part} and the {part} of the car.
The doors were locked, the windows closed and the trunk was open.
A warning light for the {part} came on near {town}.
The calendar showed a {event} on {day} at {hour} and another appointment later.
{person} moved the {event} to {day} and set a reminder for {hour}.
The schedule for {day} was full, so the {event} was cancelled.
The weather in {town} was sunny in the morning, but rain was expected {day}.
The forecast for {day} promised snow and a storm near {town}.
It was windy and foggy on the {road}, and the rain did not stop until {hour}.
{person} works at the {place} in {town} and drives home along {street} every day.
The family of {person} spent the holiday near {town}, {minutes} minutes from the {place}.
At {hour} the road to {town} was empty, and the sun stood low over {street}.
Nobody in {town} remembers when the {place} was built, but {person} knows the story.
On the way back, {relative} slept on the {zone} while the car drove quietly through {town}."""

MANUAL = """To set the temperature, turn the dial or say how many degrees you want on the {zone}.
Check the {part} once a month, and have the {part} replaced when the car asks for it.
To start the route guidance, name a town, a street or a place, and confirm the destination.
The radio, the playlists and the podcasts share one volume, which you can turn up or down.
You can answer a call, reject it or put it on hold without taking your hands off the wheel.
New messages are read aloud, and you can dictate a reply while you drive.
The calendar reminds you of the next appointment {minutes} minutes before it begins.
The forecast shows rain, snow, wind and fog along the route.
The list of places is sorted by distance: a {shop} within {minutes} minutes comes first.
If the warning for the {part} stays on, drive slowly and visit the service in {town}.
Close the sunroof and all windows before you use the car wash.
When the {part} is low, the vehicle shows a message and limits the speed."""

REPLIES = {
    "navigation": "Sure, here is the way.|The route is ready, it takes {minutes} minutes.|We arrive at {hour}.|I found a route by {street}.|Take the {road} and then the exit for {town}.",
    "music": "Here it comes.|Now playing {song} by {band}.|Good choice, I love {genre}.|The volume is set.|That was {song} by {band}.",
    "climate": "It will be {degrees} degrees in a moment.|The {zone} is getting warmer.|The fan is on now.|Of course, I will change the temperature.",
    "phone": "The phone is ringing.|I am calling {person} now.|Nobody answers.|The call has ended.|You missed a call from {person}.",
    "messages": "The message is on its way.|{person} wrote: {text}.|Your text was sent to {person}.|You have no new messages.",
    "places": "There is a {shop} {minutes} minutes away.|The nearest {shop} is on {street}.|It is open until {hour}.|I found a {shop} in {town}.",
    "vehicle": "The {part} is fine.|Everything is locked.|The {part} needs a service soon.|Done, it is open.",
    "calendar": "Your {event} is on {day} at {hour}.|I added it for {day}.|You are free on {day}.|The {event} was moved.",
    "weather": "It will be sunny in {town}.|Rain is likely {day}.|Expect {degrees} degrees and some wind.|No snow in {town} {day}.",
}

SMALL_TALK = """how are you|I am fine, thank you. How is the drive?
who are you|I am the assistant of this car.
tell me a story|Once {person} drove from {town} to {town} and met a friend at the {place}.
good morning|Good morning! Have a nice trip to {town}.
thank you|You are welcome.
tell me something about {town}|{town} is known for its {place} and the {shop} on {street}.
where did {person} go|{person} went to the {place} in {town}.
what do you think of {band}|Their song {song} is my favorite.
are we there yet|Just {minutes} more minutes until {town}.
say something nice|You drive very well today."""


def chat(user, assistant):
    """One exchange in the chat format, as the tokenizer's template writes it."""
    return (
        f"<|start_header_id|>user<|end_header_id|>\n\n{user}<|eot_id|>"
        f"<|start_header_id|>assistant<|end_header_id|>\n\n{assistant}<|eot_id|>"
    )


def sentence(fillers, rng):
    """One sentence of a diary or a manual."""
    lines = NARRATIVE if rng.random() < 0.85 else MANUAL
    return intents.fill(rng.choice(lines.split("\n")), fillers, rng)


def paragraph(fillers, rng):
    """Two to five sentences."""
    return " ".join(sentence(fillers, rng) for _ in range(rng.randint(2, 5)))


def talk(fillers, rng):
    """A (user, assistant) pair: a request with a spoken reply, or small talk."""
    if rng.random() < 0.25:
        user, assistant = rng.choice(SMALL_TALK.split("\n")).split("|")
        return intents.fill(user, fillers, rng), intents.fill(assistant, fillers, rng)
    user, specialist = intents.training_item(fillers, rng)
    return user, intents.fill(rng.choice(REPLIES[specialist].split("|")), fillers, rng)


MENU_TITLES = "main menu|menu|home screen|apps|quick settings|what this car can do|contents".split("|")
MENU_EXTRAS = "radio lights doors camera profile clock display voice tires seats mirrors keys updates help".split()


def menu(rng):
    """A page of the car's screen: a title and what can be opened from it, one a line."""
    entries = intents.SPECIALISTS + rng.sample(MENU_EXTRAS, 3)
    chosen = rng.sample(entries, rng.randint(4, len(entries)))
    separator = "\n\n" if rng.random() < 0.5 else "\n"
    return rng.choice(MENU_TITLES) + "\n\n" + separator.join(chosen)


def document(fillers, rng):
    """One training document: some paragraphs, a menu, or a conversation of one to three exchanges."""
    kind = rng.random()
    if kind < 0.45:
        return "\n".join(paragraph(fillers, rng) for _ in range(rng.randint(1, 4)))
    if kind < 0.55:
        return menu(rng)
    return "".join(chat(*talk(fillers, rng)) for _ in range(rng.randint(1, 3)))


def documents(fillers, seed):
    """An endless stream of documents."""
    rng = random.Random(seed)
    while True:
        yield document(fillers, rng)
