// What of Linux's own system calls the Glibc module does not export: epoll, eventfd, timerfd, getrandom, accept4.
#pragma once
#ifdef __linux__
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>

// Declared by glibc under _GNU_SOURCE only.
extern int accept4(int descriptor, struct sockaddr *restrict address, socklen_t *restrict length, int flags);
extern int pthread_setname_np(pthread_t thread, const char *name);
#endif
