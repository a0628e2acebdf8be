# SPDX-License-Identifier: MIT
# What an image of LabVirt needs besides the answer file. NEVER TRIED with Windows: see README.md. May be run again.
$here = Split-Path -Parent $MyInvocation.MyCommand.Path

# Drivers, the SPICE agent and the QEMU guest agent: by the agent LabVirt gives student a password for each connection.
$tools = Join-Path $here 'virtio-win-guest-tools.exe'
if (Test-Path $tools) { Start-Process -Wait -FilePath $tools -ArgumentList '/install', '/quiet', '/norestart' }

# Remote desktop, with the network-level sign-in that FreeRDP and Windows both speak, for student too. S-1-5-32-555: its group in any language.
Set-ItemProperty 'HKLM:\SYSTEM\CurrentControlSet\Control\Terminal Server' -Name fDenyTSConnections -Value 0
Set-ItemProperty 'HKLM:\SYSTEM\CurrentControlSet\Control\Terminal Server\WinStations\RDP-Tcp' -Name UserAuthentication -Value 1
Enable-NetFirewallRule -Group '@FirewallAPI.dll,-28752'
$group = Get-LocalGroup -SID 'S-1-5-32-555'
if (-not (Get-LocalGroupMember -Group $group -ErrorAction SilentlyContinue | Where-Object Name -Like '*\student')) {
    Add-LocalGroupMember -Group $group -Member student
}
# Its password is LabVirt's business: it never expires and nobody changes it by hand.
Set-LocalUser -Name student -PasswordNeverExpires $true -UserMayChangePassword $false

# A member of a domain must not change the machine account's password: the seat forgets the new one at its end.
Set-ItemProperty 'HKLM:\SYSTEM\CurrentControlSet\Services\Netlogon\Parameters' -Name DisablePasswordChange -Value 1 -Type DWord

# No hibernation and no fast start-up (a file system that is not closed), no sleep, no dark screen, no BitLocker on this disk.
powercfg.exe /hibernate off
powercfg.exe /change standby-timeout-ac 0
powercfg.exe /change monitor-timeout-ac 0
New-Item -Force 'HKLM:\SYSTEM\CurrentControlSet\Control\BitLocker' | Out-Null
Set-ItemProperty 'HKLM:\SYSTEM\CurrentControlSet\Control\BitLocker' -Name PreventDeviceEncryption -Value 1 -Type DWord

# Updates come in sessions: a seat would load them, and forget them.
New-Item -Force 'HKLM:\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate\AU' | Out-Null
Set-ItemProperty 'HKLM:\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate\AU' -Name NoAutoUpdate -Value 1 -Type DWord
