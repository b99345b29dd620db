// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "agent/hint.h"

static const struct hint_message sent = { .ev = {
						  .sequence = 1ull << 40,
						  .wanted = (1ull << 40) + 7,
						  .dst = { .b = { [10] = 0xff,
								  [11] = 0xff,
								  [12] = 10,
								  [13] = 1,
								  [14] = 0,
								  [15] = 12 } },
						  .type = DOVE_EVENT_REFUSED,
						  .vnid = 0xffffff,
						  .policy = 4000000000u,
						  .source = 7,
						  .from_port = 40000,
						  .to_port = 443,
						  .proto = 6,
						  .processed = 1,
					  } };

static uint8_t buf[512], wide[HINT_DATAGRAM_MAX];
static size_t len;

static void write_one(void)
{
	len = hint_write(&sent, buf, sizeof(buf));
	cr_assert_gt(len, 0);
}

TestSuite(hint, .init = write_one);

/* The length of the item at `at`: its head, and the bytes that belong to it (RFC 8949, 3). */
static size_t item_len(size_t at)
{
	uint8_t major = buf[at] >> 5, info = buf[at] & 0x1f;
	size_t head = 1 + (info < 24 ? 0 : 1u << (info - 24));

	return head + (major == 2 || major == 3 ? info : 0);
}

/* Where the value of a field begins. */
static size_t value_of(uint8_t field)
{
	size_t at = 1;

	while (at < len && buf[at] != field) {
		at += item_len(at);
		at += item_len(at);
	}
	cr_assert_lt(at, len, "field %u is not in the message", field);
	return at + 1;
}

static void refused(const char *why)
{
	struct hint_message out = { .ev = { .vnid = 99 } };

	cr_assert_eq(hint_parse(buf, len, &out), -EINVAL, "%s", why);
	cr_assert_eq(out.ev.vnid, 99, "%s: a refused message left something behind", why);
}

Test(hint, R16_there_and_back)
{
	struct hint_message out = {};

	cr_assert_eq(hint_parse(buf, len, &out), 0);
	cr_assert_arr_eq(&out, &sent, sizeof(out));
}

Test(hint, R16_cut_off_anywhere)
{
	size_t whole = len;

	for (len = 0; len < whole; len++)
		refused("cut off");
}

Test(hint, R16_more_than_one_map)
{
	buf[len++] = 0;
	refused("a byte too many");
}

Test(hint, R16_another_version)
{
	buf[value_of(1)] = 2;
	refused("version 2");
}

Test(hint, R16_a_field_twice)
{
	buf[value_of(12) - 1] = 11;
	refused("field 11 twice");
}

Test(hint, R16_a_field_that_nobody_knows)
{
	buf[value_of(12) - 1] = 13;
	refused("field 13");
}

/* libcbor asserts where it is asked for the boolean in a float. */
Test(hint, R16_a_float_for_a_boolean)
{
	size_t at = value_of(9);

	memmove(buf + at + 3, buf + at + 1, len - at - 1);
	memcpy(buf + at, "\xf9\x00\x00", 3);
	len += 2;
	refused("a half-precision float");
}

Test(hint, R16_null_for_a_boolean)
{
	buf[value_of(9)] = 0xf6;
	refused("null");
}

Test(hint, R16_a_text_for_a_number)
{
	buf[value_of(3)] = 0x64; /* where a 32-bit number began: a text of 4 */
	refused("a text");
}

Test(hint, R16_a_vnid_of_25_bits)
{
	buf[value_of(3) + 1] = 1;
	refused("VNID 0x1ffffff");
}

/*
 * Whatever one byte becomes, the parser says yes or no at once, reads nothing
 * that is not there (make asan), and takes no memory on the sender's word.
 */
static int accepted_at(size_t at)
{
	struct hint_message out;
	uint8_t was = buf[at];
	int accepted = 0;

	for (int b = 0; b < 256; b++) {
		buf[at] = b;
		accepted += !hint_parse(buf, len, &out);
	}
	buf[at] = was;
	return accepted;
}

Test(hint, R16_every_byte_changed)
{
	for (size_t i = 0; i < len; i++)
		cr_assert_geq(accepted_at(i), 1, "the message itself is among them");
	cr_assert_eq(accepted_at(0), 1, "the map's head");
	for (uint8_t field = 1; field <= 12; field++)
		cr_assert_eq(accepted_at(value_of(field) - 1), 1, "the key of field %u", field);
}

Test(hint, R5_a_flow_there_and_back)
{
	struct hint_message flow = sent, out = {};

	flow.ev.type = HINT_FLOW;
	flow.ev.processed = 0;
	flow.src = (struct dove_ip){ .b = { [0] = 0xfd, [15] = 9 } };
	flow.peer = 4000000001u;
	len = hint_write(&flow, buf, sizeof(buf));
	cr_assert_eq(hint_parse(buf, len, &out), 0);
	cr_assert_arr_eq(&out, &flow, sizeof(out));
	buf[value_of(2) + 1] = 'g';
	refused("no reason that is known");
}

Test(hint, R16_a_signed_translation_goes_along)
{
	struct hint_message out = {}, with = sent;

	with.signature.len = sizeof(with.signature.body);
	memset(with.signature.body, 0xa5, sizeof(with.signature.body));
	strcpy(with.signature.key, "0123456789abcdef");
	memset(with.signature.sig, 0x5a, sizeof(with.signature.sig));
	len = hint_write(&with, wide, sizeof(wide));
	cr_assert_gt(len, sizeof(with.signature.body));
	cr_assert_eq(hint_parse(wide, len, &out), 0);
	cr_assert_arr_eq(&out, &with, sizeof(out));
	for (size_t cut = 0; cut < len; cut++)
		cr_assert_eq(hint_parse(wide, cut, &out), -EINVAL, "cut off at %zu", cut);

	with.ev.type = HINT_FLOW;
	len = hint_write(&with, wide, sizeof(wide));
	cr_assert_eq(hint_parse(wide, len, &out), 0);
	cr_assert_eq(out.signature.len, 0, "a flow carries none");
}
