// SPDX-License-Identifier: Apache-2.0
/*
 * A VM's frame, behind a byte for the size of a super-packet's pieces (times
 * 64; 0: none): what the kernel is told of its offloads lies within the frame.
 */
#include "loader/door.h"
#include "fuzz.h"

#define BEFORE 16

static void sane(const struct virtio_net_hdr *hdr, size_t len, uint32_t gso_size)
{
	if (!hdr->flags) {
		fuzz_check(!hdr->gso_type && !hdr->gso_size && !hdr->hdr_len, "pieces without a checksum");
		return;
	}
	fuzz_check(hdr->flags == VIRTIO_NET_HDR_F_NEEDS_CSUM, "flags %x", hdr->flags);
	fuzz_check(hdr->csum_start >= BEFORE + 14 + 20 &&
			   hdr->csum_start + hdr->csum_offset + 2u <= BEFORE + len,
		   "a checksum at %u + %u of %zu", hdr->csum_start, hdr->csum_offset, BEFORE + len);
	fuzz_check(!hdr->gso_type == !gso_size && hdr->gso_size == gso_size, "pieces of %u, not %u",
		   hdr->gso_size, gso_size);
	fuzz_check(!gso_size || (hdr->hdr_len > hdr->csum_start + hdr->csum_offset &&
				 hdr->hdr_len <= BEFORE + len),
		   "headers of %u of %zu", hdr->hdr_len, BEFORE + len);
}

FUZZ(door)
{
	uint32_t gso_size = size ? data[0] * 64 : 0;
	struct virtio_net_hdr hdr;

	if (!size)
		return;
	hdr = door_describe(data + 1, size - 1, gso_size, BEFORE);
	sane(&hdr, size - 1, gso_size);
}
