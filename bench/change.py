#!/usr/bin/env python3
"""The driver of bench/change, which says what is measured: run that."""

import argparse
import http.client
import json
import os
import re
import socket
import statistics
import struct
import subprocess
import time

SLICE_S, WARM_UP_S, CHANGE_EVERY_S, GIVE_UP_S = 1.0, 0.2, 0.05, 5.0


def question(name, signed):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    opt = bytes([0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0]) if signed else b""
    return struct.pack(">6H", 0x1234, 0, 1, 0, 0, len(opt) > 0) + labels + b"\0\0\1\0\1" + opt


class Watcher:
    """Drains and undrains a server, and asks until the answers show it."""

    def __init__(self, options):
        self.query = question("change.example.test", options.signed)
        self.signed = options.signed
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.connect(("127.0.0.1", options.port))
        self.udp.settimeout(0.2)
        self.api = http.client.HTTPConnection("127.0.0.1", options.port + 1)
        self.api.connect()
        self.api.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.token = open(os.path.join(options.state, "token")).read().strip()
        self.unanswered = 0

    def addresses(self):
        """How many addresses are in an answer now; None without an answer."""
        self.udp.send(self.query)
        try:
            reply = self.udp.recv(4096)
        except TimeoutError:
            self.unanswered += 1
            return None
        found = sum(bytes([192, 0, 2, last]) in reply for last in (1, 2))
        assert reply[3] & 15 == 0 and found, "the service must be answered at all times"
        assert not self.signed or b"\0\x2e\0\1" in reply, "every answer must be signed"
        return found

    def change(self, drain):
        """Milliseconds from the request to the first changed answer."""
        wanted = 1 if drain else 2
        body = json.dumps({"target": "one"})
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        began = time.perf_counter()
        self.api.request("POST", "/drain" if drain else "/undrain", body, headers)
        # The answers are watched while the API has yet to say that it is done.
        while self.addresses() != wanted:
            if time.perf_counter() - began > GIVE_UP_S:
                reply = self.api.getresponse()
                raise SystemExit(f"no changed answer within {GIVE_UP_S} s; the API said {reply.status} {reply.read()}")
        took = (time.perf_counter() - began) * 1000
        reply = self.api.getresponse()
        text = reply.read()
        assert reply.status < 300, (reply.status, text)
        return took

    def only_watch(self, milliseconds):
        until = time.perf_counter() + milliseconds / 1000
        while time.perf_counter() < until:
            self.addresses()

    def inside(self):
        """The server's own histogram: (upper bound in ms, changes) in rising order."""
        self.api.request("GET", "/metrics")
        text = self.api.getresponse().read().decode()
        found = re.findall(r'walrus_plan_in_force_seconds_bucket\{le="([^"]+)"\} (\d+)', text)
        return [(float(bound) * 1000, int(count)) for bound, count in found]


def load(options, label):
    command = [options.blast, "-A", "-p", str(options.port), "-f", options.queries, "-l", str(SLICE_S),
               "-w", str(WARM_UP_S), "-c", "4", "-W", "64" if options.rate else "32", "-b", "32", "-P", options.pids, "-r", label]
    if options.rate:
        command += ["-Q", str(options.rate)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish(generator):
    words = generator.communicate()[0].split()[1:]
    return {key: float(value) for key, value in (word.split("=") for word in words)}


def with_priority():
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
        return True
    except PermissionError:
        return False


def run(options):
    watcher = Watcher(options)
    before = dict(watcher.inside())
    slices, times = {"quiet": [], "changing": []}, []
    drained = False
    for number in range(options.rounds):
        for kind in ("quiet", "changing") if number % 2 else ("changing", "quiet"):
            generator = load(options, kind)
            watching = with_priority()
            time.sleep(WARM_UP_S)
            end = time.perf_counter() + SLICE_S - 2 * CHANGE_EVERY_S
            while time.perf_counter() < end:
                if kind == "changing":
                    drained = not drained
                    times.append(watcher.change(drained))
                else:
                    # What the watcher costs by itself must not count against the changes.
                    watcher.only_watch(times[len(times) // 2] if times else 2.0)
                time.sleep(CHANGE_EVERY_S)
            slices[kind].append(finish(generator))
            if watching:
                os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    inside = [(bound, count - before.get(bound, 0)) for bound, count in watcher.inside()]
    return watcher, slices, sorted(times), inside


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--state", "--pids", "--blast", "--queries", "--json"):
        parser.add_argument(name)
    for name in ("--port", "--rounds", "--rate"):
        parser.add_argument(name, type=int)
    parser.add_argument("--signed", action="store_true")
    options = parser.parse_args()
    watcher, slices, times, inside = run(options)
    within = lambda share: next((bound for bound, count in inside if count >= share * inside[-1][1]), None)
    middle = lambda kind, key: statistics.median(it[key] for it in slices[kind])
    paired = lambda key: statistics.median(
        b[key] / a[key] for a, b in zip(slices["quiet"], slices["changing"]))
    # Quiet slices come in pairs, one beside the other: what two of them differ by is noise.
    def differ(key):
        quiet = [it[key] for it in slices["quiet"]]
        return statistics.median(abs(b / a - 1) for a, b in zip(quiet, quiet[1:])) if quiet[1:] else 0.15
    limit = 50 if options.signed else 10
    in_time = max((count for bound, count in inside if bound <= limit), default=0)
    result = {
        "changes": len(times),
        "asked_ms": {"median": statistics.median(times), "p90": times[len(times) * 9 // 10], "most": times[-1]},
        "inside_ms_at_most": {"half": within(0.5), "nine_of_ten": within(0.9), "all": within(1),
                              "in_time": in_time, "of": inside[-1][1]},
        "limit_ms": limit,
        "lost": {kind: int(sum(it["lost"] for it in slices[kind])) for kind in slices},
        "watcher_unanswered": watcher.unanswered,
        "queries_per_second": {kind: middle(kind, "qps") for kind in slices},
        "us_per_query": {kind: middle(kind, "srv_us/q") for kind in slices},
        "changing_to_quiet": {"rate": paired("qps"), "us_per_query": paired("srv_us/q"),
                              "half_answered_us": paired("p50us"), "most_answered_us": paired("p99us")},
        "quiet_to_quiet": {"rate_spread": differ("qps"), "us_spread": differ("srv_us/q"),
                           "half_answered_spread": differ("p50us"), "most_answered_spread": differ("p99us")},
    }
    print(f"{result['changes']} changes; asked: median {result['asked_ms']['median']:.2f} ms, p90 "
          f"{result['asked_ms']['p90']:.2f}, most {result['asked_ms']['most']:.2f}; inside: half "
          f"within {within(0.5)} ms, nine of ten within {within(0.9)}, all within {within(1)} (wanted: {limit}, "
          f"which {in_time} of {inside[-1][1]} kept)")
    for kind in slices:
        print(f"{kind:9} {result['queries_per_second'][kind]:9.0f} queries/s {result['us_per_query'][kind]:6.2f} us/query "
              f"lost {result['lost'][kind]}")
    told = {"rate": "qps", "us_per_query": "srv_us/q", "half_answered_us": "p50us", "most_answered_us": "p99us"}
    compared = (f"{name.replace('_', ' ')} {result['changing_to_quiet'][name]:.3f} (noise {differ(key):.3f})"
                for name, key in told.items())
    print(f"changing to quiet, same round, median: {', '.join(compared)}; "
          f"unanswered to the watcher: {watcher.unanswered}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(result, file, indent=1)
            file.write("\n")


main()
