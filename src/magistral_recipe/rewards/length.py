"""Length: the soft penalty on completions that come close to the limit (Magistral §2.2.3, after DAPO eq. 13).

In tokens, at most -0.1. Unlike TRL's `get_soft_overlong_punishment` its limits may change during training.
"""

from __future__ import annotations

from magistral_recipe.rewards.base import Batch, Grade, Reason, Reward
from magistral_recipe.rewards.decoding import Tokenizer

PENALTY = 0.1


def check_limits(max_length: int, cache: int) -> None:
    """Raise ValueError unless ``0 <= cache < max_length``."""
    if not 0 <= cache < max_length:
        raise ValueError(f"limits must satisfy 0 <= cache < max_length, not cache={cache}, max_length={max_length}")


def overlong_penalty_of(length: int, max_length: int, cache: int) -> float:
    """Return the penalty on one completion.

    0 up to ``max_length - cache`` tokens, then linear down to -0.1 at ``max_length``.

    Args:
        length: of the completion, in tokens.
        max_length: l_max, in tokens.
        cache: width l_cache of the linear zone, in tokens; 0 makes a hard limit.

    Returns:
        A value in [-0.1, 0].
    """
    free = max_length - cache
    if length <= free:
        return 0.0
    if length > max_length:
        return -PENALTY
    return -PENALTY * (length - free) / cache


class OverlongPenalty(Reward):
    """Soft penalty on overlong completions: 0 up to ``max_length - cache`` tokens, -0.1 from ``max_length`` on.

    Args:
        max_length: l_max, in tokens. ``None`` leaves both limits to `set_limits`.
        cache: width l_cache of the linear zone, in tokens; 0 makes ``max_length`` a hard limit.
        name: how logs call this instance.
        tokenizer: as every reward takes it; lengths are counted in ids and need none.
        strict: as every reward takes it; this one reads no column.

    Raises:
        ValueError: unless ``0 <= cache < max_length``, or if only one of them is given.

    Example:
        >>> OverlongPenalty(100, 20)(completions=["a", "b"], completion_ids=[[0] * 90, [0] * 80])
        [-0.05, 0.0]
    """

    default_name = "overlong_penalty"
    part = "length"
    maximum = 0.0

    def __init__(
        self,
        max_length: int | None = None,
        cache: int | None = None,
        name: str | None = None,
        tokenizer: Tokenizer | None = None,
        strict: bool = False,
    ) -> None:
        super().__init__(name, tokenizer=tokenizer, strict=strict)
        self._limits = LengthLimits(max_length, cache)

    @property
    def limits(self) -> tuple[int, int] | None:
        """The length limits in force, (max_length, cache) in tokens; ``None`` while there are none."""
        return self._limits.current

    def set_limits(self, max_length: int, cache: int) -> None:
        """Change the limits, in tokens; raise ValueError where the constructor was given them."""
        self._limits.set(max_length, cache)

    def grade(self, batch: Batch) -> list[Grade]:
        """Grade each completion by the number of its token ids."""
        return self._limits.grade(batch, self.name)


class LengthLimits:
    """The two limits in tokens, given once at construction or, by a schedule, any number of times later.

    Args:
        max_length: l_max, or ``None``.
        cache: l_cache, or ``None`` together with it.
    """

    def __init__(self, max_length: int | None, cache: int | None) -> None:
        if (max_length is None) != (cache is None):
            raise ValueError(f"max_length and cache go together, not max_length={max_length}, cache={cache}")
        self.fixed = max_length is not None
        self.current: tuple[int, int] | None = None
        if max_length is not None and cache is not None:
            check_limits(max_length, cache)
            self.current = (max_length, cache)

    def set(self, max_length: int, cache: int) -> None:
        """Change the limits; raise ValueError where they were given at construction, or are not in order."""
        if self.fixed:
            raise ValueError(
                f"limits given twice: max_length={max_length}, cache={cache} by the schedule, "
                f"max_length={self.current and self.current[0]}, cache={self.current and self.current[1]} "
                "at construction; give them in one place"
            )
        check_limits(max_length, cache)
        self.current = (max_length, cache)

    def grade(self, batch: Batch, name: str) -> list[Grade]:
        """Return the penalty of each completion; raise ValueError without limits or token ids."""
        if self.current is None:
            raise ValueError(f"{name}: no limits; give max_length and cache, or call set_limits")
        if batch.completion_ids is None:
            raise ValueError(f"{name}: missing argument 'completion_ids', lengths are counted in tokens")
        penalties = [overlong_penalty_of(len(ids), *self.current) for ids in batch.completion_ids]
        return [Grade(value, Reason.OVERLONG if value < 0 else Reason.WITHIN_LIMITS) for value in penalties]
