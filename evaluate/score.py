"""Events held against labelled intervals."""

import collections
import statistics

# An event belongs to an interval of its gesture from so long before its start to so long after its end, in seconds.
BEFORE, AFTER = 0.1, 0.7


class Score:
    """What was found of the intervals, summed over scripts."""

    def __init__(self):
        self.intervals = collections.Counter()
        self.found = collections.Counter()
        # After a movement's end, or after a shape's start, by gesture.
        self.after_end = collections.defaultdict(list)
        self.after_start = collections.defaultdict(list)
        # What started where nothing of it was shown: (event, what was shown there).
        self.false = collections.Counter()
        self.missed = []
        self.repeats = 0
        self.seconds = 0.0

    def add(self, events, truth, name=""):
        """`events` are (seconds, gesture) in the order of time, `truth` is what `--truth` writes."""
        intervals = truth["intervals"]
        hit = [False] * len(intervals)
        self.seconds += truth["duration"]
        for t, gesture in events:
            near = [i for i, v in enumerate(intervals) if v["start"] - BEFORE <= t <= v["end"] + AFTER]
            same = [i for i in near if intervals[i]["gesture"] == gesture]
            free = [i for i in same if not hit[i]]
            if free:
                hit[free[0]] = True
                self.after_end[gesture].append(t - intervals[free[0]]["end"])
                self.after_start[gesture].append(t - intervals[free[0]]["start"])
            elif same:
                self.repeats += 1
            else:
                self.false[gesture, self.place(t, intervals)] += 1
        for interval, was_hit in zip(intervals, hit):
            self.intervals[interval["gesture"]] += 1
            self.found[interval["gesture"]] += was_hit
            if not was_hit:
                self.missed.append((name, interval["gesture"], interval["start"]))

    @staticmethod
    def place(t, intervals):
        """What was going on at `t`."""
        for v in intervals:
            if v["start"] <= t <= v["end"]:
                return f"in {v['gesture']}"
        last = max((v for v in intervals if v["end"] < t), key=lambda v: v["end"], default=None)
        coming = min((v for v in intervals if v["start"] > t), key=lambda v: v["start"], default=None)
        if last and t - last["end"] <= 1.2:
            return f"after {last['gesture']}"
        if coming and coming["start"] - t <= 0.8:
            return f"before {coming['gesture']}"
        return "between gestures"

    @property
    def recall(self):
        return 100 * self.found.total() / max(self.intervals.total(), 1)

    @property
    def false_a_minute(self):
        return 60 * self.false.total() / max(self.seconds, 1e-9)

    def false_of(self, gestures):
        return {(event, place): n for (event, place), n in self.false.items() if event in gestures}


def median_ms(delays, less=None):
    """Median in milliseconds of delays by gesture, each less what `less` has for the gesture."""
    all_delays = [1000 * (d - (less(gesture) if less else 0)) for gesture, mine in delays.items() for d in mine]
    return statistics.median(all_delays) if all_delays else float("nan")
