/*
 * An I2C adapter on USB, of the kind that the kernel's i2c-tiny-usb drives, with simulated chips
 * behind it: those of the default scenario, or of the one that its argument names. No hardware: it
 * is plugged into the kernel's virtual host controller (vhci-hcd) with USB/IP, the other end of
 * whose connection is this program. It needs root, and is unplugged when the program ends.
 *
 * Once plugged in it says "ready". Then it obeys, line by line, until standard input ends:
 *
 *   set ADDRESS INPUT VALUE   gives a chip's input a constant value: set 40 relative-humidity 55
 *   fault ADDRESS NAME N      switches one of sim.h's faults on (1) or off (0)
 *   plug ADDRESS, unplug ADDRESS
 *   display ADDRESS           prints a display's memory, in hexadecimal
 *   relay ADDRESS             prints a relay's contact (0, 1, -1 unknown) and how often it moved
 *   port ADDRESS              prints the levels of a port's pins, and how often one has changed
 *
 * The kernel's documents: Documentation/usb/usbip_protocol.rst; drivers/i2c/busses/i2c-tiny-usb.c
 * and <linux/usb/ch9.h> for what a host asks of the device.
 */
#include "sim/sim.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/i2c.h>
#include <linux/usb/ch9.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_DATA 8192 /* i2c-dev's limit for a message */

/* ---- I2C, as i2c-tiny-usb asks for it ---- */

/* Vendor requests to the interface. */
enum { CMD_GET_FUNC = 1, CMD_SET_DELAY = 2, CMD_GET_STATUS = 3, CMD_I2C_IO = 4 };

/* Bits beside CMD_I2C_IO: a message is its transfer's first, its last. */
enum { CMD_I2C_IO_BEGIN = 1, CMD_I2C_IO_END = 2 };

/* Answers to CMD_GET_STATUS. */
enum { STATUS_IDLE, STATUS_ADDRESS_ACK, STATUS_ADDRESS_NAK };

static struct {
    i2c_bus *chips;
    uint8_t status;
    /* A message that was written without a stop: what follows it belongs to the same transfer. */
    uint8_t held[MAX_DATA];
    size_t n_held;
} wire;

/*
 * One message of a transfer. Written bytes are held back until the transfer's end, since the
 * simulated bus takes a transfer as a whole; so it is only then that an address is known to be
 * refused. False: the chips failed in a way for which the device has no words.
 */
static bool i2c_io(uint8_t request, uint8_t address, bool reads, uint8_t *data, size_t length)
{
    int result = 0;

    if (request & CMD_I2C_IO_BEGIN) {
        wire.n_held = 0;
    }
    wire.status = STATUS_ADDRESS_ACK;
    if (!reads) {
        if (wire.n_held + length > sizeof wire.held) {
            return false;
        }
        memcpy(wire.held + wire.n_held, data, length);
        wire.n_held += length;
    }
    if (reads || request & CMD_I2C_IO_END) {
        result =
            i2c_transfer(wire.chips, address, wire.held, wire.n_held, data, reads ? length : 0);
        wire.n_held = 0;
    }
    if (result == -ENXIO) {
        wire.status = STATUS_ADDRESS_NAK;
    }
    if (reads && result < 0) {
        memset(data, 0, length);
    }
    return result >= 0 || result == -ENXIO;
}

/* ---- USB: control requests ---- */

static const struct usb_device_descriptor device_descriptor = {
    .bLength = USB_DT_DEVICE_SIZE,
    .bDescriptorType = USB_DT_DEVICE,
    .bcdUSB = 0x0110,
    .bDeviceClass = USB_CLASS_VENDOR_SPEC,
    .bMaxPacketSize0 = 8,
    .idVendor = 0x0403, /* i2c-tiny-usb's */
    .idProduct = 0xc631,
    .bcdDevice = 0x0100,
    .bNumConfigurations = 1,
};

static const struct __attribute__((packed)) {
    struct usb_config_descriptor config;
    struct __attribute__((packed)) { /* without what only audio devices have */
        __u8 bLength, bDescriptorType, bInterfaceNumber, bAlternateSetting, bNumEndpoints;
        __u8 bInterfaceClass, bInterfaceSubClass, bInterfaceProtocol, iInterface;
    } interface;
} config_descriptor = {
    .config =
        {
            .bLength = USB_DT_CONFIG_SIZE,
            .bDescriptorType = USB_DT_CONFIG,
            .wTotalLength = USB_DT_CONFIG_SIZE + USB_DT_INTERFACE_SIZE,
            .bNumInterfaces = 1,
            .bConfigurationValue = 1,
            .bmAttributes = USB_CONFIG_ATT_ONE,
            .bMaxPower = 50,
        },
    .interface =
        {
            .bLength = USB_DT_INTERFACE_SIZE,
            .bDescriptorType = USB_DT_INTERFACE,
            .bInterfaceClass = USB_CLASS_VENDOR_SPEC,
        },
};

