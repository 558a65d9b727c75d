"""The generator: a request a sample, many at once, tried again with growing pauses, within a budget.

Each request carries a seed of its own, made of the run's, the problem's id and the sample's number, as vLLM's do here;
what an endpoint makes of it is its business, so that samples are told apart by id and number and never by their bits.
The key is read from the environment, goes into one header, and is masked in whatever the endpoint says.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from magistral_recipe.confidential import MASK
from magistral_recipe.errors import DataError, RunError
from magistral_recipe.generation.endpoint.answers import Answer, Refused, TryAgain, read_answer, require_success
from magistral_recipe.generation.endpoint.budget import Budget
from magistral_recipe.generation.endpoint.config import EndpointConfig
from magistral_recipe.generation.interface import Completion, Prompt, Request, Sampling, request_seed
from magistral_recipe.machine import World
from magistral_recipe.writing.thinking import Thinking

if TYPE_CHECKING:
    import httpx2

MOST_REFUSED = 0.05
"""Share of requests, those of earlier starts included, that may be refused before it is the endpoint that is wrong."""
FEW_PROBLEMS = 3
"""Problems that may be refused whatever their share is: of a small set one prompt is more than that."""
FEW_IN_A_ROW = 3
"""Requests given up one after another, with none that was answered in between, that end it; at least as many as are
under way at once."""
LONG = 60.0
"""Seconds of waiting of which a person hears."""
LARGEST_ANSWER = 64 * 2**20
"""Bytes of an answer that are read."""
_LONGEST_PAUSE = 60.0

Pause = Callable[[float], Awaitable[None]]


@dataclass
class Clock:
    """What the generator knows of time; tests bring their own.

    Attributes:
        now: seconds that only grow.
        wall: seconds since 1970.
        pause: waits so many seconds; ``None`` for the event loop's own.
    """

    now: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    pause: Pause | None = None


@dataclass
class _Tally:
    """How the requests of one call went.

    Attributes:
        asked: requests there are, those that earlier starts finished included.
        answered: whether one was ever answered.
        given_up: (request, reason) of those that used up their tries; they are asked again by the next run.
        refused: likewise of those that have no answer.
        in_a_row: of both, since the last answer; of those refused only where they are too many.
    """

    asked: int
    answered: bool
    given_up: list[tuple[Request, str]] = field(default_factory=list)
    refused: list[tuple[Request, str]] = field(default_factory=list)
    in_a_row: int = 0

    @property
    def too_many_refused(self) -> bool:
        """Whether it is the endpoint that is wrong, rather than a prompt here and there."""
        few = len({request.id for request, _ in self.refused}) <= FEW_PROBLEMS
        return bool(self.refused) and not (self.answered and (few or len(self.refused) <= MOST_REFUSED * self.asked))


class EndpointGenerator:
    """Generates by asking an OpenAI-compatible endpoint.

    Args:
        config: where it is, and what may be spent.
        thinking: the tags to join thoughts with that come in a field of their own; ``None`` leaves them out.
        tell: takes warnings.
        retag: changes a completion's text, as to the recipe's tags; by default it stays.
        finished: requests that earlier starts of the same work finished.
        clock: see `Clock`.

    Raises:
        DataError: where the key's environment variable isn't set, or httpx2 isn't installed.
    """

    def __init__(
        self,
        config: EndpointConfig,
        thinking: Thinking | None = None,
        *,
        tell: Callable[[str], None] = lambda text: None,
        retag: Callable[[str], str] = lambda text: text,
        finished: int = 0,
        clock: Clock | None = None,
    ) -> None:
        self.config = config
        self.thinking = thinking
        self.tell = tell
        self.retag = retag
        self.clock = clock or Clock()
        self.key = _key_of(config)
        world = World.from_environment()
        self.budget = Budget(_part(config.max_requests, world), _part(config.max_tokens_total, world))
        self.finished = finished
        self.reached, self.answered, self.uncounted = False, 0, False
        self._not_before = 0.0
        self._jitter = random.Random(0)
        _require_httpx()

    def stream(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[list[Completion]]:
        """Yield completions as they are answered.

        Args:
            requests: what to complete, ids and sample numbers unique together.
            sampling: how.

        Yields:
            What has been answered since the last time.

        Raises:
            DataError: where no request can be answered: no such model, a key that isn't taken.
            RunError: where the endpoint can't be reached or answers nothing usable, or the budget is spent; what was
                yielded before is finished.
        """
        from anyio.from_thread import start_blocking_portal

        before = self.finished + self.answered
        tally, todo = _Tally(before + len(requests), bool(before)), iter(requests)
        most = max(FEW_IN_A_ROW, self.config.concurrency)
        left = len(requests)
        # The requests live in an event loop of a thread of its own: they go on while what came is graded and written,
        # and end at once when whoever reads stops.
        with start_blocking_portal() as portal, portal.wrap_async_context_manager(self._client()) as client:
            running: dict[Future[Completion], Request] = {}
            while True:
                while len(running) < self.config.concurrency and not self.budget.spent and tally.in_a_row < most:
                    request = next(todo, None)
                    if request is None:
                        break
                    running[portal.start_task_soon(self._complete, client, request, sampling)] = request
                if not running:
                    break
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                finished, ends = _sorted_out({future: running.pop(future) for future in done}, tally)
                left -= len(finished)
                if finished:
                    yield finished
                if ends is not None:
                    raise ends
        self._conclude(tally, len(requests), left)

    def _conclude(self, tally: _Tally, asked: int, left: int) -> None:
        """Say what is missing, and by whose fault; nothing where nothing is."""
        kept = "what is finished is kept, the same command goes on"
        if left > len(tally.refused) and self.budget.spent:
            raise RunError(
                f"{self.config}: stopped at {self.budget.spent}, after {self.budget.line()}; {left:,} of {asked:,} "
                f"samples are still to be drawn: {kept} with as many more"
            )
        if tally.given_up:
            request, reason = tally.given_up[-1]
            raise RunError(
                f"{self.config}: {len(tally.given_up):,} of {asked:,} requests got no usable answer, the last for "
                f"problem {request.id!r}: {reason}; {kept} and asks them again"
            )
        if tally.refused:
            request, reason = tally.refused[0]
            line = (
                f"{self.config}: refuses {len(tally.refused):,} of {asked:,} requests, as for {request.id!r}: {reason}"
            )
            if left > len(tally.refused) or tally.too_many_refused:
                raise RunError(f"{line}; {kept}")
            self.tell(f"{line}; they are left out")

    def _client(self) -> httpx2.AsyncClient:
        import httpx2

        headers = {"content-type": "application/json"}
        headers |= {"authorization": f"Bearer {self.key}"} if self.key else {}
        many = self.config.concurrency
        return httpx2.AsyncClient(
            headers=headers,
            timeout=httpx2.Timeout(None, connect=min(30.0, self.config.timeout)),
            limits=httpx2.Limits(max_connections=many, max_keepalive_connections=many),
        )

    async def _complete(self, client: httpx2.AsyncClient, request: Request, sampling: Sampling) -> Completion:
        """Ask for one completion until there is one.

        Raises:
            TryAgain: if all tries are used up, or the budget is.
            Refused: if there is no answer, or an empty one each time.
        """
        path, body = self._asked(request, sampling)
        failures, answered, first = 0, self.answered, True
        while True:
            await self._wait_for_turn()
            if self.budget.spent:  # by the others, since this one was begun
                raise TryAgain(f"{self.budget.spent} is spent")
            self.budget.requests += 1
            self.budget.again += not first
            first = False
            try:
                answer = await self._answer(client, path, body)
            except TryAgain as again:
                # An endpoint that is busy with the others' requests hasn't failed on this one.
                failures = 1 if again.busy and self.answered > answered else failures + 1
                if failures > self.config.retries:
                    if again.empty:  # asked again by the next start, it would say as little
                        raise Refused(f"{again}, {failures} times") from None
                    raise
                answered = self.answered
                await self._pause_after(again, failures)
                continue
            self.answered += 1
            self.budget.tokens += answer.all_tokens
            if not (answer.counted or self.uncounted):
                self.uncounted = True
                self.tell(f"{self.config}: counts no tokens; they are estimated, those of prompts left out")
            text = self.retag(answer.text)
            return Completion(request, _shown(request.prompt), text, (), answer.truncated, written=answer.tokens)

    async def _answer(self, client: httpx2.AsyncClient, path: str, body: dict[str, Any]) -> Answer:
        """Ask once."""
        import anyio
        import httpx2

        text = json.dumps(body)  # in ASCII: half a surrogate pair, which UTF-8 can't hold, becomes an escape
        try:
            with anyio.fail_after(self.config.timeout):
                async with client.stream("POST", self.config.endpoint + path, content=text) as response:
                    self.reached = True
                    data = bytearray()
                    async for chunk in response.aiter_bytes():
                        data += chunk
                        if len(data) > LARGEST_ANSWER:
                            raise TryAgain(f"an answer of more than {LARGEST_ANSWER >> 20} MiB")
                    require_success(response.status_code, response.headers, bytes(data), self.clock.wall())
        except TimeoutError:
            raise TryAgain(f"no answer within {self.config.timeout:g} s") from None
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            if self.reached:
                raise TryAgain(f"cannot be reached ({_line(error)})") from None
            raise RunError(f"{self.config}: cannot be reached ({_line(error)}): does it run there?") from None
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise TryAgain(f"the connection broke ({_line(error)})") from None
        except httpx2.InvalidURL as error:
            raise DataError(f"{self.config}: {error}") from None
        except (DataError, TryAgain, Refused) as error:
            raise self._named(error) from None
        return read_answer(bytes(data), self.thinking)

    def _named(self, error: DataError | TryAgain | Refused) -> Exception:
        """An error of an answer, without the key and with the endpoint's name."""
        text = str(error).replace(self.key, MASK) if self.key else str(error)
        if isinstance(error, TryAgain):
            return TryAgain(text, error.after, error.busy)
        if isinstance(error, Refused):
            return Refused(text)
        return DataError(f"{self.config}: {text}{self._remedy(text)}")

    def _remedy(self, text: str) -> str:
        if text.startswith(("401", "403", "status 401", "status 403")):
            return f" (the key in {self.config.key})" if self.config.key else " (`key` names the key's variable)"
        return f" (asked for the model {self.config.name!r} at {self.config.endpoint})"

    def _asked(self, request: Request, sampling: Sampling) -> tuple[str, dict[str, Any]]:
        """Where a request goes, and what it says."""
        body: dict[str, Any] = {
            "model": self.config.name,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_new_tokens,
            "seed": request_seed(sampling.seed, request) >> 32,  # 31 bits: what all servers take
        }
        body = {name: value for name, value in {**body, **self.config.body}.items() if value is not None}
        if isinstance(request.prompt, str):
            return "/completions", {**body, "prompt": request.prompt}
        return "/chat/completions", {**body, "messages": [dict(message) for message in request.prompt]}

    async def _wait_for_turn(self) -> None:
        """Hold back while the endpoint asks everybody to wait."""
        while (left := self._not_before - self.clock.now()) > 0:
            await self._pause(left)

    async def _pause_after(self, again: TryAgain, failures: int) -> None:
        if again.after is not None:
            # Whoever asks for no time and is as busy afterwards is given more all the same.
            wait = max(again.after, min(_LONGEST_PAUSE, 2.0 ** (failures - 2)) if failures > 1 else 0.0)
            if wait >= LONG and self.clock.now() + wait > self._not_before + LONG:
                self.tell(f"{self.config}: asks to wait {wait:,.0f} s ({again})")
            self._not_before = max(self._not_before, self.clock.now() + wait)
            return
        pause = min(_LONGEST_PAUSE, 2.0 ** max(0, failures - 1))
        await self._pause(pause * (0.5 + self._jitter.random()))  # apart, or they would all come back at once

    async def _pause(self, seconds: float) -> None:
        import anyio

        await (self.clock.pause or anyio.sleep)(seconds)


