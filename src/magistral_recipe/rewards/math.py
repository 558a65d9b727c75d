"""Mathematics: is the boxed answer the reference? (Magistral §2.2.2)"""

from __future__ import annotations

from typing import Any

from magistral_recipe.rewards.base import Batch, Grade, Reason, Reward
from magistral_recipe.rewards.thinking import Thinking
from magistral_recipe.verifiers.boxes import find_boxes

_DEFAULT_THINKING = Thinking()


class MathCorrectness(Reward):
    r"""1.0 where the boxed answer equals the reference, else 0.0 (Magistral §2.2.2).

    Args:
        thinking: the tags; ``None`` grades the whole text.
        column: the column of references: a string, a number, or a list of them, any one of which is right.
        name: how logs call this instance.
    """

    default_name = "math_correctness"

    def __init__(
        self, thinking: Thinking | None = _DEFAULT_THINKING, column: str = "answer", name: str | None = None
    ) -> None:
        super().__init__(name, thinking)
        self.column = column

    def grade(self, batch: Batch) -> list[Grade]:
        """Grade each completion of kind ``math`` against its reference."""
        kinds = batch.kinds(default="math")
        if "math" not in kinds:
            return [Grade(None, Reason.OTHER_KIND)] * len(batch)
        references = batch.column(self.column)
        return [
            self._grade_row(text, reference) if kind == "math" else Grade(None, Reason.OTHER_KIND)
            for text, reference, kind in zip(batch.texts(self.thinking), references, kinds, strict=True)
        ]

    def _grade_row(self, text: str, reference: Any) -> Grade:
        if reference is None:
            return Grade(None, Reason.UNREADABLE_REFERENCE)
        answer = text if self.thinking is None else self.thinking.split(text).answer
        if answer is None:
            return Grade(0.0, Reason.MALFORMED)
        boxes = {box.strip() for box in find_boxes(answer) if box.strip()}
        if not boxes:
            return Grade(0.0, Reason.NO_BOX)
        if len(boxes) > 1:
            return Grade(0.0, Reason.SEVERAL_BOXES)
        references = reference if isinstance(reference, list) else [reference]
        right = boxes.pop() in {str(each).strip() for each in references}
        return Grade(float(right), Reason.RIGHT if right else Reason.WRONG)


math_correctness = MathCorrectness()
