"""Numbers within bounds, digit by digit, as ``llama-server`` writes integers; here decimals and multiples, too."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import TYPE_CHECKING

from hd_edge.errors import SchemaError, at_most, refuse

if TYPE_CHECKING:
    from .rules import Alternative, Name, Rules

MOST_DIGITS = 60  # of a bound
FAR = Decimal(10) ** MOST_DIGITS  # a bound beyond it is drawn in to it
USUAL = 16  # digits of an integer without a bound
PRECISE = 15  # digits that every double keeps: a text with more could be read as a number beyond its bound
MOST_BITS = 20_000  # of what several numbers divide, as a fraction
MOST_LISTED = 500  # multiples that are written one by one


@dataclass(frozen=True)
class Bound:
    """An end of a range; where it is ``open``, the number ``at`` itself is outside."""

    at: Decimal
    open: bool = False


@dataclass(frozen=True)
class Digits:
    """Numbers without a sign, of so many digits before the point and at most so many behind it.

    Attributes:
        low: Digits of the lower end, those behind the point included.
        high: Of the upper end.
        whole: Digits before the point.
        opens: Whether the ends themselves are outside.
    """

    low: str
    high: str
    whole: int
    opens: tuple[bool, bool]


def number(
    rules: Rules, *, whole: bool, low: Bound | None, high: Bound | None, multiple: list[Decimal]
) -> list[Alternative]:
    """Numbers of a range.

    Args:
        rules: Where new rules go.
        whole: Integers only.
        low: The lower end.
        high: The upper end.
        multiple: They are multiples of all of these.

    Raises:
        ConfigError: A bound is too long, or there are too many multiples.
    """
    with localcontext() as context:
        context.prec = 3 * MOST_DIGITS  # or long bounds would be rounded
        return _number(rules, whole, low, high, multiple)


def _number(
    rules: Rules, whole: bool, low: Bound | None, high: Bound | None, multiple: list[Decimal]
) -> list[Alternative]:
    step = _step(multiple, whole=whole)
    low = Bound(-FAR) if low is not None and low.at < -FAR else low
    high = Bound(FAR) if high is not None and high.at > FAR else high
    if whole:
        low = None if low is None else Bound(_integer(low, math.ceil, 1))
        high = None if high is None else Bound(_integer(high, math.floor, -1))
    if low is None and high is None and step is None:
        return [("integer",) if whole else ("number",)]
    if step is not None:
        return _multiples(rules, step, low, high, whole=whole)
    alternatives: list[Alternative] = []
    if high is None or high.at > 0 or (high.at == 0 and not high.open):
        first = low if low is not None and low.at >= 0 else Bound(Decimal(0))
        alternatives += _positive(rules, whole, first, high)
    if low is None or low.at < 0:
        first = Bound(-high.at, high.open) if high is not None and high.at < 0 else Bound(Decimal(0), open=True)
        last = None if low is None else Bound(-low.at, low.open)
        alternatives += [('"-"', *parts) for parts in _positive(rules, whole, first, last)]
    return alternatives


def _positive(rules: Rules, whole: bool, low: Bound, high: Bound | None) -> list[Alternative]:
    low = _kept(low, math.inf)
    if high is None:
        high = Bound(Decimal(10) ** max(USUAL, len(_digits(low.at, 0))), open=True)
    high = _kept(high, 0.0)
    if low.at > high.at or (low.at == high.at and (low.open or high.open)):
        return []
    found: list[Alternative] = []
    shortest, longest = len(_digits(low.at, 0)), len(_digits(high.at, 0))
    for length in range(shortest, longest + 1):
        behind = 0
        if not whole:
            behind = max(_behind(low.at), _behind(high.at), PRECISE - length, 1)
        least = _digits(low.at, behind) if length == shortest else "1" + "0" * (length - 1 + behind)
        most = _digits(high.at, behind) if length == longest else "9" * (length + behind)
        opens = low.open and length == shortest, high.open and length == longest
        writer = _Range(rules, Digits(least, most, length, opens))
        found.append((writer.rest(0, low=length == shortest, high=length == longest),))
    return found


def _integer(bound: Bound, rounded: Callable[[Decimal], int], inward: int) -> Decimal:
    """The outermost integer within a bound."""
    _check(bound)
    return Decimal(rounded(bound.at) + inward * (bound.open and bound.at == int(bound.at)))


def _check(bound: Bound) -> None:
    digits = bound.at.normalize().as_tuple()
    behind = int(digits.exponent)
    if len(digits.digits) + max(0, behind) > MOST_DIGITS + 1 or -behind > MOST_DIGITS:
        refuse(SchemaError, f"the bound {bound.at:.6g} has more than {MOST_DIGITS} digits")


def _kept(bound: Bound, toward: float) -> Bound:
    """A bound with more digits than a double keeps: the next double within, so that none is read as the bound."""
    _check(bound)
    digits = bound.at.normalize().as_tuple()
    if bound.open and len(digits.digits) > PRECISE and int(digits.exponent) < 0:
        return Bound(Decimal(repr(math.nextafter(float(bound.at), toward))))
    return bound


def _digits(number: Decimal, behind: int) -> str:
    """The digits of a number, so many of them behind the point (it has no more)."""
    return str(int(number.scaleb(behind))).rjust(behind + 1, "0")


def _behind(number: Decimal) -> int:
    return max(0, -int(number.normalize().as_tuple().exponent))


class _Range:
    """Writes numbers of one length.

    Args:
        rules: Where new rules go.
        digits: The numbers.
    """

    def __init__(self, rules: Rules, digits: Digits) -> None:
        self._rules, self._digits = rules, digits
        self._known: dict[tuple[int, bool, bool, bool], Name] = {}

    def rest(self, place: int, *, low: bool, high: bool, pointed: bool = False) -> Name:
        """What may follow.

        Args:
            place: Digits so far.
            low: They are those of the lower end.
            high: They are those of the upper end.
            pointed: The point stands before this place.
        """
        key = place, low, high, pointed
        if key in self._known:
            return self._known[key]
        rule = self._known[key] = self._rules.new("digits")
        digits = self._digits
        left = len(digits.low) - place
        if not low and not high:  # nothing bounds it any more
            behind = len(digits.low) - digits.whole
            before = digits.whole - place
            if before >= 0 and not pointed:
                first = ("[1-9]",) if place == 0 and digits.whole > 1 else ()
                more = before - len(first)
                point = (f'("." [0-9]{{1,{behind}}})?',) if behind else ()
                self._rules.add(rule, *first, *([f"[0-9]{{{more}}}"] if more > 1 else ["[0-9]"] * more), *point)
            else:
                self._rules.add(rule, *([f"[0-9]{{0,{left}}}"] if left else []))
            return rule
        if place >= digits.whole and (pointed or place == digits.whole) and self._may_end(place, low, high):
            self._rules.add(rule)
        if place == digits.whole and not pointed:
            if left:
                behind_point = self._rules.new("decimals")
                self._add_digits(behind_point, place, low, high, pointed=True)
                self._rules.add(rule, '"."', behind_point)
        elif left:
            self._add_digits(rule, place, low, high, pointed=pointed)
        return rule

    def _may_end(self, place: int, low: bool, high: bool) -> bool:
        digits, (low_open, high_open) = self._digits, self._digits.opens
        more_low, more_high = digits.low[place:].strip("0"), digits.high[place:].strip("0")
        return not (low and (more_low or low_open)) and not (high and not more_high and high_open)

    def _add_digits(self, rule: Name, place: int, low: bool, high: bool, *, pointed: bool) -> None:
        lowest = 1 if place == 0 and self._digits.whole > 1 else 0
        least, most = int(self._digits.low[place]) if low else lowest, int(self._digits.high[place]) if high else 9
        edges = {least} if low else set()
        edges |= {most} if high else set()
        for digit in sorted(edges):
            if least <= digit <= most:
                then = self.rest(place + 1, low=low and digit == least, high=high and digit == most, pointed=pointed)
                self._rules.add(rule, f'"{digit}"', then)
        first, last = least + (1 if low else 0), most - (1 if high else 0)
        if first <= last:
            self._rules.add(rule, f"[{first}-{last}]", self.rest(place + 1, low=False, high=False, pointed=pointed))


def _step(multiple: list[Decimal], *, whole: bool) -> Fraction | None:
    """The number that all must be multiples of; None: any number will do."""
    steps = [Fraction(one) for one in multiple] + ([Fraction(1)] if whole and multiple else [])
    if not steps or (whole and all(step == 1 for step in steps)):
        return None
    found = steps[0]
    for step in steps[1:]:
        bottom = math.lcm(found.denominator, step.denominator)
        found = Fraction(math.lcm(int(found * bottom), int(step * bottom)), bottom)
        digits = found.numerator.bit_length() + bottom.bit_length()
        at_most("binary digits in what all of multipleOf divide", digits, MOST_BITS)
    return found


def _multiples(
    rules: Rules, step: Fraction, low: Bound | None, high: Bound | None, *, whole: bool
) -> list[Alternative]:
    if low is not None and high is not None:
        first, last = math.ceil(Fraction(low.at) / step), math.floor(Fraction(high.at) / step)
        first += low.open and first * step == Fraction(low.at)
        last -= high.open and last * step == Fraction(high.at)
        if last - first < MOST_LISTED:
            texts = [_decimal(count * step) for count in range(first, last + 1)]
            return [(f'"{text}"', *(() if whole or "." in text else ('".0"?',))) for text in texts]
        refuse(
            SchemaError, f"{last - first + 1} multiples between the bounds cannot be held, at most {MOST_LISTED} can"
        )
    bounds = [bound for bound in (low, high) if bound is not None]
    if any(bound.at != 0 for bound in bounds):
        refuse(SchemaError, "multipleOf with one bound that is not 0 cannot be held: give the other one, too")
    behind = _behind(_exact(step))
    top = int(step * 10**behind)
    if top > MOST_LISTED:
        refuse(SchemaError, f"multiples of {_exact(step)} cannot be held without bounds: give minimum and maximum")
    signs = ([()] if high is None else []) + ([('"-"',)] if low is None else [])
    positive = _remainders(rules, top, behind)
    zero: list[Alternative] = [] if any(bound.open for bound in bounds) else [('"0"', *['".0"?'] * (not whole))]
    return [*zero, *((*sign, positive) for sign in signs)]


def _remainders(rules: Rules, top: int, behind: int) -> Name:
    """Numbers above 0 that are multiples of ``top / 10**behind``: the remainder is known behind every digit."""
    known: dict[tuple[int, int, bool], Name] = {}

    def add(rule: Name, remainder: int, decimals: int, digits: str, *, above: bool) -> None:
        targets: dict[tuple[int, bool], str] = {}
        for digit in digits:
            key = (remainder * 10 + int(digit)) % top, above or digit != "0"
            targets[key] = targets.get(key, "") + digit
        for (rest, now_above), some in targets.items():
            rules.add(rule, f"[{some}]", then(rest, decimals, above=now_above))

    def then(remainder: int, decimals: int, *, above: bool) -> Name:
        """What may follow so many decimals (-1: the point is not there yet), where the number is above 0 or not."""
        key = remainder, decimals, above
        if key in known:
            return known[key]
        rule = known[key] = rules.new("remainder")
        if above and remainder * 10 ** (behind - max(decimals, 0)) % top == 0:
            rules.add(rule)
        if decimals < 0:
            add(rule, remainder, -1, "0123456789", above=above)
            if behind:
                rules.add(rule, '"."', point(remainder, above=above))
        elif decimals < behind:
            add(rule, remainder, decimals + 1, "0123456789", above=above)
        return rule

    def point(remainder: int, *, above: bool) -> Name:
        rule = rules.new("decimals")
        add(rule, remainder, 1, "0123456789", above=above)
        return rule

    start = rules.new("multiples")
    add(start, 0, -1, "123456789", above=False)
    if behind:
        rules.add(start, '"0."', point(0, above=False))
    return start


def _exact(step: Fraction) -> Decimal:
    return Decimal(step.numerator) / Decimal(step.denominator)


def _decimal(value: Fraction) -> str:
    number = _exact(value)
    return "0" if number == 0 else f"{number.normalize():f}"
