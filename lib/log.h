/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines of the daemons: one line an event, on standard error, prefixed
 * with "<N>" (the syslog level, see sd-daemon(3)) when standard error is a
 * journal stream, else with the level's name.
 */
#ifndef DOVE_LOG_H
#define DOVE_LOG_H

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARN = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

/* log_init() - set the program's name and the most detailed level to print. Not thread safe. */
void log_init(const char *program, enum log_level level);

/* log_msg() - print one line (no newline in fmt). Keeps errno. */
void log_msg(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_msg(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_msg(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_msg(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_msg(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
