@echo off
rem SPDX-License-Identifier: MIT
rem Windows runs this as SYSTEM when its set-up ends, out of C:\Windows\Setup\Scripts. NEVER TRIED with Windows: see README.md.
powershell.exe -NoProfile -ExecutionPolicy Bypass -File "%~dp0labvirt.ps1" > "%~dp0labvirt.log" 2>&1
