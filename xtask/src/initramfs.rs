//! The guest's whole file system, or what brings it up from a disk: a newc cpio archive with busybox, an init script, the
//! modules, and the files that the guest is to have. Knows the guest's side of the three serial ports; vm.rs knows the
//! host's.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cpio::NewcBuilder;

use crate::modules::Module;
use crate::sh;

/// The address that QEMU's user-mode network gives its guest.
pub(crate) const GUEST_ADDRESS: &str = "10.0.2.15";

/// A file of the host, at a path of the guest.
#[derive(Clone, Debug)]
pub(crate) struct GuestFile {
    /// On the host; must exist.
    pub(crate) host: PathBuf,
    /// In the guest, absolute.
    pub(crate) guest: String,
}

/// What goes into an initramfs.
pub(crate) struct Contents<'a> {
    /// A static busybox.
    pub(crate) busybox: &'a Path,
    /// Loaded in this order before the command runs.
    pub(crate) modules: &'a [Module],
    /// The files to have.
    pub(crate) files: &'a [GuestFile],
    /// Exported to the command.
    pub(crate) env: &'a [(String, String)],
    /// Whether the command runs on the installation on the first virtio disk.
    pub(crate) root: bool,
    /// Whether the first process there is systemd; then the command is a unit of it.
    pub(crate) systemd: bool,
    /// A shell's command line.
    pub(crate) command: &'a str,
}

/// Writes the archive.
pub(crate) fn write(to: &Path, contents: &Contents<'_>) -> Result<()> {
    let file = File::create(to).with_context(|| format!("create {}", to.display()))?;
    let mut archive = Archive { writer: BufWriter::new(file), folders: BTreeSet::new(), inode: 1 };
    for folder in FOLDERS {
        archive.folder(folder)?;
    }
    archive.host_file("/bin/busybox", contents.busybox)?;
    archive.data("/init", 0o755, init(contents).as_bytes())?;
    archive.data("/finish", 0o644, FINISH.as_bytes())?;
    archive.data("/last", 0o755, last(contents).as_bytes())?;
    archive.data("/etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")?;
    archive.data("/etc/group", 0o644, b"root:x:0:\nnogroup:x:65534:\n")?;
    archive.data("/etc/hosts", 0o644, b"127.0.0.1 localhost guest\n")?;
    archive.data("/command", 0o755, format!("{}\n", contents.command).as_bytes())?;
    for (number, module) in contents.modules.iter().enumerate() {
        archive.data(&module_path(number, module), 0o644, &module.data)?;
    }
    for file in contents.files {
        let folder = if contents.root { FOR_DISK } else { "" };
        archive.host_file(&format!("{folder}{}", file.guest), &file.host)?;
    }
    cpio::newc::trailer(archive.writer).context("end the initramfs")?.flush().context("write the initramfs")
}

/// busybox links its applets into these; the rest are mount points.
const FOLDERS: &[&str] = &[
    "/bin",
    "/dev",
    "/etc",
    "/lib",
    "/modules",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/tmp",
    "/usr/bin",
    "/usr/sbin",
    "/var/tmp",
];

fn module_path(number: usize, module: &Module) -> String {
    format!("/modules/{number:02}-{}.ko", module.name)
}

/// Where files lie in the archive that belong on the disk.
const FOR_DISK: &str = "/disk";

/// The first process. Its own words go to the kernel's console, the command's output to ttyS1, and the exit
/// code to ttyS2.
fn init(contents: &Contents<'_>) -> String {
    let (path, end) = if contents.root {
        (DISK_PATH, to_disk(contents.files, if contents.systemd { TO_SYSTEMD } else { TO_SHELL }))
    } else {
        (PATH, ON_BUSYBOX.to_owned())
    };
    // systemd mounts these itself.
    INIT.replace("@MOUNTS@\n", if contents.systemd { "" } else { MOUNTS })
        .replace("@PATH@", path)
        .replace("@ADDRESS@", GUEST_ADDRESS)
        .replace("@END@\n", &end)
}

/// The first process when everything is there.
fn last(contents: &Contents<'_>) -> String {
    let env: String =
        contents.env.iter().map(|(name, value)| format!("export {name}={}\n", sh::quote(value))).collect();
    let last = if contents.systemd { format!("{PORTS}{LAST}") } else { LAST.to_owned() };
    last.replace("@ENV@\n", &env)
}

/// Mounts the disk and goes there. File by file: there, /bin is a link to a folder, which no copy of folders survives.
fn to_disk(files: &[GuestFile], end: &str) -> String {
    let mut copies = String::new();
    for GuestFile { host, guest } in files {
        let from = sh::quote(&format!("{FOR_DISK}{guest}"));
        let to = sh::quote(&format!("/new{guest}"));
        let all = if host.is_dir() { "/." } else { "" };
        let folder = if host.is_dir() { to.clone() } else { format!("\"$(dirname {to})\"") };
        copies.push_str(&format!("mkdir -p {folder}\ncp -a {from}{all} {to}\n"));
    }
    TO_DISK.replace("@COPIES@\n", &copies) + end
}

const PATH: &str = "/bin:/sbin:/usr/bin:/usr/sbin";
const DISK_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const INIT: &str = r#"#!/bin/busybox sh
export PATH=@PATH@ HOME=/root TERM=dumb RUST_BACKTRACE=1
/bin/busybox --install -s 2>/dev/null

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
@MOUNTS@
ln -s /proc/self/fd /dev/fd
hostname guest
ip link set lo up

