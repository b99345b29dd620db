// SPDX-License-Identifier: Apache-2.0
/* Objects from outside: what is refused, and which object and field the refusal names. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dps_world.h"
#include "lib/cleanup.h"

struct bad {
	const char *text; /* ' for " */
	const char *object, *field, *says;
};

#define ENDPOINT "{'kind':'endpoint','network':'blue','name':'a','mac':'02:00:00:00:00:aa'"
#define POLICY "{'kind':'policy','network':'blue','name':'p','action':'allow'"
#define EXTERNAL "{'kind':'external','network':'blue','name':'x'"
#define SIDES ",'from':'any','to':'any'"

static const struct bad shapes[] = {
	{ "5", "", "", "an object is written" },
	{ "{'name':'x'}", "", "kind", "missing" },
	{ "{'kind':'router','name':'x'}", "", "kind", "no such kind" },
	{ "{'kind':'network'}", "network", "name", "missing" },
	{ "{'kind':'network','name':7}", "network", "name", "string" },
	{ "{'kind':'network','name':''}", "network", "name", "not a name" },
	{ "{'kind':'network','name':'-x'}", "network", "name", "not a name" },
	{ "{'kind':'network','name':'a/b'}", "network", "name", "not a name" },
	{ "{'kind':'network','name':'10.0.0.1'}", "network", "name", "address" },
	{ "{'kind':'network','name':"
	  "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'}",
	  "network", "name", "not a name" },
	{ "{'kind':'network','name':'x','vlan':5}", "network x", "vlan", "no such field" },
	{ "{'kind':'network','name':'x','default':'maybe'}", "network x", "default", "neither" },
	{ "{'kind':'network','name':'x','default':'deny','default':'allow'}", "network x", "default",
	  "twice" },
	{ "{'kind':'network','name':'x','broadcast':'no'}", "network x", "broadcast", "true or false" },
	{ "{'kind':'network','name':'x','subnets':'10.0.0.0/8'}", "network x", "subnets", "list" },
	{ "{'kind':'network','name':'x','subnets':['10.0.0.1/8']}", "network x", "subnets[0]",
	  "not a prefix" },
	{ "{'kind':'network','name':'x','subnets':['10.0.0.0/8',{'prefix':'10.1.0.0/16'}]}", "network x",
	  "subnets[1]", "overlaps" },
	{ "{'kind':'network','name':'x','subnets':[{'prefix':'10.0.0.0/8','gateway':'11.0.0.1'}]}",
	  "network x", "subnets[0]", "gateway" },
	{ "{'kind':'network','name':'x','subnets':[{'prefix':'10.0.0.0/8','gw':'10.0.0.1'}]}", "network x",
	  "subnets[0].gw", "no such field" },
	{ "{'kind':'network','name':'x','subnets':['fd00::1/64']}", "network x", "subnets[0]",
	  "not a prefix" },
	{ "{'kind':'network','name':'x','subnets':['fd00::/64','fd00::/48']}", "network x", "subnets[1]",
	  "overlaps" },
	{ "{'kind':'network','name':'x','subnets':['10.0.0.0/8','ff02::/16']}", "network x", "subnets[1]",
	  "multicast" },
	{ "{'kind':'network','name':'x','subnets':['224.0.0.0/4']}", "network x", "subnets[0]", "multicast" },
	{ "{'kind':'network','name':'x','subnets':['127.0.0.0/8']}", "network x", "subnets[0]", "loopback" },
	{ "{'kind':'network','name':'x','subnets':['::1/128']}", "network x", "subnets[0]", "loopback" },
	{ "{'kind':'network','name':'x','subnets':['0.0.0.0/8']}", "network x", "subnets[0]", "unspecified" },
	{ "{'kind':'network','name':'x','subnets':['::ffff:10.0.0.0/104']}", "network x", "subnets[0]",
	  "not a prefix" },
	{ "{'kind':'network','name':'x','subnets':['::ffff:10.0.0.0/24']}", "network x", "subnets[0]",
	  "not a prefix" },
	{ "{'kind':'network','name':'x','subnets':['fe80::/64']}", "network x", "subnets[0]", "link-local" },
	{ "{'kind':'network','name':'x','subnets':['::/0']}", "network x", "subnets[0]", "named gateway" },
	{ "{'kind':'network','name':'x','subnets':[{'prefix':'fd00::/64','gateway':'fd01::1'}]}", "network x",
	  "subnets[0]", "gateway" },
	{ "{'kind':'network','name':'x','subnets':[{'prefix':'fd00::/64','gateway':'10.0.0.1'}]}",
	  "network x", "subnets[0]", "gateway" },
	{ "{'kind':'host','name':'h','addresses':['127.0.0.1']}", "host h", "addresses[0]", "host" },
	{ "{'kind':'host','name':'h','addresses':['2001:db8::1','::1']}", "host h", "addresses[1]",
	  "loopback" },
	{ "{'kind':'host','name':'h','addresses':['::']}", "host h", "addresses[0]", "unspecified" },
	{ "{'kind':'host','name':'h','addresses':['ff02::1']}", "host h", "addresses[0]", "multicast" },
	{ "{'kind':'host','name':'h','addresses':['::ffff:192.0.2.1']}", "host h", "addresses[0]",
	  "IPv6's notation" },
	{ "{'kind':'endpoint','name':'a'}", "endpoint", "network", "missing" },
	{ "{'kind':'endpoint','network':'blue','name':'a'}", "endpoint blue/a", "mac", "missing" },
	{ "{'kind':'endpoint','network':'blue','name':'a','mac':'03:00:00:00:00:01'}", "endpoint blue/a",
	  "mac", "unicast" },
	{ "{'kind':'endpoint','network':'blue','name':'a','mac':'02:00:00:00:00'}", "endpoint blue/a", "mac",
	  "MAC" },
	{ "{'kind':'endpoint','network':'blue','name':'a','mac':'02:D0:7e:00:00:01'}", "endpoint blue/a",
	  "mac", "gateway" },
	{ ENDPOINT ",'addresses':['10.1.0.300']}", "endpoint blue/a", "addresses[0]", "IP address" },
	{ ENDPOINT ",'addresses':['10.1.0.20','224.0.0.1']}", "endpoint blue/a", "addresses[1]", "" },
	{ ENDPOINT ",'addresses':['ff02::1']}", "endpoint blue/a", "addresses[0]", "multicast" },
	{ ENDPOINT ",'addresses':['10.1.0.20','::1']}", "endpoint blue/a", "addresses[1]", "loopback" },
	{ ENDPOINT ",'addresses':['::ffff:10.1.0.20']}", "endpoint blue/a", "addresses[0]",
	  "IPv6's notation" },
	{ ENDPOINT ",'addresses':['::ffff:a01:14']}", "endpoint blue/a", "addresses[0]", "IPv6's notation" },
	{ ENDPOINT ",'addresses':['fe80::1%eth0']}", "endpoint blue/a", "addresses[0]", "" },
	{ ENDPOINT ",'groups':['web','x y']}", "endpoint blue/a", "groups[1]", "not a name" },
	{ ENDPOINT ",'host':'h1'}", "endpoint blue/a", "host", "no such field" },
	{ EXTERNAL "}", "external blue/x", "prefixes", "missing" },
	{ EXTERNAL ",'prefixes':[]}", "external blue/x", "prefixes", "empty" },
	{ EXTERNAL ",'prefixes':['10.0.0.0/8',7]}", "external blue/x", "prefixes[1]", "not a prefix" },
	{ EXTERNAL ",'prefixes':['10.0.0.1/8']}", "external blue/x", "prefixes[0]", "not a prefix" },
	{ EXTERNAL ",'prefixes':['::/0','0.0.0.0/0','::/0']}", "external blue/x", "prefixes[2]", "twice" },
	{ EXTERNAL ",'prefixes':['ff00::/8']}", "external blue/x", "prefixes[0]", "multicast" },
	{ EXTERNAL ",'prefixes':['fe80::/10']}", "external blue/x", "prefixes[0]", "link-local" },
	{ EXTERNAL ",'prefixes':['::/0'],'gateway':'h1'}", "external blue/x", "gateway", "object" },
	{ EXTERNAL ",'prefixes':['::/0'],'gateway':{}}", "external blue/x", "gateway.host", "missing" },
	{ EXTERNAL ",'prefixes':['::/0'],'gateway':{'host':'192.0.2.1'}}", "external blue/x", "gateway.host",
	  "name of a host" },
	{ EXTERNAL ",'prefixes':['::/0'],'gateway':{'host':'h1','port':'eth0'}}", "external blue/x",
	  "gateway.port", "no such field" },
	{ EXTERNAL ",'prefixes':['::/0'],'host':'h1'}", "external blue/x", "host", "no such field" },
	{ "{'kind':'service','name':'s','instances':['blue/vm1']}", "service s", "instances[0]", "object" },
	{ "{'kind':'service','name':'s','instances':[{'endpoint':'vm1'}]}", "service s",
	  "instances[0].endpoint", "network/endpoint" },
	{ "{'kind':'policy','network':'blue','name':'p'" SIDES "}", "policy blue/p", "action", "missing" },
	{ "{'kind':'policy','network':'blue','name':'default','action':'deny'" SIDES "}",
	  "policy blue/default", "name", "network's own" },
	{ POLICY ",'to':'any'}", "policy blue/p", "from", "missing" },
	{ POLICY ",'from':'any','to':{}}", "policy blue/p", "to", "names endpoints" },
	{ POLICY ",'from':'any','to':{'endpoints':[]}}", "policy blue/p", "to.endpoints", "empty" },
	{ POLICY ",'from':{'groups':[3]},'to':'any'}", "policy blue/p", "from.groups[0]", "string" },
	{ POLICY ",'from':{'external':'internet','network':'green'},'to':'any'}", "policy blue/p",
	  "from.external", "own network" },
	{ POLICY SIDES ",'priority':-1}", "policy blue/p", "priority", "whole number" },
	{ POLICY SIDES ",'priority':1000001}", "policy blue/p", "priority", "whole number" },
	{ POLICY SIDES ",'priority':1.5}", "policy blue/p", "priority", "whole number" },
	{ POLICY SIDES ",'proto':'tpc'}", "policy blue/p", "proto", "name like tcp" },
	{ POLICY SIDES ",'proto':256}", "policy blue/p", "proto", "" },
	{ POLICY SIDES ",'proto':'icmp','to_port':80}", "policy blue/p", "to_port", "no ports" },
	{ POLICY SIDES ",'to_port':65536}", "policy blue/p", "to_port", "range" },
	{ POLICY SIDES ",'to_port':'90-80'}", "policy blue/p", "to_port", "range" },
	{ POLICY SIDES ",'from_port':'80-'}", "policy blue/p", "from_port", "range" },
	{ POLICY SIDES ",'from_port':'1-2-3'}", "policy blue/p", "from_port", "range" },
	{ POLICY SIDES ",'final':'yes'}", "policy blue/p", "final", "true or false" },
	{ POLICY SIDES ",'qos':{'dscp':64}}", "policy blue/p", "qos.dscp", "0 to 63" },
	{ POLICY SIDES ",'qos':{'dscp':-1}}", "policy blue/p", "qos.dscp", "0 to 63" },
	{ POLICY SIDES ",'qos':{'dscp':'x'}}", "policy blue/p", "qos.dscp", "0 to 63" },
	{ "{'kind':'policy','network':'blue','name':'p','action':'deny','qos':{'dscp':46}" SIDES "}",
	  "policy blue/p", "qos", "no quality" },
	{ POLICY SIDES ",'qos':{'class':'192.0.2.1'}}", "policy blue/p", "qos.class", "logical" },
	{ POLICY SIDES ",'qos':{'class':'1:10'}}", "policy blue/p", "qos.class", "logical" },
	{ POLICY SIDES ",'qos':{'class':5}}", "policy blue/p", "qos.class", "" },
	{ POLICY SIDES ",'qos':{'vlan':100}}", "policy blue/p", "qos.vlan", "no such field" },
	{ "{'kind':'underlay_path','name':'gold'}", "underlay_path gold", "vlan", "told from others" },
	{ "{'kind':'underlay_path','name':'gold','vlan':4095}", "underlay_path gold", "vlan", "1 to 4094" },
	{ "{'kind':'underlay_path','name':'gold','vlan':0}", "underlay_path gold", "vlan", "1 to 4094" },
	{ "{'kind':'underlay_path','name':'gold','dscp':64}", "underlay_path gold", "dscp", "0 to 63" },
	{ "{'kind':'underlay_path','name':'gold','mpls':[]}", "underlay_path gold", "mpls", "1 to 4 labels" },
	{ "{'kind':'underlay_path','name':'gold','mpls':100}", "underlay_path gold", "mpls", "list" },
	{ "{'kind':'underlay_path','name':'gold','mpls':[16,17,18,19,20]}", "underlay_path gold", "mpls",
	  "" },
	{ "{'kind':'underlay_path','name':'gold','mpls':[16,15]}", "underlay_path gold", "mpls[1]",
	  "16 to 1048575" },
	{ "{'kind':'underlay_path','name':'gold','mpls':[1048576]}", "underlay_path gold", "mpls[0]",
	  "16 to 1048575" },
	{ "{'kind':'underlay_path','name':'gold','mpls':['100']}", "underlay_path gold", "mpls[0]", "" },
	{ "{'kind':'underlay_path','name':'gold','mpls':[16,{'label':3}]}", "underlay_path gold",
	  "mpls[1].label", "16 to 1048575" },
	{ "{'kind':'underlay_path','name':'gold','mpls':[{'tc':3}]}", "underlay_path gold", "mpls[0].label",
	  "" },
	{ "{'kind':'underlay_path','name':'gold','mpls':[{'label':16,'tc':8}]}", "underlay_path gold",
	  "mpls[0].tc", "0 to 7" },
	{ "{'kind':'underlay_path','name':'gold','mpls':[{'label':16,'ttl':8}]}", "underlay_path gold",
	  "mpls[0].ttl", "no such field" },
	{ POLICY SIDES ",'qos':{'mpls':[100]}}", "policy blue/p", "qos.mpls", "no such field" },
	{ "{'kind':'underlay_path','name':'gold','hops':[]}", "underlay_path gold", "hops", "1 to 4 hops" },
	{ "{'kind':'underlay_path','name':'gold','hops':'192.0.2.9'}", "underlay_path gold", "hops", "list" },
	{ "{'kind':'underlay_path','name':'gold','hops':['192.0.2.1','192.0.2.2','192.0.2.3','192.0.2.4',"
	  "'192.0.2.5']}",
	  "underlay_path gold", "hops", "" },
	{ "{'kind':'underlay_path','name':'gold','hops':['192.0.2.9','r2']}", "underlay_path gold", "hops[1]",
	  "address of a router" },
	{ "{'kind':'underlay_path','name':'gold','hops':[3221225993]}", "underlay_path gold", "hops[0]",
	  "address of a router" },
	{ "{'kind':'underlay_path','name':'gold','hops':['192.0.2.9/32']}", "underlay_path gold", "hops[0]",
	  "address of a router" },
	{ "{'kind':'underlay_path','name':'gold','hops':['192.0.2.9','2001:db8::9']}", "underlay_path gold",
	  "hops[1]", "same family" },
	{ "{'kind':'underlay_path','name':'gold','hops':['224.0.0.5']}", "underlay_path gold", "hops[0]",
	  "unicast" },
	{ "{'kind':'underlay_path','name':'gold','hops':['127.0.0.1']}", "underlay_path gold", "hops[0]",
	  "unicast" },
	{ "{'kind':'underlay_path','name':'gold','hops':['2001:db8::9','fe80::1']}", "underlay_path gold",
	  "hops[1]", "beyond its link" },
	{ "{'kind':'underlay_path','name':'gold','mpls':[100],'hops':['192.0.2.9']}", "underlay_path gold",
	  "hops", "'mpls' or by 'hops'" },
	{ POLICY SIDES ",'qos':{'hops':['192.0.2.9']}}", "policy blue/p", "qos.hops", "no such field" },
	{ "{'kind':'endpoint','network':'blue','name':'e','mac':'02:00:00:00:01:01','qos':{'rate_mbps':0}}",
	  "endpoint blue/e", "qos.rate_mbps", "" },
	{ "{'kind':'endpoint','network':'blue','name':'e','mac':'02:00:00:00:01:01','qos':{'dscp':1}}",
	  "endpoint blue/e", "qos.dscp", "no such field" },
	{ "{'kind':'endpoint','network':'blue','name':'e','mac':'02:00:00:00:01:01','qos':1}",
	  "endpoint blue/e", "qos", "object" },
	{ POLICY SIDES ",'qos':46}", "policy blue/p", "qos", "object" },
	{ POLICY SIDES ",'qos':{'rate_mbps':1.5}}", "policy blue/p", "qos.rate_mbps", "" },
	{ POLICY SIDES ",'qos':{'rate_mbps':0}}", "policy blue/p", "qos.rate_mbps", "" },
	{ POLICY SIDES ",'qos':{'queue':1}}", "policy blue/p", "qos.queue", "no such field" },
	{ POLICY SIDES ",'path':['fw','fw']}", "policy blue/p", "path[1]", "twice" },
	{ "{'kind':'policy','network':'blue','name':'p','action':'deny','path':['fw']" SIDES "}",
	  "policy blue/p", "path", "denies" },
	{ "{'kind':'policy','network':'blue','name':'p','action':'reject','path':['fw']" SIDES "}",
	  "policy blue/p", "path", "rejects" },
	{ "{'kind':'policy','network':'blue','name':'p','action':'drop'" SIDES "}", "policy blue/p", "action",
	  "neither" },
};

