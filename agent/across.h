/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services of domains where this host has no VM, so that no watch tells of
 * them: those that translations lead through which it holds. Their instances
 * are asked for, each by a translation that names it, for as long as there is
 * one; their authorities sign them (lib/statement.h), and believe.h says which
 * count. Asked again when what was said ends, some seconds later; what was said
 * last stays in use while nobody answers, as long as it is valid, and no service
 * without it has an instance.
 *
 * And networks of such domains, of whose VMs packets come by: whoever passes them on, or sends the replies back, holds
 * answers that the other authority's policies are part of, and packets carry no number of these. Asked for as
 * often, their authority says since when nothing has changed; what is held of before is asked for anew.
 */
#ifndef DOVE_ACROSS_H
#define DOVE_ACROSS_H

#include "agent.h"
#include "lib/statement.h"

#define ACROSS_NETWORKS_MAX                                                                                  \
	1024	       /* of answers about VMs elsewhere: changes of their policies beyond are not heard of */
#define ACROSS_MAX 256 /* services; of those beyond paths are closed */

int across_open(struct agent *a, struct across **out, struct error *err);
void across_close(struct across *x);

/*
 * across_note() - an answer is held now, to this key, of a VM of network vnid (0: the service knows it).
 * True: where the instances of a service on its path are is being asked for the first time, so that its packets
 * had better wait until miss_services() is called.
 */
bool across_note(struct across *x, const struct dove_cache_key *key, uint32_t vnid, const cJSON *answer);

/* across_said() - what a place's statement says of its network. */
void across_said(struct across *x, const struct statement *s);

/* across_show() - the services, and until when what is known of them is good; the caller's. */
cJSON *across_show(const struct across *x);

#endif
