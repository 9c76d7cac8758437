"""The server: who may ask, what it keeps, and what a kill at any moment leaves."""

from __future__ import annotations

import http.client
import json
import logging
import os
import shutil
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from reviews import AT, Pen, cell, review_of

from batchdigits.cli.interrupts import signals_caught
from batchdigits.errors import (
    InterruptedRunError,
    NoInputError,
    OutputError,
    UnusableInputError,
    UsageError,
)
from batchdigits.review.document import PLANTED, Review
from batchdigits.review.journal import read_journal
from batchdigits.review.page import build_page
from batchdigits.review.serve import JournalFile, ReviewServer, journal_path

REVIEW = review_of(cell(0), cell(1), cell(2, kind=PLANTED), cell(3))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = REVIEW.encode()
    (tmp_path / "review.json").write_bytes(data)
    (tmp_path / "index.html").write_bytes(build_page(data))
    return tmp_path


class Served:
    """A server in a thread, and its answers."""

    def __init__(self, folder: Path, reviewer: str = "ana", port: int | None = None) -> None:
        review = Review.read(folder)
        self.journal = JournalFile(journal_path(folder, reviewer), review, reviewer)
        self.server = ReviewServer(folder, review, self.journal, port)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def ask(
        self, method: str, path: str, body: str | None = None, **headers: str
    ) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        given = {"X-Token": self.server.token, **headers}
        connection.request(method, path, body and body.encode(), given)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def post(self, *events: dict[str, object]) -> tuple[int, str]:
        return self.ask("POST", "/journal", "".join(json.dumps(e) + "\n" for e in events))

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        self.journal.close()


@pytest.fixture
def served(folder: Path) -> Iterator[Served]:
    result = Served(folder)
    yield result
    result.stop()


def event(number: int, **facts: object) -> dict[str, object]:
    return {"n": number, "at": AT, "do": "set", "cell": 0, "label": "3", **facts}


def test_the_page_opens_with_the_token_alone(served: Served, folder: Path) -> None:
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert served.ask("GET", f"/?token={served.server.token}") == (200, page)
    for path in ("/", "/?token=x", "/index.html", "/review.json", "/../review.json"):
        assert served.ask("GET", path)[0] == 403
    for path in ("/journal", "/others"):
        assert served.ask("GET", path, **{"X-Token": "x"})[0] == 403
        assert served.ask("GET", path)[0] == 200
    assert served.ask("POST", "/journal", "", **{"X-Token": ""})[0] == 403


def test_another_name_for_this_computer_is_refused(served: Served) -> None:
    """A page elsewhere can point a name of its own at 127.0.0.1."""
    path = f"/?token={served.server.token}"
    assert served.ask("GET", path, Host=f"evil.example:{served.server.port}")[0] == 403
    assert served.ask("GET", path, Host=f"localhost:{served.server.port}")[0] == 200


def test_a_decision_is_in_the_journal_when_it_is_answered(served: Served, folder: Path) -> None:
    assert served.post(event(1), event(2, do="confirm", cells=[0, 1]))[0] == 200
    journal = read_journal(folder / "ana.journal.jsonl", Review.read(folder))
    assert {n: d.value for n, d in journal.settled.items()} == {0: 3, 1: 7}
    _, text = served.ask("GET", "/journal")
    kept = json.loads(text)
    assert kept["reviewer"] == "ana"
    assert kept["text"].encode() == (folder / "ana.journal.jsonl").read_bytes()


def test_a_line_sent_twice_is_kept_once_and_a_second_window_is_refused(served: Served) -> None:
    first = event(1)
    assert [served.post(first)[0], served.post(first)[0]] == [200, 200]
    assert served.post(first, event(2))[0] == 200
    status, text = served.post(event(2, label="5"))
    assert (status, "open in another window" in text) == (409, True)
    assert len(served.journal.text.splitlines()) == 3


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(event(1, cell=9)),
        json.dumps(event(1, label="x")),
        json.dumps(event(2)),
        json.dumps(event(1)) + "\n" + json.dumps(event(3)),
        "{",
        "[1]",
        '{"n": 1, "n": 1}',
    ],
)
def test_what_is_no_decision_is_refused_as_a_whole(served: Served, body: str) -> None:
    assert served.ask("POST", "/journal", body)[0] == 409
    assert len(served.journal.text.splitlines()) == 1


