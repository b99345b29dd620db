// SPDX-License-Identifier: Apache-2.0
/* What the service is told of its part in the hierarchy. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dps/config.h"

#define KEY "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define ROOT                                                                                                 \
	"'name':'n1','root':{'keys':['" KEY "'],'servers':[{'name':'r1','addresses':['192.0.2.1:6083']}]}"

static struct config c;
static struct json_error err;

static void teardown(void)
{
	config_free(&c);
}

TestSuite(config, .fini = teardown);

static int take(const char *text)
{
	char *copy = strdup(text);
	int rc;

	config_free(&c);
	for (char *at = copy; *at; at++)
		if (*at == '\'')
			*at = '"';
	rc = config_take(copy, strlen(copy), &c, &err);
	free(copy);
	return rc ? rc : config_finish(&c, &err);
}

static void refused(const char *text, const char *field)
{
	cr_assert_eq(take(text), -EINVAL, "%s", text);
	cr_assert_str_eq(err.field, field, "%s: %s: %s", text, err.field, err.text);
	cr_assert(*err.text);
}

Test(config, alone)
{
	cr_assert_eq(take("{}"), 0);
	cr_assert(!c.root && !c.local && !c.n_authorities);
	cr_assert_eq(c.lifetime, LIFETIME_DEFAULT);
	cr_assert_eq(take("{'sign-key':'k'}"), 0);
	cr_assert_str_eq(c.sign_key, "k");
}

Test(config, all_roles)
{
	cr_assert_eq(take("{" ROOT ",'local':true,'root-server':true,'relays':['site','.'],"
			  "'authorities':[{'domain':'.','sign-key':'r','life':60},"
			  "{'domain':'acme/eng','sign-key':'e','ranges':[[300,399]],"
			  "'servers':[{'name':'ns1.eng','addresses':['[2001:db8::1]:1']}]}],"
			  "'parents':[{'name':'p','addresses':['192.0.2.9:1']}]}"),
		     0, "%s: %s", err.field, err.text);
	cr_assert(c.local && c.root_server);
	cr_assert_eq(c.n_authorities, 2);
	cr_assert_str_eq(c.authorities[0].domain, "");
	cr_assert_eq(c.authorities[0].life, 60);
	cr_assert_str_eq(c.authorities[1].domain, "acme/eng");
	cr_assert_eq(c.authorities[1].ranges.v[0].last, 399);
	cr_assert_eq(c.n_parents, 1);
	cr_assert_str_eq(c.relays[0], "site");
	cr_assert_str_eq(c.relays[1], "");
	cr_assert_eq(c.root->n_keys, 1);
}

Test(config, what_does_not_go_together)
{
	refused("{'local':true}", "root");
	refused("{'authorities':[{'domain':'acme','sign-key':'k','ranges':[[1,2]]}]}", "root");
	refused("{'root':{'keys':['" KEY "']},'local':true}", "name");
	refused("{" ROOT ",'sign-key':'k'}", "sign-key");
	refused("{" ROOT ",'authorities':[{'domain':'a','sign-key':'k','ranges':[[1,2]]},"
		"{'domain':'a','sign-key':'k','ranges':[[3,4]]}]}",
		"authorities[1]");
}

Test(config, fields)
{
	refused("{'colour':1}", "colour");
	refused("{" ROOT ",'authorities':[{'domain':'a','ranges':[[1,2]]}]}", "authorities[0].sign-key");
	refused("{" ROOT ",'authorities':[{'domain':'a','sign-key':'k'}]}", "authorities[0].ranges");
	refused("{" ROOT ",'authorities':[{'domain':'a/','sign-key':'k','ranges':[[1,2]]}]}",
		"authorities[0].domain");
	refused("{" ROOT ",'authorities':[{'domain':'.','sign-key':'k','ranges':[[1,2]]}]}",
		"authorities[0].ranges");
	refused("{" ROOT ",'authorities':[{'domain':'a','sign-key':'k','ranges':[[1,2]],'life':9}]}",
		"authorities[0].life");
	refused("{" ROOT ",'relays':['a b']}", "relays[0]");
	refused("{'name':'n','root':{'keys':['AAA']}}", "root.keys[0]");
	refused("{'connections-per-peer':0}", "connections-per-peer");
}

Test(config, beyond_loopback)
{
	refused("{'listen':'192.0.2.1:6083'}", "listen");
	refused("{'listen':'192.0.2.1:6083','tls-cert':'c','tls-key':'k'}", "tls-ca");
	refused("{'tls-cert':'c'}", "tls-key");
	cr_assert_eq(take("{'listen':'192.0.2.1:6083','tls-cert':'c','tls-key':'k','tls-ca':'a'}"), 0);
	cr_assert_eq(take("{'listen':'192.0.2.1:6083','insecure':true}"), 0);
}
