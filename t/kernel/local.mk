# The tests in a virtual machine: t/kernel/run says what they are.
check_PROGRAMS += t/kernel/usb_adapter
t_kernel_usb_adapter_SOURCES = t/kernel/usb_adapter.c
t_kernel_usb_adapter_LDADD = libi2cbus.la libbase.la
EXTRA_DIST += t/kernel/run t/kernel/init t/kernel/inside t/kernel/replay t/kernel/lib

check-kernel:
	@MAKE='$(MAKE)' $(PERL) $(srcdir)/t/run --builddir='$(abs_builddir)' $(CHECKFLAGS) kernel
.PHONY: check-kernel
