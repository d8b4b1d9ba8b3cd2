"""The task: utterance -> the specialist to call. Templates for training and templates
held out; `check()` proves that no held-out skeleton can be said by a training template.
"""

import random

import grammar

ANSWER = "call {}"

TRAIN = {
    "navigation": """[take|drive|bring|get] me to {spot}
[navigate|drive|go] to {city}
navigate [me|us] to {address}
[start|begin] [navigation|guidance] to {address}
set [a|the] [route|course] to {spot}
show [me|us] the [fastest|shortest|quickest|scenic] [route|way] to {city}
how [long|far] [is it|will it take] to [get to] {city}
how do [I|we] get to {spot} from here
what is the [best|fastest] way to {spot}
is there [a lot of|much|heavy] traffic [on the way|on the road] to {city}
avoid [tolls|highways|ferries|the toll road] [on the way|] to {city}
add [a stop|a waypoint] in {city}
[cancel|stop|end|pause] [the|] [navigation|route guidance|guidance]
[when|what time] will [we|I] [arrive|be] [in|at] {city}
find [a|an] [alternative|other|faster] route around the [traffic|jam|accident|construction]
which [exit|lane] do [I|we] need for {city}
we want to [go|drive] to {spot} [now|]
I need directions to {address}
[reroute|redirect] us [via|through] {city}
[directions|route|way] to {spot}
guide me to {address} in {city}
[let us|let's] [head|go] to {city} [without|and avoid] tolls
what is our arrival time
I want to go [home|to work] and avoid the [highway|traffic]
zoom [in|out] on the map
show the [map|route overview]
where do I [turn|have to turn]
how many [kilometers|miles] are left to {city}
what does the traffic look like [ahead|near {city}]
make {city} my destination
[change|update|set] [the|my] destination to {spot}
turn by turn directions to {spot}
I have to be at {spot} by {time}, which way should I go""",
    "music": """play [some|] {genre} [music|]
play {song} by {artist}
play [the song|the track] {song}
put on [some|] {artist}
play [my|the] {playlist} playlist
[start|shuffle] the {playlist} playlist
[next|previous] [song|track]
skip [this|the] [song|track]
turn [up|down] the [volume|music]
[pause|stop|resume] the [music|song|playback]
[louder|quieter] [music|] please
I want to [hear|listen to] {artist}
I would like to hear [some|] {genre}
what [song|track] is [this|playing]
who [sings|is singing] this song
[switch|tune|turn] to {station}
put {station} on [the radio|]
turn [on|off] the radio
set the volume to {level}
play the [new|latest|first] album [by|of] {artist}
repeat this [song|track|album]
add this song to my {playlist} playlist
play something [relaxing|upbeat|calm|cheerful|for the kids]
[mute|unmute] the [music|sound|speakers]
more [bass|treble] [please|]
find [songs|albums|a song] by {artist}
play the audiobook [again|]
play the [latest|next] [podcast|episode]
[can we|let us] listen to [some|] {genre} music
I [like|love|hate] this song
the music is too [loud|quiet]
play my [favorite|liked] songs
who is the [singer|artist|band]
set the radio to {station}""",
    "climate": """set the temperature to {degree} [degrees|]
turn [on|off] the [air conditioning|AC|heater|heating]
make it [warmer|cooler|colder] [in here|]
it is too [hot|cold|warm|stuffy] in [here|the car]
I am [cold|freezing|hot|sweating]
turn [up|down] the [heat|heating|fan|air conditioning]
turn [on|off] [my|the] [seat heating|seat heater|heated seats|seat ventilation]
heat [my|the] [seat|steering wheel]
defrost the [windshield|rear window|windows]
the [windshield|windows] [is|are] [foggy|fogging up|iced over]
set the fan [speed|] to {level}
[raise|lower|increase|decrease] the [cabin|] temperature [by two degrees|]
warm up the [cabin|car|interior]
cool [down|] the [cabin|car|interior]
[more|less] air [from the vents|on my feet|on my face]
point the [vents|air] at [my feet|the windshield|my face]
turn on [recirculation|the defroster|auto climate]
my [hands|feet|back] [are|is] [cold|freezing]
the kids in the back are [cold|hot|freezing]
can it be {degree} degrees in here
preheat the [car|cabin] [for|at] {time}
what is the temperature [in the cabin|inside the car|in here]
the air is [stale|dry|stuffy] in here
set the [passenger|driver] side to {degree} degrees
sync the climate [zones|]
seat heating to [level|] {level}
steering wheel heating [on|off]
[reduce|increase] the fan
let [in some|some] fresh air through the vents
I want [warm|cool|fresh] air
heating to {degree}
turn the [climate control|air conditioner] [on|off]""",
    "phone": """call {person} [on the phone|]
call {person} [at home|on the mobile|at work]
dial [the number of|] {person}
[phone|ring] {person} [now|please|]
make a [call|phone call] to {person}
give {person} a [call|ring]
[redial|call back] the last number
[answer|accept|take|pick up] the [call|phone]
[reject|decline|ignore] the [call|phone call]
hang up [the phone|]
end the [call|phone call]
call [me|] back {person}
who [called|just called] me
do I have [any|] missed calls
show [my|the] [recent|missed] calls
put {person} on speaker
[mute|hold] the call
I [want|need|have] to [speak|talk] to {person} on the phone
[connect|pair] my phone
[start|make] a [video|conference] call with {person}
dial {number}
dial my voicemail
listen to my voicemail
look up the phone number of {person}
[find|show] {person} in my [contacts|phone book]
add {person} to the call
get {person} on the [phone|line]
call {person} and [put it on speaker|say hello]
try calling {person} again
switch the call to my [headset|phone]
dial the emergency number
call [roadside assistance|the emergency services|the garage]""",
    "messages": """[text|message] {person} [that|] {message}
send [a text|a message|an SMS] to {person}
send {person} [a text|a message]
tell {person} [that|] {message}
write [to|] {person} {message}
read [my|the] [new|last|unread|] [messages|texts|message|text]
reply [to {person}|] {message}
reply with {message}
answer the [text|message] with {message}
do I have [any|] [new|unread] [messages|texts|emails|mail]
read [me|] the [message|text|email] from {person}
what did {person} [write|text] [me|]
send an email to {person}
[read|check] my [email|inbox|mail]
let {person} know [that|] {message}
delete [the|this|that] message
dictate a [message|text] to {person}
send a [voice message|voice note] to {person}
message the [family|team|work] group {message}
forward [the|this] message to {person}
who [texted|wrote] me
did {person} [reply|write back|answer my text]
show [my|the] [messages|texts|chats]
text {person} my [arrival time|location]
share my location with {person} in a message
open my [chat|conversation] with {person}
[compose|draft|write] [a text|an email|a message] for {person}
send the message [now|]
mark all messages as read
any [texts|messages] from {person}""",
    "poi": """find [a|the nearest|the closest] {place}
find a {place} [near|close to|around] {city}
is there a {place} [nearby|near here|around here|on the way]
where is the [nearest|closest|next] {place}
show [me|] [all|the|] [restaurants|hotels|chargers|parking] near {spot}
I need a {place} [soon|]
look for a {place} [along the route|on the way]
search for a {place} [in|near] {city}
[what|which] {place} is [open|the closest] [now|]
I am [hungry|thirsty], find something to [eat|drink]
find [a cheap|a good|an open] {place}
we need to [charge|refuel|fill up], where can we
where can [I|we] [eat|park|charge|get coffee|buy food|refuel|sleep]
[recommend|suggest] a {place} [in {city}|nearby|]
how far is the [nearest|next|closest] {place}
any {place} [within|in the next] {minutes} [kilometers|miles]
find a charger near the [next exit|highway|hotel]
I want [a coffee|some coffee|a burger|a snack|lunch], where can I get one
what time does the {place} close
is the {place} [still|] open
show [ratings|reviews] for the {place}
find [parking|a parking spot] near {spot}
list the {place} options around {city}
what is there to see [in {city}|around here]
[places|something] to eat near {spot}
the kids need a [toilet|playground|break], find a place to stop
which chargers [near here|nearby] are free
how [expensive|busy] is the {place}
we are looking for a {place} with [parking|wifi|good reviews]
find the [cheapest|best] {place} in [town|{city}]""",
    "vehicle": """[check|show] [me|] the {part}
what is [the|my] {part}
how [is|much is] the {part}
open the {opening}
close the {opening}
[lock|unlock] the [car|doors|vehicle]
switch to {mode} mode
[activate|enable|set] {mode} [drive|driving] mode
turn [on|off] the {light}
[switch|turn] the {light} [on|off]
[start|stop|turn on|turn off] the [wipers|windshield wipers]
how much [fuel|battery|charge|range] [is|do we have] left
when is the next [service|oil change|inspection] due
why is the [warning|engine|check engine] light on
what does [this|the] [warning|yellow|red] [light|symbol] mean
is [everything|something] [okay|wrong] with the car
fold [in|out] the mirrors
adjust the [mirrors|seat|steering wheel]
move my seat [back|forward|up|down]
turn on [cruise control|lane assist|the parking assistant]
set [the|] cruise control to {number}
[start|stop|schedule] charging the [car|battery]
[roll|put] [up|down] the [windows|{opening}]
are the [doors|windows] [locked|closed]
do the tires need air
[run|do] a [vehicle|system] check
how many kilometers can [I|we] [still|] drive on this battery
dim the [dashboard|display|{light}]
set a speed limit [warning|] of {number}
is a software update available for the car
the car makes a strange noise
turn off the [alarm|parking sensors]
clean the windshield with the wipers
reset the trip [meter|computer]""",
    "calendar": """what is [on|in] my [calendar|schedule|agenda] [for|] {day}
what [meetings|appointments] do I have {day}
when is my [next|first|last] [meeting|appointment]
add [a|the] {event} [to my calendar|] {day} at {time}
[schedule|book|plan] a {event} [for|on] {day}
create [a calendar entry|an appointment|an event] for {day} at {time}
cancel [my|the] {event} [on|for|] {day}
move [my|the] {event} to {time}
[postpone|reschedule] the {event} to {day}
remind me [about the {event}|of the {event}] {day}
remind me at {time} to [buy milk|call the bank|water the plants|take my pills]
set a reminder for {time}
am I free {day} [at {time}|]
do I have [anything|something] planned {day}
what time [is|does] my {event} [start|]
when does the {event} [start|begin|end]
where is my [next|first] [meeting|appointment]
who is coming to the {event}
read [me|] my [agenda|schedule|calendar|appointments]
put the {event} [in|on] my calendar
delete the {event} from my calendar
how many [meetings|appointments] do I have {day}
[show|open] [my|the] calendar [for {day}|]
is my {event} still on {day}
what reminders do I have
invite {person} to the {event}
block [two hours|one hour|the morning] [on|] {day}
what is my schedule like {day}
make an appointment [with {person}|] for {day}
set [an alarm|a timer] for {time}""",
    "weather": """what is the weather [like|] [in {city}|] {day}
how is the weather in {city}
will it [rain|snow|be sunny|be windy|be cloudy] {day}
is it [raining|snowing|sunny|foggy|windy] in {city}
do [I|we] need an umbrella {day}
what is the [weather|] forecast for {city}
weather [forecast|report] for {day}
how [hot|cold|warm] will it [be|get] {day}
what is the temperature [outside|in {city}]
is there a [storm|weather|rain|snow] warning for {city}
how [windy|humid|foggy] is it in {city}
when will the [rain|snow|storm] [stop|start|end]
is [snow|rain|fog|ice|a storm] expected [on the road|] {day}
are the roads [icy|slippery|wet] because of the weather
will [there be|we get] [snow|rain|thunderstorms|sunshine] in {city}
what are the chances of rain {day}
should I [take|bring|wear] a [jacket|coat] {day}
when does the sun [set|rise] {day}
how much [snow|rain] fell in {city}
[tell|give] me the [weather|forecast] for {city}
is it going to [rain|snow|freeze|be warm] {day}
weather in {city} {day}
does it [rain|snow] at {city} right now
is a storm coming
show the rain radar
what will the [weather|temperature] be at {time} {day}
is the sun shining in {city}
will the [fog|clouds] clear {day}
will it be [cold|hot|dry|sunny] [enough|] in {city} {day}
how many degrees [is it|will it be] in {city}""",
    "news": """what is [in|on] the news [today|]
read [me|] the [news|headlines|top stories]
[give|tell] me the [latest|] [news|headlines] [about|on] {topic}
what is [new|happening] in {topic}
what happened [in the world|in {city}] [today|]
any news [about|on|from] {topic}
play the [news|news briefing|latest headlines]
what are the [headlines|top stories] [today|{day}|]
news [about|on] {topic} please
[summarize|sum up] the news
who won the [game|match|election|race] [yesterday|last night|]
what is the [score|result] of the [game|match]
how did the [stock market|markets] [do|close] [today|]
[catch me up|brief me] on {topic}
is there [any|] breaking news
what are people saying about {topic}
read the [next|first] [article|headline|story]
[more|skip to the] [news|article|story] [about|on] {topic}
I want to hear the [news|headlines]
tell me what is going on in {topic}
[show|open] the {topic} news
local news from {city}
read [an article|a story|something] about {topic}
skip this [story|headline|article]
how did the [election|vote|match] end
what did the [president|minister|mayor] say
headlines from {city}
the latest on {topic}
give me a news [update|summary|flash]
what is the top story""",
}