/* R7: whatever is not logical is refused by name. */
static const struct bad physical[] = {
	{ POLICY SIDES ",'host':'h1'}", "policy blue/p", "host", "logical" },
	{ POLICY SIDES ",'ip':'10.1.0.1'}", "policy blue/p", "ip", "logical" },
	{ POLICY SIDES ",'vlan':100}", "policy blue/p", "vlan", "logical" },
	{ POLICY SIDES ",'interface':'eth0'}", "policy blue/p", "interface", "logical" },
	{ POLICY ",'from':'10.1.0.1','to':'any'}", "policy blue/p", "from", "logical" },
	{ POLICY ",'from':'any','to':{'addresses':['10.1.0.1']}}", "policy blue/p", "to.addresses",
	  "logical" },
	{ POLICY ",'from':'any','to':{'endpoints':['vm1','10.1.0.1']}}", "policy blue/p", "to.endpoints[1]",
	  "logical" },
	{ POLICY ",'from':{'endpoints':['10.1.0.0/24']},'to':'any'}", "policy blue/p", "from.endpoints[0]",
	  "logical" },
	{ POLICY ",'from':{'groups':['fd00::1']},'to':'any'}", "policy blue/p", "from.groups[0]", "logical" },
	{ POLICY ",'from':'any','to':{'network':'10.0.0.0/8'}}", "policy blue/p", "to.network", "logical" },
	{ POLICY SIDES ",'path':['192.0.2.1']}", "policy blue/p", "path[0]", "logical" },
	{ POLICY ",'from':'any','to':{'external':'0.0.0.0/0'}}", "policy blue/p", "to.external", "logical" },
};

