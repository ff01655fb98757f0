# Running the tests. t/run knows the parts of the suite; without names it runs all of them.
#
#   make check                      everything
#   make check CHECKFLAGS=--strict  and what cannot run here is a failure
#   make check PARTS="unit server"  these parts only (t/run --help lists them)
EXTRA_DIST += bootstrap .ci/run t/run t/TEST t/chroot t/browser t/clients t/conf t/lib t/modules

check-local:
	@MAKE='$(MAKE)' $(PERL) $(srcdir)/t/run --builddir='$(abs_builddir)' $(CHECKFLAGS) $(PARTS)

# For t/run: the test programs and their names. One after the other: two makes at once would build the
# same libraries.
check-programs: all
	@$(MAKE) $(AM_MAKEFLAGS) $(check_PROGRAMS)
list-unit-tests:
	@echo $(UNIT_TESTS)
.PHONY: check-programs list-unit-tests

# For t/run's part no-uring, and t/130_batches.t.
check_PROGRAMS += t/without_uring
t_without_uring_SOURCES = t/without_uring.c

# For httpd under ThreadSanitizer: t/lib/ClownTalk/Httpd.pm loads it.
t/modules/apr_atomics.so: $(srcdir)/t/modules/apr_atomics.c
	@$(MKDIR_P) t/modules
	$(AM_V_CC)$(CC) $(DEFS) $(CPPFLAGS) $(APR_CFLAGS) $(AM_CFLAGS) -fvisibility=default $(CFLAGS) -fPIC -shared \
	    $(srcdir)/t/modules/apr_atomics.c -o $@
CLEANFILES += t/modules/apr_atomics.so

# Whole directories, but not what npm may have put there.
dist-hook:
	cp -p $(srcdir)/t/*.t $(distdir)/t
	cp -p $(srcdir)/t/kernel/*.t $(distdir)/t/kernel
	cd $(srcdir) && tar -cf - --exclude=node_modules --exclude=screenshots src/dashboard t/dashboard \
	    | (cd $(abs_builddir)/$(distdir) && tar -xf -)
	for from in dashboard $(srcdir)/dashboard; do \
	    if test -e $$from/index.html; then cp -R $$from $(distdir)/; exit 0; fi; \
	done

# What the tests write. A server's directory may be a link to one below /tmp.
clean-local:
	@test ! -d t || find t -path '*/server/*' -type l -exec sh -c 'rm -rf "$$(readlink "$$1")"' sh {} ';'
	rm -rf dashboard npm t/screenshots t/server t/sanitized t/tls t/tally t/summary \
	    t/kernel/out t/kernel/initramfs t/kernel/initramfs.gz t/kernel/unpacking

distclean-local:
	rm -rf t/kernel/linux

# A random walk over a house of relays: a short one among the unit tests; make walk MINUTES=60.
UNIT_TESTS += t/walk/walk
t_walk_walk_SOURCES = t/walk/walk.h t/walk/walk.c t/walk/hub_life.c t/walk/model.c t/walk/world.c
t_walk_walk_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE
t_walk_walk_LDADD = libhub.la libsim.la libbase.la $(JSONC_LIBS)

walk: t/walk/walk
	t/walk/walk --minutes=$${MINUTES:-1} --seed=$$(date +%s) $(WALKFLAGS)
.PHONY: walk
