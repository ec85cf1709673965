"""Kept words: those that augmentation never exchanges, since a label may hang on them, and never brings in."""

from __future__ import annotations

NEGATIONS = frozenset(
    "no not never none nobody nothing nowhere neither nor without hardly barely scarcely rarely seldom cannot lack "
    "lacks lacking fail fails failed except unless despite although though however instead only few little less "
    "least almost nearly".split()
)
POLAR = frozenset(
    "up down rise rises rose risen rising fall falls fell fallen falling increase increases increased decrease "
    "decreases decreased gain gains gained lose loses lost loss losses profit profits grow grows grew growth shrink "
    "shrinks shrank high higher highest low lower lowest raise raises raised cut cuts drop drops dropped jump jumps "
    "jumped slide slides slid soar soars soared plunge plunges plunged surge surges surged slump slumps slumped "
    "climb climbs climbed decline declines declined improve improves improved worsen worsens worsened better best "
    "worse worst good bad great terrible excellent poor strong stronger weak weaker beat beats miss misses missed "
    "exceed exceeds above below over under more most buy buys sell sells upgrade upgrades upgraded downgrade "
    "downgrades downgraded positive negative optimistic pessimistic love hate like dislike happy sad angry easy "
    "hard fast slow cheap expensive safe unsafe risky success failure win wins won accept accepts reject rejects "
    "approve approves approved deny denies denied allow ban open close opens closes start stop starts stops hire "
    "fire expand expands narrow narrows widen widens debt deficit surplus credit debit paid unpaid before after "
    "with yes buyer buyers seller sellers lender lenders borrower borrowers landlord tenant employer employee "
    "imports exports import export inflow outflow large larger small smaller big bigger long longer short shorter "
    "early earlier late later old new young true false right wrong full empty hot cold front behind inside outside "
    "north south east west northern southern eastern western male female bought sold lend borrow lent apart "
    "together public private inner outer ahead leave leaves stay stays keep keeps".split()
)
"""Words that tell one label from another, and that an embedding takes for each other: up and down, buyer and seller."""
NUMBERS = frozenset(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million "
    "billion trillion dozen half third quarter twice double triple first second percent pct percentage bn mn "
    "seconds minute minutes hour hours day days week weeks month months quarters year years decade century annual "
    "monthly weekly daily morning evening night noon today tomorrow yesterday spring summer autumn winter january "
    "february march april june july august september october november december monday tuesday wednesday thursday "
    "friday saturday sunday fourth fifth sixth seventh eighth ninth tenth".split()
)
"""Numbers, units and times."""
FUNCTION = frozenset(
    "the and but for nor yet so that this these those which who whom whose what when where why how will would shall "
    "should can could may might must have has had having been being were was are his her its our your their them "
    "they him she you from into onto about between among during through against along away back off out again once "
    "here there then than too very just ever even still also own same such both each either every any some all "
    "another other others because since until while whereas whether upon within across around toward towards per "
    "via".split()
)
KEPT = NEGATIONS | POLAR | NUMBERS | FUNCTION
_ENDINGS = ("s", "es", "d", "ed", "ing", "ly", "er", "est")


def is_kept(word: str) -> bool:
    """Whether a word in lower case, or what it seems to be a form of, is one of them."""
    stems = [word, *(word.removesuffix(ending) for ending in _ENDINGS if word.endswith(ending))]
    stems += [stem[:-1] for stem in stems if len(stem) > 3 and stem[-1] == stem[-2]]  # cutting, from cut
    return any(stem in KEPT or stem + "e" in KEPT for stem in stems)