/* Against what is there: the reference table's networks. */
static const struct bad references[] = {
	{ "{'kind':'endpoint','network':'red','name':'a','mac':'02:00:00:00:00:aa'}", "endpoint red/a",
	  "network", "no such network" },
	{ ENDPOINT ",'addresses':['10.9.0.1']}", "endpoint blue/a", "addresses[0]", "none of the subnets" },
	{ ENDPOINT ",'addresses':['2001:db8::1']}", "endpoint blue/a", "addresses[0]",
	  "none of the subnets" },
	{ ENDPOINT ",'addresses':['10.1.0.20','10.1.0.11']}", "endpoint blue/a", "addresses[1]",
	  "endpoint blue/vm1" },
	{ ENDPOINT ",'addresses':['10.1.0.20','10.1.0.20']}", "endpoint blue/a", "addresses[1]", "twice" },
	{ "{'kind':'endpoint','network':'blue','name':'a','mac':'02:00:00:00:01:01'}", "endpoint blue/a",
	  "mac", "endpoint blue/vm1" },
	{ ENDPOINT ",'addresses':['fe80::ff:fe00:102']}", "endpoint blue/a", "addresses[0]",
	  "endpoint blue/vm2" },
	{ ENDPOINT ",'addresses':['fe80::d0:7eff:fe00:1']}", "endpoint blue/a", "addresses[0]", "gateway" },
	{ ENDPOINT ",'addresses':['fe80::1','fe80::1']}", "endpoint blue/a", "addresses[1]", "twice" },
	{ ENDPOINT ",'addresses':['fe80::ff:fe00:bb']},"
		   "{'kind':'endpoint','network':'blue','name':'b','mac':'02:00:00:00:00:bb'}",
	  "endpoint blue/b", "mac", "link-local address fe80::ff:fe00:bb is an address of endpoint blue/a" },
	{ "{'kind':'host','name':'h9','addresses':['192.0.2.9','192.0.2.1']}", "host h9", "addresses[1]",
	  "host h1" },
	{ "{'kind':'network','name':'blue','subnets':['10.9.0.0/24']}", "network blue", "subnets",
	  "would not fit" },
	{ "{'kind':'network','name':'blue','subnets':[{'prefix':'10.1.0.0/24','gateway':'10.1.0.11'}]}",
	  "network blue", "subnets", "would not fit" },
	{ "{'kind':'group','network':'blue','name':'g','endpoints':['vm1','nobody']}", "group blue/g",
	  "endpoints[1]", "'nobody'" },
	{ "{'kind':'service','name':'s','instances':[{'endpoint':'blue/nobody'}]}", "service s",
	  "instances[0]", "not an endpoint" },
	{ POLICY ",'from':'any','to':{'endpoints':['web1']}}", "policy blue/p", "to.endpoints[0]",
	  "'web1' is not an endpoint of network blue" },
	{ POLICY ",'from':'any','to':{'network':'red'}}", "policy blue/p", "to.network", "no such network" },
	{ POLICY ",'from':{'network':'green'},'to':{'network':'green'}}", "policy blue/p", "to.network",
	  "neither side" },
	{ POLICY ",'from':'any','to':{'external':'internet'}}", "policy blue/p", "to.external",
	  "no such external network 'internet' of network blue" },
	{ EXTERNAL ",'prefixes':['::/0']},"
		   "{'kind':'external','network':'blue','name':'y','prefixes':['fd00::/8','::/0']}",
	  "external blue/x", "prefixes[0]", "::/0 is a prefix of external blue/y" },
	{ "{'kind':'external','network':'blue','name':'vm1','prefixes':['::/0']}", "external blue/vm1",
	  "name", "name of endpoint blue/vm1" },
	{ EXTERNAL ",'prefixes':['::/0']},"
		   "{'kind':'endpoint','network':'blue','name':'x','mac':'02:00:00:00:00:aa'}",
	  "external blue/x", "name", "name of endpoint blue/x" },
	{ "{'kind':'external','network':'red','name':'x','prefixes':['::/0']}", "external red/x", "network",
	  "no such network" },
	{ POLICY SIDES ",'path':['firewall','proxy']}", "policy blue/p", "path[1]",
	  "no such service 'proxy'" },
};

