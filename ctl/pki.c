// SPDX-License-Identifier: Apache-2.0
#include "ctl/pki.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/addr.h"
#include "lib/cleanup.h"
#include "lib/domain.h"
#include "lib/sign.h"
#include "lib/succession.h"
#include "lib/usage.h"

#define DAY_SECONDS 86400L
#define BACKDATED_SECONDS 300L /* for clocks that are behind ours */
#define SERIAL_BYTES 16
#define PATH_ROOM 1024
#define NAMES_ROOM 1024 /* subjectAltName, as OpenSSL's text */

/* What can be made. The order is that of the help. */
enum what { WHAT_ROOT, WHAT_SERVER, WHAT_HOST, WHAT_ADMIN, WHAT_KEY, WHATS };

static const struct {
	const char *name, *usage, *key_usage;
} whats[WHATS] = {
	[WHAT_ROOT] = { "root", "pki root", NULL },
	[WHAT_SERVER] = { "server", "pki server NAME --domain DOMAIN", "serverAuth,clientAuth" },
	[WHAT_HOST] = { "host", "pki host NAME", "clientAuth" },
	[WHAT_ADMIN] = { "admin", "pki admin DOMAIN", "clientAuth" },
	[WHAT_KEY] = { "key", "pki key NAME", NULL },
};

/* A key, and the certificate that goes with it. */
struct identity {
	EVP_PKEY *key;
	X509 *cert;
};

static void cleanup_identity(struct identity *id)
{
	EVP_PKEY_free(id->key);
	X509_free(id->cert);
}

#define _identity_ __attribute__((cleanup(cleanup_identity)))

static int complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int complain(const char *fmt, ...)
{
	va_list ap;

	fputs("dovectl: pki: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return -1;
}

static int complain_openssl(const char *what)
{
	const char *why = ERR_reason_error_string(ERR_get_error());

	return complain("cannot %s: %s", what, why ? why : "OpenSSL does not say why");
}

/* Files */

static const char *dir_of(const struct options *o)
{
	return o->dir ? o->dir : PKI_DIR_DEFAULT;
}

/* "pki/acme-eng.pem": a domain's slashes are no folders. */
static const char *path_of(const struct options *o, const char *name, const char *end, char out[PATH_ROOM])
{
	int len = snprintf(out, PATH_ROOM, "%s/", dir_of(o));

	snprintf(out + len, PATH_ROOM - len, "%s%s", name, end);
	for (char *c = out + len; *c; c++)
		if (*c == '/')
			*c = '-';
	return out;
}

static FILE *create(const char *path, mode_t mode)
{
	_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

	if (file)
		(void)take_fd(fd);
	else
		complain("cannot make %s: %s", path, strerror(errno));
	return file;
}

static int write_key(const char *path, EVP_PKEY *key)
{
	_fclose_ FILE *file = create(path, 0600);

	if (!file)
		return -1;
	if (PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1 && !fflush(file))
		return 0;
	unlink(path);
	return complain("cannot write %s", path);
}

static int write_cert(const char *path, X509 *cert)
{
	_fclose_ FILE *file = create(path, 0644);

	if (!file)
		return -1;
	if (PEM_write_X509(file, cert) == 1 && !fflush(file))
		return 0;
	unlink(path);
	return complain("cannot write %s", path);
}

/* Both files or none. */
static int write_identity(const char *cert_path, const char *key_path, const struct identity *id)
{
	if (write_key(key_path, id->key))
		return -1;
	if (!write_cert(cert_path, id->cert))
		return 0;
	unlink(key_path);
	return -1;
}

static int read_root(const struct options *o, struct identity *out)
{
	char path[PATH_ROOM];
	_fclose_ FILE *cert = fopen(path_of(o, "ca", ".pem", path), "re"), *key = NULL;

	if (cert)
		out->cert = PEM_read_X509(cert, NULL, NULL, NULL);
	if (!out->cert)
		return complain("no certificate in %s; `dovectl pki root` makes one", path);
	key = fopen(path_of(o, "ca", ".key", path), "re");
	if (key)
		out->key = PEM_read_PrivateKey(key, NULL, NULL, NULL);
	if (!out->key)
		return complain("no private key in %s", path);
	return X509_check_private_key(out->cert, out->key) == 1
		       ? 0
		       : complain("%s is not the key of ca.pem", path);
}

/* Certificates */

static int set_serial(X509 *cert)
{
	unsigned char bytes[SERIAL_BYTES];
	BIGNUM *number = NULL;
	int rc = -1;

	if (RAND_bytes(bytes, sizeof(bytes)) == 1) {
		bytes[0] = (bytes[0] & 0x7f) | 0x40; /* positive, and of full length (RFC 5280, 4.1.2.2) */
		number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	}
	if (number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)))
		rc = 0;
	BN_free(number);
	return rc;
}

