/* SPDX-License-Identifier: MIT */
/*
 * agree_compute SECONDS: plain C with recursion, callbacks, calls through pointers, variable frames, formatting
 * and string functions; built with and without frame pointers.
 */
#include <alloca.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define N_NUMBERS 400

static unsigned seed = 1;

static unsigned next(void)
{
	seed = seed * 1103515245u + 12345u;
	return seed >> 8;
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (sin(left) > sin(right)) - (sin(left) < sin(right));
}

struct tree {
	struct tree *left, *right;
	char key[24];
};

static struct tree *insert(struct tree *tree, const char *key)
{
	if (!tree) {
		tree = calloc(1, sizeof(*tree));
		if (tree)
			snprintf(tree->key, sizeof(tree->key), "%s", key);
	} else if (strcmp(key, tree->key) < 0) {
		tree->left = insert(tree->left, key);
	} else {
		tree->right = insert(tree->right, key);
	}
	return tree;
}

static size_t measure(struct tree *tree, size_t (*visit)(const char *key))
{
	size_t n;

	if (!tree)
		return 0;
	n = measure(tree->left, visit) + visit(tree->key) + measure(tree->right, visit);
	free(tree);
	return n;
}

static size_t visit(const char *key)
{
	char *copy = alloca(strlen(key) * 4 + 1);

	snprintf(copy, strlen(key) * 4 + 1, "%s%s%.3g", key, key, (double)strlen(key) / 7);
	return strlen(copy) + (strchr(copy, '7') != NULL);
}

static unsigned ackermann(unsigned m, unsigned n)
{
	if (m == 0)
		return n + 1;
	return n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}

int main(int argc, char **argv)
{
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 10);
	size_t sum = 0;

	while (time(NULL) < end) {
		double numbers[N_NUMBERS];
		struct tree *tree = NULL;
		char key[24];

		for (unsigned i = 0; i < N_NUMBERS; i++) {
			numbers[i] = next() % 10000 / 3.0;
			snprintf(key, sizeof(key), "%x/%g", next(), numbers[i]);
			tree = insert(tree, key);
		}
		qsort(numbers, N_NUMBERS, sizeof(numbers[0]), compare);
		sum += measure(tree, visit) + ackermann(2, next() % 40);
	}
	printf("%zu\n", sum);
	return 0;
}
