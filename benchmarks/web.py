"""Fifty readers at once: searches and pages of the application, answered by one server process on this machine.

Prints the median and the 95th percentile of the time to the last byte, for each kind of page, and how many answers were
not 200. Beside it: the same requests one after the other, which is what the server needs when nobody else asks, and how
the jobs table fares (jobs taken and ended per second by four threads), and when a reader first sees the map of the
start page: seconds from asking for the page until the map has drawn its first whole frame, in Chromium without a cache
(software rendering; needs Playwright, a browser and scripts/web-assets; the target is under 2 s).

    benchmarks/web.py [--readers 50] [--each 10]
    benchmarks/web.py --paint            only the map
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

PATHS = {
    "start page": "/",
    "search, words": "/?q=corridor+dam",
    "search, facets": "/index.json?facet.realm=land&q=forest",
    "search, a box": "/index.json?bbox=-120,-40,-30,35",
    "solution page": "/solutions/jaguar-corridor",
    "places on the map": "/places.geojson",
    "method page": "/methods/corridors.least_cost",
    "list of runs": "/runs",
}
SERVE = "import sys; from linkways.web import serve; serve(sys.argv[1], port=int(sys.argv[2]), tell=lambda _: None)"


def main() -> None:
    """Start the server, ask, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--each", type=int, default=10, help="rounds over all pages for each reader")
    parser.add_argument("--paint", action="store_true", help="only the first paint of the map")
    parser.add_argument("--port", type=int, default=8799)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen([sys.executable, "-c", SERVE, folder, str(chosen.port)])
        try:
            base = f"http://127.0.0.1:{chosen.port}"
            wait(base)
            first_paint(base)
            if chosen.paint:
                return
            alone = [ask(base + path) for _ in range(5) for path in PATHS.values()]
            print(f"one reader:  median {ms(statistics.median(t for _, t, _ in alone))}, p95 {ms(p95(alone))}")
            crowd(base, chosen.readers, chosen.each)
        finally:
            server.terminate()
            server.wait()
    claims()


def first_paint(base: str, rounds: int = 7) -> None:
    """Print when the map of the start page is first seen, the browser's cache empty each time."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    program = next((path for name in names if (path := shutil.which(name))), None)
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        program = None
    if program is None:
        print("first map paint: not measured, it needs Playwright and Chromium")
        return
    options = ["--headless", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    seen, shown = [], []
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=options)
        for _ in range(rounds):
            page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            page.goto(base + "/")
            page.wait_for_selector("#explorer[data-idle]", timeout=60_000)
            mark = "performance.getEntriesByName('linkways-map')[0].startTime / 1000"
            paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000"
            seen.append(page.evaluate(mark))
            shown.append(page.evaluate(paint))
            page.context.close()
        browser.close()
    print(f"start page on this machine, {rounds} visits with an empty cache:")
    print(f"  first text {statistics.median(shown):.2f} s, first map paint {statistics.median(seen):.2f} s (median),")
    print(f"  quickest {min(seen):.2f} s, slowest {max(seen):.2f} s; target under 2 s")


def crowd(base: str, readers: int, each: int) -> None:
    """All readers at once, each asking for all pages again and again."""
    answers: list[tuple[str, float, int]] = []
    lock = threading.Lock()

    def read(number: int) -> None:
        names = list(PATHS)
        # every reader begins elsewhere
        order = names[number % len(names) :] + names[: number % len(names)]
        mine = []
        for _ in range(each):
            for name in order:
                _, seconds, status = ask(base + PATHS[name])
                mine.append((name, seconds, status))
                time.sleep(0.5)
        with lock:
            answers.extend(mine)

    clock = time.perf_counter()
    run_all([lambda n=n: read(n) for n in range(readers)])
    taken = time.perf_counter() - clock
    wrong = sum(status != 200 for *_, status in answers)
    print(f"{readers} readers, a page each half second: {len(answers)} answers, {len(answers) / taken:.0f} per second,")
    print(f"  median {ms(statistics.median(t for _, t, _ in answers))}, p95 {ms(p95(answers))}, {wrong} not 200")
    for name in PATHS:
        part = [one for one in answers if one[0] == name]
        print(f"  {name:<18} median {ms(statistics.median(t for _, t, _ in part)):>8}, p95 {ms(p95(part)):>8}")


def claims(count: int = 1000) -> None:
    """Four threads take and finish all jobs of a table; every job must be taken exactly once."""
    from linkways.web.jobs import Jobs

    with tempfile.TemporaryDirectory() as folder:
        jobs = Jobs(Path(folder) / "jobs.sqlite")
        for _ in range(count):
            jobs.queue(jobs.add(owner="a", kind="process", title="x").id, count + 1)
        taken: list[str] = []

        def take() -> None:
            while (job := jobs.take(count)) is not None:
                taken.append(job.id)
                jobs.end(job.id, str(job.claim), "finished")

        clock = time.perf_counter()
        run_all([take] * 4)
        seconds = time.perf_counter() - clock
        print(f"jobs: {count / seconds:.0f} taken and ended per second, {count - len(set(taken))} lost or taken twice")


def run_all(works: list[Callable[[], None]]) -> None:
    """Run functions side by side in threads."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def ask(url: str) -> tuple[str, float, int]:
    """Fetch a page; its address, the seconds to the last byte, and the status."""
    clock = time.perf_counter()
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            answer.read()
            status = answer.status
    except urllib.error.HTTPError as error:
        status = error.code
    except OSError:
        status = 0
    return url, time.perf_counter() - clock, status


def wait(base: str) -> None:
    """Wait until the server answers."""
    for _ in range(600):
        if ask(base + "/methods")[2] == 200:
            return
        time.sleep(0.1)
    raise SystemExit("the server did not start")


def p95(answers: list[tuple[str, float, int]]) -> float:
    """The 95th percentile of the seconds."""
    times = sorted(seconds for _, seconds, _ in answers)
    return times[min(len(times) - 1, int(0.95 * len(times)))]


def ms(seconds: float) -> str:
    """Seconds as milliseconds in words."""
    return f"{1000 * seconds:.0f} ms"


if __name__ == "__main__":
    main()
