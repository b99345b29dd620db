// SPDX-License-Identifier: Apache-2.0
#include "mutate.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ingress.h"

#define SEED 20240607u
#define RINGS_EVERY 200	 /* rounds: they have room for more */
#define WORLD_SECONDS 20 /* that a world is good for: begin() gives it three times that */

static uint32_t number_from(const char *variable, uint32_t otherwise)
{
	const char *text = getenv(variable);

	return text ? strtoul(text, NULL, 10) : otherwise;
}

static uint32_t first_seed(void)
{
	return number_from("DOVE_FUZZ_SEED", SEED);
}

uint32_t any(uint32_t below)
{
	static bool begun;
	static unsigned seed;

	if (!begun)
		seed = first_seed();
	begun = true;
	return ((uint32_t)rand_r(&seed) << 8 ^ (uint32_t)rand_r(&seed)) % below;
}

/* ---- what happens to packets ---- */

void flip_bit(struct frame *f, uint32_t below)
{
	f->b[any(below)] ^= 1 << any(8);
}

static void set_byte(struct frame *f, uint32_t below)
{
	f->b[any(below)] = any(256);
}

static void set_word(struct frame *f, uint32_t below)
{
	static const uint16_t extremes[] = { 0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff };

	frame_put(f, any(below / 2 - 1) * 2, 2, extremes[any(ARRAY_SIZE(extremes))]);
}

static void cut(struct frame *f, uint32_t below)
{
	if (f->len > LEAST)
		f->len = LEAST + any(f->len - LEAST);
}

static void grow(struct frame *f, uint32_t below)
{
	f->len += any(100);
}

static void cut_out(struct frame *f, uint32_t below)
{
	uint32_t at = any(below), n = 1 + any(20);

	if (f->len < LEAST + 20 + n + at)
		return;
	memmove(f->b + at, f->b + at + n, f->len - at - n);
	f->len -= n;
}

static void put_in(struct frame *f, uint32_t below)
{
	uint32_t at = any(below);

	if (at < f->len)
		frame_insert(f, at, 1 + any(20));
}

void mutate(struct frame *f)
{
	static void (*const ways[])(struct frame *, uint32_t) = { flip_bit, flip_bit, set_byte, set_word,
								  cut,	    grow,     cut_out,	put_in };
	uint32_t times = 1 + any(3), below = f->len < 160 ? f->len : 160;

	for (uint32_t i = 0; i < times; i++) {
		ways[any(ARRAY_SIZE(ways))](f, below < f->len ? below : f->len);
		if (f->len < LEAST + 10)
			return;
	}
}

/* Lengths that agree with one another, but not with the frame. */
static void shift_lengths(struct frame *f, enum family outer)
{
	frame_lengths_outer(f, outer, any(40) - 20);
}

struct vm_frame any_packet(enum family f, const struct vm *from, const struct vm *to)
{
	static const uint8_t protos[] = { 17, 6, 1, 47, 58 }, extensions[] = { 0, 43, 60, 44 };
	struct vm_frame v = udp_between(f, from, to);

	v.proto = protos[any(ARRAY_SIZE(protos))];
	v.payload = 1 + any(60);
	v.tos = any(4) ? 0 : any(4);
	if (f == V6 && any(2))
		v.n_extensions = any(5);
	for (uint32_t i = 0; i < v.n_extensions; i++)
		v.extension[i] = (struct extension_field){ extensions[any(4)], any(4) ? 0 : any(6) };
	return v;
}

void mutate_outer(struct frame *f, enum family outer)
{
	if (any(8) == 0)
		shift_lengths(f, outer);
	if (any(16))
		mutate(f);
	if (any(3))
		frame_checksum_outer(f);
}

/* ---- rounds ---- */

/* A file that the packet is in while it is looked at; without one, memory. */
static struct frame *looked_at(const char *name, enum family family)
{
	const char *dir = getenv("DOVE_FUZZ_FOUND");
	_close_ int fd = -1;
	char path[300];
	struct frame *f;

	snprintf(path, sizeof(path), "%s/%s-v%u", dir ? dir : "", name, family == V6 ? 6 : 4);
	if (dir)
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd >= 0 && ftruncate(fd, sizeof(*f)))
		cr_assert(false, "%s: no room", path);
	f = mmap(NULL, sizeof(*f), PROT_READ | PROT_WRITE, fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED,
		 fd, 0);
	cr_assert(f != MAP_FAILED, "no memory");
	return f;
}

struct rounds rounds_begin(const char *name, enum family family, void (*world)(void),
			   struct frame (*make)(enum family family))
{
	uint32_t ms = number_from("DOVE_FUZZ_MS", 0), slow = number_from("DOVE_TEST_SLOW", 1);
	struct rounds r = { .name = name, .family = family, .world = world, .make = make };
	char here[256], pattern[400];

	snprintf(here, sizeof(here), "%s", __FILE__);
	snprintf(pattern, sizeof(pattern), "%s/../fuzz/corpus/%s/v%u-*", dirname(here), name,
		 family == V6 ? 6 : 4);
	if (glob(pattern, 0, NULL, &r.found))
		r.found.gl_pathc = 0;
	/* Fewer where DOVE_TEST_SLOW says that each takes longer. */
	r.most = ROUNDS / (slow ? slow : 1);
	if (ms)
		r.until = now_ns() + ms * (SECOND / 1000);
	r.now = looked_at(name, family);
	return r;
}

static void replay(struct frame *f, const char *path)
{
	_fclose_ FILE *file = fopen(path, "re");

	cr_assert(file, "cannot read %s", path);
	*f = (struct frame){};
	f->len = fread(f->b, 1, sizeof(f->b), file);
	case_set(path);
}

static bool is_over(const struct rounds *r)
{
	return r->until ? now_ns() > r->until : r->n >= r->most;
}

static void renew(struct rounds *r)
{
	if (r->n % RINGS_EVERY)
		return;
	rings_clear();
	if (now_ns() < r->world_until)
		return;
	r->world();
	r->world_until = now_ns() + WORLD_SECONDS * SECOND;
	memset(r->counted, 0, sizeof(r->counted));
}

bool rounds_next(struct rounds *r, struct frame *f)
{
	renew(r);
	if (r->replayed < r->found.gl_pathc) {
		replay(f, r->found.gl_pathv[r->replayed++]);
	} else if (!is_over(r)) {
		case_set(case_text("%s, IPv%u outside, seed %u, round %u", r->name, r->family == V6 ? 6 : 4,
				   first_seed(), r->n));
		*f = r->make(r->family);
		r->n++;
	} else {
		munmap(r->now, sizeof(*r->now));
		if (r->found.gl_pathc)
			globfree(&r->found);
		return false;
	}
	*r->now = *f;
	return true;
}

uint32_t rounds_reason(struct rounds *r)
{
	uint32_t reason = DOVE_REASON_COUNT, n = 0;

	for (uint32_t i = 0; i < DOVE_REASON_COUNT; i++) {
		uint64_t now = counted(i);

		if (now != r->counted[i]) {
			n += now - r->counted[i];
			reason = i;
		}
		r->counted[i] = now;
	}
	check(n <= 1, "counted %u times", n);
	return reason;
}
