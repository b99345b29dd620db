/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An error for people: one line that names the thing and what is wrong with
 * it, beside the -errno that code looks at.
 */
#ifndef DOVE_ERROR_H
#define DOVE_ERROR_H

struct error {
	char text[512];
};

/*
 * error_set() - write the line (no newline) and return rc, so that callers can
 * say `return error_set(err, -EINVAL, "...")`. err may be NULL. "%m" is the
 * text of -rc.
 */
int error_set(struct error *err, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
