# SPDX-License-Identifier: MIT
"""`labvirt-reseed`: what no shell and no busybox of Debian 12 can, two calls of ioctl on the kernel's random pool (random(4)).

Up to 1024 bytes of its standard input are mixed into the pool (RNDADDENTROPY; 512 or more count as 256 bits), then the kernel's generator
begins anew from it (RNDRESEEDCRNG). Exit code 1 when the kernel refuses. For Linux on x86-64.
"""

from __future__ import annotations

from tiny_recipe.static_program import static_program

LISTING = """
4881ec08040000    sub rsp, 1032        ; two numbers of 4 bytes, then the bytes: struct rand_pool_info
31db              xor ebx, ebx         ; ebx: how many bytes there are
31ff              xor edi, edi         ; more: read(0, rsp + 8 + ebx, 1024 - ebx)
488d741c08        lea rsi, [rsp+rbx+8]
ba00040000        mov edx, 1024
29da              sub edx, ebx
31c0              xor eax, eax
0f05              syscall
85c0              test eax, eax
7e0a              jle all
01c3              add ebx, eax
81fb00040000      cmp ebx, 1024
72e0              jb more
31c0              xor eax, eax         ; all: bits, 256 or none
b900010000        mov ecx, 256
81fb00020000      cmp ebx, 512
0f43c1            cmovae eax, ecx
890424            mov [rsp], eax
895c2404          mov [rsp+4], ebx
488d3d4c000000    lea rdi, [device]    ; open("/dev/urandom", O_WRONLY)
be01000000        mov esi, 1
b802000000        mov eax, 2
0f05              syscall
85c0              test eax, eax
7830              js failed
4189c4            mov r12d, eax
4489e7            mov edi, r12d        ; ioctl(it, RNDADDENTROPY, rsp)
be03520840        mov esi, 0x40085203
4889e2            mov rdx, rsp
b810000000        mov eax, 16
0f05              syscall
85c0              test eax, eax
7517              jnz failed
4489e7            mov edi, r12d        ; ioctl(it, RNDRESEEDCRNG)
be07520000        mov esi, 0x5207
b810000000        mov eax, 16
0f05              syscall
85c0              test eax, eax
7504              jnz failed
31ff              xor edi, edi         ; with 0
eb05              jmp leave
bf01000000        mov edi, 1           ; failed: with 1
b83c000000        mov eax, 60          ; leave: exit(edi)
0f05              syscall
"""
"""The bytes of each instruction first, as GNU as writes them."""

DEVICE = b"/dev/urandom\0"


def reseed_program() -> bytes:
    return static_program(LISTING, DEVICE)
