# SPDX-License-Identifier: Apache-2.0
# DOVE: everything that is built goes to build/. `make help` lists the targets.

MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:
.DEFAULT_GOAL := all

V ?= 0
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-8s %s\n' '$(1)' '$(2)')

B       ?= build
CC      ?= cc
ifeq ($(origin CC),default)
CC      := cc
endif
CLANG   ?= clang
BPFTOOL ?= bpftool
DEPS    := scripts/deps.sh

WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-parameter -Werror
CFLAGS  ?= -O2 -g
ALL_CFLAGS := -std=gnu11 $(WARN) $(CFLAGS) $(SANITIZE) -I. -I$(B) -D_GNU_SOURCE
BPF_CFLAGS := -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Werror -Wno-unused-parameter -Wno-address-of-packed-member -fno-strict-aliasing -I. -Ibpf

LIBS_AGENT := -lbpf -lelf -lz -levent -lcurl -lcjson -lmnl -lcbor -lnftables -lcrypto
LIBS_DPS   := -lcurl -lcbor -levent -levent_openssl -lcjson -lsqlite3 -lssl -lcrypto
LIBS_CTL   := -lcurl -lcjson -lcbor -lssl -lcrypto
LIBS_verified := -lbpf -lelf -lz
LIBS_untag    := -lbpf -lelf -lz
LIBS_unlabel  := -lbpf -lelf -lz
LIBS_unhop    := -lbpf -lelf -lz
LIBS_programs := -lbpf -lelf -lz
LIBS_agents   := -lssl -lcrypto

SRC_lib    := $(wildcard lib/*.c)
SRC_loader := $(wildcard loader/*.c)
SRC_agent  := $(wildcard agent/*.c)
SRC_dps    := $(wildcard dps/*.c)
SRC_ctl    := $(wildcard ctl/*.c)
SRC_unit   := $(wildcard selftests/unit/*.c)
SRC_prog   := $(wildcard selftests/prog/*.c)
SRC_tool   := $(wildcard selftests/tools/*.c)
SRC_fuzz   := $(wildcard selftests/fuzz/*.c)
SRC_bench  := $(filter-out %.bpf.c,$(wildcard bench/*.c))
SRC_all    := $(foreach d,lib loader agent dps ctl unit prog tool fuzz bench,$(SRC_$(d)))

obj = $(patsubst %.c,$(B)/%.o,$(1))
OBJ_agent := $(call obj,$(SRC_lib) $(SRC_loader) $(SRC_agent))
OBJ_dps   := $(call obj,$(SRC_lib) $(SRC_dps))
OBJ_ctl   := $(call obj,$(SRC_ctl))
MAINS     := $(foreach d,agent dps ctl,$(B)/$(d)/main.o)
OBJ_user  := $(filter-out $(MAINS),$(sort $(OBJ_agent) $(OBJ_dps) $(OBJ_ctl)))
LIBS_user := $(sort $(LIBS_AGENT) $(LIBS_DPS) $(LIBS_CTL))
# The fuzz targets: a file each, but for what they share and what libFuzzer calls.
FUZZ_NAMES := $(filter-out fuzz libfuzzer,$(patsubst selftests/fuzz/%.c,%,$(SRC_fuzz)))
OBJ_fuzz  := $(call obj,$(filter-out %/libfuzzer.c,$(SRC_fuzz)))
OBJ_unit  := $(call obj,$(SRC_unit)) $(OBJ_fuzz) $(OBJ_user)
OBJ_prog  := $(call obj,$(SRC_prog) $(SRC_loader))
TOOLS     := $(patsubst selftests/tools/%.c,$(B)/selftests/%,$(SRC_tool))

PROGRAMS  := $(B)/dove-agent $(B)/dove-dps $(B)/dovectl
SKELETON  := $(B)/dove.skel.h

.PHONY: all
all: $(PROGRAMS) compile_commands.json ## the three programs (default)

# ---- the kernel side ----------------------------------------------------

$(B)/bpf/%.bpf.o: bpf/%.bpf.c
	$(call say,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -MT $@ -c $< -o $@

$(B)/%.skel.h: $(B)/bpf/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $* > $@

.PHONY: vmlinux
vmlinux: ## regenerate vmlinux.h from the running kernel's BTF
	$(Q){ printf '/* SPDX-License-Identifier: GPL-2.0 */\n'; \
	  printf '/* Made by "make vmlinux": only the types that the programs use. */\n'; \
	  printf '#ifndef __VMLINUX_H__\n#define __VMLINUX_H__\n\n'; \
	  $(BPFTOOL) btf dump file /sys/kernel/btf/vmlinux format c | \
	    awk -v want="$$(grep -v '^#' scripts/vmlinux.types | paste -sd,)" -f scripts/vmlinux.awk && \
	  printf '#endif\n'; } > vmlinux.h.new && mv vmlinux.h.new vmlinux.h

