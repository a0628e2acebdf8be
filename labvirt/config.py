# SPDX-License-Identifier: MIT
"""Settings: one frozen tree from labvirt.toml in the state folder and from LABVIRT_* variables; and the map of the state folder.

The command line wins over the environment, the environment over the file, the file over the defaults here.
"""

from __future__ import annotations

import os
import tomllib
from ipaddress import ip_network
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from labvirt.domain.addresses import DEFAULT_MAC_PREFIX
from labvirt.errors import HostNotReady, InvalidInput

STATE_VARIABLE = "LABVIRT_STATE"
DEFAULT_STATE = Path("/var/lib/labvirt")


class Settings(BaseSettings):
    """Every setting of a controller. Unknown keys are refused with their name."""

    model_config = SettingsConfigDict(env_prefix="LABVIRT_", frozen=True, extra="forbid", env_ignore_empty=True)

    hypervisor: Literal["qemu", "libvirt", "fake"] = Field("qemu", description="Driver that runs guests.")
    libvirt_uri: str = Field("qemu:///system", description="Where the libvirt driver connects.")
    accelerator: Literal["auto", "kvm", "tcg"] = Field("auto", description="auto: KVM if a Linux kernel really boots under it, else TCG.")
    controller_port: int = Field(8080, ge=1, le=65535, description="TCP port where terminals reach the controller on their gateway.")
    mac_prefix: int = Field(DEFAULT_MAC_PREFIX, description="24-bit locally administered prefix of all guests' MACs.")
    starts_at_once: int | None = Field(
        None,
        ge=1,
        le=64,
        description="The most guests that are started in parallel; default: as many as the host bears, four for each CPU at most.",
    )
    guest_uid_base: int = Field(
        0x20000000, ge=1000, description="As root, guest n of block b runs as this + b * 4096 + n. Not root: as the engine's user."
    )
    ticket_seconds: int = Field(30, ge=5, le=60, description="Life of a display secret.")
    reconcile_seconds: float = Field(5.0, gt=0, le=60, description="The slow loop: how often reality is compared without being asked.")
    start_timeout_seconds: int = Field(120, ge=5, description="A guest that is not ready by then has failed.")
    jobs_at_once: int = Field(4, ge=1, le=16, description="Long works (imports, publishes) done at the same time; others wait in order.")
    canary_seconds: int = Field(180, ge=10, description="A canary that has not got its lease and its port by then is red.")
    template_seconds: int = Field(600, ge=10, description="A guest that is booted to be frozen and not ready by then is given up.")
    template_settle_seconds: float = Field(
        10, ge=0.2, description="It is ready when its screen and its serial line have not changed for so long."
    )
    layers: int = Field(4, ge=1, le=8, description="Files a version may stand on; a deeper one is flattened in the background.")
    bin_days: float = Field(7, ge=0, description="Deleted images, versions and drafts stay in the recycle bin for so long.")
    orphan_hours: float = Field(24, ge=0, description="A file that nobody knows stays for so long before garbage collection takes it.")
    scrub_days: float = Field(7, ge=0, description="How often every byte of every version is read and compared; 0: never by itself.")
    rescue_hours: float = Field(24, ge=0, description="What a guest had written is kept for so long after its run; 0: not at all.")
    rescue_budget_mib: int = Field(20480, ge=0, description="Disk space for kept overlays; the oldest go first.")
    idle_minutes: int = Field(30, ge=1, description="An admin session in which nothing happened for so long reminds its owner.")
    audit_days: float = Field(365, ge=0, description="Entries of the audit are kept for so long, 500,000 at most; 0: never cut for age.")
    metrics_from: tuple[str, ...] = Field((), description="Addresses and networks that may read /metrics without a sign-in.")
    largest_disk_gib: int = Field(2048, ge=1, description="Virtual disks beyond this are not accepted.")
    start_attempts: int = Field(4, ge=1, description="Starts that may fail in a row before the seat is left alone until asked again.")

    trusted_proxy: tuple[str, ...] = Field(
        (),
        description="Addresses, networks or 'unix': peers that may say who somebody is (docs/howto/single-sign-on.md).",
    )
    remote_user_header: str = Field(
        "X-Remote-User", pattern=r"^[A-Za-z][A-Za-z0-9-]{1,60}$", description="The header in which they say it."
    )
    campus_group: str = Field("", description="Group of a person who comes through them for the first time; empty: no rights yet.")

    @field_validator("metrics_from")
    @classmethod
    def _networks(cls, told: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(ip_network(each)) for each in told)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load(state: Path, **overrides: object) -> Settings:
    """The settings of the controller in `state`. Raises InvalidInput naming the key and the file when one is wrong."""
    file = state / "labvirt.toml"

    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=file)

    try:
        found = FromFile(**{k: v for k, v in overrides.items() if v is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(key or "settings", first["msg"], hint=f"Look into {file} and the LABVIRT_ variables.") from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput("labvirt.toml", f"is not TOML: {error}", hint=f"Mend {file}.") from error
    return Settings.model_construct(**found.model_dump())


def state_folder(option: str | None) -> Path:
    """The state folder: --state, then LABVIRT_STATE, then /var/lib/labvirt. Absolute."""
    return Path(option or os.environ.get(STATE_VARIABLE) or DEFAULT_STATE).absolute()


def cache_folder() -> Path:
    """What can be made again and is shared by all state folders: built images, what the accelerator probe found.

    LABVIRT_CACHE, else the user's cache folder (XDG Base Directory Specification). images/labvirt_recipe/cache.py holds the same rule.
    """
    own = os.environ.get("LABVIRT_CACHE")
    base = os.environ.get("XDG_CACHE_HOME")
    return Path(own) if own else (Path(base) if base else Path.home() / ".cache") / "labvirt"


def share_folder(name: str) -> Path:
    """A folder of data for other machines (kiosk, images, dhcp): in the package (wheel) or beside it (checkout). Raises HostNotReady."""
    package = Path(__file__).resolve().parent
    for folder in (package / "share" / name, package.parent / name):
        if folder.is_dir():
            return folder
    raise HostNotReady(f"This installation has no folder {name}.", hint="Install LabVirt again.")


class StatePaths:
    """The map of the state folder: who keeps what where.

    labvirt.db        wishes and the audit        images/    versions, 0444
    labvirt.toml      settings (optional)         runs/      one folder per run: overlays, sockets, launch record
    engine.sock       the engine's socket         networks/  one folder per lab: what dnsmasq is given, leases
    locks/            flock files                 secrets/   CA key and the like, 0600
    logs/             engine.log, web.log         fake/      the fake drivers' memory
    drafts/           admin sessions' overlays    kept/      overlays of ended runs (rescue)
    uploads/          files that are being sent   canaries/  pictures of versions on trial
    checks/           profiles' own check files   kiosk/     what terminals boot: one folder per version, and current
    homes/            logins for file servers, one file per profile (0600)
    templates/        booted, frozen guests from which instant clones start, 0444
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.database = root / "labvirt.db"
        self.settings = root / "labvirt.toml"
        self.engine_socket = root / "engine.sock"
        self.locks = root / "locks"
        self.logs = root / "logs"
        self.images = root / "images"
        self.runs = root / "runs"
        self.networks = root / "networks"
        self.secrets = root / "secrets"
        self.fake = root / "fake"
        self.drafts = root / "drafts"
        self.kept = root / "kept"
        self.uploads = root / "uploads"
        self.canaries = root / "canaries"
        self.checks = root / "checks"
        self.kiosk = root / "kiosk"
        self.homes = root / "homes"
        self.templates = root / "templates"

    def folders(self) -> tuple[Path, ...]:
        return (
            *(self.locks, self.logs, self.images, self.runs, self.networks, self.secrets, self.fake),
            *(self.drafts, self.kept, self.uploads, self.canaries, self.checks, self.homes),
        )
