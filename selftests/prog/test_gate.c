// SPDX-License-Identifier: Apache-2.0
/* The gate before a translation: who comes while others wait in the agent is counted, so that none is overtaken. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "prog.h"

static void gate_load(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT });
}

TestSuite(gate, .init = gate_load);

static struct dove_translation shut(uint64_t counts)
{
	struct dove_translation t = allow_to(&vm2);

	t.gate = DOVE_GATE_SHUT | counts;
	return t;
}

static uint64_t gate_now(void)
{
	struct dove_cache_key key = pair_key(&vm2);
	struct dove_translation t;

	check(map_get(dove_cache, &key, &t), "the entry is gone");
	return t.gate;
}

/* dove_open for the pair of VM 1 and VM 2; the gate as it came back. 0: it is open. */
static int open_gate(const struct dove_translation *t, uint64_t expected, uint64_t *was)
{
	struct dove_opening opening = { .key = pair_key(&vm2), .expires = t->expires, .gate = expected };
	LIBBPF_OPTS(bpf_test_run_opts, opts);

	dove->bss->openings[0] = opening;
	dove->bss->n_openings = 1;
	check(!bpf_prog_test_run_opts(bpf_program__fd(dove->progs.dove_open), &opts), "dove_open: %s",
	      strerror(errno));
	*was = dove->bss->openings[0].gate;
	return !dove->bss->openings[0].open;
}

Test(gate, R11_who_comes_is_counted_and_held)
{
	struct dove_translation t = shut(0);
	struct arp_fields a = arp_for(vm2.ip);
	struct frame f = frame_arp(&a);
	struct vm_frame v = udp_to(&vm2);
	struct run r;

	begin("two packets");
	cache_put(&vm2, &t);
	for (uint64_t i = 1; i <= 2; i++) {
		r = run_vm(&v);
		expect_held(&r, DOVE_HELD_MISS);
		check(gate_now() == (DOVE_GATE_SHUT | i * DOVE_GATE_HELD | i), "gate %llx",
		      (unsigned long long)gate_now());
		counters_clear();
	}

	begin("a packet that finds no room is not waited for");
	cache_put(&vm2, &t);
	budget_put(PORT, DOVE_BUDGET_HELD, 1);
	r = run_vm(&v);
	r = run_vm(&v);
	check(counted(DOVE_MISS_LIMITED) >= 1, "none was refused");
	check((uint32_t)gate_now() == counted(DOVE_HELD_MISS), "gate %llx", (unsigned long long)gate_now());
	check((gate_now() & ~DOVE_GATE_SHUT) / DOVE_GATE_HELD == counted(DOVE_HELD_MISS), "gate %llx",
	      (unsigned long long)gate_now());

	begin("a question for an address keeps no place");
	cache_put(&vm2, &t);
	r = run_port(&f);
	expect_held(&r, DOVE_HELD_MISS);
	check(gate_now() == DOVE_GATE_SHUT, "gate %llx", (unsigned long long)gate_now());

	begin("an open gate counts nobody");
	t.gate = 0;
	cache_put(&vm2, &t);
	r = run_vm(&v);
	expect_sent(&r, DOVE_ENCAPSULATED);
	check(!gate_now(), "gate %llx", (unsigned long long)gate_now());
}

Test(gate, R11_it_opens_only_for_who_has_seen_all)
{
	const uint64_t two = 2 * DOVE_GATE_HELD + 2;
	struct dove_translation t = shut(two);
	uint64_t was;

	begin("as it was seen");
	cache_put(&vm2, &t);
	check(!open_gate(&t, DOVE_GATE_SHUT | two, &was), "stayed shut");
	check(!gate_now(), "gate %llx", (unsigned long long)gate_now());

	begin("one more has come");
	cache_put(&vm2, &t);
	check(open_gate(&t, DOVE_GATE_SHUT | (two - DOVE_GATE_HELD - 1), &was), "opened");
	check(was == (DOVE_GATE_SHUT | two) && gate_now() == was, "gate %llx", (unsigned long long)was);

	begin("another entry has taken its place");
	t.expires++;
	cache_put(&vm2, &t);
	t.expires--;
	check(!open_gate(&t, DOVE_GATE_SHUT | two, &was), "there is something to wait for");
	check(gate_now() == (DOVE_GATE_SHUT | two), "gate %llx", (unsigned long long)gate_now());

	begin("the entry is gone");
	check(!open_gate(&t, DOVE_GATE_SHUT, &was), "there is something to wait for");
}

/* dove_write of these rows. */
static void write_rows(const struct dove_write *rows, uint32_t n)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);

	memcpy(dove->bss->writes, rows, n * sizeof(*rows));
	dove->bss->n_writes = n;
	check(!bpf_prog_test_run_opts(bpf_program__fd(dove->progs.dove_write), &opts), "dove_write: %s",
	      strerror(errno));
	for (uint32_t i = 0; i < n; i++)
		check(!dove->bss->writes[i].rc, "row %u: %d", i, dove->bss->writes[i].rc);
}

Test(gate, R11_the_agent_writes_many_entries_at_once)
{
	static struct dove_write rows[DOVE_WRITES_MAX];
	struct dove_translation t;

	begin("as many as there may be");
	for (uint32_t i = 0; i < DOVE_WRITES_MAX; i++) {
		rows[i] = (struct dove_write){ .key = pair_key(&vm2), .denied = i % 2 };
		rows[i].key.source = 1000 + i;
		rows[i].t.policy = i;
	}
	write_rows(rows, DOVE_WRITES_MAX);
	for (uint32_t i = 0; i < DOVE_WRITES_MAX; i++) {
		const struct dove_cache_key *key = &rows[i].key;

		check(i % 2 ? map_get(dove_denied, key, &t) : map_get(dove_cache, key, &t), "row %u", i);
		check(t.policy == i, "row %u has %u", i, t.policy);
	}

	begin("each is in one of the two maps");
	rows[0].denied = 1;
	write_rows(rows, 1);
	check(map_get(dove_denied, &rows[0].key, &t) && !map_get(dove_cache, &rows[0].key, &t), "moved");
	rows[0].denied = 0;
	write_rows(rows, 1);
	check(!map_get(dove_denied, &rows[0].key, &t) && map_get(dove_cache, &rows[0].key, &t), "and back");
}