/* No CN: names are in subjectAltName, and etcd's gateway refuses client certificates that have one. */
static int set_subject(X509 *cert, const char *unit)
{
	X509_NAME *name = X509_get_subject_name(cert);

	return X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)"DOVE", -1, -1,
					  0) == 1 &&
			       X509_NAME_add_entry_by_txt(name, "OU", MBSTRING_ASC,
							  (const unsigned char *)unit, -1, -1, 0) == 1
		       ? 0
		       : -1;
}

static int add_extension(X509 *cert, X509V3_CTX *ctx, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, ctx, nid, value);
	int rc = ext && X509_add_ext(cert, ext, -1) == 1 ? 0 : -1;

	X509_EXTENSION_free(ext);
	return rc;
}

struct extension {
	int nid;
	const char *value; /* NULL ends a list */
};

static int add_extensions(X509 *cert, X509 *issuer, const struct extension *list)
{
	X509V3_CTX ctx;
	int rc = 0;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	for (; !rc && list->value; list++)
		rc = add_extension(cert, &ctx, list->nid, list->value);
	return rc;
}

static int set_times(X509 *cert, int days)
{
	return X509_gmtime_adj(X509_getm_notBefore(cert), -BACKDATED_SECONDS) &&
			       X509_gmtime_adj(X509_getm_notAfter(cert), days * DAY_SECONDS)
		       ? 0
		       : -1;
}

/* A key of its own and a certificate for it, by the issuer; issuer NULL: by itself. */
static int make_identity(const char *unit, const struct extension *extensions, int days,
			 const struct identity *issuer, struct identity *out)
{
	X509 *cert = out->cert = X509_new();
	EVP_PKEY *key = out->key = EVP_EC_gen("P-256");

	if (!issuer)
		issuer = out;
	if (!cert || !key || X509_set_version(cert, X509_VERSION_3) != 1 || set_serial(cert) ||
	    set_subject(cert, unit) || set_times(cert, days) || X509_set_pubkey(cert, key) != 1 ||
	    X509_set_issuer_name(cert, X509_get_subject_name(issuer->cert)) != 1 ||
	    add_extensions(cert, issuer->cert, extensions) || !X509_sign(cert, issuer->key, EVP_sha256()))
		return complain_openssl("make a certificate");
	return 0;
}

/* What is made */

static int say(const struct options *o, const char *cert, const char *key, const char *field,
	       const char *name)
{
	cJSON *json;
	char *text;

	if (!o->json) {
		if (cert)
			printf("%s\n", cert);
		printf("%s\n%s\n", key, name);
		return 0;
	}
	json = cJSON_CreateObject();
	if (cert)
		cJSON_AddStringToObject(json, "certificate", cert);
	cJSON_AddStringToObject(json, "key", key);
	cJSON_AddStringToObject(json, field, name);
	text = cJSON_Print(json);
	puts(text ? text : "");
	free(text);
	cJSON_Delete(json);
	return 0;
}

