/* SPDX-License-Identifier: MIT */
/*
 * Numbers with units. Parsing is done by hand rather than by strtod: no locale, no hexadecimal, no
 * "inf", and exact integers up to the limit of the type.
 */
#include "common/units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* A decimal number as whole + frac / scale. */
struct decimal {
	uint64_t whole, frac, scale;
};

/*
 * Reads digits with an optional fraction and moves *text behind them. Fraction digits beyond what a
 * u64 holds are dropped: they are far below one nanosecond or byte.
 */
static int decimal_parse(const char **text, struct decimal *out)
{
	struct decimal value = { .scale = 1 };
	const char *p = *text;
	size_t n_digits = 0;

	for (; isdigit((unsigned char)*p); p++, n_digits++) {
		if (__builtin_mul_overflow(value.whole, 10, &value.whole) ||
			__builtin_add_overflow(value.whole, *p - '0', &value.whole))
			return -ERANGE;
	}
	if (*p == '.') {
		for (p++; isdigit((unsigned char)*p); p++, n_digits++) {
			if (value.scale >= 1000000000000000ull)
				continue;
			value.frac = value.frac * 10 + (uint64_t)(*p - '0');
			value.scale *= 10;
		}
	}
	if (n_digits == 0)
		return -EINVAL;
	*text = p;
	*out = value;
	return 0;
}

/* value × unit, rounded down; -ERANGE above INT64_MAX. */
static int decimal_times(const struct decimal *value, uint64_t unit, uint64_t *out)
{
	uint64_t whole, part;

	if (__builtin_mul_overflow(value->whole, unit, &whole))
		return -ERANGE;
	part = (uint64_t)((unsigned __int128)value->frac * unit / value->scale);
	if (__builtin_add_overflow(whole, part, &whole) || whole > INT64_MAX)
		return -ERANGE;
	*out = whole;
	return 0;
}

static const struct {
	const char *name;
	uint64_t ns;
} duration_units[] = {
	{ "ns", 1 },
	{ "us", 1000 },
	{ "\xc2\xb5s", 1000 }, /* U+00B5 micro sign */
	{ "\xce\xbcs", 1000 }, /* U+03BC Greek mu */
	{ "ms", 1000000 },
	{ "s", 1000000000 },
	{ "m", 60000000000 },
	{ "h", 3600000000000 },
};

/* The unit runs to the next digit or dot, as in Go: "1mx" is an unknown unit, not one minute and x. */
static int duration_unit(const char **text, uint64_t *ns_out)
{
	size_t n = strcspn(*text, ".0123456789");

	for (size_t i = 0; i < sizeof(duration_units) / sizeof(duration_units[0]); i++) {
		if (strlen(duration_units[i].name) == n &&
			memcmp(*text, duration_units[i].name, n) == 0) {
			*text += n;
			*ns_out = duration_units[i].ns;
			return 0;
		}
	}
	return -EINVAL;
}

int units_duration_parse(const char *text, int64_t *ns_out)
{
	bool is_negative = *text == '-';
	uint64_t total = 0;

	if (*text == '-' || *text == '+')
		text++;
	if (strcmp(text, "0") == 0) {
		*ns_out = 0;
		return 0;
	}
	if (*text == '\0')
		return -EINVAL;
	while (*text != '\0') {
		struct decimal value;
		uint64_t unit, ns;
		int err = decimal_parse(&text, &value);

		if (err)
			return err;
		err = duration_unit(&text, &unit);
		if (err)
			return err;
		err = decimal_times(&value, unit, &ns);
		if (err)
			return err;
		if (__builtin_add_overflow(total, ns, &total) || total > INT64_MAX)
			return -ERANGE;
	}
	*ns_out = is_negative ? -(int64_t)total : (int64_t)total;
	return 0;
}

/* Appends "12.5" for value / unit, without trailing zeros; digits is log10(unit). */
static size_t fraction_format(char *buf, size_t n_buf, uint64_t value, uint64_t unit, int digits)
{
	char frac[24];
	int n;

	n = snprintf(frac, sizeof(frac), "%0*" PRIu64, digits, value % unit);
	while (n > 0 && frac[n - 1] == '0')
		frac[--n] = '\0';
	if (n > 0)
		return (size_t)snprintf(buf, n_buf, "%" PRIu64 ".%s", value / unit, frac);
	return (size_t)snprintf(buf, n_buf, "%" PRIu64, value / unit);
}

void units_duration_format(int64_t ns, char *buf, size_t n_buf)
{
	uint64_t value = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
	char text[64] = "", *p = text;
	size_t left = sizeof(text);
	const char *unit = "s";

	if (value < 1000) {
		snprintf(text, sizeof(text), "%" PRIu64, value);
		unit = value == 0 ? "s" : "ns";
	} else if (value < 1000000) {
		fraction_format(text, sizeof(text), value, 1000, 3);
		unit = "\xc2\xb5s";
	} else if (value < 1000000000) {
		fraction_format(text, sizeof(text), value, 1000000, 6);
		unit = "ms";
	} else {
		uint64_t minutes = value / 60000000000u, hours = minutes / 60;
		size_t n;

		if (hours) {
			n = (size_t)snprintf(p, left, "%" PRIu64 "h", hours);
			p += n, left -= n;
		}
		if (minutes) {
			n = (size_t)snprintf(p, left, "%" PRIu64 "m", minutes % 60);
			p += n, left -= n;
		}
		fraction_format(p, left, value % 60000000000u, 1000000000, 9);
	}
	snprintf(buf, n_buf, "%s%s%s", ns < 0 ? "-" : "", text, unit);
}

int units_size_parse(const char *text, uint64_t *bytes_out)
{
	static const char prefixes[] = "KMGT";
	struct decimal value;
	uint64_t unit = 1;
	int err = decimal_parse(&text, &value);

	if (err)
		return err;
	if (*text != '\0') {
		const char *prefix = strchr(prefixes, toupper((unsigned char)*text));

		if (prefix) {
			unit = 1ull << (10 * (prefix - prefixes + 1));
			text++;
			if (*text == 'i' && text[1] == 'B')
				text++;
		}
		if (*text == 'B' || *text == 'b')
			text++;
	}
	if (*text != '\0' || (unit == 1 && value.frac != 0))
		return -EINVAL;
	return decimal_times(&value, unit, bytes_out);
}

void units_size_format(uint64_t bytes, char *buf, size_t n_buf)
{
	static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	size_t i = 0;
	uint64_t unit = 1;

	while (i + 1 < sizeof(names) / sizeof(names[0]) && bytes / unit >= 1024) {
		unit <<= 10;
		i++;
	}
	if (bytes % unit == 0 || bytes / unit >= 100)
		snprintf(buf, n_buf, "%" PRIu64 " %s", bytes / unit, names[i]);
	else
		snprintf(buf, n_buf, "%.1f %s", (double)bytes / (double)unit, names[i]);
}

int units_count_parse(const char *text, uint64_t max, uint64_t *count_out)
{
	struct decimal value;
	int err;

	if (!isdigit((unsigned char)*text) || strchr(text, '.'))
		return -EINVAL;
	err = decimal_parse(&text, &value);
	if (err)
		return err;
	if (*text != '\0')
		return -EINVAL;
	if (value.whole > max)
		return -ERANGE;
	*count_out = value.whole;
	return 0;
}
