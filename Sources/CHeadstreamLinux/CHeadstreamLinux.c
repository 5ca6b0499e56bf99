#ifdef __linux__
#define _GNU_SOURCE
#include "CHeadstreamLinux.h"

#include <errno.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

const unsigned int headstream_readable = EPOLLIN;
const unsigned int headstream_writable = EPOLLOUT;
const unsigned int headstream_peer_finished = EPOLLRDHUP;
const unsigned int headstream_error = EPOLLERR;
const unsigned int headstream_hang_up = EPOLLHUP;
const unsigned int headstream_edge = EPOLLET;

enum { most_events = 256 };

int headstream_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

int headstream_eventfd_create(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

int headstream_timer_create(void) { return timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK); }

int headstream_accept(int listener) { return accept4(listener, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK); }

int headstream_epoll_change(
    int epoll, enum headstream_change change, int descriptor, unsigned int readiness, unsigned long long token) {
    struct epoll_event event = {.events = readiness, .data = {.u64 = token}};
    int operation = change == headstream_add      ? EPOLL_CTL_ADD
                    : change == headstream_modify ? EPOLL_CTL_MOD
                                                  : EPOLL_CTL_DEL;
    return epoll_ctl(epoll, operation, descriptor, &event) == 0 ? 0 : errno;
}

int headstream_epoll_wait(int epoll, struct headstream_event *events, int blocking) {
    struct epoll_event ready[most_events];
    int count = epoll_wait(epoll, ready, most_events, blocking ? -1 : 0);
    for (int index = 0; index < count; index++) {
        events[index].token = ready[index].data.u64;
        events[index].readiness = ready[index].events;
    }
    return count;
}

void headstream_timer_set(int timer, unsigned long long instant) {
    // Zero would disarm it, and the seconds are a signed number.
    if (instant == 0) instant = 1;
    if (instant > 0x7fffffffffffffffULL) instant = 0x7fffffffffffffffULL;
    struct itimerspec value = {
        .it_value = {.tv_sec = (time_t)(instant / 1000000000ULL), .tv_nsec = (long)(instant % 1000000000ULL)}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &value, 0);
}

unsigned long long headstream_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_BOOTTIME, &time);
    return (unsigned long long)time.tv_sec * 1000000000ULL + (unsigned long long)time.tv_nsec;
}

long headstream_random(void *bytes, unsigned long count) { return getrandom(bytes, count, 0); }

void headstream_name_thread(unsigned long thread, const char *name) { pthread_setname_np(thread, name); }

char **headstream_environment(void) { return environ; }
#endif
