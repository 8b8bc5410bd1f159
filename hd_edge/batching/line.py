"""Line: a straight line through the last of many measured points, older ones forgotten."""

from __future__ import annotations


class Line:
    """Least squares with forgetting.

    Args:
        forget: What is left of the weight of all earlier points at each new one.
        stiffness: So much spread of the points, in squares of x, counts as much as what the slope is expected to be.
    """

    def __init__(self, forget: float, stiffness: float) -> None:
        self._forget, self._stiffness = forget, stiffness
        self._weight = self._x = self._y = self._xx = self._xy = 0.0

    def __bool__(self) -> bool:
        """Whether there is a point."""
        return self._weight > 0

    def add(self, x: float, y: float) -> None:
        """A point was measured."""
        keep = self._forget
        self._weight = keep * self._weight + 1
        self._x, self._y = keep * self._x + x, keep * self._y + y
        self._xx, self._xy = keep * self._xx + x * x, keep * self._xy + x * y

    @property
    def middle(self) -> tuple[float, float]:
        """The mean of the points; there is one."""
        return self._x / self._weight, self._y / self._weight

    def slope(self, expected: float) -> float:
        """Of the line; drawn to the expected one, in levels at x = 0, while the points hardly differ in x.

        Args:
            expected: Of a line that is above 0 at all points: above -1 / x.
        """
        x, y = self.middle
        spread, joint = self._xx - self._weight * x * x, self._xy - self._weight * x * y
        stiff = self._stiffness
        return (joint + stiff * expected * y / (1 + expected * x)) / (spread + stiff)