def _sorted_out(
    done: dict[Future[Completion], Request], tally: _Tally
) -> tuple[list[Completion], DataError | RunError | None]:
    """Tell the completions from the failures, and from what ends it all."""
    finished: list[Completion] = []
    ends: DataError | RunError | None = None
    for future, request in done.items():
        try:
            finished.append(future.result())
            tally.in_a_row, tally.answered = 0, True
        except TryAgain as error:
            tally.given_up.append((request, str(error)))
            tally.in_a_row += 1
        except Refused as error:
            tally.refused.append((request, str(error)))
            tally.in_a_row += tally.too_many_refused
        except (DataError, RunError) as error:
            ends = error
    return finished, ends


def _key_of(config: EndpointConfig) -> str | None:
    if config.key is None:
        return None
    key = os.environ.get(config.key, "").strip()
    if not key:
        raise DataError(f"{config}: the environment has no {config.key}, which is to hold its key")
    if not key.isascii() or not key.isprintable():
        raise DataError(f"{config}: what the environment has as {config.key} can't be a key")
    return key


def _require_httpx() -> None:
    try:
        import httpx2  # noqa: F401
    except ImportError as error:
        raise DataError(
            "a model behind an endpoint: httpx2 isn't installed; pip install 'magistral-recipe[endpoint]'"
        ) from error


def _part(limit: int | None, world: World) -> int | None:
    """This process's part of a limit; all parts together are the limit."""
    return None if limit is None else limit // world.size + (world.rank < limit % world.size)


def _shown(prompt: Prompt) -> str:
    """A prompt for people: how the endpoint renders it is not told."""
    if isinstance(prompt, str):
        return prompt
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in prompt)


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