static int answer(uint8_t *data, size_t length, const void *bytes, size_t n_bytes)
{
    size_t n = length < n_bytes ? length : n_bytes;

    memcpy(data, bytes, n);
    return (int)n;
}

static int vendor_request(const struct usb_ctrlrequest *setup, uint8_t *data, size_t length)
{
    bool reads = setup->bRequestType & USB_DIR_IN;
    uint32_t functions = htole32(I2C_FUNC_I2C | I2C_FUNC_SMBUS_EMUL);

    if ((setup->bRequest & ~(CMD_I2C_IO_BEGIN | CMD_I2C_IO_END)) == CMD_I2C_IO) {
        uint8_t address = (uint8_t)le16toh(setup->wIndex);
        return i2c_io(setup->bRequest, address, reads, data, length) ? (int)length : -EPIPE;
    }
    switch (setup->bRequest) {
    case CMD_GET_FUNC:
        return answer(data, length, &functions, sizeof functions);
    case CMD_SET_DELAY:
        return 0;
    case CMD_GET_STATUS:
        return answer(data, length, &wire.status, 1);
    default:
        return -EPIPE;
    }
}

/*
 * Carries a request out. `data` came with it, or takes the answer. The number of bytes that went
 * either way, or -EPIPE (a stall) for what it does not know.
 */
static int control_request(const struct usb_ctrlrequest *setup, uint8_t *data, size_t length)
{
    if ((setup->bRequestType & USB_TYPE_MASK) == USB_TYPE_VENDOR) {
        return vendor_request(setup, data, length);
    }
    switch (setup->bRequest) {
    case USB_REQ_GET_DESCRIPTOR:
        if (le16toh(setup->wValue) >> 8 == USB_DT_DEVICE) {
            return answer(data, length, &device_descriptor, sizeof device_descriptor);
        }
        if (le16toh(setup->wValue) >> 8 == USB_DT_CONFIG) {
            return answer(data, length, &config_descriptor, sizeof config_descriptor);
        }
        return -EPIPE;
    case USB_REQ_GET_STATUS:
        return answer(data, length, "\0\0", 2);
    case USB_REQ_SET_CONFIGURATION:
    case USB_REQ_SET_INTERFACE:
        return 0;
    default:
        return -EPIPE;
    }
}

/* ---- USB/IP ---- */

enum { USBIP_CMD_SUBMIT = 1, USBIP_CMD_UNLINK = 2, USBIP_RET_SUBMIT = 3, USBIP_RET_UNLINK = 4 };
enum { USBIP_DIR_OUT, USBIP_DIR_IN };

/* The header before every request and answer; all numbers big-endian. */
typedef struct usbip_header {
    uint32_t command, sequence, device, direction, endpoint;
    union {
        struct {
            uint32_t flags, length, start_frame, n_packets, interval;
            struct usb_ctrlrequest setup;
        } submit;
        struct {
            uint32_t status, length;
        } answer;
        uint32_t fill[7];
    };
} usbip_header;

_Static_assert(sizeof(usbip_header) == 48, "as usbip_protocol.rst has it");

static bool receive(int fd, void *data, size_t length)
{
    return length == 0 || recv(fd, data, length, MSG_WAITALL) == (ssize_t)length;
}

static bool deliver(int fd, const void *data, size_t length)
{
    return length == 0 || send(fd, data, length, MSG_NOSIGNAL) == (ssize_t)length;
}

/* Takes one request from the kernel and answers it. False: the connection has ended. */
static bool serve(int fd)
{
    usbip_header header, reply = {0};
    uint8_t data[MAX_DATA];
    size_t length;
    int done;

    if (!receive(fd, &header, sizeof header)) {
        return false;
    }
    reply.sequence = header.sequence;
    if (ntohl(header.command) == USBIP_CMD_UNLINK) { /* too late: everything was answered at once */
        reply.command = htonl(USBIP_RET_UNLINK);
        return deliver(fd, &reply, sizeof reply);
    }
    length = ntohl(header.submit.length);
    if (ntohl(header.command) != USBIP_CMD_SUBMIT || length > sizeof data) {
        return false;
    }
    if (ntohl(header.direction) == USBIP_DIR_OUT && !receive(fd, data, length)) {
        return false;
    }
    done = control_request(&header.submit.setup, data, length);
    reply.command = htonl(USBIP_RET_SUBMIT);
    reply.answer.status = htonl((uint32_t)(done < 0 ? done : 0));
    reply.answer.length = htonl((uint32_t)(done < 0 ? 0 : done));
    return deliver(fd, &reply, sizeof reply) && (ntohl(header.direction) == USBIP_DIR_OUT ||
                                                 done <= 0 || deliver(fd, data, (size_t)done));
}