static void refuse_all(const struct bad *table, size_t n)
{
	struct world w;
	char *before, *after;

	world_init(&w);
	world_reference(&w);
	before = world_dump(&w);
	for (size_t i = 0; i < n; i++) {
		int rc = world_apply(&w, "[{'kind':'network','name':'new'},%s]", table[i].text);

		cr_assert(rc, "taken: %s", table[i].text);
		cr_assert_str_eq(w.err.object, table[i].object, "%s", table[i].text);
		cr_assert_str_eq(w.err.field, table[i].field, "%s: %s", table[i].text, w.err.text);
		cr_assert(strstr(w.err.text, table[i].says), "%s: %s", table[i].text, w.err.text);
		cr_assert(!strchr(w.err.text, '\n'));
	}
	after = world_dump(&w);
	cr_assert_str_eq(before, after);
	free(before);
	free(after);
	world_free(&w);
}

Test(objects, R27_bad_objects_name_the_field)
{
	refuse_all(shapes, ARRAY_SIZE(shapes));
}

Test(objects, R7_physical_things_are_refused)
{
	refuse_all(physical, ARRAY_SIZE(physical));
}

Test(objects, R27_bad_references_name_the_field)
{
	refuse_all(references, ARRAY_SIZE(references));
}

Test(objects, R27_applying_twice_changes_nothing)
{
	static const char text[] =
		"[{'kind':'policy','network':'blue','name':'p','priority':5,'from':{'groups':['web']},"
		"'to':{'endpoints':['vm3'],'network':'green'},'proto':'tcp','from_port':'1024-65535',"
		"'to_port':'80','action':'allow','path':['ips'],'final':true,'reply':false,"
		"'qos':{'dscp':46,'rate_mbps':10}},"
		"{'kind':'endpoint','network':'blue','name':'v6','mac':'02:00:00:00:02:01','addresses':[],"
		"'groups':['web']},{'kind':'group','network':'blue','name':'g','endpoints':['v6']}]";
	struct world w;
	char *before, *after;

	world_init(&w);
	world_reference(&w);
	cr_assert_eq(world_apply(&w, text), 0, "%s", w.err.text);
	cr_assert_eq(w.counts.changed, 3);
	before = world_dump(&w);
	cr_assert_eq(world_apply(&w, text), 0);
	cr_assert_eq(w.counts.changed, 0);
	cr_assert_eq(w.counts.unchanged, 3);
	after = world_dump(&w);
	cr_assert_str_eq(before, after);
	cr_assert_eq(world_apply(&w, "[%s]", world_policy(&w, "blue/p")->o.spec->body), 0, "%s", w.err.text);
	cr_assert_eq(w.counts.unchanged, 1, "what is shown is not what was applied");
	free(before);
	free(after);
	world_free(&w);
}

