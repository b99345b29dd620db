// SPDX-License-Identifier: Apache-2.0
/* R25, R27: `dovectl pki`: names that decide the role, and TLS 1.3 between who has them. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <dirent.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/pki.h"
#include "lib/sign.h"

static char dir[] = "/tmp/dove-pki-XXXXXX", path[300];

static void setup(void)
{
	cr_assert(mkdtemp(dir));
	cr_redirect_stdout();
	cr_redirect_stderr();
}

static void teardown(void)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	while ((entry = readdir(d)))
		unlinkat(dirfd(d), entry->d_name, 0);
	closedir(d);
	rmdir(dir);
}

TestSuite(pki, .init = setup, .fini = teardown);

static const char *file(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static int make(const char *what, const char *name, const char *domain, const char *address, const char *days)
{
	struct options o = { .dir = dir, .domain = domain, .days = days, .args = { what, name } };

	o.n_args = name ? 2 : 1;
	if (address)
		o.addresses[o.n_addresses++] = address;
	return pki_run(&o);
}

static void make_all(void)
{
	cr_assert_eq(make("root", NULL, NULL, NULL, NULL), 0);
	cr_assert_eq(make("server", "ns1.acme", "acme/eng", "192.0.2.1", NULL), 0);
	cr_assert_eq(make("host", "h1", NULL, NULL, "30"), 0);
	cr_assert_eq(make("admin", "acme/eng", NULL, NULL, NULL), 0);
	cr_assert_eq(make("admin", ".", NULL, NULL, NULL), 0);
}

static X509 *load(const char *name)
{
	FILE *f = fopen(file(name), "re");
	X509 *cert = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;

	cr_assert(cert, "%s", path);
	fclose(f);
	return cert;
}

/* Is it by our CA, and good for this purpose? */
static bool good_for(const char *name, int purpose)
{
	X509 *cert = load(name), *ca = load("ca.pem");
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	bool good;

	X509_STORE_add_cert(store, ca);
	X509_STORE_CTX_init(ctx, store, cert, NULL);
	X509_STORE_CTX_set_purpose(ctx, purpose);
	good = X509_verify_cert(ctx) == 1;
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	X509_free(cert);
	X509_free(ca);
	return good;
}

/* The only URI of a certificate. */
static void has_uri(const char *name, const char *uri)
{
	X509 *cert = load(name);
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	int n = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *gn = sk_GENERAL_NAME_value(names, i);

		if (gn->type != GEN_URI)
			continue;
		n++;
		cr_assert_str_eq((const char *)ASN1_STRING_get0_data(gn->d.uniformResourceIdentifier), uri);
	}
	cr_assert_eq(n, 1, "%s", name);
	cr_assert_eq(X509_NAME_get_index_by_NID(X509_get_subject_name(cert), NID_commonName, -1), -1);
	GENERAL_NAMES_free(names);
	X509_free(cert);
}

Test(pki, R25_names_decide_the_role)
{
	make_all();
	has_uri("server-ns1.acme.pem", "dove://server/acme/eng");
	has_uri("host-h1.pem", "dove://host/h1");
	has_uri("admin-acme-eng.pem", "dove://admin/acme/eng");
	has_uri("admin-root.pem", "dove://admin/");
	cr_assert(good_for("server-ns1.acme.pem", X509_PURPOSE_SSL_SERVER));
	cr_assert(good_for("server-ns1.acme.pem", X509_PURPOSE_SSL_CLIENT));
	cr_assert(good_for("host-h1.pem", X509_PURPOSE_SSL_CLIENT));
	cr_assert_not(good_for("host-h1.pem", X509_PURPOSE_SSL_SERVER));
	cr_assert_not(good_for("admin-root.pem", X509_PURPOSE_SSL_SERVER));
}

Test(pki, R25_server_certificates_are_for_its_names)
{
	X509 *cert;

	make_all();
	cert = load("server-ns1.acme.pem");
	cr_assert_eq(X509_check_host(cert, "ns1.acme", 0, 0, NULL), 1);
	cr_assert_neq(X509_check_host(cert, "ns2.acme", 0, 0, NULL), 1);
	cr_assert_eq(X509_check_ip_asc(cert, "192.0.2.1", 0), 1);
	cr_assert_neq(X509_check_ip_asc(cert, "192.0.2.2", 0), 1);
	X509_free(cert);
}

Test(pki, R25_keys_are_their_owners_and_never_overwritten)
{
	struct sign_key *key = NULL;
	struct error err;
	struct stat st;

	make_all();
	cr_assert_eq(make("key", "acme", NULL, NULL, NULL), 0);
	for (const char *const *name = (const char *const[]){ "ca.key", "host-h1.key", "acme.sign", NULL };
	     *name; name++) {
		cr_assert_eq(stat(file(*name), &st), 0);
		cr_assert_eq(st.st_mode & 0777, 0600, "%s", *name);
	}
	cr_assert_eq(sign_key_load(file("acme.sign"), &key, &err), 0, "%s", err.text);
	sign_key_free(key);
	cr_assert_neq(make("root", NULL, NULL, NULL, NULL), 0);
	cr_assert_neq(make("host", "h1", NULL, NULL, NULL), 0);
	cr_assert_neq(make("key", "acme", NULL, NULL, NULL), 0);
	cr_assert(good_for("host-h1.pem", X509_PURPOSE_SSL_CLIENT));
	unlink(file("host-h1.pem"));
	cr_assert_neq(make("host", "h1", NULL, NULL, NULL), 0, "its key is still there");
	cr_assert_eq(access(file("host-h1.pem"), F_OK), -1);
}

