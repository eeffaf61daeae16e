r"""Give every reader of the package damaged files.

    python tools/dev/fuzz_readers.py --mutations 10000 --state scan.json

Each reader gets a small file of its kind with some bytes changed. It must
return, or raise an error that names the file, within two seconds of CPU time
and 500 MB. The same number gives the same mutation on every machine. The exit
status is 1 if anything else happened. What STATE has is not tried again, but
for the mutations that were found.
"""

import argparse
import contextlib
import gc
import json
import multiprocessing
import os
import random
import re
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

import converter_readers  # noqa: F401 (adds its readers)
from readers import READERS, Reader

SECONDS = 2.0
MEGABYTES = 500
# What a process may take at all, so that the machine is safe.
_LIMIT = 4 * MEGABYTES << 20
# Of the clock: for what waits, and so takes no CPU time.
_PATIENCE = 30 * SECONDS
# Mutations of a reader between two of the state's lines.
_ROUND = 1000
_OURS = (ValueError, OSError, KeyError, EOFError)
_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF)
_WORDS = (b'\xff' * 4, b'\0' * 4, b'\xff\xff\xff\x7f', b'\x7f\xff\xff\xff')


class TooLong(BaseException):
    """Not an Exception: readers catch those."""


@dataclass
class Finding:
    """What should not have happened, and how often.

    Attributes:
        text: Reader, kind and message.
        numbers: Of the mutations.
    """

    text: str
    numbers: list[int] = field(default_factory=list)


def mutate(content: bytes, seed: str) -> bytes:
    """Damage a file.

    Args:
        content (bytes): The file.
        seed (str): The same seed gives the same damage.

    Returns:
        bytes: Another content, possibly empty.
    """
    draw = random.Random(seed)
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 4, 16))):
        if not data:
            break
        # Headers are at the front, where damage does most.
        end = draw.choice((len(data), min(len(data), 64)))
        start = draw.randrange(end)
        length = min(draw.choice((1, 2, 4, 16, 256)), len(data) - start)
        kind = draw.randrange(8)
        if kind == 0:
            data[start] ^= 1 << draw.randrange(8)
        elif kind == 1:
            data[start] = draw.choice((*_EXTREMES, draw.randrange(256)))
        elif kind == 2:
            data[start : start + 4] = draw.choice(_WORDS)
        elif kind == 3:
            del data[start:]
        elif kind == 4:
            del data[start : start + length]
        elif kind == 5:
            data[start:start] = draw.randbytes(length)
        elif kind == 6:
            data[start:start] = data[start : start + length]
        else:
            other = draw.randrange(len(data))
            part = bytes(data[other : other + length])
            data[start : start + len(part)] = part
    return bytes(data)


def judge(error: BaseException, path: Path) -> str | None:
    """What is wrong with an error, if anything."""
    chain: BaseException | None = error
    while chain is not None:
        if isinstance(chain, MemoryError) or 'Insufficient memory' in str(
            chain
        ):
            return f'out of memory: {type(error).__name__}'
        chain = chain.__cause__ or chain.__context__
    text = f'{type(error).__name__}: {error}'.replace('\n', ' ')
    place = _place(error)
    if isinstance(error, (TooLong, MemoryError)):
        return f'more than {SECONDS:g} s'
    if not isinstance(error, _OURS) or 'MemoryError' in text:
        return f'error of another kind: {text[:160]} at {place}'
    if not {path.name, path.stem, path.parent.name} & _words(text):
        return f'message without the file: {text[:160]} at {place}'
    return None


def _words(text: str) -> set[str]:
    """Parts of all paths in a text, and its other words."""
    words = re.split(r"[\s':/]+", text)
    return {word.strip('.,;') for word in words}


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    place = '?'
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        place = f'{file.name}:{trace.tb_lineno}'
        trace = trace.tb_next
    return place


class _Memory:
    """Megabytes that a process has taken at most."""

    def __init__(self) -> None:
        self._now = os.open('/proc/self/statm', os.O_RDONLY)
        self._peak = os.open('/proc/self/status', os.O_RDONLY)
        self._reset()

    def _reset(self) -> None:
        with contextlib.suppress(OSError):
            Path('/proc/self/clear_refs').write_text('5', encoding='ascii')

    def now(self) -> int:
        """What it has."""
        pages = int(os.pread(self._now, 100, 0).split()[1])
        return pages * resource.getpagesize() >> 20

    def taken(self, before: int) -> int:
        """The peak above ``before``, which is forgotten if it is large."""
        text = os.pread(self._peak, 10000, 0)
        taken = (int(text.partition(b'VmHWM:')[2].split()[0]) >> 10) - before
        if taken > MEGABYTES // 2:
            self._reset()
        return taken


def try_reader(reader: Reader, path: Path, memory: _Memory) -> str | None:
    """Read a file; what is wrong with the outcome, if anything."""
    before = memory.now()
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    problem = None
    try:
        reader.read(path)
    except (Exception, SystemExit, TooLong) as error:
        signal.setitimer(signal.ITIMER_PROF, 0)
        problem = judge(
            ValueError(*error.args)
            if isinstance(error, SystemExit)
            else error,
            path,
        )
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    taken = memory.taken(before)
    if taken > MEGABYTES:
        problem = f'{taken} MB taken' + (f', {problem}' if problem else '')
    return problem


def _too_long(*_: Any) -> None:
    raise TooLong