Test(objects, R2_addresses_may_repeat_between_networks_and_swap_within)
{
	struct world w;

	world_init(&w);
	cr_assert_eq(world_apply(&w, "[{'kind':'network','name':'a'},{'kind':'network','name':'b'}]"), 0);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(world_apply(&w,
					 "[{'kind':'endpoint','network':'%c','name':'x',"
					 "'mac':'02:00:00:00:00:01','addresses':['10.0.0.1']},"
					 "{'kind':'endpoint','network':'%c','name':'y',"
					 "'mac':'02:00:00:00:00:02','addresses':['10.0.0.2','fd00::2']}]",
					 'a' + i, 'a' + i),
			     0, "%s", w.err.text);
	cr_assert_eq(world_apply(&w, "[{'kind':'endpoint','network':'a','name':'x',"
				     "'mac':'02:00:00:00:00:02','addresses':['10.0.0.2']},"
				     "{'kind':'endpoint','network':'a','name':'y',"
				     "'mac':'02:00:00:00:00:01','addresses':['10.0.0.1']}]"),
		     0, "%s", w.err.text);
	world_free(&w);
}

Test(objects, both_families_side_by_side)
{
	static const char text[] =
		"[{'kind':'network','name':'n','subnets':['10.0.0.0/24','2001:db8:1::/64',"
		"{'prefix':'2001:db8:2::/64','gateway':'2001:db8:2::fe'}]},"
		"{'kind':'host','name':'h','addresses':['192.0.2.1','2001:db8:ff::1','198.51.100.1']},"
		"{'kind':'endpoint','network':'n','name':'x','mac':'02:00:00:00:00:01',"
		"'addresses':['10.0.0.5','2001:DB8:1:0::5','2001:db8:2::5']},"
		"{'kind':'endpoint','network':'n','name':'y','mac':'02:00:00:00:00:02',"
		"'addresses':['2001:db8:1::6']}]";
	struct world w;
	struct answer a;

	world_init(&w);
	cr_assert_eq(world_apply(&w, text), 0, "%s %s", w.err.field, w.err.text);
	cr_assert_eq(world_apply(&w, text), 0);
	cr_assert_eq(w.counts.changed, 0);
	cr_assert_eq(world_place(&w, "n/x", "h", "c"), 0);
	a = world_ask_at(&w, "n/y", "2001:db8:1::5");
	cr_assert_eq(a.destination, world_endpoint(&w, "n/x"));
	cr_assert_eq(a.destination->place.host->o.spec->u.host.n_addresses, 3);
	cr_assert_eq(world_ask_at(&w, "n/y", "10.0.0.5").destination, a.destination);
	cr_assert_eq(world_ask_at(&w, "n/y", "2001:db8:2::fe").verdict, VERDICT_GATEWAY);
	cr_assert_eq(world_ask_at(&w, "n/y", "2001:db8:1::1").verdict, VERDICT_GATEWAY);
	cr_assert_eq(world_ask_at(&w, "n/y", "2001:db8:2::1").verdict, VERDICT_NO_ENDPOINT);
	world_free(&w);
}

