// SPDX-License-Identifier: Apache-2.0
#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "prog.h"

/* ---- names for what fails ---- */

static char the_case[160] = "(no case)";

void case_set(const char *name)
{
	snprintf(the_case, sizeof(the_case), "%s", name);
}

const char *case_name(void)
{
	return the_case;
}

const char *case_text(const char *fmt, ...)
{
	static char texts[4][400]; /* one may be put into the next */
	static unsigned next;
	char *text = texts[next++ % ARRAY_SIZE(texts)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(texts[0]), fmt, ap);
	va_end(ap);
	return text;
}

const char *reason_name(uint32_t index)
{
	static const char *const names[DOVE_STATS_MAX] = {
#define X(NAME, name, class, text) [DOVE_##NAME] = #name,
		DOVE_REASONS(X)
#undef X
			[DOVE_COUNT_HITS] = "(hits)",
		[DOVE_COUNT_MISSES] = "(misses)",
		[DOVE_COUNT_STALE] = "(stale)",
		[DOVE_COUNT_NEWER] = "(newer)",
		[DOVE_COUNT_EVENTS_LOST] = "(events lost)",
		[DOVE_COUNT_FLOWS] = "(flows)",
		[DOVE_COUNT_FLOWS_FULL] = "(flows full)",
		[DOVE_COUNT_COPIES_LOST] = "(copies lost)",
	};

	return index < DOVE_STATS_MAX && names[index] ? names[index] : "(no reason)";
}

/* ---- counters ---- */

static uint64_t announced[DOVE_STATS_MAX];

void counters_clear(void)
{
	struct dove_stats none[libbpf_num_possible_cpus()];

	memset(none, 0, sizeof(none));
	memset(announced, 0, sizeof(announced));
	for (uint32_t i = 0; i < DOVE_STATS_MAX; i++)
		map_put_sized(dove->maps.dove_stats, &i, sizeof(i), none, sizeof(none));
}

static struct dove_stats stats_of(uint32_t index)
{
	int cpus = libbpf_num_possible_cpus();
	struct dove_stats each[cpus], sum = {};

	cr_assert(map_get_sized(dove->maps.dove_stats, &index, sizeof(index), each, sizeof(each)));
	for (int i = 0; i < cpus; i++) {
		sum.packets += each[i].packets;
		sum.bytes += each[i].bytes;
	}
	return sum;
}

uint64_t counted(uint32_t index)
{
	return stats_of(index).packets;
}

void will_count(enum dove_counter counter, uint64_t packets)
{
	announced[counter] = packets;
}

void expect_counter(enum dove_counter counter, uint64_t times)
{
	check(counted(counter) == times, "%s: %llu, expected %llu", reason_name(counter),
	      (unsigned long long)counted(counter), (unsigned long long)times);
}

void expect_nothing_counted(void)
{
	for (uint32_t i = 0; i < DOVE_STATS_MAX; i++)
		check(counted(i) == announced[i], "counted %llu under %s", (unsigned long long)counted(i),
		      reason_name(i));
}

struct dove_policy_stats stats_of_policy(uint32_t vnid, uint32_t policy)
{
	struct dove_policy_key key = { .vnid = vnid, .policy = policy };
	int cpus = libbpf_num_possible_cpus();
	struct dove_policy_stats each[cpus], sum = {};

	if (!map_get_sized(dove->maps.dove_policy_stats, &key, sizeof(key), each, sizeof(each)))
		return sum;
	for (int i = 0; i < cpus; i++) {
		sum.packets += each[i].packets;
		sum.bytes += each[i].bytes;
		sum.denied += each[i].denied;
		sum.limited += each[i].limited;
	}
	return sum;
}

static struct dove_stats stats_of_hop(uint32_t instance)
{
	int cpus = libbpf_num_possible_cpus();
	struct dove_stats each[cpus], sum = {};

	if (!map_get_sized(dove->maps.dove_hop_stats, &instance, sizeof(instance), each, sizeof(each)))
		return sum;
	for (int i = 0; i < cpus; i++) {
		sum.packets += each[i].packets;
		sum.bytes += each[i].bytes;
	}
	return sum;
}

/* What this case has handed to an instance is that frame, once. */
void expect_handed(uint32_t instance, const struct frame *inner)
{
	struct dove_stats handed = stats_of_hop(instance);

	check(handed.packets == 1 && handed.bytes == inner->len,
	      "handed to %u: %llu packets of %llu bytes, expected 1 of %u", instance,
	      (unsigned long long)handed.packets, (unsigned long long)handed.bytes, inner->len);
}

/* ---- expectations ---- */