def work(
    reader: Reader, path: Path, numbers: Sequence[int], at: Any, send: Callable
) -> None:
    """Try mutations in a process of its own; ``at`` counts them."""
    gc.freeze()  # mmengine collects with every data set
    signal.signal(signal.SIGPROF, _too_long)
    used = int(Path('/proc/self/statm').read_text().split()[0])
    limit = used * resource.getpagesize() + _LIMIT
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    quiet = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # libraries write there
        os.dup2(quiet, stream)
    content = path.read_bytes()
    memory = _Memory()
    for number in numbers[at.value :]:
        path.write_bytes(mutate(content, f'{reader.name}:{number}'))
        problem = try_reader(reader, path, memory)
        if problem:
            send((number, problem))
        at.value += 1


def scan(
    reader: Reader, numbers: Sequence[int], keep: Path | None
) -> dict[str, Finding]:
    """Try all mutations of a reader.

    Args:
        reader (Reader): The reader.
        numbers (Sequence[int]): Of the mutations.
        keep (Path, optional): Folder for the files that were found.

    Returns:
        dict[str, Finding]: What should not have happened.
    """
    found: dict[str, Finding] = {}
    context = multiprocessing.get_context('fork')
    at = context.Value('q', 0, lock=False)
    with tempfile.TemporaryDirectory(prefix='fuzz_') as folder:
        path = reader.make(Path(folder))
        original = path.read_bytes()
        reader.read(path)  # what is not damaged must be read
        while at.value < len(numbers):
            path.write_bytes(original)
            receive, send = context.Pipe(duplex=False)
            process = context.Process(
                target=work,
                args=(reader, path, numbers, at, send.send),
            )
            process.start()
            send.close()
            problems = list(_collect(process, receive, at))
            if at.value < len(numbers):
                ending = (
                    'more than a signal can stop'
                    if process.exitcode == -signal.SIGKILL
                    else f'process ended with status {process.exitcode}'
                )
                problems.append((numbers[at.value], ending))
                at.value += 1
            for number, problem in problems:
                text = f'{reader.name}: {problem}'.replace(folder, 'FOLDER')
                # One kind, one line.
                kind = re.sub(r'(: \w+): .* at |0x\w+|\d+', r'\1', text)
                found.setdefault(kind, Finding(text)).numbers.append(number)
                if keep is not None and len(found[kind].numbers) == 1:
                    target = keep / f'{reader.name}_{number}{path.suffix}'
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(
                        mutate(original, f'{reader.name}:{number}')
                    )
    return found


def _collect(process: Any, receive: Any, at: Any) -> Iterator[tuple[int, str]]:
    """Problems that a process reports; it is killed if it stands still."""
    last, since = at.value, time.monotonic()
    while True:
        try:
            if receive.poll(0.2):
                yield receive.recv()
                continue
        except EOFError:
            break
        if at.value != last:
            last, since = at.value, time.monotonic()
        elif time.monotonic() - since > _PATIENCE:
            process.kill()
    process.join()


class State:
    """How far each reader was scanned, and what was found.

    Args:
        path (Path, optional): File to keep it in.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.done: dict[str, int] = {}
        self.found: dict[str, dict[str, Finding]] = {}
        if path is not None and path.exists():
            for name, entry in json.loads(path.read_text()).items():
                self.done[name] = entry['done']
                self.found[name] = {
                    kind: Finding(**finding)
                    for kind, finding in entry['found'].items()
                }

    def advance(self, reader: Reader, end: int, keep: Path | None) -> int:
        """Scan a reader up to a number; returns how many were tried.

        What was found before is tried again.
        """
        before = self.found.get(reader.name, {})
        again = {n for finding in before.values() for n in finding.numbers}
        first = self.done.get(reader.name, 0)
        numbers = [*sorted(again), *range(first, end)]
        self.found[reader.name] = scan(reader, numbers, keep)
        self.done[reader.name] = max(first, end)
        if self.path is not None:
            entries = {
                name: dict(
                    done=done,
                    found={
                        kind: asdict(finding)
                        for kind, finding in self.found[name].items()
                    },
                )
                for name, done in self.done.items()
            }
            self.path.write_text(json.dumps(entries, indent=1))
        return len(numbers)

    def report(self, name: str) -> int:
        """Print what was found; returns how often."""
        found = self.found[name].values()
        for finding in sorted(found, key=lambda one: -len(one.numbers)):
            print(f'  {len(finding.numbers):5} x {finding.text}')
            print(f'          first: {finding.numbers[0]}', flush=True)
        return sum(len(finding.numbers) for finding in found)


def parse_args() -> argparse.Namespace:
    """Parse and check the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'readers',
        nargs='*',
        metavar='READER',
        help=f'out of {", ".join(READERS)} (default: all)',
    )
    parser.add_argument(
        '--mutations', type=int, default=1000, help='of each reader'
    )
    parser.add_argument(
        '--state', type=Path, metavar='FILE', help='go on where it ended'
    )
    parser.add_argument(
        '--keep', type=Path, metavar='FOLDER', help='keep what was found'
    )
    args = parser.parse_args()
    unknown = sorted(set(args.readers) - set(READERS))
    if unknown:
        parser.error(f'there are no readers {", ".join(unknown)}')
    return args


def main() -> None:
    """Scan the readers; the exit status tells."""
    args = parse_args()
    names = args.readers or list(READERS)
    state = State(args.state)
    for number in range(_ROUND, args.mutations + _ROUND, _ROUND):
        end = min(number, args.mutations)
        for name in names:
            tried = state.advance(READERS[name], end, args.keep)
            if tried:
                print(f'{name}: {tried} up to {end}', flush=True)
                state.report(name)
    print('reader: mutations, findings')
    total = 0
    for name in names:
        found = sum(len(one.numbers) for one in state.found[name].values())
        print(f'{name}: {state.done[name]}, {found}')
        total += found
    print(f'findings: {total}')
    raise SystemExit(int(total > 0))


if __name__ == '__main__':
    main()