# ---- user space ---------------------------------------------------------

$(B)/%.o: %.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(call obj,$(SRC_loader) $(SRC_agent) $(SRC_prog) $(SRC_fuzz)): | $(SKELETON)

$(B)/dove-agent: $(OBJ_agent)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $^ -o $@ $(LIBS_AGENT)

$(B)/dove-dps: $(OBJ_dps)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $^ -o $@ $(LIBS_DPS)

# For those that use a part of it, and not what the rest needs.
$(B)/lib.a: $(call obj,$(SRC_lib))
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/dovectl: $(OBJ_ctl) $(B)/lib.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $^ -o $@ $(LIBS_CTL)

# ---- tests --------------------------------------------------------------

$(B)/selftests/unit-tests: $(OBJ_unit)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $^ -o $@ $(LIBS_user) -lcriterion

$(B)/selftests/prog-tests: $(OBJ_prog) $(B)/lib.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $^ -o $@ -lbpf -lelf -lz -lcjson -lcbor -lmnl -lcrypto -lcriterion

$(TOOLS): $(B)/selftests/%: selftests/tools/%.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -MF $@.d $< -o $@ $(LIBS_$(@F))

TESTS := $(B)/selftests/unit-tests $(B)/selftests/prog-tests $(TOOLS)

.PHONY: tests
tests: all $(TESTS) benches ## build the tests, without running them

.PHONY: deps
deps: ## install what is missing to build and test (Debian, as root)
	$(Q)$(DEPS)

# What needs the things that `deps` installs is built by a make of its own, after it.
.PHONY: demo demo-down test
demo: deps ## hosts, a service, a firewall, an IPS, real traffic: a story in under a minute (DEMO_KEEP=1: it stays up)
	$(Q)$(MAKE) --no-print-directory all
	$(Q)selftests/demo.sh

demo-down: ## take down what DEMO_KEEP=1 left up
	$(Q)selftests/demo.sh down

test: deps ## all tests: units, programs in the kernel, namespaces (T=PATTERN for some)
	$(Q)$(MAKE) --no-print-directory tests
	$(Q)selftests/run.sh $(T)

.PHONY: test-vm
test-vm: deps ## programs and namespaces in Debian's kernels 6.1, 6.12 and 7.2 (K=6.1 for one, T=PATTERN)
	$(Q)$(MAKE) --no-print-directory tests
	$(Q)BUILD='$(B)' KERNELS='$(K)' selftests/vm/run.sh $(T)

.PHONY: bench-wire
bench-wire: deps ## TCP against kernel VXLAN's where NICs do nothing for tunnels (K=6.12: in that kernel)
	$(Q)$(MAKE) --no-print-directory tests
	$(Q)BUILD='$(abspath $(B))' KERNELS='$(K)' $(if $(K),selftests/vm/run.sh )bench/wire.sh

.PHONY: soak
soak: deps ## moves, changes, restarts and floods at random for S (600) seconds, SEED=N for the same again
	$(Q)$(MAKE) --no-print-directory tests
	$(Q)SECONDS_IN_ALL='$(or $(S),600)' $(if $(SEED),SEED='$(SEED)') selftests/soak.sh

# Measurements: the programs of bench/, and the data path's own, made so that they can be repeated.
BENCHES   := $(patsubst bench/%.c,$(B)/bench/%,$(SRC_bench))

$(B)/programs.skel.h: $(B)/bench/programs.bpf.o