Test(objects, unnamed_gateway_may_be_an_endpoint)
{
	struct world w;

	world_init(&w);
	cr_assert_eq(world_apply(&w, "[{'kind':'endpoint','network':'n','name':'x',"
				     "'mac':'02:00:00:00:00:01','addresses':['10.0.0.1']},"
				     "{'kind':'network','name':'n','subnets':['10.0.0.0/24']}]"),
		     0, "%s", w.err.text);
	cr_assert_eq(world_apply(&w, "[{'kind':'network','name':'n','subnets':"
				     "[{'prefix':'10.0.0.0/24','gateway':'10.0.0.1'}]}]"),
		     -EEXIST);
	world_free(&w);
}

static void keep(struct world *w, const char *kind, const char *key, const char *who)
{
	cr_assert_eq(world_delete(w, kind, key), -EEXIST, "%s %s went", kind, key);
	cr_assert(strstr(w->err.text, who), "%s %s: %s", kind, key, w->err.text);
}

Test(objects, R27_what_is_referred_to_stays)
{
	struct world w;

	world_init(&w);
	world_reference(&w);
	cr_assert_eq(world_apply(&w, "[{'kind':'policy','network':'blue','name':'p','action':'allow',"
				     "'from':{'endpoints':['vm1']},'to':{'network':'green'},'path':['ips']},"
				     "{'kind':'group','network':'blue','name':'g','endpoints':['vm2']},"
				     "{'kind':'service','name':'s','instances':[{'endpoint':'blue/vm3'}]}]"),
		     0, "%s", w.err.text);
	keep(&w, "endpoint", "blue/vm1", "policy blue/p");
	keep(&w, "endpoint", "blue/vm2", "group blue/g");
	keep(&w, "endpoint", "blue/vm3", "service s");
	keep(&w, "service", "ips", "policy blue/p");
	keep(&w, "network", "green", "endpoint green/");
	keep(&w, "host", "h1", "endpoint ");
	keep(&w, "policy", "blue/default", "own");
	cr_assert_eq(world_delete(&w, "policy", "blue/none"), -ENOENT);
	cr_assert_eq(world_delete(&w, "policy", "blue/p"), 0);
	cr_assert_eq(world_delete(&w, "endpoint", "blue/vm1"), 0);
	cr_assert_eq(world_delete(&w, "service", "ips"), 0);
	world_free(&w);
}

Test(objects, networks_with_overlapping_subnets_are_not_joined)
{
	struct world w;

	world_init(&w);
	cr_assert_eq(world_apply(&w, "[{'kind':'network','name':'a','subnets':['10.0.0.0/16']},"
				     "{'kind':'network','name':'b','subnets':['10.0.5.0/24']},"
				     "{'kind':'policy','network':'a','name':'p','from':'any',"
				     "'to':{'network':'b'},'action':'allow'}]"),
		     -EEXIST);
	cr_assert_str_eq(w.err.field, "to.network");
	world_free(&w);
}

Test(json, garbage_is_told_with_its_place)
{
	struct json_error err;

	cr_assert_null(json_parse("[1,\n 2,}", 8, &err));
	cr_assert(strstr(err.text, "line 2, column"), "%s", err.text);
	cr_assert_null(json_parse("[] x", 4, &err));
	cr_assert_null(json_parse("[\"a\\u0000\"]", 11, &err));
	cr_assert_null(json_parse("[\0]", 3, &err));
	cr_assert_null(json_parse("", 0, &err));
}
