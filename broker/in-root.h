/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files below a root directory that belongs to somebody else: the walk goes step by step, ".." ends
 * at the root, and a symbolic link begins again there, as it does for who lives in it. Whatever is
 * changed meanwhile, nothing outside is reached: a step up goes to where the walk has been.
 */
#pragma once

#include <stddef.h>

/* O_PATH; -ELOOP past 40 links. */
int in_root_open(int root_fd, const char *path, int *ret_fd);

/* For reading: a program or library (ELF) that everybody may read. -EACCES, -ENOEXEC. */
int in_root_open_elf(int root_fd, const char *path, int *ret_fd);

/* The same for a plain file. */
int in_root_open_file(int root_fd, const char *path, int *ret_fd);

/* A library by its name ("libc", "libc.so.6") in the directories where the dynamic linker looks
 * without configuration; path gets the one that was found. */
int in_root_open_library(int root_fd, const char *name, char *path, size_t room, int *ret_fd);

/* Whether a file of this name is such a library. */
_Bool in_root_is_library(const char *file, const char *name);
