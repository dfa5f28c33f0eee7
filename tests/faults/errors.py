# SPDX-License-Identifier: MIT
"""Which functions may fail, with which errors, and which of those that we use cannot.

ERRORS has each function of calls.h with the errors that its manual page documents and that somebody else than the
caller may bring about. Everything else that the daemon or the library takes from libc is in CANNOT_FAIL, by reason.
"""

ERRORS = {
    "malloc": "ENOMEM", "calloc": "ENOMEM", "realloc": "ENOMEM", "reallocarray": "ENOMEM",
    "strdup": "ENOMEM", "strndup": "ENOMEM",
    "fopen64": "ENOENT EACCES EMFILE ENOMEM",
    "fdopen": "ENOMEM",
    "tmpfile64": "EACCES EMFILE ENOSPC",
    "opendir": "ENOENT EACCES EMFILE",
    "posix_fallocate64": "ENOSPC EINTR",
    "pthread_create": "EAGAIN",
    "accept4": "EAGAIN ECONNABORTED EINTR EMFILE ENFILE ENOMEM",
    "access": "ENOENT EACCES",
    "bind": "EADDRINUSE EACCES ENOSPC",
    "chmod": "EPERM EACCES",
    "clone": "EAGAIN ENOMEM",
    "close_range": "ENOMEM",
    "connect": "ECONNREFUSED EAGAIN ENOENT EACCES",
    "dup3": "EBUSY EMFILE",
    "epoll_create1": "EMFILE ENFILE ENOMEM",
    "epoll_ctl": "ENOMEM ENOSPC",
    "epoll_pwait2": "EINTR ENOSYS",
    "epoll_wait": "EINTR",
    "eventfd": "EMFILE ENFILE ENOMEM",
    "execv": "E2BIG ENOMEM ENOENT",
    "execve": "E2BIG ENOMEM ENOENT",
    "faccessat": "EACCES ENOENT",
    "fallocate64": "EINTR ENOSPC EOPNOTSUPP",
    "fchmod": "EPERM",
    "fcntl64": "EBUSY EINVAL EMFILE EPERM",
    "flock": "EINTR ENOLCK EWOULDBLOCK",
    "fork": "EAGAIN ENOMEM",
    "fstat64": "ENOMEM",
    "fstatat64": "ENOENT EACCES ENOMEM",
    "ftruncate64": "EINTR ENOSPC",
    "getsockopt": "ENOBUFS ENOPROTOOPT",
    "initgroups": "EPERM ENOMEM",
    "inotify_add_watch": "ENOENT ENOMEM ENOSPC",
    "inotify_init1": "EMFILE ENFILE ENOMEM",
    "ioctl": "ENOTTY",
    "kill": "EPERM ESRCH",
    "listen": "EADDRINUSE",
    "lstat64": "ENOENT EACCES",
    "madvise": "EAGAIN EINVAL",
    "memfd_create": "EMFILE ENFILE ENOMEM",
    "mkdir": "EACCES EEXIST ENOSPC",
    "mkostemp64": "EACCES EEXIST EMFILE ENOSPC",
    "mmap64": "EAGAIN ENOMEM",
    "mq_getattr": "EBADF",
    "mq_open": "EACCES EEXIST EINVAL EMFILE ENFILE ENOMEM ENOSPC",
    "mq_timedreceive": "EAGAIN EINTR",
    "mq_timedsend": "EAGAIN EINTR",
    "mq_unlink": "EACCES ENOENT",
    "mremap": "EAGAIN ENOMEM",
    "open64": "EACCES EINTR EMFILE ENFILE ENOENT ENOMEM",
    "pidfd_send_signal": "EPERM ESRCH",
    "pipe2": "EMFILE ENFILE",
    "poll": "EINTR ENOMEM",
    "ppoll": "EINTR ENOMEM",
    "prctl": "EINVAL",
    "pread64": "EINTR EIO",
    "pwrite64": "EINTR ENOSPC",
    "pwritev64v2": "EAGAIN ENOSPC EOPNOTSUPP",
    "read": "EINTR EIO",
    "readlink": "EACCES ENOENT",
    "recv": "EINTR ENOMEM",
    "recvmsg": "EAGAIN ECONNRESET EINTR ENOMEM",
    "sendmsg": "EAGAIN EINTR ENOBUFS EPIPE ETOOMANYREFS",
    "setgid": "EPERM",
    "setgroups": "EPERM ENOMEM",
    "setns": "EPERM ENOMEM",
    "setpgid": "EACCES",
    "setsockopt": "ENOMEM ENOPROTOOPT",
    "setuid": "EAGAIN EPERM",
    "shm_open": "EACCES EEXIST EMFILE ENFILE ENOSPC",
    "shm_unlink": "EACCES ENOENT",
    "socket": "EMFILE ENFILE ENOBUFS",
    "socketpair": "EMFILE ENFILE",
    "splice": "EAGAIN EINTR ENOMEM",
    "stat64": "ENOENT EACCES",
    "statfs64": "EIO ENOENT",
    "statvfs64": "EIO",
    "timerfd_create": "EMFILE ENFILE ENOMEM",
    "unlink": "EACCES ENOENT",
    "waitid": "EINTR",
    "waitpid": "EINTR",
    "fdopendir": "ENOMEM",
    "fsync": "EIO ENOSPC",
    "openat64": "EACCES EMFILE ENFILE ENOENT ENOSPC",
    "linkat": "EACCES ENOSPC",
    "rename": "EACCES ENOSPC",
    "renameat": "EACCES ENOSPC",
    "renameat2": "EACCES EEXIST ENOSPC",
    "sendfile64": "EAGAIN EIO ENOMEM",
    "unlinkat": "EACCES ENOENT",
    "write": "EAGAIN EINTR EIO ENOSPC EPIPE",
}

