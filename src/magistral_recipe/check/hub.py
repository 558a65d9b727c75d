"""Looking at what lies on the Hugging Face hub, for a bounded time, and saying why where it could not be looked at.

The hub's clients try again and again when it can't be reached: a minute and more for each file. Here one short request
says whether it is there; if not, they are told to look into their caches alone. Where it is there, all looks together
get the same few seconds.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Literal, TypeVar

from magistral_recipe.errors import DataError

SECONDS = 10.0
"""How long all looks together may take."""

_ASKING = 3.0  # seconds in which the hub must answer at all

_Found = TypeVar("_Found")
Why = Literal["missing", "gated", "unreachable", "offline", "slow"]


@dataclass(frozen=True)
class NotLooked:
    """Something that could not be looked at.

    Attributes:
        what: it, as a recipe names it.
        why: why not.
        remedy: what to do about it.
    """

    what: str
    why: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}: {self.why}; {self.remedy}"


class HubLooks:
    """Looks at the hub under one deadline.

    Args:
        offline: leave the hub out by intent; what is in its cache is looked at all the same.
        needed: whether anything may lie there at all; else it is not asked.
        seconds: how long all looks together may take.

    Attributes:
        left_out: what was left out by intent.
        not_looked: what could not be looked at.
    """

    def __init__(self, offline: bool = False, needed: bool = True, seconds: float = SECONDS) -> None:
        self._offline, self._told = offline, _told_offline()
        self._left = self._seconds = seconds
        started = time.monotonic()
        self._reached = needed and not offline and not self._told and _answers(min(_ASKING, seconds))
        self._left -= time.monotonic() - started
        self.left_out: list[NotLooked] = []
        self.not_looked: list[NotLooked] = []

    @contextlib.contextmanager
    def as_reached(self) -> Iterator[None]:
        """Let the hub's clients look into their caches alone, where the hub is not reached."""
        if self._reached:
            yield
        else:
            with _offline():
                yield

    def look(
        self, what: str, name: str, kind: Literal["model", "dataset"], find: Callable[[], _Found]
    ) -> _Found | None:
        """Look at something that may have to be fetched from the hub; within `as_reached`.

        Args:
            what: it, for people: ``model Qwen/Qwen3-0.6B``.
            name: of its repository.
            kind: of its repository.
            find: fetches it, or reads it from the cache.

        Returns:
            What was found; ``None`` where it could not be looked at, which is noted.

        Raises:
            DataError: where there is no such thing, or it is not what it should be.
        """
        found: list[_Found] = []
        failed: list[Exception] = []

        def work() -> None:
            try:
                found.append(find())
            except Exception as error:  # noqa: BLE001  # handed to the thread that waits, which raises or explains it
                failed.append(error)

        worker = threading.Thread(target=work, daemon=True)  # one that never ends keeps nobody
        started = time.monotonic()
        worker.start()
        worker.join(max(self._left, 0.0) if self._reached else None)
        self._left -= time.monotonic() - started
        if worker.is_alive():
            self._note(what, name, kind, "slow")
        elif failed:
            self._explain(what, name, kind, failed[0])
        return found[0] if found else None

    def note(self, what: str, why: str, remedy: str) -> None:
        """Note something else that could not be looked at; by intent, where the hub is left out."""
        (self.left_out if self._offline else self.not_looked).append(NotLooked(what, why, remedy))

    def _explain(self, what: str, name: str, kind: str, error: Exception) -> None:
        why = _why(error, self._reached)
        if why is None:
            raise error
        if why == "missing":
            page = f"https://huggingface.co/{'datasets/' if kind == 'dataset' else ''}{name}"
            raise DataError(
                f"{what}: there is no such {kind} on the hub, or it is private ({page}): check the name, or log in "
                "with `hf auth login`"
            ) from error
        self._note(what, name, kind, why)

    def _note(self, what: str, name: str, kind: str, why: Why) -> None:
        fetch = f"hf download {'--repo-type dataset ' if kind == 'dataset' else ''}{name}"
        page = f"https://huggingface.co/{'datasets/' if kind == 'dataset' else ''}{name}"
        if why == "gated":
            told = NotLooked(what, "it is gated", f"ask for access at {page}, then `hf auth login`")
        elif why == "slow":
            told = NotLooked(
                what, f"the hub took longer than {self._seconds:.0f} s in all", f"fetch it first: `{fetch}`"
            )
        elif self._offline:
            told = NotLooked(what, "left out by --offline, and not in the hub's cache", f"`{fetch}` puts it there")
        elif self._told:
            told = NotLooked(what, "HF_HUB_OFFLINE is set, and it is not in the hub's cache", f"unset it, or `{fetch}`")
        else:
            told = NotLooked(what, "the hub can't be reached, and it is not in its cache", f"`{fetch}` where it can be")
        told_of = self.left_out if self._offline and why != "gated" else self.not_looked
        if told not in told_of:  # a model is looked at for its shape, and for its words
            told_of.append(told)