Test(pki, R25_lives_as_long_as_was_said)
{
	X509 *cert;
	int day = 0, sec = 0;

	make_all();
	cert = load("host-h1.pem");
	cr_assert_eq(ASN1_TIME_diff(&day, &sec, X509_get0_notBefore(cert), X509_get0_notAfter(cert)), 1);
	cr_assert_eq(day, 30);
	cr_assert_eq(X509_cmp_current_time(X509_get0_notBefore(cert)), -1);
	X509_free(cert);
}

Test(pki, what_is_wrong_makes_nothing)
{
	cr_assert_neq(make("host", "h1", NULL, NULL, NULL), 0, "there is no CA");
	cr_assert_eq(make("root", NULL, NULL, NULL, NULL), 0);
	cr_assert_neq(make("server", "ns1", NULL, NULL, NULL), 0, "no domain");
	cr_assert_neq(make("server", "ns1", "acme//eng", NULL, NULL), 0);
	cr_assert_neq(make("server", "ns1,DNS:evil", "acme", NULL, NULL), 0);
	cr_assert_neq(make("server", "ns1", "acme", "192.0.2.1,URI:dove://admin/", NULL), 0);
	cr_assert_neq(make("host", "h1/x", NULL, NULL, NULL), 0);
	cr_assert_neq(make("host", "h1,URI:dove://admin/", NULL, NULL, NULL), 0);
	cr_assert_neq(make("admin", "acme:blue", NULL, NULL, NULL), 0);
	cr_assert_neq(make("host", "h1", NULL, NULL, "0"), 0);
	cr_assert_neq(make("host", "h1", NULL, NULL, "30x"), 0);
	cr_assert_neq(make("gateway", "g1", NULL, NULL, NULL), 0);
	cr_assert_neq(make("host", NULL, NULL, NULL, NULL), 0);
	cr_assert_neq(make("root", "x", NULL, NULL, NULL), 0);
	cr_assert_neq(make("key", "../key", NULL, NULL, NULL), 0);
	cr_assert_eq(access(file("host-h1.pem"), F_OK), -1);
	cr_assert_eq(access(file("server-ns1.pem"), F_OK), -1);
}

/* A handshake in memory. */

static SSL_CTX *context(const SSL_METHOD *method, const char *identity)
{
	SSL_CTX *ctx = SSL_CTX_new(method);
	char cert[300], key[300];

	snprintf(cert, sizeof(cert), "%s/%s.pem", dir, identity);
	snprintf(key, sizeof(key), "%s/%s.key", dir, identity);
	cr_assert_eq(SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION), 1);
	cr_assert_eq(SSL_CTX_use_certificate_chain_file(ctx, cert), 1);
	cr_assert_eq(SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM), 1);
	cr_assert_eq(SSL_CTX_load_verify_locations(ctx, file("ca.pem"), NULL), 1);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return ctx;
}

static bool shake_hands(const char *server_identity, const char *client_identity, const char *name)
{
	SSL_CTX *server_ctx = context(TLS_server_method(), server_identity);
	SSL_CTX *client_ctx = context(TLS_client_method(), client_identity);
	SSL *server = SSL_new(server_ctx), *client = SSL_new(client_ctx);
	BIO *a, *b;
	bool good;

	cr_assert_eq(BIO_new_bio_pair(&a, 0, &b, 0), 1);
	SSL_set_bio(server, a, a);
	SSL_set_bio(client, b, b);
	SSL_set_accept_state(server);
	SSL_set_connect_state(client);
	cr_assert_eq(SSL_set1_host(client, name), 1);
	for (int i = 0; i < 10; i++) {
		SSL_do_handshake(client);
		SSL_do_handshake(server);
	}
	good = SSL_is_init_finished(client) && SSL_is_init_finished(server) &&
	       SSL_version(server) == TLS1_3_VERSION && SSL_get_verify_result(server) == X509_V_OK;
	SSL_free(server);
	SSL_free(client);
	SSL_CTX_free(server_ctx);
	SSL_CTX_free(client_ctx);
	return good;
}

Test(pki, R25_tls_with_certificates_on_both_sides)
{
	make_all();
	cr_assert(shake_hands("server-ns1.acme", "host-h1", "ns1.acme"));
	cr_assert(shake_hands("server-ns1.acme", "admin-root", "ns1.acme"));
	cr_assert(shake_hands("server-ns1.acme", "server-ns1.acme", "ns1.acme"));
	cr_assert_not(shake_hands("server-ns1.acme", "host-h1", "ns2.acme"), "another server");
	cr_assert_not(shake_hands("host-h1", "server-ns1.acme", "h1"), "a host is no server");
}
