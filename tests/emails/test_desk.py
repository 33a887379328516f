"""Only a few are at work at once, and nobody waits for long behind one who does not work."""

import threading
import time

from app.emails.desk import PATIENCE_S, Desk

SEATS = 2


def sit(desk: Desk, who: int) -> float:
    """Seconds that it took."""
    began = time.monotonic()
    desk.sit_down(who)
    return time.monotonic() - began


def test_no_more_work_at_once_than_there_are_seats() -> None:
    desk, lock = Desk(SEATS), threading.Lock()
    at_work, most, done = 0, 0, 0

    def work(who: int) -> None:
        nonlocal at_work, most, done
        desk.sit_down(who)
        with lock:
            at_work += 1
            most = max(most, at_work)
        time.sleep(0.001)
        with lock:
            at_work -= 1
            done += 1
        desk.rise(who)

    threads = [threading.Thread(target=work, args=(who,)) for who in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, done) == (SEATS, 20)


def test_who_sits_without_working_keeps_others_waiting_once() -> None:
    desk = Desk(SEATS)
    for idler in range(SEATS):
        desk.sit_down(idler)
    time.sleep(PATIENCE_S / 10)
    assert sit(desk, 100) >= PATIENCE_S * 0.9
    desk.rise(100)
    time.sleep(PATIENCE_S)
    # The seats of both are free by now, or were at the first wait.
    sit(desk, 101)
    desk.rise(101)
    assert sit(desk, 102) < PATIENCE_S
    for idler in range(SEATS):
        desk.rise(idler)


def test_rising_without_a_seat_gives_nobody_one() -> None:
    desk = Desk(1)
    desk.sit_down(1)
    desk.rise(2)
    assert sit(desk, 3) >= PATIENCE_S * 0.9