/* Gives the other end of a connection to the virtual host controller's first port. Ours, or -1. */
static int plug_in(void)
{
    static const char path[] = "/sys/devices/platform/vhci_hcd.0/attach";
    int fds[2];
    FILE *attach = fopen(path, "w");

    if (!attach || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
        perror(path);
        return -1;
    }
    /* port, connection, device id (any), speed */
    fprintf(attach, "0 %d 1 %d", fds[1], USB_SPEED_FULL);
    if (fclose(attach) != 0) {
        perror(path);
        return -1;
    }
    close(fds[1]);
    return fds[0];
}

/* ---- commands ---- */

static int find_fault(const char *name)
{
    int fault = 0;

    while (fault < SIM_N_FAULTS && strcmp(name, sim_fault_names[fault]) != 0) {
        fault++;
    }
    return fault;
}

static bool print_display(uint8_t address)
{
    uint8_t image[SIM_DISPLAY_SIZE];

    if (!sim_display_read(wire.chips, address, image)) {
        return false;
    }
    for (size_t i = 0; i < sizeof image; i++) {
        printf("%02x", image[i]);
    }
    putchar('\n');
    return true;
}

static bool print_relay(uint8_t address)
{
    sim_relay_record record;

    if (!sim_relay_read(wire.chips, address, &record)) {
        return false;
    }
    printf("%d %u\n", record.contact, record.pulses);
    return true;
}

static bool print_port(uint8_t address)
{
    sim_port_record record;
    unsigned changes = 0;

    if (!sim_port_read(wire.chips, address, &record)) {
        return false;
    }
    for (size_t pin = 0; pin < sizeof record.changes / sizeof *record.changes; pin++) {
        changes += record.changes[pin];
    }
    printf("%02x %u\n", record.levels & 0xffu, changes);
    return true;
}

static void say(bool done)
{
    puts(done ? "ok" : "no");
}

static void obey(const char *line)
{
    char verb[16] = "", name[32] = "";
    unsigned address = 0;
    double value = 0;

    sscanf(line, "%15s %2x %31s %lf", verb, &address, name, &value);
    if (strcmp(verb, "set") == 0) {
        say(sim_set(wire.chips, (uint8_t)address, name, value));
    } else if (strcmp(verb, "fault") == 0) {
        sim_set_fault(wire.chips, (uint8_t)address, (sim_fault)find_fault(name), value);
        say(find_fault(name) < SIM_N_FAULTS);
    } else if (strcmp(verb, "plug") == 0 || strcmp(verb, "unplug") == 0) {
        (verb[0] == 'p' ? sim_plug : sim_unplug)(wire.chips, (uint8_t)address);
        say(true);
    } else if (!(strcmp(verb, "display") == 0 && print_display((uint8_t)address)) &&
               !(strcmp(verb, "relay") == 0 && print_relay((uint8_t)address)) &&
               !(strcmp(verb, "port") == 0 && print_port((uint8_t)address))) {
        say(false);
    }
    fflush(stdout);
}

/* Reads what is there and obeys whole lines. False: standard input has ended. */
static bool read_commands(void)
{
    static char line[128];
    static size_t length;
    char bytes[128];
    ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);

    for (ssize_t i = 0; i < n; i++) {
        if (bytes[i] == '\n') {
            line[length] = '\0';
            obey(line);
            length = 0;
        } else if (length < sizeof line - 1) {
            line[length++] = bytes[i];
        }
    }
    return n > 0;
}

int main(int argc, char **argv)
{
    char why[256];
    int fd;

    if (sim_bus_open(&wire.chips, argc > 1 ? argv[1] : NULL, NULL, why, sizeof why) < 0) {
        fprintf(stderr, "usb_adapter: %s\n", why);
        return EXIT_FAILURE;
    }
    fd = plug_in();
    if (fd < 0) {
        return EXIT_FAILURE;
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct pollfd fds[] = {{.fd = fd, .events = POLLIN},
                               {.fd = STDIN_FILENO, .events = POLLIN}};

        if (poll(fds, 2, -1) < 0 && errno != EINTR) {
            break;
        }
        if (fds[0].revents && !serve(fd)) {
            break;
        }
        if (fds[1].revents && !read_commands()) {
            break;
        }
    }
    close(fd);
    i2c_bus_close(wire.chips);
    return EXIT_SUCCESS;
}