/* A packet whose fate was found in what the host knows is a hit, one that the agent must ask for a miss. */
static bool is_hit(enum dove_reason reason)
{
	switch (reason) {
	case DOVE_ENCAPSULATED:
	case DOVE_DELIVERED_LOCAL:
	case DOVE_TO_SERVICE:
	case DOVE_DENIED:
	case DOVE_REJECTED:
	case DOVE_ARP_ANSWERED:
	case DOVE_ND_ANSWERED:
	case DOVE_REPLICATED:
	case DOVE_TOO_BIG_ANSWERED:
	case DOVE_TOO_BIG:
		return true;
	default:
		return false;
	}
}

static bool is_miss(enum dove_reason reason)
{
	switch (reason) {
	case DOVE_HELD_MISS:
	case DOVE_HELD_NEXT_HOP:
	case DOVE_HELD_FLOW:
	case DOVE_HELD_PATH:
	case DOVE_MISS_LIMITED:
	case DOVE_RING_FULL:
		return true;
	default:
		return false;
	}
}

static void expect_reason(const struct run *r, enum dove_reason reason)
{
	for (uint32_t i = 0; i < DOVE_REASON_COUNT; i++) {
		struct dove_stats s = stats_of(i);

		check(s.packets == (i == reason), "counted %llu under %s, expected one under %s", s.packets,
		      reason_name(i), reason_name(reason));
		check(i != reason || s.bytes == r->in.len, "%llu bytes counted under %s, the frame has %u",
		      s.bytes, reason_name(i), r->in.len);
	}
}

void expect_end(const struct run *r, int action, enum dove_reason reason)
{
	expect_reason(r, reason);
	expect_counter(DOVE_COUNT_HITS, r->sends && is_hit(reason));
	expect_counter(DOVE_COUNT_MISSES, r->sends && is_miss(reason));
	for (uint32_t i = DOVE_COUNT_STALE; i < DOVE_STATS_MAX; i++)
		expect_counter(i, announced[i]);
	check(r->action == action, "returned %d, expected %d (%s)", r->action, action, reason_name(reason));
}

void expect_sent(const struct run *r, enum dove_reason reason)
{
	expect_end(r, TC_ACT_REDIRECT, reason);
	expect_quiet();
}

void expect_quiet(void)
{
	const struct dove_held *held = take_packet();
	struct dove_event event;

	check(!held, "a packet went to the agent: %s", reason_name(held ? held->reason : 0));
	check(!take_event(&event), "an event went to the agent: type %u", event.type);
}

static void check_sample(const struct dove_event *e, enum dove_reason reason)
{
	check(e->type == DOVE_EVENT_DROPPED && e->reason == reason && !e->processed,
	      "event of type %u, of what is %s, expected %s", e->type, reason_name(e->reason),
	      reason_name(reason));
}

void expect_sample(const struct run *r, enum dove_reason reason)
{
	struct dove_event e;

	if (!r->sends)
		return;
	e = expect_event(DOVE_EVENT_DROPPED);
	check_sample(&e, reason);
}

void expect_dropped_again(const struct run *r, enum dove_reason reason)
{
	struct dove_event e;

	expect_end(r, TC_ACT_SHOT, reason);
	if (take_event(&e))
		check_sample(&e, reason);
	expect_quiet();
}

void expect_dropped(const struct run *r, enum dove_reason reason)
{
	expect_end(r, TC_ACT_SHOT, reason);
	expect_sample(r, reason);
	expect_quiet();
}

const struct dove_held *expect_record(const struct run *r, enum dove_reason reason)
{
	const struct dove_held *held = take_packet();

	check(held, "no packet went to the agent");
	check(held->reason == reason, "held for %s, expected %s", reason_name(held->reason),
	      reason_name(reason));
	check(held->len == r->in.len && !memcmp(held->data, r->in.b, r->in.len),
	      "the agent has not the whole packet");
	return held;
}

const struct dove_held *expect_held(const struct run *r, enum dove_reason reason)
{
	const struct dove_held *held;

	expect_end(r, TC_ACT_SHOT, reason);
	held = expect_record(r, reason);
	expect_quiet();
	return held;
}

struct dove_event expect_event(enum dove_event_type type)
{
	struct dove_event event;

	check(take_event(&event), "no event, expected type %d", type);
	check(event.type == type, "event of type %u, expected %d", event.type, type);
	check(now_ns() - event.time < 10 * SECOND, "its time is not now");
	return event;
}

void expect_bytes(const struct frame *got, const struct frame *want)
{
	check(got->len == want->len, "%u bytes came out, expected %u", got->len, want->len);
	for (uint32_t i = 0; i < want->len; i++)
		check(got->b[i] == want->b[i], "byte %u is %02x, expected %02x", i, got->b[i], want->b[i]);
}
