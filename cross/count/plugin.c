/* A plugin for QEMU's user emulation: how many instructions of the emulated processor were executed.
 *
 *   cc -O2 -shared -fPIC -o plugin.so plugin.c
 *   COUNT_FILE=count.txt qemu-aarch64 -plugin ./plugin.so PROGRAM
 *
 * What it uses of QEMU's interface is declared here, because Debian has no package with the header;
 * it is the same from version 0 of the interface (QEMU 4.2) on. A QEMU accepts a range of versions:
 * define API to suit another than QEMU 5 to 8 (QEMU 9 and 10: 2).
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef API
#define API 1
#endif

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
enum { NO_REGISTERS = 0 };

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned cpu, void *), int flags, void *);
void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);

int qemu_plugin_version = API;

static uint64_t executed; /* by all threads */

static void block_executed(unsigned cpu, void *instructions)
{
	(void)cpu;
	__atomic_fetch_add(&executed, (uintptr_t)instructions, __ATOMIC_RELAXED);
}

static void block_translated(plugin_id id, struct qemu_plugin_tb *block)
{
	(void)id;
	qemu_plugin_register_vcpu_tb_exec_cb(block, block_executed, NO_REGISTERS, (void *)qemu_plugin_tb_n_insns(block));
}

static void at_exit(plugin_id id, void *data)
{
	const char *path = getenv("COUNT_FILE");
	FILE *file = path ? fopen(path, "w") : stderr;

	(void)id;
	(void)data;
	if (!file) {
		perror(path);
		return;
	}
	fprintf(file, "%" PRIu64 "\n", executed);
	fclose(file);
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	(void)info;
	(void)argc;
	(void)argv;
	qemu_plugin_register_vcpu_tb_trans_cb(id, block_translated);
	qemu_plugin_register_atexit_cb(id, at_exit, NULL);
	return 0;
}
