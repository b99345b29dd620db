#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""report.py SAMPLES OUT: the rounds' figures as OUT.json, OUT.svg and OUT.txt, which is printed too.

SAMPLES has lines "MEASURE KIND VALUE UNIT", one a round and kind, in the rounds'
order; "note WHAT TEXT"; and "json FILE", whose objects join as they are. A
figure is the median of its rounds, a ratio that of the rounds' ratios: what
disturbed a round disturbed all that ran in it. Goals are printed, and nobody
fails by them.
"""
import json
import statistics
import sys

LESS_IS_BETTER = ("udp_rr", "cpu_per_gbit", "miss", "encap", "decap", "agent", "attach")
KINDS = ("dove", "raw", "vxlan", "unbound")

# (measure, path to the figure in it, goal, "least" or "most", what it is)
GOALS = [
    ("tcp1", ["vs_vxlan"], 1.4, "least", "TCP, veth, to kernel VXLAN"),
    ("tcp1", ["vs_raw"], 1.0, "least", "TCP, veth, to a bridge alone"),
    ("pps64", ["vs_vxlan"], 2.0, "least", "64-byte packets, veth, to kernel VXLAN"),
    ("udp_rr", ["vs_vxlan"], 0.65, "most", "round trip, veth, to kernel VXLAN"),
    ("tcp1_tap", ["vs_raw"], 0.95, "least", "TCP, taps, to a bridge alone"),
    ("encap_ns", ["dove"], 180, "most", "encapsulation on a hit, ns"),
    ("encap_ns", ["hot_growth"], 1.1, "most", "the same, from 1 entry to the most, hot key"),
    ("decap_xdp_ns", ["dove"], 95, "most", "XDP decapsulation, ns"),
    ("decap_xdp_ns", ["hot_growth"], 1.1, "most", "the same, from 1 entry to the most, hot key"),
    ("miss", ["p50_over_hit_less_service"], 25, "most", "a miss over a hit, p50, us, without the service's time"),
    ("miss", ["rate"], 100000, "least", "misses a second, none lost"),
    ("resolve", ["vs_unbound"], 1.0, "least", "answers over TLS, one key a request, to unbound's"),
    ("resolve", ["vs_unbound_16"], 6.0, "least", "answers over TLS, 16 keys a request, to unbound's"),
]


def read(path):
    rounds, notes, joined = {}, [], {}
    for line in open(path):
        word = line.split(None, 1)
        if word[0] == "note":
            notes.append(word[1].strip())
        elif word[0] == "json":
            joined.update(json.load(open(word[1].strip())))
        else:
            measure, kind, value, unit = line.split()
            rounds.setdefault(measure, {"unit": unit}).setdefault(kind, []).append(float(value))
    return rounds, notes, joined


def rounded(value):
    return float(f"{value:.4g}") if abs(value) < 10000 else round(value)


def summary(out, name, values):
    out[name] = rounded(statistics.median(values))
    out.setdefault("min", {})[name] = rounded(min(values))
    out.setdefault("max", {})[name] = rounded(max(values))


def compare(rounds):
    out = {"unit": rounds["unit"]}
    for kind in rounds:
        if kind != "unit":
            summary(out, kind, rounds[kind])
            out["rounds"] = len(rounds[kind])
    for other in ("raw", "vxlan"):
        if len(rounds.get(other, [])) == len(rounds.get("dove", [])) > 0:
            summary(out, "vs_" + other, [d / o for d, o in zip(rounds["dove"], rounds[other]) if o])
    if "rate" in out:
        out["unit"] += ", rate in misses/s"
    return out


def programs(measure):
    """What bench/programs.c says of a program, with the figure that its goal is about."""
    if "entries" in measure:
        sizes = list(measure["entries"].values())
        measure["dove"] = sizes[0]["hot"]
        measure["min"] = {"dove": sizes[0]["hot_min"]}
        measure["max"] = {"dove": sizes[0]["hot_max"]}
        measure["hot_growth"] = rounded(sizes[-1]["hot"] / sizes[0]["hot"])
    return measure


def figure(measure, kind):
    low, high = measure.get("min", {}).get(kind), measure.get("max", {}).get(kind)
    text = f"{measure[kind]:g}"
    return text + (f" [{low:g}..{high:g}]" if low is not None and low != high else "")


def table(result):
    lines = [f"{'':23}{'DOVE':26}{'bridge alone':26}{'kernel VXLAN':26}{'/ bridge':24}{'/ VXLAN':24}unit"]
    for name, m in result.items():
        if "raw" not in m and "vxlan" not in m:
            continue
        cells = [figure(m, k) if k in m else "-" for k in ("dove", "raw", "vxlan", "vs_raw", "vs_vxlan")]
        lines.append(f"{name:23}{cells[0]:26}{cells[1]:26}{cells[2]:26}{cells[3]:24}{cells[4]:24}{m['unit']}")
    lines.append("")
    for name, m in result.items():
        if "dove_of_none" in m and "vxlan_of_none" in m:
            lines.append(f"{name}: of the same without a service, DOVE {figure(m, 'dove_of_none')}, by hand {figure(m, 'vxlan_of_none')}")
    for name, m in result.items():
        if "entries" in m:
            lines.append(f"{name}: a no-op {figure({'noop': m['noop'], 'min': {'noop': m['noop_min']}, 'max': {'noop': m['noop_max']}}, 'noop')}; by entries, "
                         "hot key (random keys): " + ", ".join(
                             f"{n}: {e['hot']:g} ({e['random']:g})" for n, e in m["entries"].items()))
        elif "raw" not in m and "vxlan" not in m:
            rest = ", ".join(f"{k} {figure(m, k)}" for k, v in m.items() if isinstance(v, (int, float)) and not k.endswith(("_min", "_max")))
            lines.append(f"{name} ({m.get('unit', '')}): {rest}")
    return lines


def goals(result):
    lines = []
    for name, path, goal, way, what in GOALS:
        at = result.get(name)
        for key in path:
            at = at.get(key) if isinstance(at, dict) else None
        if at is None:
            lines.append(f"  {'not measured':14}{what}: at {way} {goal:g}")
            continue
        met = at >= goal if way == "least" else at <= goal
        lines.append(f"  {'met' if met else 'not met':14}{what}: {at:g}, goal at {way} {goal:g}")
    return lines


def bar(x, y, width, colour, text):
    return (f'<rect x="{x}" y="{y}" width="{width:.1f}" height="11" fill="{colour}"/>'
            f'<text x="{x + width + 5:.1f}" y="{y + 10}" fill="#333">{text}</text>')


def chart(result):
    """Each measure that has others beside it: DOVE's median in theirs, with the rounds' least and most."""
    names = [n for n, m in result.items() if "vs_vxlan" in m or "vs_raw" in m]
    most = max([2.0] + [m["max"][k] for m in result.values() for k in ("vs_raw", "vs_vxlan") if k in m])
    left, wide, row = 170, 640, 40
    height = 70 + row * len(names)

    def x(ratio):
        return left + wide * ratio / (most * 1.05)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + wide + 110} {height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{left + wide + 110}" height="{height}" fill="white"/>',
           '<text x="14" y="22" font-size="15">DOVE, as a multiple of kernel VXLAN with a bridge (blue) and of a bridge alone (orange)</text>']
    step = 0.5 if most <= 4 else 1
    for i in range(int(most / step) + 1):
        at = x(i * step)
        out.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="44" y2="{height - 16}" stroke="{"#888" if i * step == 1 else "#ddd"}"/>'
                   f'<text x="{at:.1f}" y="{height - 3}" text-anchor="middle" fill="#555">{i * step:g}</text>')
    for i, name in enumerate(names):
        y, m = 46 + row * i, result[name]
        less = name.startswith(LESS_IS_BETTER)
        out.append(f'<text x="{left - 8}" y="{y + 17}" text-anchor="end">{name}{" (less is better)" if less else ""}</text>'
                   if not less else
                   f'<text x="{left - 8}" y="{y + 11}" text-anchor="end">{name}</text>'
                   f'<text x="{left - 8}" y="{y + 25}" text-anchor="end" fill="#777" font-size="10">less is better</text>')
        for key, colour, down in (("vs_vxlan", "#2a6f97", 2), ("vs_raw", "#e08e36", 17)):
            if key in m:
                out.append(bar(left, y + down, x(m[key]) - left, colour, ""))
                low, high = x(m["min"][key]), x(m["max"][key])
                out.append(f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y + down + 5.5}" y2="{y + down + 5.5}" stroke="#111"/>'
                           f'<text x="{high + 5:.1f}" y="{y + down + 10}" fill="#333">{m[key]:.2f}</text>')
    return out + ["</svg>"]


def main():
    rounds, notes, joined = read(sys.argv[1])
    result = {name: compare(r) for name, r in rounds.items()}
    for name, measure in joined.items():
        result[name] = programs(measure)
    lines = table(result) + ["", "goals:"] + goals(result) + [""] + notes
    out = sys.argv[2]
    json.dump(result, open(out + ".json", "w"), indent=1)
    open(out + ".svg", "w").write("\n".join(chart(result)) + "\n")
    open(out + ".txt", "w").write("\n".join(lines) + "\n")
    print("\n".join(lines))


main()