def test_a_browser_that_goes_away_in_the_middle_leaves_no_trace_and_the_server_goes_on(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in (b"POST /journal HTTP/1.1\r\n", b"nonsense\r\n\r\n", b"\x00\xff\r\n"):
        with socket.create_connection(("127.0.0.1", served.server.port)) as connection:
            connection.sendall(text)
            reset = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
    assert served.post(event(1))[0] == 200
    assert "Traceback" not in capsys.readouterr().err


def test_a_signal_that_comes_while_a_request_is_accepted_still_ends_the_server(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library's server catches every exception there."""
    review = Review.read(folder)
    journal = JournalFile(journal_path(folder, "ana"), review, "ana")
    server = ReviewServer(folder, review, journal, None)

    def interrupted(*_arguments: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(server, "process_request", interrupted)
    caller = socket.create_connection(("127.0.0.1", server.port))
    with signals_caught(), pytest.raises(InterruptedRunError):
        server.serve_forever(0.01)
    with signals_caught():
        pass  # which forgets the signal, for the tests after this one
    caller.close()
    server.server_close()
    journal.close()


def test_a_huge_body_is_refused_before_it_is_read(served: Served) -> None:
    assert served.ask("POST", "/journal", "", **{"Content-Length": "99999999999"})[0] == 413
    assert served.ask("POST", "/journal", "", **{"Content-Length": "x"})[0] == 413


def test_journal_and_token_are_for_the_user_alone(served: Served, folder: Path) -> None:
    for name in ("ana.journal.jsonl", ".access.json"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600


def test_a_server_that_was_started_again_has_the_same_address_and_goes_on(folder: Path) -> None:
    first = Served(folder)
    url = first.server.url
    first.post(event(1))
    first.stop()
    again = Served(folder)
    assert again.server.url == url
    assert again.post(event(2, cell=1))[0] == 200
    assert len(again.journal.text.splitlines()) == 3
    again.stop()


def test_half_a_line_that_a_kill_left_is_cut_off(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("batchdigits").propagate = True
    path = Pen(Review.read(folder)).set(0, "3").set(1, "5").write(folder)
    whole = path.read_bytes()
    for cut in (1, 10, len(whole.splitlines()[-1])):
        path.write_bytes(whole[:-cut])
        served = Served(folder)
        assert served.post(event(2, cell=1, label="5"))[0] == 200
        served.stop()
        assert len(read_journal(path, Review.read(folder)).lines) == 2
    assert "its last line was cut off" in caplog.text


def test_half_a_header_is_begun_again(folder: Path) -> None:
    (folder / "ana.journal.jsonl").write_bytes(b'{"journal": 1, "rev')
    served = Served(folder)
    assert served.post(event(1))[0] == 200
    served.stop()


def test_a_full_disk_is_told_to_the_reviewer_and_leaves_no_half_line(
    served: Served, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write

    def half(descriptor: int, data: bytes) -> int:
        if b'"do"' in data:
            real(descriptor, data[:10])
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    before = (folder / "ana.journal.jsonl").read_bytes()
    monkeypatch.setattr("batchdigits.review.serve.os.write", half)
    status, text = served.post(event(1))
    assert (status, "No space left on device" in text) == (507, True)
    assert (folder / "ana.journal.jsonl").read_bytes() == before
    monkeypatch.undo()
    assert served.post(event(1))[0] == 200


def test_the_journal_of_somebody_else_is_not_written_to(folder: Path) -> None:
    Pen(Review.read(folder), "ana b").write(folder).rename(folder / "ana-b.journal.jsonl")
    assert journal_path(folder, "ana/b") == folder / "ana-b.journal.jsonl"
    with pytest.raises(UnusableInputError, match="is the journal of 'ana b'"):
        Served(folder, "ana/b")


def test_other_reviewers_journals_are_given_as_far_as_they_are_sound(
    served: Served, folder: Path
) -> None:
    Pen(Review.read(folder), "ben").confirm([0]).write(folder)
    (folder / "zoe.journal.jsonl").write_text("nonsense\n")
    shutil.copy(folder / "ben.journal.jsonl", folder / "._ben.journal.jsonl")
    (text,) = json.loads(served.ask("GET", "/others")[1])
    assert json.loads(text.splitlines()[0])["reviewer"] == "ben"
    assert len(text.splitlines()) == 2


def test_a_port_that_is_taken_is_a_usage_error(served: Served, folder: Path) -> None:
    review = Review.read(folder)
    journal = JournalFile(journal_path(folder, "ben"), review, "ben")
    with pytest.raises(UsageError, match="--port .*: can't be used"):
        ReviewServer(folder, review, journal, served.server.port)
    with pytest.raises(UsageError, match="--port 99999999"):
        ReviewServer(folder, review, journal, 99_999_999)
    # Without a wish, another port is found.
    other = ReviewServer(folder, review, journal, None)
    other.server_close()
    journal.close()


def test_a_link_in_the_place_of_a_journal_is_not_followed(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("")
    (folder / "ana.journal.jsonl").symlink_to(target)
    with pytest.raises(OutputError, match="can.t be written"):
        Served(folder)
    assert target.read_text() == ""


def test_a_fifo_or_a_giant_in_the_place_of_a_journal_is_refused(folder: Path) -> None:
    os.mkfifo(journal_path(folder, "ana"))
    with journal_path(folder, "ben").open("wb") as file:
        file.truncate(1 << 40)
    for reviewer in ("ana", "ben"):
        with pytest.raises(UnusableInputError, match="expected the journal"):
            JournalFile(journal_path(folder, reviewer), REVIEW, reviewer)


def test_a_fifo_in_the_place_of_the_page_is_not_waited_for(folder: Path) -> None:
    (folder / "index.html").unlink()
    os.mkfifo(folder / "index.html")
    journal = JournalFile(journal_path(folder, "ana"), REVIEW, "ana")
    with pytest.raises(NoInputError, match="FIFO"):
        ReviewServer(folder, REVIEW, journal, None)
    journal.close()