CANNOT_FAIL = {
    "never": """
        __assert_fail __ctype_b_loc __cxa_finalize __environ __errno_location __gmon_start__ __libc_start_main
        __progname __tls_get_addr _exit environ exit free getenv geteuid getpid getppid program_invocation_short_name
        secure_getenv strerror strerrordesc_np strsignal _ITM_deregisterTMCloneTable _ITM_registerTMCloneTable
        __stack_chk_fail alarm getuid getgid getegid time uname dirfd fileno ferror rewind globfree64""",
    "it works on memory that it is given": """
        memchr memcmp memcpy memmove memset strchr strcmp strcspn strlen strncasecmp strncmp strnlen strpbrk strrchr
        strspn strstr strtoll strtoull snprintf vsnprintf __isoc99_sscanf getopt_long sigaddset sigdelset sigemptyset sigfillset
        sigismember pthread_mutex_destroy pthread_mutex_init pthread_mutex_lock pthread_mutex_unlock strcpy qsort
        bsearch memrchr stpcpy strtol strtoul gmtime_r localtime_r strftime
        strchrnul strtok_r""",
    "only for what a program of ours never passes (EBADF, EFAULT, EINVAL)": """
        clock_gettime close getrlimit64 isatty lseek64 munmap pthread_join pthread_sigmask raise sigaction signal
        sigpending sigprocmask sigtimedwait sigwaitinfo sysconf timerfd_settime dlclose dlerror dlsym closedir
        inotify_rm_watch shutdown rewinddir sched_getcpu sched_yield pthread_attr_destroy pthread_attr_init
        pthread_attr_setdetachstate pthread_attr_setstacksize getgroups""",
    "it fails when malloc or a system call in this list does, beneath it": """
        asprintf vasprintf __isoc99_fscanf fclose fflush fgets fopen fprintf fputc fputs fwrite perror printf putc puts vfprintf
        readdir64 getgrnam getpwnam getpwuid glob64 dlopen fputs_unlocked putchar open_memstream
        getdelim""",
    "it makes a process that has to share the caller's stack: no library can stand between": """
        vfork""",
    "the only system call made so is pidfd_open, where SO_PEERPIDFD is missing": """
        syscall""",
}

# Functions of other libraries: what they call of the above is made to fail beneath them.
LIBRARIES = ("config_", "scols_", "sd_")
