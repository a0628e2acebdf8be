# SPDX-License-Identifier: MIT
"""`labvirt-net-event PROGRAM WORD..`, some 200 bytes that stand between uevent and a shell: PROGRAM takes its place when the event is of a
network device (SUBSYSTEM=net in the environment), and else it ends with 0. A card that is plugged in makes a dozen events, and each shell
costs an emulated guest ten milliseconds.
"""

from __future__ import annotations

from tiny_recipe.static_program import static_program

LISTING = """
488b3c24              mov rdi, [rsp]                  ; argc, argv, a zero; then the environment, and its zero
488d54fc10            lea rdx, [rsp+rdi*8+16]
4989d0                mov r8, rdx
48b85355425359535445  movabs rax, 0x4554535953425553  ; "SUBSYSTE"
498b30                mov rsi, [r8]                   ; next: of the environment
4885f6                test rsi, rsi
742a                  jz none
4983c008              add r8, 8
483906                cmp [rsi], rax
75ef                  jne next
817e084d3d6e65        cmp dword ptr [rsi+8], 0x656e3d4d  ; "M=ne"
75e6                  jne next
66837e0c74            cmp word ptr [rsi+12], 0x74     ; "t", and the zero that ends it
75df                  jne next
488b7c2410            mov rdi, [rsp+16]               ; execve(argv[1], argv + 1, the environment)
488d742410            lea rsi, [rsp+16]
b83b000000            mov eax, 59
0f05                  syscall
31ff                  xor edi, edi                    ; none: exit(0)
b83c000000            mov eax, 60
0f05                  syscall
"""


def net_event_program() -> bytes:
    return static_program(LISTING)