static int days_of(const struct options *o, int otherwise)
{
	char *end;
	unsigned long days = o->days ? strtoul(o->days, &end, 10) : (unsigned long)otherwise;

	if (o->days && (*o->days < '1' || *o->days > '9' || *end || days > 36500))
		return complain("--days takes 1 to 36500, not '%s'", o->days);
	return (int)days;
}

static int make_root(const struct options *o)
{
	static const struct extension extensions[] = {
		{ NID_basic_constraints, "critical,CA:TRUE,pathlen:0" },
		{ NID_key_usage, "critical,keyCertSign,cRLSign" },
		{ NID_subject_key_identifier, "hash" },
		{ 0, NULL },
	};
	char cert[PATH_ROOM], key[PATH_ROOM];
	_identity_ struct identity id = { 0 };
	int days = days_of(o, PKI_ROOT_DAYS);

	if (days < 0 || make_identity("CA", extensions, days, NULL, &id) ||
	    write_identity(path_of(o, "ca", ".pem", cert), path_of(o, "ca", ".key", key), &id))
		return -1;
	return say(o, cert, key, "name", "CA");
}

/* "URI:dove://server/acme,DNS:ns1.acme,IP:192.0.2.1" */
static int make_names(const struct options *o, enum what what, const char *uri, char out[NAMES_ROOM])
{
	int len = snprintf(out, NAMES_ROOM, "URI:%s", uri);
	struct ip_addr addr;
	char text[IP_TEXT];

	if (what == WHAT_SERVER)
		len += snprintf(out + len, NAMES_ROOM - len, ",DNS:%s", o->args[1]);
	for (int i = 0; i < o->n_addresses; i++) {
		if (ip_parse(o->addresses[i], &addr))
			return complain("--address: '%s' is not an IP address", o->addresses[i]);
		len += snprintf(out + len, NAMES_ROOM - len, ",IP:%s", ip_format(&addr, text));
	}
	return 0;
}

static int make_leaf(const struct options *o, enum what what, const char *uri)
{
	char names[NAMES_ROOM], unit[64], cert[PATH_ROOM], key[PATH_ROOM], file[NAMES_ROOM];
	const struct extension extensions[] = {
		{ NID_basic_constraints, "critical,CA:FALSE" },
		{ NID_key_usage, "critical,digitalSignature" },
		{ NID_ext_key_usage, whats[what].key_usage },
		{ NID_subject_key_identifier, "hash" },
		{ NID_authority_key_identifier, "keyid:always" },
		{ NID_subject_alt_name, names },
		{ 0, NULL },
	};
	_identity_ struct identity root = { 0 }, id = { 0 };
	int days = days_of(o, PKI_DAYS);

	if (days < 0 || make_names(o, what, uri, names) || read_root(o, &root))
		return -1;
	snprintf(unit, sizeof(unit), "%s", whats[what].name);
	snprintf(file, sizeof(file), "%s-%s", whats[what].name,
		 strcmp(o->args[1], ".") != 0 ? o->args[1] : "root");
	if (make_identity(unit, extensions, days, &root, &id) ||
	    write_identity(path_of(o, file, ".pem", cert), path_of(o, file, ".key", key), &id))
		return -1;
	return say(o, cert, key, "name", uri);
}

/* "." is the root, in commands; in names it is nothing. */
static const char *domain_arg(const char *text)
{
	if (!strcmp(text, "."))
		return "";
	return domain_check(text) ? text : NULL;
}

static bool is_dns_name(const char *name)
{
	size_t len = strlen(name);

	return len && len <= 253 && *name != '.' && *name != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == len;
}

static int make_server(const struct options *o)
{
	const char *domain = o->domain ? domain_arg(o->domain) : NULL;
	char uri[DOMAIN_ROOM + 16];

	if (!o->domain)
		return complain("a server needs --domain, whose it is ('.' is the root)");
	if (!domain)
		return complain("--domain: '%s' is not a domain, like acme or acme/eng", o->domain);
	if (!is_dns_name(o->args[1]))
		return complain("'%s' is not a server's name, like ns1.acme", o->args[1]);
	snprintf(uri, sizeof(uri), "dove://server/%s", domain);
	return make_leaf(o, WHAT_SERVER, uri);
}