HELD = {
    "navigation": """please plot a route to {spot}
what is the quickest road to {city} avoiding traffic
could you bring us over to {address}
get directions for {city}
how much longer until we arrive at {spot}
I would rather take another route to {city}
guidance to {spot} via {city}
we are going to {city}, avoid the toll highway
drive us to {address}, shortest way
set {city} as the destination""",
    "music": """I feel like listening to {artist}
play a {genre} song
please put the {playlist} playlist on shuffle
play {artist} louder
can you play the album {song}
let me hear {song} by {artist}
radio, tune in to {station}
skip to the next {genre} track
play some songs from {artist}
turn the volume of the music to {level}""",
    "climate": """cabin temperature {degree} please
it feels cold in here, heat it to {degree} degrees
put the air conditioning at {degree} degrees
I am too warm, turn the fan to {level}
make my side {degree} degrees
put the seat heater on level {level}
cool the interior to {degree} degrees
the heating should be at {degree}
the back seats are freezing, set the heating to {degree}
blow more air, fan to {level}""",
    "phone": """please place a call to {person}
can you get {person} on the phone for me
I would like to call {person} on speaker
phone {person} at the office
did {person} call me, any missed calls
dial {person} on the mobile
start a phone call with {person}
hang up and call {person}
ring {person} back
I missed a call, call {person} back""",
    "messages": """send a message saying {message} to {person}
could you text {person} for me
write a text to {person} that says {message}
reply to the message from {person} with {message}
read the unread texts from {person}
please let {person} know by text that {message}
I want to send {person} an email
message {person}, {message}
has {person} texted me, read it
new message to {person}, {message}""",
    "poi": """I am looking for the closest {place}
which {place} is nearest to us
please search for a good {place} near here
can you find us a {place} before {city}
we would like to stop at a {place}, is one nearby
show a list of every {place} near {city}
are there any {place} options along the way
is a {place} close by
where around {city} can we find a {place}
find me an open {place} within {minutes} minutes""",
    "vehicle": """tell me the {part} of the car
how is my {part} looking
please open up the {opening}
could you shut and close the {opening}
put the car in {mode} mode
change the drive mode to {mode}
are the {light} turned on
switch off the {light} now
does the car show a warning for the {part}
check if the {opening} is closed""",
    "calendar": """put a {event} on the schedule for {day}
please book the {event} at {time}
what appointments are planned for {day}
remind me {day} that I have a {event}
do I have a {event} on {day}
reschedule my {event} for {time}
when exactly is the {event} {day}
is there a meeting in my calendar at {time}
remove the {event} from my agenda
create a reminder at {time} for the {event}""",
    "weather": """could you tell me the weather for {city}
is rain expected around {city} {day}
what is the forecast {day}
how cold is it outside in {city}
will {city} have sunshine {day}
does it look like snow in {city} {day}
do I need a coat in {city} {day}
what temperature will {city} have {day}
is there fog or rain near {city}
how will the weather be {day} at {time}""",
    "news": """what are the latest headlines about {topic}
I would like to hear news about {topic}
please read the top stories on {topic}
give me an update on the {topic} news
has there been any breaking news from {city}
what is today's news from {city}
summarize the headlines on {topic}
read me an article on {topic}
what is the news on {topic} {day}
tell me the top story about {topic}""",
}