$(B)/bench/%.bpf.o: bench/%.bpf.c
	$(call say,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -MT $@ -c $< -o $@

$(B)/programs.skel.h:
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name programs > $@

$(B)/bench/programs: $(B)/programs.skel.h

$(BENCHES): $(B)/bench/%: bench/%.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -MF $@.d $< -o $@ $(LIBS_$(@F))

.PHONY: bench benches
benches: all $(BENCHES) $(TOOLS)

# exec: a shell between would end by the signal that make hands on, and keep it to itself.
bench: deps ## side by side with kernel VXLAN and a bridge; in build/bench.json and .svg (QUICK=1: 90 seconds; T=FAMILY)
	$(Q)$(MAKE) --no-print-directory benches
	$(Q)exec env BUILD='$(B)' QUICK='$(QUICK)' bench/run.sh $(T)

.PHONY: coverage
coverage: deps ## the lines of user space that the tests reach, by room, in build/coverage.txt (T=PATTERN for some tests)
	$(Q)BUILD='$(B)' scripts/coverage.sh $(T)

# What the sanitizers say goes to files: what agents and servers that end in a test find leaked, too.
SANITIZERS := -fsanitize=address,undefined -fno-omit-frame-pointer
.PHONY: asan
asan: deps ## the unit tests under AddressSanitizer and UBSan (T=PATTERN for others: agents and servers are, too)
	$(Q)$(MAKE) --no-print-directory B=$(B)/asan SANITIZE='$(SANITIZERS)' tests
	$(Q)rm -f $(B)/asan/said.*
	$(Q)ASAN_OPTIONS=log_path='$(abspath $(B))/asan/said' UBSAN_OPTIONS=print_stacktrace=1:log_path='$(abspath $(B))/asan/said' \
	  BUILD='$(B)/asan' selftests/run.sh $(or $(T),unit)
	$(Q)! cat $(B)/asan/said.* 2>/dev/null

# Each target is linked with what it uses of an archive of everything.
FUZZERS := $(FUZZ_NAMES:%=$(B)/selftests/fuzz-%)

$(B)/selftests/fuzz.a: $(OBJ_user) $(B)/selftests/fuzz/fuzz.o
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(FUZZERS): $(B)/selftests/fuzz-%: $(B)/selftests/fuzz/%.o $(B)/selftests/fuzz/libfuzzer.o $(B)/selftests/fuzz.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer $^ -o $@ $(LIBS_user)

.PHONY: fuzz fuzzers
fuzzers: $(FUZZERS)

fuzz: deps ## fuzz every decoder and the programs for FUZZ_SECONDS (60) in all (T=PATTERN for some targets)
	$(Q)selftests/fuzz/run.sh $(T)

.PHONY: check
check: deps $(SKELETON) compile_commands.json ## format, lint, direction of includes
	$(Q)scripts/check.sh

# ---- the rest -----------------------------------------------------------

compile_commands.json: Makefile $(SRC_all) $(wildcard bpf/*.bpf.c)
	$(Q){ sep='['; \
	  entry() { printf '%s\n{"directory": "%s", "file": "%s", "command": "%s -c %s"}' "$$sep" "$(CURDIR)" "$$2" "$$1" "$$2"; sep=,; }; \
	  for f in $(SRC_all); do entry '$(CC) $(ALL_CFLAGS)' "$$f"; done; \
	  for f in $(wildcard bpf/*.bpf.c); do entry '$(CLANG) $(BPF_CFLAGS)' "$$f"; done; printf '\n]\n'; } > $@

.PHONY: clean
clean: ## remove everything that was built
	$(Q)rm -rf $(B) compile_commands.json

.PHONY: help
help: ## this list
	$(Q)awk -F ':.*## ' '/^[a-z-]+( [a-z-]+)*:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

-include $(patsubst %.o,%.d,$(sort $(OBJ_agent) $(OBJ_dps) $(OBJ_ctl) $(OBJ_unit) $(OBJ_prog) $(call obj,$(SRC_fuzz)))) \
         $(B)/bpf/dove.bpf.d $(addsuffix .d,$(TOOLS) $(BENCHES)) $(B)/bench/programs.bpf.d