# Both ports stay open from here: a port forgets its settings when the last one closes it. Raw, because a terminal
# would turn each line's end into two bytes.
exec 3>/dev/ttyS1 4>/dev/ttyS2
stty -F /dev/ttyS1 raw -echo
stty -F /dev/ttyS2 raw -echo
. /finish

for module in /modules/*.ko; do
    [ -e "$module" ] || continue
    insmod "$module" || { echo "init: insmod $module failed" >&3; finish 125; }
done
if [ -d /sys/class/net/eth0 ]; then
    ip addr add @ADDRESS@/24 dev eth0
    ip link set eth0 up
    ip route add default via 10.0.2.2
fi
@END@
"#;

const MOUNTS: &str = "\
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf
";

/// The ports again, for a process that inherits nothing.
const PORTS: &str = "\
exec 3>/dev/ttyS1 4>/dev/ttyS2
/bin/busybox stty -F /dev/ttyS1 raw -echo
/bin/busybox stty -F /dev/ttyS2 raw -echo
";

const FINISH: &str = r#"
finish() {
    # Closing waits until the port has sent everything.
    exec 3>&-
    /bin/busybox sync
    echo "exit $1" >&4
    exec 4>&-
    /bin/busybox poweroff -f
}
"#;

const ON_BUSYBOX: &str = ". /last\n";

const TO_DISK: &str = r#"
mkdir /new
for tenth in $(seq 100); do
    [ -b /dev/vda ] && break
    sleep 0.1
done
mount -t ext4 /dev/vda /new || { echo "init: the root image does not mount" >&3; finish 125; }
echo "127.0.0.1 localhost guest" >/new/etc/hosts
cp -a /bin/busybox /new/bin/busybox
cp -a /command /finish /last /new/
@COPIES@
"#;

const TO_SHELL: &str = r#"
for folder in dev proc run sys tmp; do
    mkdir -p "/new/$folder"
    mount -o move "/$folder" "/new/$folder"
done
exec switch_root /new /bin/busybox sh /last
"#;

/// The command's unit waits for what services wait for, and nothing waits for it. An image has no machine's id: nobody is asked.
const TO_SYSTEMD: &str = r#"
echo 0123456789abcdef0123456789abcdef >/new/etc/machine-id
units=/new/etc/systemd/system
mkdir -p $units/multi-user.target.wants
cat >$units/guest-command.service <<END
[Unit]
Description=The command of this guest
After=basic.target dbus.service

[Service]
Type=oneshot
ExecStart=/bin/busybox sh /last
TimeoutStartSec=infinity
END
ln -s ../guest-command.service $units/multi-user.target.wants/guest-command.service
for unit in getty@tty1.service serial-getty@ttyS0.service apt-daily.timer apt-daily-upgrade.timer; do
    ln -s /dev/null $units/$unit
done
for folder in dev proc run sys; do
    mount -o move "/$folder" "/new/$folder"
done
exec switch_root /new /lib/systemd/systemd
"#;

const LAST: &str = r#". /finish
cd /root
@ENV@
echo "init: ready" >/dev/kmsg
/bin/sh /command </dev/null >&3 2>&1 4>&- 3>&-
finish $?
"#;

struct Archive {
    writer: BufWriter<File>,
    /// Written already: an archive may name a folder once.
    folders: BTreeSet<String>,
    inode: u32,
}

impl Archive {
    /// A folder and those above it.
    fn folder(&mut self, path: &str) -> Result<()> {
        let mut above = String::new();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            above = if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") };
            if self.folders.insert(above.clone()) {
                self.entry(&above, 0o040_755, &[])?;
            }
        }
        Ok(())
    }

    /// A file with these bytes.
    fn data(&mut self, path: &str, mode: u32, data: &[u8]) -> Result<()> {
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.folder(folder)?;
        }
        self.entry(path.trim_start_matches('/'), 0o100_000 | mode, data)
    }

    /// A file of the host, or a folder with all that is in it.
    fn host_file(&mut self, path: &str, host: &Path) -> Result<()> {
        let meta = fs::metadata(host).with_context(|| format!("read {}", host.display()))?;
        if meta.is_dir() {
            for entry in fs::read_dir(host).with_context(|| format!("read {}", host.display()))? {
                let entry = entry.with_context(|| format!("read {}", host.display()))?;
                self.host_file(&format!("{path}/{}", entry.file_name().to_string_lossy()), &entry.path())?;
            }
            return Ok(());
        }
        let data = fs::read(host).with_context(|| format!("read {}", host.display()))?;
        self.data(path, meta.permissions().mode() & 0o777, &data)
    }

    fn entry(&mut self, name: &str, mode: u32, data: &[u8]) -> Result<()> {
        self.inode += 1;
        let size = u32::try_from(data.len()).with_context(|| format!("{name} is too large for a cpio archive"))?;
        let mut writer = NewcBuilder::new(name).mode(mode).ino(self.inode).nlink(1).write(&mut self.writer, size);
        writer.write_all(data).with_context(|| format!("add {name} to the initramfs"))?;
        writer.finish().with_context(|| format!("add {name} to the initramfs"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{GuestFile, to_disk};

    #[test]
    fn files_and_folders_are_copied_to_the_disk_by_name() {
        let file = |host: &str, guest: &str| GuestFile { host: host.into(), guest: guest.to_owned() };
        let script = to_disk(&[file("Cargo.toml", "/bin/two words"), file("src", "/opt/src")], "");
        assert!(script.contains("\ncp -a '/disk/bin/two words' '/new/bin/two words'\n"), "{script}");
        assert!(script.contains("\ncp -a /disk/opt/src/. /new/opt/src\n"), "{script}");
    }
}