def _told_offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def _answers(seconds: float) -> bool:
    """Ask the hub one small thing, once; `timeout` bounds each step of a request, a thread all of them."""
    from huggingface_hub import constants

    answers: list[object] = []

    def ask() -> None:
        request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                answers.append(answer.status)
        except urllib.error.HTTPError as error:  # an answer, too
            answers.append(error.code)
        except (OSError, ValueError, HTTPException):
            return

    worker = threading.Thread(target=ask, daemon=True)
    worker.start()
    worker.join(seconds)
    return bool(answers)


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    from huggingface_hub import constants

    holders: list[tuple[Any, str]] = [(constants, "HF_HUB_OFFLINE")]
    if "datasets.config" in sys.modules:
        holders.append((sys.modules["datasets.config"], "HF_HUB_OFFLINE"))
    saved = [(holder, name, getattr(holder, name)) for holder, name in holders]
    variable = os.environ.get("HF_HUB_OFFLINE")
    try:
        os.environ["HF_HUB_OFFLINE"] = "1"  # for clients that are imported on the way
        for holder, name in holders:
            setattr(holder, name, True)
        yield
    finally:
        for holder, name, value in saved:
            setattr(holder, name, value)
        if variable is None:
            del os.environ["HF_HUB_OFFLINE"]
        else:
            os.environ["HF_HUB_OFFLINE"] = variable


def _broke_off(error: BaseException) -> bool:
    """Whether a request to the hub ended without a word on what was asked: a lost connection, the hub's own trouble."""
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HfHubHTTPError):
        return getattr(error.response, "status_code", 0) >= 500
    return isinstance(error, HfHubHTTPError.__bases__[0])  # what its client raises, whichever client that is


def _why(error: BaseException, reached: bool) -> Why | None:
    """Why a look failed, by what the hub's client raised under all that was made of it; ``None`` for another reason."""
    from huggingface_hub import errors

    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    causes: list[BaseException] = []
    while pending:
        cause = pending.pop()
        if cause is not None and id(cause) not in seen:
            seen.add(id(cause))
            causes.append(cause)
            pending += [cause.__cause__, cause.__context__]
    if any(isinstance(cause, errors.GatedRepoError) for cause in causes):
        return "gated"
    missing = (errors.RepositoryNotFoundError, errors.RevisionNotFoundError)
    if reached and any(isinstance(cause, missing) for cause in causes):
        return "missing"
    lost = (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, ConnectionError, TimeoutError)
    if any(isinstance(cause, lost) or _broke_off(cause) for cause in causes):
        return "unreachable" if reached else "offline"
    texts = " ".join(str(cause) for cause in causes)
    if not reached and ("offline" in texts.lower() or "can't be fetched from the hub" in texts):
        return "offline"
    return None