static int make_host(const struct options *o)
{
	char uri[LABEL_MAX + 16];

	if (!domain_check(o->args[1]) || domain_depth(o->args[1]) != 1)
		return complain("'%s' is not a host's name", o->args[1]);
	snprintf(uri, sizeof(uri), "dove://host/%s", o->args[1]);
	return make_leaf(o, WHAT_HOST, uri);
}

static int make_admin(const struct options *o)
{
	const char *domain = domain_arg(o->args[1]);
	char uri[DOMAIN_ROOM + 16];

	if (!domain)
		return complain("'%s' is not a domain, like acme or acme/eng ('.' is the root)", o->args[1]);
	snprintf(uri, sizeof(uri), "dove://admin/%s", domain);
	return make_leaf(o, WHAT_ADMIN, uri);
}

/* The old key's word that the new one follows it, beside the new one: "pki/root2.succession". */
static int write_succession(const struct options *o, const struct sign_key *key)
{
	char path[PATH_ROOM];
	struct sign_key *old = NULL;
	struct signed_doc doc = { 0 };
	_fclose_ FILE *file = NULL;
	_free_ char *text = NULL;
	struct error err;
	cJSON *json;

	if (sign_key_load(path_of(o, o->successor_of, ".sign", path), &old, &err))
		return complain("%s", err.text);
	json = succession_sign(old, sign_key_public(key), time(NULL), &doc) ? NULL : signed_json(&doc);
	text = json ? cJSON_Print(json) : NULL;
	cJSON_Delete(json);
	signed_free(&doc);
	sign_key_free(old);
	file = text ? create(path_of(o, o->args[1], ".succession", path), 0644) : NULL;
	return file && fprintf(file, "%s\n", text) > 0 && !fflush(file) ? 0 : -1;
}

/* What an authority signs with: no certificate, its public half goes into the delegation. */
static int make_key(const struct options *o)
{
	char path[PATH_ROOM], public[SIGN_PUBLIC_TEXT];
	struct sign_key *key = NULL;
	struct error err;
	int rc;

	if (!is_dns_name(o->args[1]))
		return complain("'%s' is not a name for a file", o->args[1]);
	rc = sign_key_make(&key, &err);
	rc = rc ? rc : sign_key_save(key, path_of(o, o->args[1], ".sign", path), &err);
	if (!rc && o->successor_of && write_succession(o, key)) { /* all or nothing */
		unlink(path);
		sign_key_free(key);
		return -1;
	}
	if (!rc) {
		sign_to_text(sign_key_public(key)->b, SIGN_PUBLIC_BYTES, public);
		say(o, NULL, path, "public", public);
	}
	sign_key_free(key);
	return rc ? complain("%s", err.text) : 0;
}

static int usage(void)
{
	fputs("dovectl: pki makes one of:\n", stderr);
	for (int i = 0; i < WHATS; i++)
		fprintf(stderr, "  dovectl %s\n", whats[i].usage);
	return EXIT_USAGE;
}

int pki_run(const struct options *o)
{
	static int (*const makers[WHATS])(const struct options *) = { [WHAT_ROOT] = make_root,
								      [WHAT_SERVER] = make_server,
								      [WHAT_HOST] = make_host,
								      [WHAT_ADMIN] = make_admin,
								      [WHAT_KEY] = make_key };
	int what = 0;

	while (what < WHATS && strcmp(whats[what].name, o->args[0]) != 0)
		what++;
	if (what == WHATS || (what != WHAT_ROOT) != (o->n_args == 2))
		return usage();
	if (mkdir(dir_of(o), 0700) && errno != EEXIST) {
		complain("cannot make %s: %s", dir_of(o), strerror(errno));
		return EXIT_FAILURE;
	}
	return makers[what](o) ? EXIT_FAILURE : EXIT_SUCCESS;
}