SPECIALISTS = tuple(TRAIN)

# Politeness around the request. The held-out items use their own.
_BEFORE = {
    "train": ["", "", "", "", "", "please ", "can you ", "could you ", "hey, ", "hey car, ", "okay, ", "I want you to ", "would you ", "now ", "quick, ", "and ", "car, ", "um, "],
    "held": ["", "", "", "hello, ", "alright, ", "so, "],
}
_AFTER = {
    "train": ["", "", "", "", "", "", " please", " now", " for me", ", thanks", ", thank you", " right now", " if you can"],
    "held": ["", "", "", "", ", would you", ", if possible"],
}


def utterance(rng: random.Random, template: str, split: str) -> str:
    """What a driver says: the template, some politeness, and the spelling of speech or text."""
    text = grammar.expand(rng, template, split)
    text = rng.choice(_BEFORE[split]) + text + rng.choice(_AFTER[split])
    text = " ".join(text.split())
    style = rng.random()
    if style < 0.35:
        text = text[0].upper() + text[1:]
    if style < 0.2:
        text += "?" if text.split()[0].lower() in _ASKING else "."
    return text


_ASKING = set("what when where who how is are do does did will which why can could should am any would has".split())


def templates(split: str) -> dict[str, list[str]]:
    table = TRAIN if split == "train" else HELD
    return {name: lines.strip().splitlines() for name, lines in table.items()}


def sample(rng: random.Random, split: str, specialist: str | None = None) -> tuple[str, str]:
    """One (utterance, specialist) pair."""
    name = specialist or rng.choice(SPECIALISTS)
    return utterance(rng, rng.choice(templates(split)[name]), split), name


def check() -> None:
    """No skeleton of a held-out template is one of a training template."""
    seen = set()
    for lines in templates("train").values():
        for line in lines:
            seen |= grammar.skeletons(line)
    for lines in templates("held").values():
        for line in lines:
            both = grammar.skeletons(line) & seen
            assert not both, f"held-out template also in training: {both}"
