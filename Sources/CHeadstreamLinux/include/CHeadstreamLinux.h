// What of Linux's own system calls the Glibc module does not export: epoll, eventfd, timerfd, getrandom, accept4.
//
// No system header is included here, on purpose: a declaration that both this module and Glibc bring along belongs to
// whichever was loaded first, and then a file that imports only the other does not see it.
#pragma once

/// Readiness of one descriptor, with the token it was added under.
struct headstream_event {
    unsigned long long token;
    unsigned int readiness;
};

extern const unsigned int headstream_readable;
extern const unsigned int headstream_writable;
extern const unsigned int headstream_peer_finished;
extern const unsigned int headstream_error;
extern const unsigned int headstream_hang_up;
/// Each event is told once, until the next one of its kind.
extern const unsigned int headstream_edge;

/// How a descriptor in the set changes.
enum headstream_change { headstream_add, headstream_modify, headstream_remove };

/// Each returns a descriptor that is closed on exec, or -1 with errno. The timer's clock counts suspended time.
int headstream_epoll_create(void);
int headstream_eventfd_create(void);
int headstream_timer_create(void);
int headstream_accept(int listener);

/// Returns 0 or an errno.
int headstream_epoll_change(
    int epoll, enum headstream_change change, int descriptor, unsigned int readiness, unsigned long long token);

/// Waits for ever or not at all; returns how many events were stored, at most 256, or -1 with errno.
int headstream_epoll_wait(int epoll, struct headstream_event *events, int blocking);

/// Sets the timer to an instant in nanoseconds of its clock; one in the past fires at once, and 0 is taken as 1.
void headstream_timer_set(int timer, unsigned long long instant);

/// The timer's clock, in nanoseconds.
unsigned long long headstream_now(void);

/// Fills `bytes` with up to `count` random bytes; returns how many, or -1 with errno.
long headstream_random(void *bytes, unsigned long count);

/// Names a thread; `name` has at most 15 bytes.
void headstream_name_thread(unsigned long thread, const char *name);

/// The process's environment: `NAME=value`, ended by a null pointer; null if there is none.
char **headstream_environment(void);
