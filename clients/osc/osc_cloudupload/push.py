"""The push of an image: read once, in its order, and put to S3 in parts, several at a time, with a few of them in memory."""

import base64
import concurrent.futures
import contextlib
import itertools
import threading
import time
import urllib.parse
import urllib.request
import zlib

import urllib3

from . import progress, terminal
from .api import Refused, Transient
from .failure import Failure
from .images import Image
from .retries import PAUSES, SILENCE, Interrupted

CONNECTIONS = 4
"""As many as `receive` has to OBS, unless the operators say otherwise."""

SLICE = 2**18
"""Bytes that are sent at once. A socket's timeout is for all that it is given to send (`socket.sendall`): SILENCE for a
whole part would be too short for a slow line."""

URLS = 100
"""The most that the service gives at a time."""

REPORTED_EVERY = 5
"""Seconds between two reports to the service of how far the push is."""

CONFLICT = 409
"""The status for a job that takes no parts any more."""

LOCAL = "local"
"""Project and repository in the record of an image that is not of OBS."""


def local_image(source, arch, name):
    """A local image as the image of a package, as the records of jobs have it."""
    return Image(LOCAL, name, LOCAL, arch, source.name)


def push(api, job, source):
    """Puts what is missing of the job's file, and says that it is complete. Returns the job as it is then."""
    number = job["id"]
    go_on = f"go on with 'osc cloudupload push {number}{source.option}'"
    try:
        return push_rest(api.with_pauses(PAUSES), number, source)
    except (Interrupted, Transient) as failure:
        raise Failure(f"{failure}: {go_on}") from None
    except KeyboardInterrupt:
        terminal.tell(f"\nInterrupted: {go_on}")
        raise


def push_rest(api, number, source):
    """The same, without a word on how to go on."""
    try:
        state = api.push(number)
        if source.size != state["size"]:
            of = f"job {number} is of {state['size']}"
            raise Failure(f"{source.name} has {source.size} bytes, and {of}: it is another file")
        if state["done"]:
            return api.job(number)
        crc32 = Push(api, number, state).run(source)
    except Refused as refused:
        job = sent_by_another(api, number) if refused.status == CONFLICT else None
        if job is None:
            raise
        terminal.tell(f"the file of job {number} was sent by another push")
        return job
    return api.push_done(number, base64.b64encode(crc32.to_bytes(4, "big")).decode())


def sent_by_another(api, number):
    """The job, if its file is complete; else None."""
    job = api.job(number)
    if job["state"] in progress.FINAL:
        return job if job["state"] == "succeeded" else None
    return job if api.push(number)["done"] else None


class Push:
    def __init__(self, api, number, state):
        self._api, self._number = api, number
        self._size, self._part_size, self._parts = state["size"], state["part_size"], state["parts"]
        self._missing = set(state["missing"])
        self._sent = self._size - sum(self._length(part) for part in self._missing)
        self._urls, self._pool = {}, None
        self._lock, self._over = threading.Lock(), threading.Event()
        self._senders = threading.Semaphore(CONNECTIONS)
        self._reported, self._began = 0, time.monotonic()

    def run(self, source):
        """Puts the missing parts. Returns the CRC32 of the whole file."""
        crc32 = 0
        pending = set()
        try:
            for part in range(1, self._parts + 1):
                body = self._read(source, self._length(part))
                crc32 = zlib.crc32(body, crc32)
                if part in self._missing:
                    if len(pending) > CONNECTIONS:
                        pending = self._wait_for_one(pending)
                    pending.add(self._submit(part, body))
                self._tell()
            while pending:
                pending = self._wait_for_one(pending)
                self._tell()
        except BaseException:
            self._over.set()
            raise
        if source.read(1):
            raise Failure(f"{source.name} has become larger while it was sent: push it again, with a new job")
        progress.show_push(self._number, self._sent, self._size, self._began)
        return crc32

    def _length(self, part):
        return min(self._part_size, self._size - (part - 1) * self._part_size)

    def _read(self, source, size):
        pieces, left = [], size
        while left:
            piece = source.read(left)
            if not piece:
                raise Failure(f"{source.name} has become shorter while it was sent: push it again, with a new job")
            pieces.append(piece)
            left -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _submit(self, part, body):
        """Puts a part in a thread of its own. It is a daemon, as Python's end waits for the threads of an executor, and they may
        wait for S3."""
        sent = concurrent.futures.Future()

        def send():
            try:
                with self._senders:
                    sent.set_result(self._put(part, body))
            except BaseException as error:
                sent.set_exception(error)

        threading.Thread(target=send, daemon=True).start()
        return sent

    @staticmethod
    def _wait_for_one(pending):
        done, pending = concurrent.futures.wait(pending, return_when=concurrent.futures.FIRST_COMPLETED)
        for sent in done:
            sent.result()
        return pending

    def _put(self, part, body):
        pauses = iter(PAUSES)
        while True:
            reason = self._attempt(part, body)
            if reason is None:
                break
            pause = next(pauses, None)
            if pause is None or self._over.wait(pause):
                raise Interrupted(f"part {part} cannot be put ({reason})")
        with self._lock:
            self._sent += len(body)

    def _attempt(self, part, body):
        """Puts a part. Returns why it is not there; None if it is."""
        try:
            url = self._url(part)
            headers = {"Content-Length": str(len(body))}  # S3 takes no chunks, which urllib3 would send otherwise
            pool, slices = self._pool_of(url), self._slices(part, body)
            answer = pool.request("PUT", url, body=slices, headers=headers, retries=False, redirect=False)
            if answer.status == 200:
                return None
            reason = f"S3 answered {answer.status} {answer.data[:500].decode(errors='replace')}".strip()
        except (urllib3.exceptions.HTTPError, Transient) as error:
            reason = error
        # Whatever the reason is, the URL may be too old for another attempt: S3 may refuse it and close the connection while
        # the part is sent, and its answer is lost then. If the job has ended, there is no other URL.
        with self._lock:
            self._urls.pop(part, None)
        return reason

    def _slices(self, part, body):
        view = memoryview(body)
        for start in range(0, len(body), SLICE):
            if self._over.is_set():
                raise Interrupted(f"part {part} is not needed any more")
            yield view[start : start + SLICE]

    def _url(self, part):
        with self._lock:
            if part not in self._urls:
                following = (number for number in range(part, self._parts + 1) if number in self._missing)
                numbers = list(itertools.islice(following, URLS))
                self._urls.update(self._api.part_urls(self._number, numbers, self._sent))
            return self._urls[part]

    def _pool_of(self, url):
        with self._lock:
            self._pool = self._pool or connections(url)
            return self._pool

    def _tell(self):
        """Tells the user how far the push is, and the service now and then."""
        progress.show_push(self._number, self._sent, self._size, self._began)
        now = time.monotonic()
        if now - self._reported >= REPORTED_EVERY:
            self._reported = now
            with contextlib.suppress(Transient):  # who sends parts finds out what is wrong
                self._api.part_urls(self._number, [], self._sent)


def connections(url):
    """Connections that are kept from part to part, by a proxy if this machine has one for the address."""
    options = {"maxsize": CONNECTIONS, "timeout": SILENCE}
    address = urllib.parse.urlsplit(url)
    proxy = urllib.request.getproxies().get(address.scheme)
    if proxy and not urllib.request.proxy_bypass(address.hostname):
        return urllib3.ProxyManager(proxy, **options)
    return urllib3.PoolManager(**options)
